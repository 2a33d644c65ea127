"""Lines of scripts: the names in a line, and its act."""

from __future__ import annotations

import ast
from functools import cache
from types import CodeType

from .grammar import ARRAYS, TENSORS, statement_of

__all__ = [
    "ACTS",
    "ARRAYS",
    "BACKWARD",
    "BIND",
    "FORGET",
    "TENSORS",
    "UPDATE",
    "WRITE",
    "act",
    "compiled",
    "names_in",
    "target",
]

#: The acts of a line: bind a name, update a tensor in place, write into an array or a tensor's data, differentiate, null a
#: gradient, forget a name, or tell something (bind ``answer``).
BIND, UPDATE, WRITE, BACKWARD, NULL, FORGET, TELL = ACTS = ("bind", "update", "write", "backward", "null", "forget", "tell")


@cache
def compiled(line: str) -> CodeType:
    """A line as code, made from what the grammar has taken; anything else is a `LineError`."""
    return compile(ast.Module([statement_of(line)], []), "<script>", "exec")


@cache
def names_in(line: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names that a line reads or updates, and those that it binds."""
    statement = statement_of(line)
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    if isinstance(statement, ast.AugAssign):
        return frozenset(n.id for n in names), frozenset()
    bound = frozenset(n.id for n in names if isinstance(n.ctx, ast.Store))
    return frozenset(n.id for n in names if isinstance(n.ctx, ast.Load)), bound


@cache
def act(line: str) -> str:
    """The act of a line: one of `ACTS`.

    Examples
    --------
    >>> [act(line) for line in ("a = lib.ones(2)", "a[0] *= 2.0", "a.data -= 1.0", "a.backward()", "np.add(a, 1, out=a)")]
    ['bind', 'update', 'write', 'backward', 'update']
    """
    statement = statement_of(line)
    if isinstance(statement, ast.Delete):
        return FORGET
    if isinstance(statement, ast.Expr):
        called = getattr(statement.value, "func", None)
        name = called.attr if isinstance(called, ast.Attribute) else ""
        return {"backward": BACKWARD, "null_grad": NULL}.get(name, UPDATE)
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return TELL if statement.targets[0].id == "answer" else BIND
    left = ast.walk(statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", statement))
    into_data = any(isinstance(node, ast.Attribute) and node.attr == "data" for node in left)
    return WRITE if into_data or target(line) in ARRAYS else UPDATE


@cache
def target(line: str) -> str:
    """The name that a line updates, writes into or differentiates.

    Examples
    --------
    >>> target("np.add(b, 1, out=a)"), target("b[0] = a")
    ('a', 'b')
    """
    statement = statement_of(line)
    out = [k.value for node in ast.walk(statement) if isinstance(node, ast.Call) for k in node.keywords if k.arg == "out"]
    first: ast.AST = out[0] if out else statement
    while not isinstance(first, ast.Name):
        first = next(ast.iter_child_nodes(first))
    return first.id
