'''Scripts: a case as a stand-alone program in the library's own words, which needs that library and NumPy alone.

A backend that wants its cases to have scripts has a table ``SCRIPT`` of templates, filled in as `str.format` does. MyGrad's::

    SCRIPT = {
        "import": "import mygrad as mg",
        "leaf": "{x} = mg.tensor({x}, constant={constant}, copy=False)",
        "run": """
            def run({inputs}):
                {leaves}
                {steps}
                value = np.array({out}.data)
                {out}.backward(COTANGENT)
                return value, [{gradients}]
        """,
        "gradient": "{x}.grad",
        "step": "{y} = mg.{op}({args})",
        "steps": {"concatenate": "{y} = mg.concatenate([{xs}]{params})", ...},
    }

``import``
    lines that import the library.
``leaf``
    how an input that is an array becomes the library's own ({x} is its name, {constant} True or False).
``list``
    the same for a constant nested list (left out, it stays one).
``run``
    a function from the inputs to the value and a list of the variables' gradients, with the slots {inputs}, {variables} (names
    with commas), {leaves}, {constants} (the leaf lines of all inputs, of those that are no variables), {steps} (lines),
    {out} (the last value's name) and {gradients} (``gradient`` for each variable, with commas).
``push``
    the same for forward mode, where there is one: a function from the inputs and the variables' tangents, {tangents}, to the
    value and its tangent.
``step``, and ``steps`` by op name where an op is spelled otherwise
    one step: {y} is the name of what comes out, {op} the op's, {0} {1} the operands, {xs} all of them, {params} the parameters
    as ``, key=value``, {args} operands and parameters, {values} the operands and the parameters' values, {constant} whether the
    value is a constant, and each parameter by its name ("None" where it is not given).
``masked``
    the same for a step with NumPy's ``where=``: {xs} are the operands without the last, which is {under}.
``cast``
    where the library has no ``dtype=``: how an operand {x} is brought to {dtype} first.

A backend that wants to be timed has a table ``TIMED`` of templates besides, which go before those of ``SCRIPT``. It needs

``passes``
    a function ``passes({inputs})`` that prepares what is to be timed; the slots are those of ``run``, and what it has to return
    is told in `adjudge.bench.worker`.
'''

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from string import Formatter
from typing import Any

import numpy as np

from ..oracle.program import Input, Program, as_tuple, decode_index, letter
from ..oracle.protocol import Backend
from ..oracle.reference import forward
from ..records.case import Case

__all__ = ["ScriptError", "array_words", "passes", "script"]

#: The width of a script's lines, as far as arrays go.
WIDTH = 100


class ScriptError(ValueError):
    """A backend's templates cannot be filled in; the message is one sentence."""


def script(case: Case, backend: Backend) -> str | None:
    """A script that shows the case, prints got and expected, and exits with status 1 while the fault is there.

    Parameters
    ----------
    case : Case
    backend : Backend
        Its ``SCRIPT`` says how; None comes back where it has none.

    Raises
    ------
    ScriptError
        If a template lacks, or asks for what there is not.
    """
    words = backend.language.script
    if words is None or (case.mode == "jvp" and "push" not in words):
        return None
    try:
        return _written(case, backend, words)
    except (LookupError, ValueError) as problem:
        raise ScriptError(f"the SCRIPT of backend {backend.name} cannot be filled in: {problem!r}") from problem


def passes(program: Program, backend: Backend) -> str | None:
    """Source of a function that prepares a program to be timed in a library's own words.

    Parameters
    ----------
    program : Program
        Its inputs' data are left out: the function takes them.
    backend : Backend
        Its ``TIMED`` says how; None comes back where it has none.

    Raises
    ------
    ScriptError
        If a template lacks, or asks for what there is not.
    """
    timed = backend.language.timed
    if timed is None:
        return None
    words = {**(backend.language.script or {}), **timed}
    try:
        text = _run(program, words["passes"], words)
        head = textwrap.dedent(words["import"]).strip().split("\n")
    except (LookupError, ValueError) as problem:
        raise ScriptError(f"the TIMED of backend {backend.name} cannot be filled in: {problem!r}") from problem
    # A step may bring imports of its own: they are not what is timed.
    brought = [line for line in text.split("\n") if line.lstrip().startswith(("from ", "import "))]
    lines = [line for line in text.split("\n") if line not in brought]
    return "\n".join([*dict.fromkeys([*head, *map(str.strip, brought)]), "", "", *lines]) + "\n"


