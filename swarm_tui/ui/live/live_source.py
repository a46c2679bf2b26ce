"""The real source: the bus through an Operator, the panes through tmux, logs from this host or the supervisor."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from swarm_tui.bus.port import Link
from swarm_tui.client.hosts_output import change_of_hosts, joined, last_attempt, output_of_hosts
from swarm_tui.client.operator import Operator
from swarm_tui.client.publication import Publication
from swarm_tui.config.paths import StateDir
from swarm_tui.config.running import is_running
from swarm_tui.journal.pane_log import last_lines, readable, shown_line
from swarm_tui.journal.pane_times import pane_at
from swarm_tui.journal.task_output import output_rows
from swarm_tui.protocol.bodies import Body, JsonObject, Reply, Status, Task
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from swarm_tui.tmux.attach import attach_far
from swarm_tui.ui.live.sieve import Raw, Sieve
from swarm_tui.ui.live.tmux_panes import TmuxPanes
from swarm_tui.ui.model.here import Here
from swarm_tui.ui.model.source import Arrived, Facts, Item, Neighbours, Panes
from swarm_tui.worktrees.change import Change, read_change

#: Kinds that are drawn at once: who asks, who is gone, who leads, what stops.
URGENT = frozenset(
    {
        Kind.ALERT,
        Kind.ASK,
        Kind.ASK_ANSWER,
        Kind.ASK_RECORDED,
        Kind.DISPATCHER,
        Kind.HALT,
        Kind.HOST_STATUS,
        Kind.SHUTDOWN,
    }
)

#: Seconds since its last round, within which a supervisor, which goes round twice a second, need not be looked at.
FRESH_BEAT = 3.0


class NoPanes:
    """There is no tmux of this swarm here; with `only`, nor anywhere else."""

    def __init__(self, reason: str = "this swarm was not brought up on this host", *, only: bool = False) -> None:
        self._reason = reason
        self._only = only

    def watch(self, panes: frozenset[str], size: tuple[int, int] | None = None) -> None:
        """Do nothing: there is nothing to capture."""

    def changed(self) -> Mapping[str, list[str]]:
        """Return no pane."""
        return {}

    def history(self, pane_id: str, lines: int) -> list[str]:
        """Return no line."""
        return []

    def attach(self, pane_id: str) -> int:
        """Return the exit code of a failure."""
        return 1

    def attach_far(self, address: str, swarm: str, agent_id: str) -> str | None:
        """Attach on another host, which can be reached from anywhere; without any, say why not."""
        return self._reason if self._only else attach_far(address, swarm, agent_id)

    def why_not(self) -> str | None:
        return self._reason

    def close(self) -> None:
        """Do nothing: nothing is open."""


class LiveSource:
    """Messages are put in a queue on the bus's thread and taken by the screen when it draws.

    `up_again` is the command that starts the swarm here; empty where it was not brought up here.
    """

    def __init__(
        self,
        operator: Operator,
        facts: Facts,
        panes: Panes,
        state: StateDir | None,
        neighbours: Neighbours | None,
        *,
        up_again: str = "",
    ) -> None:
        self.operator = operator
        self.facts = facts
        self.panes = panes
        self.neighbours: Neighbours | None = neighbours
        self._state = state
        self._sieve = Sieve(lambda topic, payload, received: self.operator.read(topic, payload, received))
        self._up_again = up_again
        self._arrived: Arrived = lambda urgent=False: None

    def on_arrival(self, call: Arrived) -> bool:
        self._arrived = call
        if isinstance(self.panes, TmuxPanes):
            self.panes.on_arrival(call)
        return True

    def start(self) -> None:
        self.operator.on_event(self._put)
        self.operator.sift(self._put_raw)
        self.operator.on_link(self._link)
        self.operator.start()

    def _put(self, item: Item) -> None:
        self._sieve.put(item)
        if not isinstance(item, Event):
            self._arrived(True)
        elif item.kind is not Kind.HEARTBEAT:
            self._arrived(item.kind in URGENT or (item.kind is Kind.STATUS and not _works(item)))

    def _put_raw(self, raw: Raw) -> None:
        self._sieve.put(raw)
        if raw[0] is not Kind.HEARTBEAT:
            self._arrived()

    def _link(self, link: Link) -> None:
        self._put(link)
        if link.up:
            self.operator.look_round()

    def close(self) -> None:
        self.operator.close(0.5)
        if self.neighbours is not None:
            self.neighbours.close()
        close = getattr(self.panes, "close", None)
        if close is not None:
            close()

    def take(self) -> list[Item]:
        return self._sieve.take()

    def waiting(self) -> bool:
        return self._sieve.waiting()

    def look_here(self) -> Here:
        if not self._up_again or self._state is None:
            return Here()
        if not is_running(self.facts.swarm):
            return Here(host=self.facts.host, down=True, todo=f"`{self._up_again}` starts it again")
        # The first frame does not wait for the supervisor's code.
        from swarm_tui.supervisor.host_access import beat_age, find_trouble

        age = beat_age(self._state)
        trouble, todo = ("", "") if age is not None and age < FRESH_BEAT else find_trouble(self._state)
        return Here(host=self.facts.host, trouble=trouble, todo=todo)

    def act(self, kind: Kind, body: Body, key: str = "") -> None:
        self.operator.act(kind, body, key)

    def clear(self, kind: Kind, key: str = "") -> None:
        self.operator.clear(kind, key)

    def submit(self, task: Task, on_change: Callable[[], None]) -> Publication:
        publication = self.operator.submit(task)
        publication.on_change(lambda _: on_change())
        return publication

    def query(self, query: str, args: dict[str, Any]) -> Reply | None:
        return self.operator.query(query, args)

    def output(self, task_id: str, lines: int, hosts: int) -> list[str]:
        """Read it from this host's files and ask the others: who had the last attempt is not known."""
        args: JsonObject = {"task_id": task_id, "lines": lines}
        answers: list[list[object]] = [[*output_rows(self._state.tasks(), args)]] if self._state is not None else []
        if hosts:
            answers.append(msgspec.to_builtins(output_of_hosts(self.operator, args, hosts)))
        pages = last_attempt(answers)
        text = joined(pages, pages[0].start) if pages else ""
        return (
            [readable(line.encode("utf-8", "replace")) for line in text.removesuffix("\n").split("\n")] if text else []
        )

    def change(self, task_id: str, hosts: int) -> Change | None:
        """Read it here, else ask the others."""
        here = read_change(self._state.root, task_id) if self._state is not None else None
        return here if here is not None else change_of_hosts(self.operator, task_id, hosts)

    def pane_at(self, agent_id: str, lines: int, at: float) -> list[str] | None:
        """Return it from the log where that is here, else from the supervisor that has it."""
        path = self._state.log(agent_id) if self._state is not None else None
        if path is not None and path.is_file():
            then = pane_at(path, at, lines)
            return None if then is None else [shown_line(line) for line in then]
        reply = self.query("logs", {"agent_id": agent_id, "lines": min(lines, 500), "at": at})
        return None if reply is None or reply.error else [row for row in reply.rows if isinstance(row, str)]

    def log(self, agent_id: str, lines: int) -> list[str] | None:
        """Return it from the file where that is here, else from the supervisor that has it."""
        path = self._state.log(agent_id) if self._state is not None else None
        if path is not None and path.is_file():
            return [shown_line(line) for line in last_lines(path, lines)]
        reply = self.query("logs", {"agent_id": agent_id, "lines": min(lines, 500)})
        if reply is None or reply.error:
            return None
        return [row.get("line", "") if isinstance(row, dict) else str(row) for row in reply.rows]


def _works(said: Event) -> bool:
    """Tell whether an agent says that it is there."""
    return isinstance(said.body, Status) and said.body.status != "offline"
