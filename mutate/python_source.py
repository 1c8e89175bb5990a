"""The mutants of a Python module: what somebody could get wrong in one place of it.

Left alone are what no run could tell apart: annotations, docstrings, decorators, and sentences for people.
"""

from __future__ import annotations

import ast
import copy
import itertools
from typing import TYPE_CHECKING, Any

from mutate import Mutant

if TYPE_CHECKING:
    from collections.abc import Iterator

_OTHER: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_PLAIN = (ast.Call, ast.Name, ast.Attribute, ast.NamedExpr)  # a condition that nothing else here changes
_SKIPPED = {"annotation", "returns", "decorator_list", "slice", "bases"}
_BLANKS_OF_PROSE = 2


def mutants(file: str, source: bytes) -> Iterator[Mutant]:
    """Yield the mutants of this source."""
    lines = source.splitlines(keepends=True)
    starts = [0, *itertools.accumulate(map(len, lines))]
    for node in _nodes(ast.parse(source)):
        for old, new in _changes(node):
            start = starts[old.lineno - 1] + old.col_offset
            end = starts[(old.end_lineno or 0) - 1] + (old.end_col_offset or 0)
            after = new if isinstance(new, str) else f"({ast.unparse(new)})"
            said = lines[old.lineno - 1].decode().strip()
            yield Mutant(file, old.lineno, said, start, end, source[start:end].decode(), after)


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.If(test=ast.Name("TYPE_CHECKING")) | ast.Expr(value=ast.Constant()):
            return
        case ast.JoinedStr():  # before Python 3.12 the places of its parts are not known
            yield node
            return
    yield node
    for field, value in ast.iter_fields(node):
        if field not in _SKIPPED:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _nodes(child)


def _changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, ast.expr | str]]:  # noqa: C901, PLR0912 - a table
    match node:
        case ast.Raise() | ast.Continue() | ast.Break() | ast.Expr(value=ast.Call()):
            yield node, "pass"
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant) or value.value:
            yield node, "return None"
        case ast.If(test=test) | ast.IfExp(test=test) if isinstance(test, _PLAIN):
            yield test, ast.UnaryOp(ast.Not(), test)
        case ast.Compare(ops=[op, *others]) if type(op) in _OTHER:
            yield node, _with(node, ops=[_OTHER[type(op)](), *others])
        case ast.BoolOp(op=op) | ast.BinOp(op=op) if type(op) in _OTHER:
            yield node, _with(node, op=_OTHER[type(op)]())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, operand
        case ast.Constant(value=bool() as value):
            yield node, ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield node, ast.Constant(value + 1)
            yield node, ast.Constant(value - 1)
        case ast.Constant(value=str() as value) if value.count(" ") < _BLANKS_OF_PROSE:
            yield node, ast.Constant(f"{value}x")
        case ast.Constant(value=bytes() as value):
            yield node, ast.Constant(value + b"x")
        case ast.JoinedStr() if ast.unparse(node).count(" ") < _BLANKS_OF_PROSE:
            yield node, f'({ast.unparse(node)} + "x")'
        case ast.Set(elts=elements) | ast.List(elts=elements) | ast.Tuple(elts=elements, ctx=ast.Load()):
            for place in range(len(elements)):
                yield node, _with(node, elts=_but(elements, place))
        case ast.Dict(keys=keys, values=values):
            for place in range(len(keys)):
                yield node, _with(node, keys=_but(keys, place), values=_but(values, place))


def _with(node: ast.expr, **fields: object) -> ast.expr:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _but(elements: list[Any], place: int) -> list[Any]:
    return elements[:place] + elements[place + 1 :]