def _written(case: Case, backend: Backend, words: Mapping[str, Any]) -> str:
    program = case.question.program
    versions = ", ".join(f"{package} {version}" for package, version in case.versions.items())
    head = f"{case.backend}: {case.verdict}" + (f", {case.where}: {case.reason}" if case.where else "")
    blocks = [
        f'"""{_safe(head)}\n\nFound with {versions or "unknown versions"}. Exits with status 1 while the fault is there.\n"""',
        f"import sys\n\nimport numpy as np\n{textwrap.dedent(words['import']).strip()}\n",
        f"def inputs():\n{_indented(_input_lines(program))}\n    return {_sequence(_letters(program))}\n",
        _along(case) if case.mode == "jvp" else f"COTANGENT = {array_words(case.question.cotangent)}\n",
        _run(program, words["push" if case.mode == "jvp" else "run"], words) + "\n",
        *_main(case, backend.numpy_dtypes),
    ]
    return "\n\n".join(blocks) + "\n"


def _safe(text: str) -> str:
    """Text as it may stand in a docstring."""
    return textwrap.fill(text.replace("\\", "/").replace('"', "'"), WIDTH)


def _letters(program: Program) -> list[str]:
    return [letter(n) for n in range(len(program.inputs))]


def _indented(lines: Iterable[str], by: int = 4) -> str:
    return textwrap.indent("\n".join(lines), " " * by)


def _sequence(words: Iterable[str]) -> str:
    words = list(words)
    return f"({', '.join(words)}{',' if len(words) == 1 else ''})"


def _table(name: str, arrays: list[np.ndarray]) -> str:
    return f"{name} = [\n" + _indented(f"{array_words(a)}," for a in arrays) + "\n]" if arrays else f"{name} = []"


# -- inputs ------------------------------------------------------------------------------------------------------------------


def array_words(x: np.ndarray) -> str:
    """Source of an array, every digit kept, short decimals short.

    Examples
    --------
    >>> print(array_words(np.array([0.1, np.inf], dtype=np.float32)))
    np.array([0.1, np.inf], dtype="float32")
    """
    told = x.dtype == np.float64 or (x.size and x.dtype in (np.int64, np.bool_))
    dtype = "" if told else f', dtype="{x.dtype}"'
    if x.size == 0:
        return f"np.zeros({x.shape!r}{dtype})"
    text = "\n".join(textwrap.wrap(_nested(x), WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False))
    return f"np.array({text}{dtype})"


def _nested(x: Any) -> str:
    if np.ndim(x):
        return "[" + ", ".join(map(_nested, x)) + "]"
    return {"nan": "np.nan", "inf": "np.inf", "-inf": "-np.inf"}.get(str(x), str(x))


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
        room = f"np.zeros({i.data.nbytes + 1}, np.uint8)[1:].view(np.{i.data.dtype}).reshape({shape!r})"
        return [f"{name} = {room}", f"{name}[...] = {words}"]
    return [f"{name} = {words}"]


# -- the program ---------------------------------------------------------------------------------------------------------------


class _Slots(dict[str, str]):
    """Parameters that are not given are None."""

    def __missing__(self, key: str) -> str:
        return "None"


def _along(case: Case) -> str:
    """The tangents of the variables, in their dtypes."""
    program, directions = case.question.program, case.question.directions
    tangents = [np.asarray(directions[n]).astype(program.inputs[n].data.dtype) for n in program.variables]
    return f"{_table('TANGENTS', tangents)}\n"


def _run(program: Program, template: str, words: Mapping[str, Any]) -> str:
    leaves = {n: line for n, i in enumerate(program.inputs) if (line := _leaf(letter(n), i, words))}
    variables = [letter(n) for n in program.variables]
    slots = {
        "inputs": ", ".join(_letters(program)),
        "variables": ", ".join(variables),
        "tangents": ", ".join(f"along_{x}" for x in variables),
        "leaves": "\n".join(leaves.values()),
        "constants": "\n".join(line for n, line in leaves.items() if n not in program.variables),
        "steps": "\n".join(_step(program, n, words) for n in range(len(program.steps))),
        "out": letter(len(program.inputs) + len(program.steps) - 1),
        "gradients": ", ".join(words.get("gradient", "").format(x=x) for x in variables),
    }
    lines = []
    for line in textwrap.dedent(template).strip("\n").split("\n"):
        filled = line.format(**slots)
        alone = line.strip() in ("{leaves}", "{constants}", "{steps}")
        if not alone:
            lines.append(filled)
        elif slots[line.strip()[1:-1]]:
            lines.append(_indented(slots[line.strip()[1:-1]].split("\n"), len(line) - len(line.lstrip())))
    return "\n".join(lines)


