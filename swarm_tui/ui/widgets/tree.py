"""A JSON value laid out as an indented tree, with what it holds coloured by kind."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.segment import Segment

from swarm_tui.protocol.text import clean_block
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import Parts, flat
from swarm_tui.ui.widgets.page import Line, Value

MOST = 2_000
"""Lines that one value may take."""
Path = tuple[str, ...]


def tree(
    value: Any, look: ThemeStyles, width: int, indent: int = 1, units: Mapping[Path, str] | None = None
) -> list[Line]:
    """Return the value's lines, each at most `width` columns where it can be broken, and what each of them says.

    `units` are those of the numbers for which they are known, by the names that lead there.
    """
    lines: list[Line] = []
    for parts, said in _walk(value, look, width, indent, units or {}):
        if len(lines) >= MOST:
            lines.append(([Segment("  … more than fits here", look["warn"])], None))
            break
        lines.append((parts, Value(said)))
    return lines


def _walk(
    value: Any, look: ThemeStyles, width: int, indent: int, units: Mapping[Path, str], path: Path = ()
) -> Iterator[tuple[Parts, Any]]:
    """Yield each line, and the value that it is of."""
    pad, name = "  " * indent, path[-1] if path else None
    key = [Segment(f"{pad}{flat(name, 80)}: ", look["json-key"])] if name is not None else [Segment(pad)]
    if isinstance(value, dict) and value:
        if name is not None:
            yield [Segment(f"{pad}{flat(name, 80)}", look["json-key"])], value
        for inner, item in value.items():
            deeper = indent + (1 if name is not None else 0)
            yield from _walk(item, look, width, deeper, units, (*path, str(inner)))
    elif isinstance(value, list) and value:
        if name is not None:
            count = Segment(f" ({len(value)})", look["quiet"])
            yield [Segment(f"{pad}{flat(name, 80)}", look["json-key"]), count], value
        for number, item in enumerate(value):
            deeper = indent + (1 if name is not None else 0)
            yield from _walk(item, look, width, deeper, units, (*path, str(number)))
    elif isinstance(value, str):
        for parts in _text(value, key, look, width, pad):
            yield parts, value
    elif value is None or isinstance(value, bool):
        word = {None: "null", True: "true", False: "false"}[value]
        yield [*key, Segment(word, look["json-word"])], value
    elif isinstance(value, (dict, list)):
        yield [*key, Segment("{}" if isinstance(value, dict) else "[]", look["quiet"])], value
    else:
        unit = [Segment(f" {units[path]}", look["quiet"])] if path in units else []
        yield [*key, Segment(flat(value), look["json-number"]), *unit], value


def _text(value: str, key: Parts, look: ThemeStyles, width: int, pad: str) -> Iterator[Parts]:
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
