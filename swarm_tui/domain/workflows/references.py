"""References in a workflow: `{step.result.path}`, `{inputs.x}`, `{item.x}`. Values are looked up, nothing is evaluated.

A text that is one reference becomes the value itself; within a longer text a value is written as text, or as JSON.
`{{` and `}}` stand for the braces themselves.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

#: Heads that are no steps.
INPUTS, ITEM, RUN = "inputs", "item", "run"
#: What a step can be asked for.
OF_A_STEP = ("result", "error", "state")
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_REFERENCE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


class ReferenceMistake(ValueError):
    """Why a text holds no reference where one should be, or a reference cannot be resolved; a sentence."""


class Reference(Struct, frozen=True):
    """A reference: `head` is a step, `inputs`, `item` or `run`."""

    head: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return "{" + ".".join((self.head, *self.path)) + "}"


#: The value that a head stands for.
Look = Callable[[str], Any]


def parse(text: str) -> list[str | Reference]:
    """Return the parts of a text: plain text, and references. Raises ReferenceMistake."""
    parts: list[str | Reference] = []
    plain, last = "", 0
    for token in _TOKEN.finditer(text):
        plain += text[last : token.start()]
        last = token.end()
        mark = token.group()
        if mark in ("{{", "}}"):
            plain += mark[0]
        elif token.group(1) is None:
            raise ReferenceMistake(f"a single `{mark}`: write `{mark}{mark}` for the brace itself")
        else:
            if plain:
                parts.append(plain)
                plain = ""
            parts.append(_reference(token.group(1)))
    plain += text[last:]
    if plain or not parts:
        parts.append(plain)
    return parts


def _reference(inner: str) -> Reference:
    if not _REFERENCE.fullmatch(inner):
        raise ReferenceMistake(
            f"`{{{inner[:60]}}}` is no reference: write {{step.result.path}}, {{inputs.name}} or {{item.name}}, "
            "and `{{` for a brace itself"
        )
    head, *path = inner.split(".")
    return Reference(head, tuple(path))


def only_reference(text: str) -> Reference:
    """Return the reference that the whole text is. Raises ReferenceMistake when it is anything else."""
    match parse(text):
        case [Reference() as found]:
            return found
    raise ReferenceMistake(f"`{text[:60]}` is no reference: write one, as {{step.result.path}}, and nothing else")


def texts(value: Any, where: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every text in a value, with where it stands."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(inner, (*where, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from texts(inner, (*where, at))


def resolve(value: Any, look: Look) -> Any:
    """Return the value with each reference in it replaced by what it refers to. Raises ReferenceMistake."""
    if isinstance(value, str):
        return _resolve_text(value, look) if "{" in value or "}" in value else value
    if isinstance(value, dict):
        return {name: resolve(inner, look) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner, look) for inner in value]
    return value


def _resolve_text(text: str, look: Look) -> Any:
    parts = parse(text)
    if len(parts) == 1:
        return find(parts[0], look) if isinstance(parts[0], Reference) else parts[0]
    return "".join(part if isinstance(part, str) else _as_text(find(part, look)) for part in parts)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def find(reference: Reference, look: Look) -> Any:
    """Return what the reference stands for. Raises ReferenceMistake when there is no such thing."""
    value, gone = look(reference.head), reference.head
    for part in reference.path:
        try:
            value = _inner(value, part)
        except LookupError:
            has = f"it has {', '.join(map(str, value))[:100]}" if isinstance(value, dict) and value else "it has none"
            raise ReferenceMistake(f"{reference}: `{gone}` has no `{part}`: {has}") from None
        gone = f"{gone}.{part}"
    return value


def _inner(value: Any, part: str) -> Any:
    """A part of a value; of a list the item of that number, or else that part of each item. Raises LookupError."""
    if isinstance(value, dict):
        return value[part]
    if isinstance(value, list):
        return value[int(part)] if part.isdecimal() else [_inner(item, part) for item in value]
    raise LookupError(part)
