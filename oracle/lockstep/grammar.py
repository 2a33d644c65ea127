"""The grammar of lines: all that a line of a script may say, with the names and the sizes that it may use.

Scripts are read from files, so a line is no Python to be run as it comes: it is one statement of this grammar, or it is refused
before anything of it is run. A line applies one operation to operands that are names or literals, so that an array never has
more elements than the arrays and the literals before it, multiplied.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

__all__ = ["ARRAYS", "TENSORS", "LineError", "statement_of"]

#: Names of tensors and of arrays in a script.
TENSORS, ARRAYS = "abcdef", "pq"
#: The most characters of a line, elements of a literal or of a shape, and the largest number that says how many or where.
CHARACTERS, ELEMENTS, COUNT = 200, 64, 64
CHARACTER = re.compile(r"[\w .,:()\[\]'+\-*/@=<>!]*", re.ASCII)
SUBSCRIPTS = re.compile(r"[a-z.,]*(->[a-z.]*)?")

#: Functions of ``lib`` and ``np``, by the kinds of their arguments: see `ARGUMENTS`. An argument with "?" may be left out.
FUNCTIONS = {
    **dict.fromkeys(("tensor", "astensor", "array", "asarray"), "value"),
    **dict.fromkeys(("float64", "float32", "float16"), "number"),
    **dict.fromkeys(("positive", "negative", "square", "transpose", "squeeze", "atleast_2d", "isfinite"), "value"),
    **dict.fromkeys(("ones_like", "zeros_like", "cumsum"), "value"),
    **dict.fromkeys(("add", "subtract", "multiply", "divide", "matmul"), "value value"),
    **dict.fromkeys(("sum", "mean"), "value axis?"),
    **dict.fromkeys(("concatenate", "stack"), "values"),
    **dict.fromkeys(("repeat", "roll", "expand_dims"), "value count"),
    **dict.fromkeys(("swapaxes", "moveaxis"), "value count count"),
    **dict.fromkeys(("reshape", "broadcast_to"), "value shape"),
    **dict.fromkeys(("zeros", "ones"), "shape"),
    **dict.fromkeys(("arange", "eye", "identity"), "count"),
    "full": "shape number",
    "full_like": "value number",
    "linspace": "number number count",
    "einsum": "subscripts value value?",
    "where": "mask value value",
}
#: Methods of a name that give an array, and those that are statements.
METHODS = {
    **dict.fromkeys(("copy", "prod", "ravel", "flatten"), ""),
    **dict.fromkeys(("sum", "mean"), "axis?"),
    "astype": "dtype",
    "reshape": "shape",
}
DEEDS = {"backward": "value?", "null_grad": ""}
#: The names that functions are taken from.
ROOMS = ("lib", "np")
#: What a name is asked: an array, and a number.
PARTS, NUMBERS = ("T", "data", "grad"), ("ndim", "size")
DTYPES = ("float64", "float32", "float16", "int64", "bool")
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.MatMult)
COMPARISONS = (ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq)
#: How the text of a tensor becomes words that do not depend on the sign of zero.
WORDS = ast.dump(ast.parse("x.replace('-0.', '0.').split()", mode="eval").body)


class LineError(ValueError):
    """A text is no line of a script; `why` says what is wrong with it."""

    def __init__(self, line: str, why: str) -> None:
        self.why = why
        shown = line if len(line) <= 60 else line[:57] + "..."
        super().__init__(f"{shown!r} is no line of a script: {why}")


class _Refused(Exception):
    """A part of a line that the grammar does not have."""


@cache
def statement_of(line: str) -> ast.stmt:
    """The one statement that a line is.

    Raises
    ------
    LineError
        If the line is not in the grammar.

    Examples
    --------
    >>> ast.unparse(statement_of("b = a  *  2.0"))
    'b = a * 2.0'
    >>> statement_of("a = __import__('os').system('true')")
    Traceback (most recent call last):
    adjudge.oracle.lockstep.grammar.LineError: "a = __import__('os').system('true')" is no line of a script: __import__('os').system('true') is nothing that can be bound
    """  # noqa: E501 (an exception's text)
    if len(line) > CHARACTERS:
        raise LineError(line, f"it has {len(line)} characters, and {CHARACTERS} are enough for one statement")
    if not CHARACTER.fullmatch(line):
        raise LineError(line, "it has characters that no statement needs")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python only warns of is no statement either
            statements = ast.parse(line).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        raise LineError(line, "it is no Python") from problem
    if len(statements) != 1:
        raise LineError(line, "one simple statement is due")
    try:
        _check_statement(statements[0])
    except _Refused as refused:
        raise LineError(line, str(refused)) from None
    return statements[0]


def _refuse(node: ast.AST, rule: str) -> NoReturn:
    raise _Refused(f"{ast.unparse(node)} {rule}")


# -- statements ----------------------------------------------------------------------------------------------------------------


def _check_statement(statement: ast.stmt) -> None:
    match statement:
        case ast.Assign(targets=[ast.Name(id="answer")], value=value):
            _check_told(value)
        case ast.Assign(targets=[ast.Name() as name], value=value):
            _check_name(name)
            _check_bound(value)
        case ast.Assign(targets=[ast.Subscript() as place], value=value):
            _check_place(place)
            _check_value(value)
        case ast.AugAssign(target=place, op=op, value=value) if isinstance(op, OPERATORS):
            _check_place(place)
            _check_operation(value) if isinstance(value, ast.BinOp) else _check_value(value)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="lib" | "np")), keywords=given) as call):
            if all(keyword.arg != "out" for keyword in given):
                _refuse(call, "is told to nobody: it needs a name to bind, or out=")
            _check_call(call)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name() as name, attr=deed)) as call) if deed in DEEDS:
            _check_name(name)
            _check_arguments(call, DEEDS[deed])
        case ast.Delete(targets=[ast.Name() as name]):
            _check_name(name)
        case _:
            _refuse(statement, "is none of: bind, update, write, differentiate, null, delete")


def _check_place(node: ast.expr) -> None:
    """What is updated: a name, its data, or elements of either."""
    match node:
        case ast.Subscript(value=ast.Attribute(value=ast.Name() as name, attr="data"), slice=index):
            _check_name(name)
            _check_index(index)
        case ast.Subscript(value=ast.Name() as name, slice=index):
            _check_name(name)
            _check_index(index)
        case ast.Name() as name:
            _check_name(name)
        case ast.Attribute(value=ast.Name() as name, attr="data"):
            _check_name(name)
        case _:
            _refuse(node, "is nothing that can be updated")


def _check_bound(node: ast.expr) -> None:
    """What may be bound to the name of a tensor or an array."""
    match node:
        case ast.Name():
            _check_name(node)
        case ast.BinOp():
            _check_operation(node)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Name() as name):
            _check_name(name)
        case ast.Subscript(value=ast.Name() as name, slice=index):
            _check_name(name)
            _check_index(index)
        case ast.Attribute(value=ast.Name() as name, attr=part) if part in PARTS:
            _check_name(name)
        case ast.Call():
            _check_call(node)
        case _:
            _refuse(node, "is nothing that can be bound")


def _check_told(node: ast.expr) -> None:
    """What may be told."""
    match node:
        case ast.Compare():
            _check_comparison(node)
        case ast.Tuple(elts=parts) if len(parts) <= len(NUMBERS):
            for part in parts:
                _check_told(part)
        case ast.Attribute(value=ast.Name() as name, attr=part) if part in NUMBERS:
            _check_name(name)
        case ast.Call(func=ast.Name(id="float" | "len"), args=[ast.Name() as name], keywords=[]):
            _check_name(name)
        case ast.Call(func=ast.Attribute(value=ast.Name() as name, attr="item"), args=[], keywords=[]) if name.id not in ROOMS:
            _check_name(name)
        case ast.Call(
            func=ast.Attribute(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Call(func=ast.Name(id="repr"), args=[ast.Name() as name], keywords=[]) as text)
                )
            )
        ) if ast.dump(node).replace(ast.dump(text), ast.dump(ast.Name("x", ast.Load()))) == WORDS:
            _check_name(name)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="isfinite")):
            _check_call(node)
        case _:
            _refuse(node, "is nothing that can be told")


def _check_call(node: ast.Call) -> None:
    match node.func:
        case ast.Attribute(value=ast.Name(id="lib" | "np"), attr=function) if function in FUNCTIONS:
            _check_arguments(node, FUNCTIONS[function])
        case ast.Attribute(value=ast.Name() as name, attr=method) if name.id not in ROOMS and method in METHODS:
            _check_name(name)
            _check_arguments(node, METHODS[method])
        case _:
            _refuse(node, "is nothing that can be bound")


def _check_arguments(call: ast.Call, kinds: str) -> None:
    """The arguments of a call, and its keywords."""
    wanted = kinds.split()
    needed = sum(not kind.endswith("?") for kind in wanted)
    if not needed <= len(call.args) <= len(wanted):
        _refuse(call, f"has {len(call.args)} arguments where {len(wanted)} are due")
    for argument, kind in zip(call.args, wanted, strict=False):
        ARGUMENTS[kind.removesuffix("?")](argument)
    for keyword in call.keywords:
        if keyword.arg not in KEYWORDS:
            _refuse(call, f"has a keyword that is none of {', '.join(KEYWORDS)}")
        else:
            KEYWORDS[keyword.arg](keyword.value)


# -- operands ------------------------------------------------------------------------------------------------------------------


def _check_name(node: ast.expr) -> None:
    if not (isinstance(node, ast.Name) and node.id in (*TENSORS, *ARRAYS)):
        _refuse(node, f"is none of the names {', '.join((*TENSORS, *ARRAYS))}")


def _is_literal(node: ast.expr) -> bool:
    return not any(isinstance(part, ast.Name) and part.id in (*TENSORS, *ARRAYS) for part in ast.walk(node))


def _check_operation(node: ast.BinOp) -> None:
    if not isinstance(node.op, OPERATORS) or (_is_literal(node.left) and _is_literal(node.right)):
        _refuse(node, "is no operation on a tensor")
    _check_value(node.left)
    _check_value(node.right)


def _check_comparison(node: ast.Compare) -> None:
    if len(node.ops) != 1 or not isinstance(node.ops[0], COMPARISONS):
        _refuse(node, "is not one comparison")
    _check_value(node.left)
    _check_value(node.comparators[0])


def _check_value(node: ast.expr) -> None:
    """An operand: a name, its data or gradient, a number, or lists of numbers."""
    match node:
        case ast.Name():
            _check_name(node)
        case ast.Attribute(value=ast.Name() as name, attr=part) if part in PARTS:
            _check_name(name)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="float64" | "float32" | "float16")):
            _check_call(node)
        case ast.List():
            _check_lists(node, _check_number)
        case _:
            _check_number(node)


def _check_lists(node: ast.List, check_element: Callable[[ast.expr], None]) -> None:
    if sum(isinstance(part, ast.Constant) for part in ast.walk(node)) > ELEMENTS:
        _refuse(node, f"has more than {ELEMENTS} numbers")
    for part in node.elts:
        _check_lists(part, check_element) if isinstance(part, ast.List) else check_element(part)


def _number(node: ast.expr) -> int | float | None:
    """The number that a literal is; None if it is none."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
    return None


