"""Scripts: a case as a stand-alone program in the library's own words, which needs that library and NumPy alone.

The program is the very text that was judged (see `adjudge.backends.language`); what is about the case is written here: the
inputs, what is expected and how far from it an answer may be, the rules of the contract, and the exit status.
"""

from __future__ import annotations

import pprint
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.language import WIDTH, Language, array_words, definitions, sequence, source, template_of
from ..backends.protocol.finding import parts_of
from ..oracle.program import Input, Program, letter
from ..oracle.protocol import Backend
from ..oracle.reference import forward
from ..records.case import Case
from ..records.text import docstring

__all__ = ["imported", "script"]


#: Exceptions that would end a script as if it had come to its end, or had been interrupted.
ENDINGS = ("SystemExit", "KeyboardInterrupt")


def script(case: Case, backend: Backend) -> str | None:
    """A script that shows the case, prints got and expected, and exits with status 1 while the fault is there.

    Parameters
    ----------
    case : Case
    backend : Backend
        Its language says how; a user's own that has no language is imported, and asked by its functions. None comes back where
        there is neither.

    Raises
    ------
    LanguageError
        If a template asks for what there is not.
    """
    language = backend.language
    way = next((way for way in (*language.hvp, *backend.hvp) if way and way in case.reason), "")
    template = template_of(language, case.mode, way)
    if not (template or backend.spec):
        return None
    program, call = case.question.program, CALLS[case.mode]
    known, main = _main(case, call, backend.numpy_dtypes)
    spoken = source(program, template, language, backend.function_of).text.rstrip("\n") if template else ""
    lost = case.where == "process" or case.reason.startswith(ENDINGS)
    parts = [
        f"def inputs():\n{_indented(_input_lines(program))}\n    return {sequence(_letters(program))}",
        "\n".join(GIVEN[name](case) for name in call.given),
        spoken or _adapted(case, way),
        *([] if lost else ["\n".join(known), main]),
    ]
    imports, helpers = definitions("\n".join(parts), language if template else Language())
    standard = "import subprocess\nimport sys" if lost else "import sys"
    own = imported(backend, for_language=bool(template)) if backend.spec else ""
    top = "\n\n".join(filter(None, (_head(case), standard, f"import numpy as np\n{imports}".rstrip("\n"), own)))
    called = PROCESS.replace("{call}", call.text) if lost else CALLED
    return "\n\n\n".join(filter(None, [top, *parts[:2], helpers, *parts[2:], called])) + "\n"


def imported(backend: Backend, for_language: bool) -> str:
    """Lines that import a user's own backend: its file may be where the fault is, or may change the library."""
    place, attribute = parts_of(backend.spec)
    whole = f"{Path(place).expanduser().resolve()}{':' * bool(attribute)}{attribute}" if place.endswith(".py") else backend.spec
    if for_language:
        return f"from adjudge.backends import load\n\nload({whole!r})  # it may change the library"
    found = "load" if backend.file else "isolate"  # a command is asked in a process of its own
    return f"from adjudge import Program\nfrom adjudge.backends import {found}\n\nBACKEND = {found}({whole!r})"


def _adapted(case: Case, way: str) -> str:
    """The function of a mode that asks the functions of a user's own backend."""
    program = case.question.program
    names, variables = _letters(program), [letter(n) for n in program.variables]
    along = [f"along_{name}" for name in variables]
    tangents = ", ".join(f"along_{name}" if name in variables else "None" for name in names)
    tree = pprint.pformat(program.to_json(), width=WIDTH, compact=True, sort_dicts=False)
    picked = f"[ANSWERS[n] for n in {program.variables!r}]"
    body = {
        "vjp": f"answer = BACKEND.vjp(PROGRAM, [{', '.join(names)}], cotangent)\n"
        f"    return answer.value, {picked.replace('ANSWERS', 'answer.gradients')}",
        "jvp": f"return BACKEND.jvp(PROGRAM, [{', '.join(names)}], [{tangents}])",
        "hvp": f"products = BACKEND.hvp[{way!r}](PROGRAM, [{', '.join(names)}], cotangent, [{tangents}])\n"
        f"    return {picked.replace('ANSWERS', 'products')}",
    }[case.mode]
    takes = [*names, *(["cotangent"] if case.mode != "jvp" else []), *(along if case.mode != "vjp" else [])]
    made = f"PROGRAM = Program.from_json(\n{textwrap.indent(tree, '    ')}\n)"
    return f"{made}\n\n\ndef {case.mode}({', '.join(takes)}):\n    {body}"


def _head(case: Case) -> str:
    said = f"{case.backend}: {case.verdict}" + (f", {case.where}: {case.reason}" if case.where else "")
    return docstring(said, case.versions)


def _letters(program: Program) -> list[str]:
    return [letter(n) for n in range(len(program.inputs))]


