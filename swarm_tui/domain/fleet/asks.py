"""The asks that wait for an answer, as the swarm's messages tell of them."""

from collections.abc import Iterable

import msgspec

from swarm_tui.protocol.ask_bodies import Ask, AskRecorded
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.rows import AskRow
from swarm_tui.protocol.text import clean, clean_block

#: Asks that are kept; and answered ones that are remembered, so that an ask that is said again does not wait again.
MAX_OPEN, MAX_ANSWERED = 500, 1000
#: Seconds after its time at which an ask that nobody was heard to decide is shown no more.
_GRACE = 60.0


class Asks:
    """Open asks by id, oldest first. All text of theirs is safe to show, but for `input`, which stays as it came."""

    def __init__(self) -> None:
        self.open: dict[str, AskRow] = {}
        self.answered: dict[str, AskRecorded] = {}
        """The last answers, by ask."""

    def apply(self, event: Event) -> AskRow | None:
        """Take one message of an ask. Returns the ask that came or went, None where nothing changed."""
        body = event.body
        if isinstance(body, AskRecorded):
            self.answered[event.key] = body
            if len(self.answered) > MAX_ANSWERED:
                del self.answered[next(iter(self.answered))]
            return self.open.pop(event.key, None)
        if not isinstance(body, Ask) or event.key in self.open or event.key in self.answered:
            return None
        row = AskRow(
            ask_id=clean(event.key),
            task_id=body.task_id,
            agent_id=body.agent_id,
            tool=body.tool,
            title=body.title,
            since=event.received,
            expires_at=body.expires_at or event.received + 600.0,
            attempt=body.attempt or 0,
            input=body.input,
            diff=body.diff,
            rule=body.rule,
        )
        return self._keep(row)

    def load(self, rows: Iterable[AskRow]) -> list[AskRow]:
        """Merge what the dispatcher says waits; returns those that were not known."""
        return [self._keep(row) for row in rows if row.ask_id not in self.open and row.ask_id not in self.answered]

    def tick(self, now: float) -> list[AskRow]:
        """Let go of those whose time was over long ago; returns them."""
        gone = [row for row in self.open.values() if now > row.expires_at + _GRACE]
        for row in gone:
            del self.open[row.ask_id]
        return gone

    def of_task(self, task_id: str) -> list[AskRow]:
        """Return what waits of one task."""
        return [row for row in self.open.values() if row.task_id == task_id]

    def of_agent(self, agent_id: str) -> list[AskRow]:
        """Return what waits of one agent."""
        return [row for row in self.open.values() if row.agent_id == agent_id]

    def told_of(self, *, task_id: str | None = None, agent_id: str | None = None) -> str:
        """Return in a line what waits of a task, or of an agent; empty where nothing does."""
        if not self.open:
            return ""
        rows = self.of_task(task_id) if task_id is not None else self.of_agent(agent_id or "")
        return (
            f"ASKS {rows[0].tool} {rows[0].title}" + (f" (+{len(rows) - 1})" if len(rows) > 1 else "") if rows else ""
        )

    def _keep(self, row: AskRow) -> AskRow:
        row = msgspec.structs.replace(
            row,
            tool=clean(row.tool, 100),
            title=clean(row.title, 2000),
            rule=clean(row.rule, 2000),
            diff=None if row.diff is None else clean_block(row.diff),
        )
        if len(self.open) >= MAX_OPEN:
            del self.open[next(iter(self.open))]
        self.open[row.ask_id] = row
        return row
