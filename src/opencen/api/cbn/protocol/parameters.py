"""How an action's parameters are declared, and read from the flat map of a request.

A declaration is a frozen dataclass whose fields carry the wire's names in snake case (`cen_id` is `CenId`), with
types: str, int, bool, another such dataclass (`Name.Key`), or a tuple of those (`Name.1`, `Name.1.Key`). A field
without a default is required, and not blank. `Annotated[…, Rule(…)]` narrows it. Unknown parameters are ignored.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class DescribeCens(Paging):
        filter: Annotated[tuple[Filter, ...], Rule(max_items=5)] = ()
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from opencen.api.cbn.protocol.errors import RpcError, invalid_parameter, missing_parameter

P = TypeVar("P")
Reader = Callable[[Mapping[str, str], str], object]
"""Reads the parameter of a name (`Filter.1.Key`) from the request's map; ABSENT when it is not there."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_INT64 = range(-(1 << 63), 1 << 63)
_MAX_TEXT = 4_096


class _Absent:
    """The marker of a parameter that was not given; None is a value."""


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must fulfil, and the code of the refusal when it does not. Bounds are inclusive."""

    minimum: int | None = None
    maximum: int | None = None
    one_of: tuple[str, ...] = ()
    max_length: int = _MAX_TEXT
    max_items: int = 20
    code: str = "InvalidParameter"


_ANYTHING = Rule()


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """PageNumber and PageSize, as every list by pages takes them."""

    page_number: Annotated[int, Rule(minimum=1, maximum=1_000_000)] = 1
    page_size: Annotated[int, Rule(minimum=1, maximum=50)] = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    key: str
    value: Annotated[tuple[str, ...], Rule(max_items=5)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    key: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagFilter:
    """A tag that is looked for; without a value, any value."""

    key: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """The declaration of an action without parameters."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as the documentation lists it."""

    name: str
    required: bool
    read: Reader


def wire_name(field_name: str) -> str:
    """`cen_id` -> `CenId`."""
    return "".join(word.capitalize() for word in field_name.split("_"))


def declared_parameters(declaration: type[Any]) -> dict[str, Parameter]:
    """The parameters of a declaration by field name. Raises TypeError for a type that has no wire form."""
    hints = get_type_hints(declaration, include_extras=True)
    parameters: dict[str, Parameter] = {}
    for field in dataclasses.fields(declaration):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        parameters[field.name] = Parameter(wire_name(field.name), required, _reader(hints[field.name], _ANYTHING))
    return parameters


def compile_declaration(declaration: type[P]) -> Callable[[Mapping[str, str]], P]:
    """A function that reads a `declaration` from a request's parameters; it raises RpcError."""
    read = _object_reader(declaration)

    def read_all(given: Mapping[str, str]) -> P:
        value = read(given, "")
        assert isinstance(value, declaration)
        return value

    return read_all


def _object_reader(declaration: type[Any]) -> Reader:
    parameters = tuple(declared_parameters(declaration).items())

    def read(given: Mapping[str, str], prefix: str) -> object:
        values: dict[str, object] = {}
        for field_name, parameter in parameters:
            name = prefix + parameter.name
            value = parameter.read(given, name)
            if parameter.required and (value is ABSENT or not given.get(name, "-")):
                raise missing_parameter(name)
            if value is not ABSENT:
                values[field_name] = value
        return declaration(**values)

    return read


def _reader(hint: Any, rule: Rule) -> Reader:
    """The reader of a field's type."""
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *extras = get_args(hint)
        return _reader(inner, next((extra for extra in extras if isinstance(extra, Rule)), rule))
    if origin in (Union, types.UnionType):
        (inner,) = (argument for argument in get_args(hint) if argument is not types.NoneType)
        return _reader(inner, rule)
    if origin is tuple and get_args(hint)[1:] == (Ellipsis,):
        return _list_reader(get_args(hint)[0], rule)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _nested_reader(hint)
    if hint in _CONVERTERS:
        return _scalar_reader(_CONVERTERS[hint], rule, blank_is_absent=hint is not str)
    raise TypeError(f"{hint!r} has no wire form")


def _scalar_reader(convert: Callable[[str, str, Rule], object], rule: Rule, *, blank_is_absent: bool) -> Reader:
    def read(given: Mapping[str, str], name: str) -> object:
        text = given.get(name)
        if text is None or (blank_is_absent and not text):
            return ABSENT
        return convert(text, name, rule)

    return read


def _nested_reader(declaration: type[Any]) -> Reader:
    read = _object_reader(declaration)

    def read_nested(given: Mapping[str, str], name: str) -> object:
        prefix = f"{name}."
        return read(given, prefix) if any(key.startswith(prefix) for key in given) else ABSENT

    return read_nested


def _list_reader(item_hint: Any, rule: Rule) -> Reader:
    read = _reader(item_hint, rule)

    def read_list(given: Mapping[str, str], name: str) -> object:
        prefix = f"{name}."
        start = len(prefix)
        numbers: set[int] = set()
        for key in given:
            if key.startswith(prefix):
                number = key[start:].partition(".")[0]
                if not (number.isascii() and number.isdecimal() and len(number) <= 6 and number[0] != "0"):
                    raise invalid_parameter(key, "elements of a list are numbered from 1", rule.code)
                numbers.add(int(number))
        if not numbers:
            return ABSENT
        if len(numbers) > rule.max_items:
            raise invalid_parameter(
                name, f"it has {len(numbers)} elements, at most {rule.max_items} may be given", rule.code
            )
        values = (read(given, f"{prefix}{number}") for number in sorted(numbers))
        return tuple(value for value in values if value is not ABSENT)

    return read_list


def _text(text: str, name: str, rule: Rule) -> str:
    if rule.one_of and text not in rule.one_of:
        raise _refused(text, name, f"it is one of {', '.join(rule.one_of)}", rule)
    if len(text) > rule.max_length:
        raise invalid_parameter(
            name, f"it has {len(text)} characters, at most {rule.max_length} may be given", rule.code
        )
    if "\0" in text:
        raise invalid_parameter(name, "it must not hold a NUL character", rule.code)
    return text


def _whole_number(text: str, name: str, rule: Rule) -> int:
    number = int(text) if _INTEGER.fullmatch(text) else None
    if number is None or number not in _INT64:
        raise _refused(text, name, "it is a whole number", rule)
    if rule.minimum is not None and number < rule.minimum:
        raise _refused(text, name, f"it is at least {rule.minimum}", rule)
    if rule.maximum is not None and number > rule.maximum:
        raise _refused(text, name, f"it is at most {rule.maximum}", rule)
    return number


def _truth(text: str, name: str, rule: Rule) -> bool:
    match text.lower():
        case "true":
            return True
        case "false":
            return False
    raise _refused(text, name, "it is true or false", rule)


def _refused(text: str, name: str, expectation: str, rule: Rule) -> RpcError:
    return invalid_parameter(name, f"{expectation}, not {text[:64]!r}", rule.code)


_CONVERTERS: dict[Any, Callable[[str, str, Rule], object]] = {str: _text, int: _whole_number, bool: _truth}
