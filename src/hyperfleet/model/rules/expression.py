"""Rules in CEL, the Common Expression Language: compiled once at startup, evaluated within limits.

The library limits iterations and nesting, but neither time nor memory. So each expression has a bound on its cost
(`workload`), and an expensive mapping rule is evaluated in a child process that can be stopped. The library reports
errors in three ways: raised on compilation, raised on evaluation, and as values. This module raises two exceptions,
BadExpression and EvaluationFailed, with messages for the author of the rule.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from hyperfleet.model.rules.workload import Workload, workload

LONGEST: Final = 4096
"""The most characters of an expression."""

Result = Literal["bool", "text", "truth"]
"""The result of an expression: true or false; a text; or either, for a condition's status."""

_WIDEST_INTEGER: Final = 2**63
_WORDS: Final[Mapping[Result, str]] = {
    "bool": "true or false",
    "text": "a string",
    "truth": "true or false, or the string `True` or `False`",
}
_TYPES: Final[Mapping[Result, frozenset[str]]] = {
    "bool": frozenset({"BOOL"}),
    "text": frozenset({"STRING"}),
    "truth": frozenset({"BOOL", "STRING"}),
}
_PLACE: Final = re.compile(r"<input>:(-?[0-9]+):(-?[0-9]+): ([^\n]*)")
_MOST_OF_A_REASON: Final = 300


class BadExpression(Exception):
    """An expression does not compile, or has a result of the wrong type; the message says what is wrong and where."""


class EvaluationFailed(Exception):
    """An evaluation gave no result; the message says why."""


class Environment:
    """The names for expressions: variables that are maps or lists of maps, and the functions `dig` and `toJson`."""

    def __init__(self, *, maps: tuple[str, ...], lists: tuple[str, ...] = ()) -> None:
        # The library takes ten megabytes, so a service without rules does not import it.
        from cel_expr_python import cel
        from cel_expr_python.ext import ext_optional

        any_value, text = cel.Type.DYN, cel.Type.STRING
        one = cel.Type.Map(text, any_value)
        variables = dict.fromkeys(maps, one) | {name: cel.Type.List(one) for name in lists}
        # A parameter of any type needs an overload for each type of value.
        kinds = ("MAP", "LIST", "STRING", "INT", "UINT", "DOUBLE", "BOOL", "NULL", "BYTES", "TIMESTAMP", "DURATION")
        types = {kind.lower(): getattr(cel.Type, kind) for kind in kinds}
        digs = [cel.Overload(f"dig_{name}", any_value, [type, text], False, dig) for name, type in types.items()]
        jsons = [cel.Overload(f"to_json_{name}", text, [type], False, to_json) for name, type in types.items()]
        self._env = cel.NewEnv(
            variables=variables,
            functions=[cel.FunctionDecl("dig", digs), cel.FunctionDecl("toJson", jsons)],
            extensions=[ext_optional.ExtOptional()],
        )

    def compile(self, text: str, result: Result) -> "Expression":
        """The compiled expression, which evaluates to `result`; raises BadExpression."""
        if len(text) > LONGEST:
            raise BadExpression(f"it is longer than {LONGEST} characters")
        try:
            compiled = self._env.compile(text)
        except (RuntimeError, ValueError, TypeError) as wrong:
            raise BadExpression(_mistake(str(wrong))) from None
        given = compiled.return_type().name()
        if given != "DYN" and given not in _TYPES[result]:
            raise BadExpression(f"it must evaluate to {_WORDS[result]}, but evaluates to {_called(given)}")
        return Expression(compiled, result, workload(text))

    def facts(self, values: Mapping[str, Any]) -> Any:
        """The values of all variables, for any number of evaluations; see `plain`. Raises EvaluationFailed."""
        try:
            return self._env.Activation(values)
        except (RuntimeError, ValueError, TypeError) as wrong:
            raise EvaluationFailed(_reason(str(wrong))) from None


class Expression:
    """A compiled expression."""

    def __init__(self, compiled: Any, result: Result, workload: Workload) -> None:
        self.workload = workload
        self._compiled = compiled
        self._result = result

    def truth(self, facts: Any) -> bool:
        """The result as true or false; a status may also be the text `True` or `False`. Raises EvaluationFailed."""
        value = self._value(facts)
        if self._result == "truth" and isinstance(value, str) and value in ("True", "False"):
            return bool(value == "True")
        if not isinstance(value, bool):
            raise EvaluationFailed(f"it evaluated to {_shown(value)} instead of {_WORDS[self._result]}")
        return value

    def text(self, facts: Any) -> str:
        """The result as a text. Raises EvaluationFailed."""
        value = self._value(facts)
        if not isinstance(value, str):
            raise EvaluationFailed(f"it evaluated to {_shown(value)} instead of a string")
        return value

    def _value(self, facts: Any) -> Any:
        try:
            found = self._compiled.eval(facts)
            type = found.type().name()
            value = found.plain_value() if type in ("BOOL", "STRING", "ERROR") else found.type()
        except (RuntimeError, ValueError, TypeError, RecursionError) as wrong:
            raise EvaluationFailed(_reason(str(wrong))) from None
        if type == "ERROR":
            raise EvaluationFailed(_reason(str(value)))
        return value


def dig(target: Any, path: str) -> Any:
    """The value at a path such as `a.b.0`: members of objects, positions in lists; None if the path does not exist."""
    found = target
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and len(step) < 10 and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def to_json(value: Any) -> str:
    """A value as JSON without spaces, sorted by name; bytes are base64, times RFC 3339, durations ISO 8601."""
    return msgspec.json.encode(value, order="sorted").decode()


def plain(value: Any) -> Any:
    """A JSON value for evaluation: integers that do not fit into 64 bits become doubles."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, int) and not -_WIDEST_INTEGER <= value < _WIDEST_INTEGER:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return value


def largest(value: Any) -> int:
    """The number of members of the largest list or object in a value."""
    if isinstance(value, dict):
        return max(len(value), max(map(largest, value.values()), default=0))
    if isinstance(value, list):
        return max(len(value), max(map(largest, value), default=0))
    return 0


def _mistake(said: str) -> str:
    """The compiler's message, from the first position it names."""
    found = _PLACE.search(said)
    if found is None or int(found[1]) < 1:
        return _reason(found[3] if found else said)
    return f"at line {found[1]}, column {found[2]}: {_reason(found[3])}"


def _reason(said: str) -> str:
    """The library's message without its error codes."""
    return re.sub(r"^(?:[A-Z_]+: )+|\s*\[[A-Z_]+\]$", "", said.strip())[:_MOST_OF_A_REASON]


def _called(type: str) -> str:
    return {"STRING": "a string", "BOOL": "true or false"}.get(type, type.lower().split("<")[0])


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"the string {value[:60]!r}"
    # Any value but a string or a boolean is represented by its type.
    return "true or false" if isinstance(value, bool) else str(value.name()).lower()