def _leaf(name: str, i: Input, words: Mapping[str, Any]) -> str:
    template = {"array": words.get("leaf", ""), "list": words.get("list", ""), "number": ""}[i.kind]
    return str(template.format(x=name, constant=i.constant))


def _step(program: Program, number: int, words: Mapping[str, Any]) -> str:
    step, y = program.steps[number], len(program.inputs) + number
    names = [letter(a) for a in step.args]
    params = {key: _param(key, value) for key, value in step.params.items()}
    if "cast" in words and params.get("dtype", "None") != "None":
        dtype = params.pop("dtype")
        names = [words["cast"].format(x=x, dtype=dtype) for x in names]
    masked = "where" in params
    xs = names[:-1] if masked else names
    given = [f"{key}={value}" for key, value in params.items()]
    slots = _Slots(
        params, y=letter(y), op=step.op, xs=", ".join(xs), args=", ".join([*xs, *given]),
        params="".join(f", {g}" for g in given), values=", ".join([*xs, *params.values()]),
        under=names[-1] if names else "", constant=str(program.constants[y]),
    )  # fmt: skip
    template = words["masked"] if masked else words.get("steps", {}).get(step.op, words["step"])
    return Formatter().vformat(template, names, slots)


def _param(key: str, value: Any) -> str:
    if key == "index":
        return ", ".join(map(_place, decode_index(value))) or "()"
    if key == "where" and not isinstance(value, bool):
        return array_words(np.asarray(value))
    return repr(as_tuple(value))


def _place(part: Any) -> str:
    """One part of an index, as it stands between brackets."""
    if isinstance(part, slice):
        ends = ["" if end is None else str(end) for end in (part.start, part.stop)]
        return ":".join(ends if part.step is None else [*ends, str(part.step)])
    if isinstance(part, np.ndarray):
        return array_words(part)
    return "..." if part is Ellipsis else repr(part)


# -- what is said --------------------------------------------------------------------------------------------------------------

RUN = """\
given = inputs()
with np.errstate(all="ignore"):
    value, gradients = run(*given)
fine = []
"""

PUSH = """\
given = inputs()
with np.errstate(all="ignore"):
    value, tangent = push(*given, *TANGENTS)
gradients = [tangent]
rules = {
    "the tangent's shape": np.shape(tangent) == np.shape(value),
    "the tangent's dtype": np.asarray(tangent).dtype == np.asarray(value).dtype,
    "inputs are left as they were": all(np.array_equal(x, y, equal_nan=True) for x, y in zip(given, inputs())),
}
for rule, kept in rules.items():
    print(f"{rule}: {'kept' if kept else 'BROKEN'}")
fine = list(rules.values())
"""

COMPARE = """\
for name, got, expected, allowance in zip(NAMES, [value, *gradients], EXPECTED, ALLOWANCE):
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
value_again, gradients_again = run(*inputs())
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


def _main(case: Case, numpy_dtypes: bool) -> list[str]:
    """Blocks: what the main function needs to know, and the function."""
    program, bounds = case.question.program, case.bounds
    known, body = [], [PUSH if case.mode == "jvp" else RUN]
    if bounds.rows:
        known.append(f"NAMES = {[row.name for row in bounds.rows]!r}")
        known.append(_table("EXPECTED", [row.expected for row in bounds.rows]))
        known.append(_table("ALLOWANCE", [row.allowance for row in bounds.rows]))
        body.append(COMPARE)
    if bounds.slopes:
        known += [_table("SLOPE", bounds.slopes), f"MOST = {bounds.most!r}"]
        body.append(SLOPE)
    if case.verdict == "contract" and case.mode != "jvp":
        with np.errstate(all="ignore"):
            plain = forward(program, [i.materialise() if i.kind == "number" else i.data for i in program.inputs])[-1]
            dtype = np.asarray(plain).dtype
        known.append(f"VARIABLES = {program.variables!r}")
        known.append(f"VALUE_DTYPE = {str(dtype) if numpy_dtypes else None!r}")
        body.append(CONTRACT)
    body.append("sys.exit(0 if all(fine) else 1)")
    main = "def main():\n" + textwrap.indent("".join(body), "    ") + "\n"
    return [*(["\n".join(known) + "\n"] if known else []), main, 'if __name__ == "__main__":\n    main()']