def _indented(lines: Iterable[str]) -> str:
    return textwrap.indent("\n".join(lines), "    ")


def _table(name: str, arrays: Sequence[np.ndarray]) -> str:
    return f"{name} = [\n" + _indented(f"{array_words(a)}," for a in arrays) + "\n]" if arrays else f"{name} = []"


# -- inputs ------------------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> str:
    """Source of a Python number or nested list."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return f'float("{value}")' if isinstance(value, float) and not np.isfinite(value) else repr(value)


def _input_lines(program: Program) -> list[str]:
    lines = []
    for name, i in zip(_letters(program), program.inputs, strict=True):
        lines += _laid_out(name, i) if i.kind == "array" else [f"{name} = {_plain(i.data.tolist())}"]
    return lines


def _laid_out(name: str, i: Input) -> list[str]:
    """Lines that make an input's array in its layout."""
    words, shape = array_words(i.data), i.data.shape
    if i.layout == "F" and i.data.ndim > 1:
        return [f"{name} = np.asfortranarray({words})"]
    if i.layout == "reversed" and i.data.ndim:
        turn = "[" + ", ".join(["::-1"] * i.data.ndim) + "]"
        return [f"{name} = {words}{turn}.copy(){turn}"]
    if i.layout == "strided" and i.data.ndim:
        return [f"{name} = np.repeat({words}, 2, axis=-1)[..., ::2]"]
    if i.layout == "broadcast":
        itself = i.materialise()
        repeats = (s == 0 and n > 1 for s, n in zip(itself.strides, shape, strict=True))
        once = itself[tuple(slice(0, 1) if again else slice(None) for again in repeats)]
        return [f"{name} = np.broadcast_to({array_words(once)}, {shape!r})"]
    if i.layout == "read-only":
        return [f"{name} = {words}", f"{name}.flags.writeable = False"]
    if i.layout == "unaligned" and i.data.size:
        room = f'np.zeros({i.data.nbytes + 1}, np.uint8)[1:].view("{i.data.dtype}").reshape({shape!r})'
        return [f"{name} = {room}", f"{name}[...] = {words}"]
    return [f"{name} = {words}"]


def _tangents(case: Case) -> str:
    """The tangents of the variables, in their dtypes."""
    program, directions = case.question.program, case.question.directions
    tangents = [np.asarray(directions[n]).astype(program.inputs[n].data.dtype) for n in program.variables]
    return _table("TANGENTS", tangents)


#: What a function is given besides the inputs.
GIVEN: dict[str, Callable[[Case], str]] = {
    "COTANGENT": lambda case: f"COTANGENT = {array_words(case.question.cotangent)}",
    "TANGENTS": _tangents,
}

# -- what is asked, and what is compared ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """How a script asks in some mode.

    Parameters
    ----------
    given : tuple of str
        Which of `GIVEN` the function takes.
    text : str
        The call.
    answers : str
        A list of the answers, in terms of what `text` assigns and in the order of `Bounds.rows`.
    rules : str
        Entries of a dict: what has to hold of the answers besides.
    """

    given: tuple[str, ...]
    text: str
    answers: str
    rules: str = ""


UNCHANGED = """\
    "inputs are left as they were": all(np.array_equal(x, y, equal_nan=True) for x, y in zip(given, inputs())),
"""
CALLS = {
    "vjp": Call(
        ("COTANGENT",),
        "value, gradients = vjp(*given, COTANGENT)",
        "[value, *gradients]",
    ),
    "jvp": Call(
        ("TANGENTS",),
        "value, tangent = jvp(*given, *TANGENTS)",
        "[value, tangent]",
        """\
    "the tangent's shape": np.shape(tangent) == np.shape(value),
    "the tangent's dtype": np.asarray(tangent).dtype == np.asarray(value).dtype,
"""
        + UNCHANGED,
    ),
    "hvp": Call(
        ("COTANGENT", "TANGENTS"),
        "products = hvp(*given, COTANGENT, *TANGENTS)",
        "products",
        """\
    "products' shapes": all(p is None or np.shape(p) == v.shape for p, v in zip(products, TANGENTS)),
    "products' dtypes": all(p is None or np.asarray(p).dtype == v.dtype for p, v in zip(products, TANGENTS)),
"""
        + UNCHANGED,
    ),
}

ASK = """\
given = inputs()
with np.errstate(all="ignore"):
    {call}
"""

RULES = """\
rules = {
RULES}
for rule, kept in rules.items():
    print(f"{rule}: {'kept' if kept else 'BROKEN'}")
fine = list(rules.values())
"""

COMPARE = """\
for name, got, expected, allowance in zip(NAMES, ANSWERS, EXPECTED, ALLOWANCE):
    got = np.zeros_like(expected) if got is None else np.asarray(got)
    right = got.shape == expected.shape and bool((np.abs(got.astype(float) - expected) <= allowance).all())
    print(f"{name}: {'right' if right else 'WRONG'}\\n  got          {got!r}")
    print(f"  expected     {expected!r}\\n  give or take {allowance!r}")
    fine.append(right)
