"""CEL conditions: compiled, type-checked and examined before anything runs.

The checked syntax tree is read from CEL's own serialized form (``cel.expr.CheckedExpr`` of the cel-spec
repository, ``checked.proto`` and ``syntax.proto``), so that there is one parser and no second opinion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel

from rescind.review.policy.schema import MAPPING, VARIABLES, Source, Variable

Message = dict[int, list[Any]]

# Field numbers of cel.expr.Expr and its parts (syntax.proto).
_CONST, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _FOLD = 3, 4, 5, 6, 7, 8, 9
_CHECKED_EXPR, _ANY_VALUE = 4, 2

# Functions that read a text only at run time: a fixed text is tried when the policy is loaded.
_PARSED = {
    "duration": "duration(text) == duration(text)",
    "timestamp": "timestamp(text) == timestamp(text)",
    "matches": "''.matches(text) || !''.matches(text)",
}
_STRAIGHT, _FLIPPED, _BOTH = 1, -1, 0


class ConditionError(Exception):
    """CEL refused the text; ``line`` and ``column`` count from 1 within the condition."""

    def __init__(self, problem: str, line: int = 1, column: int = 1) -> None:
        super().__init__(problem)
        self.problem, self.line, self.column = problem, line, column


@dataclass(frozen=True)
class Condition:
    """A compiled condition.

    :param names: the declared fields that it reads, in order of their names.
    :param grows_on_loss: open fields whose silent loss could turn the condition from false to true.
    :param shrinks_on_loss: open fields whose silent loss could turn it from true to false.
    :param keys: for mappings, the fixed keys that it looks up: what a reviewer is shown of them.
    """

    text: str
    program: cel.Expression
    names: tuple[str, ...]
    grows_on_loss: frozenset[str]
    shrinks_on_loss: frozenset[str]
    keys: Mapping[str, tuple[str, ...]]

    def reads(self, source: Source) -> bool:
        """Return whether it names a field of this source."""
        return any(VARIABLES[name].source is source for name in self.names if name in VARIABLES)

    def holds(self, data: Mapping[str, Any]) -> bool | None:
        """Return true or false, or None when something that the condition needs is unknown."""
        value = self.program.eval(data=data).value()
        return value if value is True or value is False else None  # the value of an error is its text


def environment(params: Mapping[str, cel.Type]) -> cel.Env:
    """Return the CEL environment with all declared fields and the policy's ``params.*``."""
    types = {name: variable.type for name, variable in VARIABLES.items()}
    return cel.NewEnv(variables=types | {f"params.{name}": kind for name, kind in params.items()})


def compile_condition(env: cel.Env, text: str) -> Condition:
    """Return the condition, checked.

    :raises ConditionError: syntax, unknown field, wrong type, or a result that is not true or false.
    """
    try:
        program = env.compile(text)
    except RuntimeError as error:
        raise _explained(str(error)) from None
    if program.return_type() != cel.Type.BOOL:
        raise ConditionError(f"the condition gives {program.return_type().name()}, not true or false")
    try:
        use = _Use()
        use.visit(_root(program.serialize()), _STRAIGHT)
    except (ValueError, KeyError, IndexError, RecursionError) as error:
        raise ConditionError(f"the condition cannot be examined ({type(error).__name__})") from None
    for function, literal in use.literals:
        _try(function, literal)
    return Condition(
        text,
        program,
        tuple(sorted(use.names)),
        frozenset(use.grows),
        frozenset(use.shrinks),
        {name: tuple(sorted(keys)) for name, keys in use.keys.items()},
    )


def _try(function: str, literal: str) -> None:
    """:raises ConditionError: for a fixed text that the function cannot read, such as ``duration('90d')``."""
    expression = cel.NewEnv(variables={"text": cel.Type.STRING}).compile(_PARSED[function])
    if expression.eval(data={"text": literal}).value() is not True:
        raise ConditionError(f"{function} cannot read the text '{literal[:60]}'")


def _explained(message: str) -> ConditionError:
    """CEL's text ``INVALID_ARGUMENT: ERROR: <input>:1:6: undeclared reference ...`` with its position apart."""
    first = message.split("\n")[0]
    _, mark, rest = first.partition("<input>:")
    line, _, rest = rest.partition(":")
    column, _, problem = rest.partition(":")
    if not (mark and line.isdigit() and column.isdigit()):
        return ConditionError(first[:200])
    return ConditionError(problem.strip().removesuffix("(in container '')").strip()[:300], int(line), int(column))


