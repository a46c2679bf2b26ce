"""Columns that fit any width: the least important leave first, the rest share what is left."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rich.segment import Segment

from swarm_tui.domain.views import AgentView, TaskView
from swarm_tui.ui.look.glyphs import ThemeStyles
from swarm_tui.ui.look.text import Parts, fit, fit_id, flat

Row = TypeVar("Row")


@dataclass(frozen=True)
class Scene:
    """Things that a cell may need besides its row: the styles, the time, whether facts are stale, the tasks by id."""

    look: ThemeStyles
    now: float
    stale: bool = False
    tasks: Mapping[str, TaskView] = field(default_factory=dict)
    changed: Mapping[str, float] = field(default_factory=dict)
    """When each row last changed its state."""
    outages: Sequence[tuple[float, float]] = ()
    """When we had no link."""
    why_waiting: Callable[[TaskView], tuple[str, str]] = lambda _: ("", "")
    """Why a task waits for more than its turn, and what to do."""
    asks: Callable[[TaskView], str] = lambda _: ""
    """Ask of a task's AI agent, in a line."""
    asked_by: Callable[[AgentView], str] = lambda _: ""
    """Ask of an agent, in a line."""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """`draw` returns segments of exactly the width it is given. `rank` 0 stays always; a high rank leaves first."""

    head: str
    least: int
    most: int
    rank: int
    draw: Callable[[Row, Scene, int], Parts]
    right: bool = False
    since: int = 0
    """The table's width from which it may show."""
    sort: Callable[[Row], Any] | None = None
    """Value that rows are sorted by; None of a row stands last."""
    most_first: bool = False
    """True where the largest comes first when the column is chosen."""


Laid = list[tuple["Column[Row]", int]]


def lay_out(
    columns: Sequence[Column[Row]], width: int, most: dict[str, int] | None = None
) -> "list[tuple[Column[Row], int]]":
    """Return which columns show and how wide, one space between; `most` overrides the widest a column may be."""
    limits = {c.head: max(c.least, (most or {}).get(c.head, c.most)) for c in columns}
    shown: list[Column[Row]] = []
    used = -1
    for column in sorted(columns, key=lambda c: c.rank):
        if column.rank == 0 or (width >= column.since and used + column.least + 1 <= width):
            shown.append(column)
            used += column.least + 1
    spare = max(0, width - used)
    widths = {}
    for column in shown:
        more = min(spare, limits[column.head] - column.least)
        widths[column.head] = column.least + more
        spare -= more
    return [(column, widths[column.head]) for column in columns if column in shown]


def text_cell(text: str, style: str, scene: Scene, width: int, right: bool = False) -> Parts:
    """Draw a cell of one style."""
    return [Segment(fit(text, width, right), scene.look[style])]


def id_cell(text: str, style: str, scene: Scene, width: int) -> Parts:
    """Draw a cell with an id, which others chose."""
    return [Segment(fit_id(flat(text), width), scene.look[style])]
