"""Fills the placeholders of a layout's `command`: what a publisher says never becomes an option or shell code."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from swarm_tui.agent.handlers.base import HandlerError

_PAYLOAD = r"payload(?:\.[A-Za-z0-9_-]+)+"
_WHOLE = re.compile(rf"\{{({_PAYLOAD})\}}")
_ANY_PAYLOAD = re.compile(rf"\{{{_PAYLOAD}\}}")
_LONGEST = 100_000


def fill(
    command: Sequence[str], facts: Mapping[str, str], payload: Mapping[str, Any], *, as_script: bool = False
) -> list[str]:
    """Return the argv of `command`.

    `{name}` of a fact is filled wherever it stands; `{payload.x}` must be a whole element and never the program. With
    `as_script`, the first element is a shell script and the others are its `$1`, `$2` …; nothing is filled into it.
    Raises HandlerError: `bad-layout` for the command itself, `bad-payload` for a value that may not be an argument.
    """
    if not command or not command[0]:
        raise HandlerError("the layout's command is empty", code="bad-layout")
    if _ANY_PAYLOAD.search(command[0]):
        raise HandlerError(f"a payload may not name the program: {command[0]!r}", code="bad-layout")
    first = command[0] if as_script else _facts(command[0], facts)
    rest = [_element(element, facts, payload) for element in command[1:]]
    return ["/bin/sh", "-c", first, "sh", *rest] if as_script else [first, *rest]


def _element(element: str, facts: Mapping[str, str], payload: Mapping[str, Any]) -> str:
    whole = _WHOLE.fullmatch(element)
    if whole is not None:
        return _argument(whole.group(1), payload)
    if _ANY_PAYLOAD.search(element):
        raise HandlerError(
            f"a payload's value fills a whole element of the command, not {element!r}", code="bad-layout"
        )
    return _facts(element, facts)


def _facts(element: str, facts: Mapping[str, str]) -> str:
    return re.sub(r"\{([a-z_]+)\}", lambda match: facts.get(match.group(1), match.group()), element)


def _argument(path: str, payload: Mapping[str, Any]) -> str:
    value: Any = payload
    for name in path.split(".")[1:]:
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None:
        raise HandlerError(f"the payload lacks {path} (missing required field)", code="bad-payload")
    if isinstance(value, (Mapping, list)):
        raise HandlerError(f"{path} is not one value: it cannot be an argument", code="bad-payload")
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    if text.startswith("-"):
        raise HandlerError(f"{path} begins with `-`: it would be read as an option", code="bad-payload")
    if "\0" in text or len(text) > _LONGEST or any("\ud800" <= c <= "\udfff" for c in text):
        raise HandlerError(f"{path} cannot be an argument", code="bad-payload")
    return text


def fields(command: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schema of what a command takes: its `{payload.x}`, all of them required, and anything besides."""
    top = _object()
    for place, element in enumerate(command[1:], 1):
        whole = _WHOLE.fullmatch(element)
        if whole is None:
            continue
        *path, last = whole.group(1).split(".")[1:]
        inner = top
        for name in path:
            inner["required"] = sorted({*inner["required"], name})
            inner = inner["properties"].setdefault(name, _object())
            if "properties" not in inner:
                break
        else:
            inner["required"] = sorted({*inner["required"], last})
            about = f"argument {place} of {command[0].rpartition('/')[2][:40]}"
            inner["properties"].setdefault(last, {"type": "string", "description": about})
    return top


def _object() -> dict[str, Any]:
    # A command hears the whole payload on its stdin, whatever it holds.
    return {"type": "object", "properties": {}, "required": [], "additionalProperties": True}


def misfit(command: Sequence[str], payload: Mapping[str, Any]) -> str | None:
    """Return why a payload cannot fill a command, or None when it can."""
    for element in command[1:]:
        whole = _WHOLE.fullmatch(element)
        try:
            if whole is not None:
                _argument(whole.group(1), payload)
        except HandlerError as error:
            return str(error)
    return None