def _check_number(node: ast.expr) -> None:
    number = _number(node)
    if number is None or abs(number) > 2**53:
        _refuse(node, "is no operand: a name, a number up to 2**53 or a list of them is")


def _check_count(node: ast.expr) -> None:
    number = _number(node)
    if number is None or abs(number) > COUNT:
        _refuse(node, f"is no number up to {COUNT}")


def _check_shape(node: ast.expr) -> None:
    """An integer, or a tuple of them; in front of the shape of a name, perhaps."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    if parts and isinstance(parts[-1], ast.Starred):
        match parts.pop():
            case ast.Starred(value=ast.Attribute(value=ast.Name() as name, attr="shape")):
                _check_name(name)
            case other:
                _refuse(other, "is no part of a shape")
    for part in parts:
        _check_count(part)
    if math.prod(max(1, abs(_number(part) or 0)) for part in parts) > ELEMENTS:
        _refuse(node, f"has more than {ELEMENTS} elements")


def _check_axis(node: ast.expr) -> None:
    if isinstance(node, ast.Tuple):
        for part in node.elts:
            _check_count(part)
    elif not (isinstance(node, ast.Constant) and node.value is None):
        _check_count(node)


def _check_index(node: ast.expr) -> None:
    match node:
        case ast.Tuple(elts=parts):
            for part in parts:
                _check_index(part)
        case ast.Slice(lower=lower, upper=upper, step=step):
            for end in filter(None, (lower, upper, step)):
                _check_count(end)
        case ast.Constant(value=constant) if constant is None or constant is ...:
            pass
        case ast.List():
            _check_lists(node, _check_count)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="array"), args=[ast.List() as places], keywords=[]):
            _check_lists(places, _check_count)
        case _:
            _check_count(node)


def _check_values(node: ast.expr) -> None:
    if not isinstance(node, ast.List) or len(node.elts) > 4:
        _refuse(node, "is no list of up to four operands")
    else:
        for part in node.elts:
            _check_value(part)


def _check_mask(node: ast.expr) -> None:
    if isinstance(node, ast.Compare):
        _check_comparison(node)
        _check_number(node.comparators[0])
    else:
        _check_constant(True, False)(node)


def _check_subscripts(node: ast.expr) -> None:
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str) and SUBSCRIPTS.fullmatch(node.value)):
        _refuse(node, "are no subscripts")


def _check_constant(*choices: Any) -> Callable[[ast.expr], None]:
    def check(node: ast.expr) -> None:
        if not (isinstance(node, ast.Constant) and any(node.value is c or node.value == c for c in choices)):
            _refuse(node, f"is none of {', '.join(map(repr, choices))}")

    return check


ARGUMENTS: dict[str, Callable[[ast.expr], None]] = {
    "value": _check_value, "values": _check_values, "number": _check_number, "count": _check_count, "shape": _check_shape,
    "axis": _check_axis, "mask": _check_mask, "subscripts": _check_subscripts, "dtype": _check_constant(*DTYPES),
}  # fmt: skip
KEYWORDS: dict[str, Callable[[ast.expr], None]] = {
    "constant": _check_constant(True, False, None), "dtype": _check_constant(*DTYPES), "copy": _check_constant(True, False),
    "axis": _check_axis, "keepdims": _check_constant(True, False), "out": _check_name,
}  # fmt: skip
