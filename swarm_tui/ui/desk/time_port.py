"""Time travel, as acts and widgets may use it."""

from typing import Protocol

from swarm_tui.client.past import Moment
from swarm_tui.journal.recorder_port import Timeline


class TimePort(Protocol):
    """Time travel. `at` is the moment that shows, or was asked for; `span` the ends of the line of time."""

    timeline: Timeline | None
    span: tuple[float, float]
    asked: float | None
    busy: bool
    """True while an answer is on its way."""

    @property
    def on(self) -> bool:
        """Tell whether the past is looked at."""
        ...

    @property
    def at(self) -> float: ...

    def why_not(self) -> str | None:
        """Return why there is no way back in time; None where there is one."""
        ...

    def enter(self) -> None:
        """Hold what shows, and get the line of time."""
        ...

    def leave(self) -> None:
        """Show what is so now."""
        ...

    def go(self, at: float) -> None:
        """Show the swarm as it was at that moment."""
        ...

    def step(self, *, forward: bool) -> None:
        """Go to the next event, or to the one before."""
        ...

    def minutes(self, count: int) -> None:
        """Go by so many minutes."""
        ...

    def jump(self, tenth: int) -> None:
        """Go to so many tenths of the line of time."""
        ...

    def widen(self) -> None:
        """Let the line of time be all that is recorded, or an hour again."""
        ...

    @property
    def marked(self) -> float | None:
        """Return the moment that is marked."""
        ...

    def mark(self) -> None:
        """Mark the moment that shows; once more takes the mark away."""
        ...

    def between(self) -> tuple[Moment, Moment] | None:
        """Return the two moments to compare, the earlier first; None of one alone."""
        ...