"""

SLOPE = """\
# At a kink there are many subgradients; along SLOPE, a direction among the gradients, none of them exceeds MOST.
slope = sum(float((np.asarray(g) * s).sum()) for g, s in zip(gradients, SLOPE) if g is not None)
print(f"along SLOPE: {'right' if slope <= MOST else 'WRONG'}\\n  got              {slope!r}\\n  expected at most {MOST!r}")
fine.append(slope <= MOST)
"""

CONTRACT = """\
writeable = [np.asarray(x).flags.writeable for x in inputs()]
first = [np.array(x) for x in (value, *gradients) if x is not None]
cotangent = COTANGENT.copy()
value_again, gradients_again = vjp(*inputs(), COTANGENT)
still = [np.array(x) for x in (value, *gradients) if x is not None]
second = [np.array(x) for x in (value_again, *gradients_again) if x is not None]
variables = [given[n] for n in VARIABLES]
pulled, handed = ([x for x in xs if isinstance(x, np.ndarray) and x.size] for xs in (gradients, given))
shared = [np.may_share_memory(g, x) for n, g in enumerate(pulled) for x in pulled[:n] + handed]
rules = {
    "the value's shape": np.shape(value) == COTANGENT.shape,
    "the value's dtype": VALUE_DTYPE in (None, np.asarray(value).dtype),
    "gradients are arrays": all(g is None or isinstance(g, np.ndarray) for g in gradients),
    "gradients' shapes": all(g is None or np.shape(g) == x.shape for g, x in zip(gradients, variables)),
    "gradients' dtypes": all(g is None or g.dtype == x.dtype for g, x in zip(gradients, variables)),
    "gradients share no memory": not any(shared),
    "inputs are left as they were": all(np.array_equal(x, y, equal_nan=True) for x, y in zip(given, inputs())),
    "inputs are as writeable as they were": [np.asarray(x).flags.writeable for x in given] == writeable,
    "the cotangent is left as it was": np.array_equal(COTANGENT, cotangent),
    "a second run changes nothing": all(np.array_equal(x, y, equal_nan=True) for x, y in zip(first, still)),
    "a second run gives the same": all(np.array_equal(x, y, equal_nan=True) for x, y in zip(first, second)),
}
for rule, kept in rules.items():
    print(f"{rule}: {'kept' if kept else 'BROKEN'}")
fine = list(rules.values())  # the numbers are as they are: what is broken here is the contract
"""


def _main(case: Case, call: Call, numpy_dtypes: bool) -> tuple[list[str], str]:
    """What the main function needs to know, and the function."""
    program, rows = case.question.program, case.bounds.rows
    known, body = [], [ASK.replace("{call}", call.text)]
    body.append(RULES.replace("RULES", call.rules) if call.rules else "fine = []\n")
    if rows:
        known = [f"NAMES = {[row.name for row in rows]!r}", _table("EXPECTED", [row.expected for row in rows])]
        known.append(_table("ALLOWANCE", [row.allowance for row in rows]))
        body.append(COMPARE.replace("ANSWERS", call.answers))
    if case.bounds.slopes:
        known += [_table("SLOPE", case.bounds.slopes), f"MOST = {_plain(case.bounds.most)}"]
        body.append(SLOPE)
    if call is CALLS["vjp"] and case.verdict == "contract":
        with np.errstate(all="ignore"):
            plain = forward(program, [i.materialise() if i.kind == "number" else i.data for i in program.inputs])[-1]
            dtype = np.asarray(plain).dtype
        known += [f"VARIABLES = {program.variables!r}", f"VALUE_DTYPE = {str(dtype) if numpy_dtypes else None!r}"]
        body.append(CONTRACT)
    body.append("sys.exit(0 if all(fine) else 1)")
    return known, "def main():\n" + textwrap.indent("".join(body), "    ")


#: The end of a script about a process that is lost: it asks in a process of its own.
PROCESS = """\
if __name__ == "__main__":
    if sys.argv[1:] == ["ask"]:
        given = inputs()
        with np.errstate(all="ignore"):
            {call}
        print("answered")
        sys.exit()
    try:
        done = subprocess.run([sys.executable, __file__, "ask"], capture_output=True, text=True, errors="replace", timeout=20)
        right = (done.returncode, done.stdout) == (0, "answered\\n")
        print(f"it ended with status {done.returncode}, and wrote {done.stdout!r}; expected 0, 'answered\\\\n'")
    except subprocess.TimeoutExpired:
        right = False
        print("it did not come back within 20 s")
    sys.exit(0 if right else 1)"""
CALLED = """\
if __name__ == "__main__":
    main()"""
