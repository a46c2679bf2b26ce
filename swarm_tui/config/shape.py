"""A document against a struct: every mistake of shape at once, each at its own place."""

import types
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from swarm_tui.config.document import Document, Where, near
from swarm_tui.config.errors import ConfigError

S = TypeVar("S", bound=msgspec.Struct)


def to_struct(document: Document, kind: type[S]) -> S:
    """The document as `kind`. Raises ConfigError with everything that is wrong, unset variables included."""
    if document.value is None:
        document.problem((), "the file is empty")
    value = _fit(document, document.value, kind, ())
    if document.problems:
        raise ConfigError(document.problems)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        document.problem((), str(error))
        raise ConfigError(document.problems) from None


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _fit(document: Document, value: Any, kind: Any, where: Where) -> Any:
    """`value` made ready for msgspec (a number where text belongs becomes its written text), mistakes noted."""
    kind = _choose(kind, value)
    origin = get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _fit_struct(document, value, kind, where)
    if origin is dict and isinstance(value, dict):
        item = get_args(kind)[1]
        return {key: _fit(document, entry, item, (*where, key)) for key, entry in value.items()}
    if origin is list and isinstance(value, list):
        item = get_args(kind)[0]
        return [_fit(document, entry, item, (*where, index)) for index, entry in enumerate(value)]
    if kind is str and isinstance(value, bool | int | float):
        return document.texts.get(where, str(value))
    if origin is Literal:
        _fit_choice(document, value, [str(choice) for choice in get_args(kind)], where)
        return value
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        document.problem(where, f"{_named(where)}{_plain(str(error))}")
    return value


def _fit_struct(document: Document, value: Any, kind: type[msgspec.Struct], where: Where) -> Any:
    if not isinstance(value, dict):
        if value is not None or where:
            document.problem(where, f"{_named(where)}expected keys and values, got {_name(value)}")
        return value
    hints = _hints(kind)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    fitted = {}
    for key, entry in value.items():
        if key in fields:
            fitted[key] = _fit(document, entry, hints[key], (*where, key))
        else:
            document.problem((*where, key), f"unknown key `{key}`{near(key, sorted(fields))}")
    for name, field in fields.items():
        if field.required and name not in value:
            document.problem(where, f"`{name}` is missing")
    return fitted


def _fit_choice(document: Document, value: Any, choices: list[str], where: Where) -> None:
    if value not in choices:
        shown = document.texts.get(where, str(value))
        document.problem(where, f"{_named(where)}`{shown}` is none of {', '.join(choices)}{_meant(shown, choices)}")


def _meant(word: str, choices: list[str]) -> str:
    hint = near(word, choices)
    return hint if "did you mean" in hint else ""


def _choose(kind: Any, value: Any) -> Any:
    """Of a union, the member that the value is most likely meant for."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    members = get_args(kind)
    if value is None and type(None) in members:
        return type(None)
    members = tuple(member for member in members if member is not type(None))
    for member in members:
        origin = get_origin(member) or member
        if isinstance(origin, type) and isinstance(value, origin):
            return member
    if isinstance(value, dict):
        for member in members:
            if isinstance(member, type) and issubclass(member, msgspec.Struct):
                return member
    return members[0] if len(members) == 1 else Union[members]  # noqa: UP007  (built from a tuple)


def _named(where: Where) -> str:
    key = next((part for part in reversed(where) if isinstance(part, str)), None)
    return f"`{key}`: " if key else ""


def _plain(message: str) -> str:
    message = message.split(" - at `")[0]
    for technical, word in (("`str`", "text"), ("`int`", "a whole number"), ("`float`", "a number")):
        message = message.replace(technical, word)
    for technical, word in (("`object`", "keys and values"), ("`array`", "a list"), ("`bool`", "true or false")):
        message = message.replace(technical, word)
    return message[:1].lower() + message[1:].replace("`null`", "nothing")


def _name(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else f"`{value}`"
