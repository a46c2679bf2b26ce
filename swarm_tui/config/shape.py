"""A document against a struct: every mistake of shape at once, each at its own place."""

import types
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from swarm_tui.config.document import Document, Where, is_too_large, near
from swarm_tui.config.errors import ConfigError

S = TypeVar("S", bound=msgspec.Struct)


#: Stands for a value that does not fit: it is left out, so that the rest can still be checked.
_UNFIT: Any = object()
_UNNAMED = "unnamed"


def to_struct(document: Document, kind: type[S]) -> S:
    """The document as `kind`. Raises ConfigError with everything that is wrong, unset variables included."""
    fitted = fit(document, kind)
    if document.problems:
        raise ConfigError(document.problems)
    return fitted


def fit(document: Document, kind: type[S]) -> S:
    """As `to_struct`, but what does not fit is noted in `document.problems` and left out.

    So the caller can go on to look for mistakes of meaning. Raises ConfigError when there is nothing to go on with.
    """
    if document.value is None and not document.problems:
        document.problem((), "the file is empty")
    value = _fit(document, document.value, kind, ())
    if value is _UNFIT or value is None:
        raise ConfigError(document.problems)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        # What stands in the place of a mistake fits nothing either: that is no second one.
        if not document.problems:
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
        pairs = ((key, _fit(document, entry, item, (*where, key))) for key, entry in value.items())
        return {key: fitted for key, fitted in pairs if fitted is not _UNFIT}
    if origin is list and isinstance(value, list):
        item = get_args(kind)[0]
        entries = (_fit(document, entry, item, (*where, index)) for index, entry in enumerate(value))
        if get_origin(item) is Literal:  # No blank is one of its words.
            return [fitted for fitted in entries if fitted is not _UNFIT]
        # An entry stays in its place, so that what is said of those after it names the right line.
        return [_blank(item) if fitted is _UNFIT else fitted for fitted in entries]
    if kind is str and isinstance(value, bool | int | float):
        return document.texts.get(where, str(value))
    return _fit_single(document, value, kind, where)


def _fit_single(document: Document, value: Any, kind: Any, where: Where) -> Any:
    """A value that holds no others, as it is; a mistake is noted."""
    if get_origin(kind) is Literal and value not in get_args(kind):
        choices = [str(choice) for choice in get_args(kind)]
        shown = document.texts.get(where, _name(value).strip("`"))
        document.problem(where, f"{_named(where)}`{shown}` is none of {', '.join(choices)}{_meant(shown, choices)}")
        return _UNFIT
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        large = isinstance(value, str) and is_too_large(value)
        shown = f"`{value[:20]}{'…' if len(value) > 20 else ''}` is too large a number" if large else _plain(str(error))
        document.problem(where, f"{_named(where)}{shown}")
        return _UNFIT
    return value


def _blank(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {field.name: _UNNAMED for field in msgspec.structs.fields(kind) if field.required}
    return _UNNAMED


def _fit_struct(document: Document, value: Any, kind: type[msgspec.Struct], where: Where) -> Any:
    if not isinstance(value, dict):
        if value is not None or where:
            document.problem(where, f"{_named(where)}expected keys and values, got {_name(value)}")
        return _UNFIT
    hints = _hints(kind)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    fitted = {}
    for key, entry in value.items():
        if key not in fields:
            document.problem((*where, key), f"unknown key `{key}`{near(key, sorted(fields))}")
        elif (ready := _fit(document, entry, hints[key], (*where, key))) is not _UNFIT:
            fitted[key] = ready
    for name, field in fields.items():
        if field.required and name not in value:
            document.problem(where, f"`{name}` is missing")
        if field.required and name not in fitted:
            fitted[name] = _UNNAMED
    return fitted


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
