"""A JSON value laid out as an indented tree, with what it holds coloured by kind."""

from collections.abc import Iterator
from typing import Any

from rich.segment import Segment

from swarm_tui.protocol.text import clean_block
from swarm_tui.ui.lines import Parts
from swarm_tui.ui.look import Look
from swarm_tui.ui.text import flat

MOST = 2_000
"""Lines that one value may take."""


def tree(value: Any, look: Look, width: int, indent: int = 1) -> list[Parts]:
    """The value's lines, each at most `width` columns where it can be broken."""
    lines: list[Parts] = []
    for parts in _walk(value, look, width, indent):
        if len(lines) >= MOST:
            lines.append([Segment("  … more than fits here", look["warn"])])
            break
        lines.append(parts)
    return lines


def _walk(value: Any, look: Look, width: int, indent: int, name: str | None = None) -> Iterator[Parts]:
    pad = "  " * indent
    key = [Segment(f"{pad}{flat(name, 80)}: ", look["json-key"])] if name is not None else [Segment(pad)]
    if isinstance(value, dict) and value:
        if name is not None:
            yield [Segment(f"{pad}{flat(name, 80)}", look["json-key"])]
        for inner, item in value.items():
            yield from _walk(item, look, width, indent + (1 if name is not None else 0), str(inner))
    elif isinstance(value, list) and value:
        if name is not None:
            yield [Segment(f"{pad}{flat(name, 80)}", look["json-key"]), Segment(f" ({len(value)})", look["quiet"])]
        for number, item in enumerate(value):
            yield from _walk(item, look, width, indent + (1 if name is not None else 0), str(number))
    elif isinstance(value, str):
        yield from _text(value, key, look, width, pad)
    else:
        word = (
            {None: "null", True: "true", False: "false"}.get(value)
            if value is None or isinstance(value, bool)
            else None
        )
        if word is not None:
            yield [*key, Segment(word, look["json-word"])]
        elif isinstance(value, (dict, list)):
            yield [*key, Segment("{}" if isinstance(value, dict) else "[]", look["quiet"])]
        else:
            yield [*key, Segment(flat(value), look["json-number"])]


def _text(value: str, key: Parts, look: Look, width: int, pad: str) -> Iterator[Parts]:
    lines = clean_block(value).expandtabs(4).split("\n")
    used = sum(segment.cell_length for segment in key)
    if len(lines) == 1 and used + len(value) <= width:
        yield [*key, Segment(flat(value, 4000), look["json-string"])]
        return
    if key[0].text.strip():
        yield key
    room = max(20, width - len(pad) - 2)
    for line in lines:
        safe = flat(line, 20_000)
        for start in range(0, max(1, len(safe)), room):
            yield [Segment(f"{pad}  "), Segment(safe[start : start + room], look["json-string"])]
