"""Carry out what operators ask of a host over the bus: commands, each once, and questions about its panes."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from swarm_tui.config.paths import StateDir
from swarm_tui.domain.restart import History
from swarm_tui.journal.pane_excerpt import packed
from swarm_tui.journal.pane_log import last_lines, readable, shown_line
from swarm_tui.journal.pane_times import pane_at
from swarm_tui.journal.task_output import output_rows
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import HostControl, Inbox, JsonObject, PaneStatus, Query, Reply, Scale
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import canonical_role, is_agent_id
from swarm_tui.protocol.pages import pages
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor.host_link import HostLink
from swarm_tui.supervisor.lifecycle import Lifecycle
from swarm_tui.supervisor.loop import Loop
from swarm_tui.supervisor.scaler import Scaler
from swarm_tui.supervisor.unit import Phase, Unit
from swarm_tui.worktrees.rows import answer

REMEMBERED = 4096
#: Lines of a log that are told at once, and characters of each.
MOST_LINES, _LONGEST_LINE = 5000, 2000
NEXT_OF_ROLE_WITHIN = 30.0
#: Questions that wait to be answered aside; what is asked beyond them is not answered, and may be asked again.
MOST_ASIDE = 64


class HostCommands:
    """Carries out `hosts/<host>/control` and answers `status` and `logs`; `rows` gives the rows as they are now."""

    def __init__(
        self,
        units: dict[str, Unit],
        loop: Loop,
        link: HostLink,
        lifecycle: Lifecycle,
        scaler: Scaler,
        state: StateDir,
        *,
        rows: Callable[[], list[PaneStatus]],
        say: Callable[[str, str, str], None],
        forget: Callable[[str], None],
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        self.units, self.loop, self.link, self.lifecycle, self.scaler, self.state = (
            units,
            loop,
            link,
            lifecycle,
            scaler,
            state,
        )
        self._rows, self._say, self._forget, self._tell = rows, say, forget, tell
        self._seen: deque[str] = deque(maxlen=REMEMBERED)
        self._one_aside = threading.Lock()
        """One at a time is read: whoever asks for many must not take the host's memory."""
        self._aside_now = 0

    def hear(self, event: Event) -> None:
        """Take a message that may be for us."""
        body = event.body
        if isinstance(body, Scale):
            self.scaler.set_desired(canonical_role(event.key), body.desired, retained=event.retained)
            return
        if isinstance(body, HostControl):
            self._command(event, body)
        elif isinstance(body, Query) and event.id not in self._seen:
            self._seen.append(event.id)
            self._answer(event, body)

    # Commands.

    def _command(self, event: Event, body: HostControl) -> None:
        what = " ".join(filter(None, [body.command, body.agent_id or "", *body.agent_ids, body.role or ""]))
        self._say("asked", body.agent_id or "", f"{what}, by {clean(event.proved_by or event.sender, 80)}")
        if body.command == "scale":
            reason = self.scaler.set_minimum(canonical_role(body.role or ""), body.count or 0)
            if reason:
                self._say("scale", "", f"not scaled: {reason}")
            return
        if body.command == "forget":
            self._forget(body.agent_id or "")
            return
        units = self._meant(body)
        if body.command == "restart" and body.agent_id is None:
            self._rolling([unit.agent_id for unit in units], when_idle=body.when_idle)
            return
        for unit in units:
            self._act(unit, body, clean(event.sender, 80))

    def _meant(self, body: HostControl) -> list[Unit]:
        if body.agent_id is not None:
            return [unit] if (unit := self.units.get(body.agent_id)) else []
        if body.agent_ids:
            return [self.units[name] for name in body.agent_ids if name in self.units]
        role = canonical_role(body.role or "")
        return [unit for unit in self.units.values() if unit.spec.role == role]

    def _act(self, unit: Unit, body: HostControl, by: str) -> None:
        match body.command:
            case "start":
                self.lifecycle.begin(unit, anew=True)
            case "stop":
                unit.saved.wanted = False
                unit.restarting = unit.when_idle = False
                self.lifecycle.stop(unit, drain=True)
            case "restart":
                self.restart(unit, when_idle=body.when_idle)
            case "drain" | "undrain":
                self.order(unit, body.command, body.reason or f"asked by {by}")
            case "kill":
                self.lifecycle.kill(unit)
            case _:
                pass

    def order(self, unit: Unit, command: str, reason: str = "") -> None:
        """Put an order into the agent's inbox."""
        order = {"command": command, "reason": reason or None, "incarnation": unit.presence.incarnation}
        body = msgspec.convert(order, Inbox)
        self.link.publish(self.link.writer.message(Kind.INBOX, body, unit.agent_id))

    def restart(self, unit: Unit, *, when_idle: bool = False) -> None:
        """Stop it and start it again: now, or as soon as it has nothing to do."""
        unit.saved.wanted = True
        if unit.phase is not Phase.RUNNING:
            if unit.phase is Phase.STOPPING:
                unit.restarting = True
                unit.then.append(lambda: self.lifecycle.begin(unit, anew=True))
            else:
                self.lifecycle.begin(unit, anew=True)
            return
        if when_idle and unit.presence.active > 0:
            unit.when_idle = True
            self.order(unit, "drain", "a restart waits for it to be idle")
            self._say("restart", unit.agent_id, "as soon as it is idle")
            return
        unit.when_idle = False
        unit.restarting = True
        self.lifecycle.stop(unit, drain=True, then=lambda: self._again(unit))

    def _again(self, unit: Unit) -> None:
        unit.restarting = False
        history: History = unit.saved.history
        unit.saved.history = msgspec.structs.replace(history, restarts=history.restarts + 1)
        self.lifecycle.begin(unit, anew=True)

    def idle(self, unit: Unit) -> None:
        """The bus says that it has nothing to do."""
        if unit.when_idle and unit.phase is Phase.RUNNING:
            self.restart(unit)

    def _rolling(self, left: list[str], *, when_idle: bool, since: float | None = None) -> None:
        """Restart one after another, each when the one before has registered."""
        if not left:
            return
        unit = self.units.get(left[0])
        if unit is None:
            self._rolling(left[1:], when_idle=when_idle)
            return
        if since is None:
            self.restart(unit, when_idle=when_idle)
            since = time.monotonic()
        waits = unit.when_idle or unit.restarting or not unit.presence.registered
        if waits and (unit.when_idle or time.monotonic() - since < NEXT_OF_ROLE_WITHIN):
            self.loop.after(0.1, lambda: self._rolling(left, when_idle=when_idle, since=since))
        else:
            self._rolling(left[1:], when_idle=when_idle)

    # Questions.

    def _answer(self, event: Event, body: Query) -> None:
        if body.query == "status":
            agent_id = body.args.get("agent_id")
            rows = [row for row in self._rows() if agent_id in (None, row.agent_id)]
            self._reply(event, body.query, [codec.builtins(row) for row in rows])
        elif body.query == "who":
            self._tell()
        elif body.query == "logs":
            agent_id = body.args.get("agent_id")
            if not isinstance(agent_id, str) or not is_agent_id(agent_id) or agent_id not in self.units:
                return
            wanted = body.args.get("lines")
            lines = wanted if isinstance(wanted, int) and 0 < wanted <= MOST_LINES else 200
            at, log = body.args.get("at"), self.state.log(agent_id)
            if isinstance(at, (int, float)) and not isinstance(at, bool):
                # As a terminal would be told: whoever shows it takes the colours and drops the other orders.
                then = pane_at(log, at, lines)
                self._reply(event, body.query, [shown_line(line)[:_LONGEST_LINE] for line in then or []])
                return
            tail = last_lines(log, lines)
            self._reply(event, body.query, [clean(readable(line), _LONGEST_LINE) for line in tail])
        elif body.query == "output":
            self._reply(event, body.query, output_rows(self.state.tasks(), body.args))
        elif body.query == "diff":
            self._aside(event, body, lambda: answer(self.state.root, body.args))
        elif body.query == "printed":
            self._aside(event, body, lambda: self._printed(body.args))

    def _aside(self, event: Event, body: Query, work: Callable[[], Sequence[Any] | None]) -> None:
        """Answer with what takes its time: git, or a long log; None is no answer."""

        def done(rows: Sequence[Any] | None) -> None:
            self._aside_now -= 1
            if rows is not None:
                self._reply(event, body.query, rows)

        def run() -> None:
            rows: Sequence[Any] | None = None
            try:
                with self._one_aside:
                    rows = work()
            finally:
                self.loop.post(lambda: done(rows))

        if self._aside_now >= MOST_ASIDE:
            return
        self._aside_now += 1
        threading.Thread(target=run, name="aside", daemon=True).start()

    def _printed(self, args: JsonObject) -> Sequence[Any] | None:
        """Return what an agent's pane printed in a span of time; None of one that never was here."""
        agent_id, skip = args.get("agent_id"), args.get("skip", 0)
        ends = [args.get(name) for name in ("since", "until")]
        if not isinstance(agent_id, str) or not is_agent_id(agent_id) or not self.state.log(agent_id).is_file():
            return None
        if not isinstance(skip, int) or skip < 0 or not all(isinstance(end, int | float) for end in ends):
            return None
        return packed(self.state.log(agent_id), float(ends[0] or 0), float(ends[1] or 0), skip)

    def _reply(self, event: Event, query: str, rows: Sequence[Any]) -> None:
        for page, more in pages(rows):
            reply = Reply(query=query, rows=page, more=more, request=event.id, source=f"host:{self.link.host}")
            self.link.publish(self.link.writer.message(Kind.REPLY, reply, event.key))