class _Use:
    """Walks a checked expression and notes which fields it reads and in which direction they count."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.grows: set[str] = set()
        self.shrinks: set[str] = set()
        self.keys: dict[str, set[str]] = {}
        self.literals: list[tuple[str, str]] = []

    def visit(self, node: Message, sign: int) -> None:
        """One expression, whose value counts straight, negated or in both directions."""
        if _IDENT in node:
            self._read(_text(decode(node[_IDENT][0]), 1), sign)
        elif _SELECT in node:
            self._select(decode(node[_SELECT][0]), sign)
        elif _CALL in node:
            self._call(decode(node[_CALL][0]), sign)
        elif _LIST in node:
            for item in decode(node[_LIST][0]).get(1, []):
                self.visit(decode(item), _BOTH)
        elif _STRUCT in node:
            self._struct(decode(node[_STRUCT][0]))
        elif _FOLD in node:
            self._fold(decode(node[_FOLD][0]), sign)

    def _read(self, name: str, sign: int) -> None:
        variable: Variable | None = VARIABLES.get(name)
        if variable is None and not name.startswith("params."):
            return  # the variable of a loop
        self.names.add(name)
        if variable is None or not variable.open:
            return
        if sign != _STRAIGHT:
            self.grows.add(name)
        if sign != _FLIPPED:
            self.shrinks.add(name)

    def _select(self, select: Message, sign: int) -> None:
        """``map.key`` is a value or unknown, whatever the sign; ``has(map.key)`` is false after a loss."""
        operand, key, tests = decode(select[1][0]), _text(select, 2), bool(select.get(3, [0])[0])
        if not self._lookup(operand, key, sign if tests else None):
            self.visit(operand, _BOTH)

    def _lookup(self, operand: Message, key: str, sign: int | None) -> bool:
        """Notes a look-up of a fixed or computed key in a declared mapping; False when it is not one.

        A list is not: when an entry is lost, another one stands in its place.
        """
        if _IDENT not in operand:
            return False
        name = _text(decode(operand[_IDENT][0]), 1)
        known = VARIABLES.get(name)
        if known.type != MAPPING if known else not name.startswith("params."):
            return False
        if sign is None:
            self.names.add(name)
        else:
            self._read(name, sign)
        if key:
            self.keys.setdefault(name, set()).add(key)
        return True

    def _call(self, call: Message, sign: int) -> None:
        function = _text(call, 2)
        args = [decode(part) for part in (*call.get(1, []), *call.get(3, []))]
        if function == "!_":
            self.visit(args[0], -sign)
        elif function in ("_&&_", "_||_"):
            for arg in args:
                self.visit(arg, sign)
        elif function == "_?_:_":
            self.visit(args[0], _BOTH)
            self.visit(args[1], sign)
            self.visit(args[2], sign)
        elif function == "@in":
            self.visit(args[0], _BOTH)
            self.visit(args[1], sign)
        elif function == "_[_]":
            self.visit(args[1], _BOTH)
            if not self._lookup(args[0], _constant(args[1]), None):
                self.visit(args[0], _BOTH)
        else:
            self.literals += [(function, _constant(arg)) for arg in args[-1:] if function in _PARSED]
            for arg in args:
                self.visit(arg, _BOTH)

    def _struct(self, struct: Message) -> None:
        for entry in (decode(raw) for raw in struct.get(2, [])):
            for part in (*entry.get(3, []), *entry.get(4, [])):
                self.visit(decode(part), _BOTH)

    def _fold(self, fold: Message, sign: int) -> None:
        """A loop. ``exists`` and ``all`` keep a direction; every other loop may count either way."""
        over, start, step = decode(fold[2][0]), decode(fold[4][0]), decode(fold[6][0])
        call = decode(step[_CALL][0]) if _CALL in step else {}
        kind = (_text(call, 2), _flag(start)) if call else ("", None)
        exists, every = kind == ("_||_", False), kind == ("_&&_", True)
        inner = sign if exists or every else _BOTH
        self.visit(over, -inner if every else inner)
        for part in (start, step, decode(fold[5][0]), decode(fold[7][0])):
            self.visit(part, inner)


def _root(serialized: bytes) -> Message:
    """Return the expression inside ``google.protobuf.Any`` of ``cel.expr.CheckedExpr``."""
    checked = decode(decode(serialized)[_ANY_VALUE][0])
    return decode(checked[_CHECKED_EXPR][0])


def _text(message: Message, number: int) -> str:
    return bytes(message.get(number, [b""])[0]).decode()


def _constant(node: Message) -> str:
    """Return the text of a text constant (field 6 of ``Constant``), else nothing."""
    return _text(decode(node[_CONST][0]), 6) if _CONST in node and 6 in decode(node[_CONST][0]) else ""


def _flag(node: Message) -> bool | None:
    """Return the value of a true/false constant (field 2 of ``Constant``)."""
    constant = decode(node[_CONST][0]) if _CONST in node else {}
    return bool(constant[2][0]) if 2 in constant else None


def decode(data: bytes) -> Message:
    """Return a protocol buffer message as field number -> values: whole numbers, or bytes for everything longer.

    :raises ValueError: for bytes that are no message.
    """
    message: Message = {}
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = _varint(data, place)
            message.setdefault(number, []).append(value)
            continue
        size, place = {1: (8, place), 5: (4, place)}.get(wire) or _length(data, place, wire)
        if place + size > len(data):
            raise ValueError("message cut short")
        message.setdefault(number, []).append(data[place : place + size])
        place += size
    return message


def _length(data: bytes, place: int, wire: int) -> tuple[int, int]:
    if wire != 2:
        raise ValueError(f"wire type {wire}")
    return _varint(data, place)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("number too long")
