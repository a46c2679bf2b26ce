"""Report on a host: events in its pane, the state file, and its retained status on the bus."""

import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from msgspec import structs

from swarm_tui import __version__
from swarm_tui.config.paths import StateDir
from swarm_tui.config.revision import read_salt, revision_of
from swarm_tui.config.urls import shown_url
from swarm_tui.domain.states import AgentState
from swarm_tui.protocol.bodies import HostStatus, LayoutRevision, PaneStatus
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor import processes, state_file
from swarm_tui.supervisor.bus_presence import Presences
from swarm_tui.supervisor.host_link import HostLink
from swarm_tui.supervisor.loop import Loop
from swarm_tui.supervisor.plan import Plan
from swarm_tui.supervisor.state_file import FormerBroker, Saved
from swarm_tui.supervisor.unit import Unit

EVENTS_KEPT = 40
EVENTS_SAID = 12
TAIL_SAID = 6


class HostReporter:
    """Says each change once a turn of the loop.

    `members` are the scaled roles' agents, `minimums` what people asked for of them; `waits_for` names whom a shutdown
    waits for; while `silent`, nothing is said on the bus; `former` is what is kept for a successor;
    `cause` says why the swarm cannot come up.
    """

    def __init__(self, plan: Plan, state: StateDir, loop: Loop, link: HostLink, presences: Presences) -> None:
        self.plan = plan
        self.units: dict[str, Unit] = presences.units
        self.members: dict[str, list[str]] = {}
        self.minimums: dict[str, int] = {}
        self.waits_for: Callable[[], list[str]] = list
        self.silent = False
        self.cause = ""
        self.former: FormerBroker | None = None
        self.state, self._loop, self._link, self._presences = state, loop, link, presences
        self._events: deque[dict[str, object]] = deque(maxlen=EVENTS_KEPT)
        self._started_time = processes.start_time(os.getpid())
        self._dirty = False
        self._revision: tuple[Plan, LayoutRevision] | None = None
        self._told: HostStatus | None = None
        """What was said last, but for who is busy."""

    def restore(self, events: list[dict[str, object]]) -> None:
        """Take over what a former supervisor recorded."""
        self._events.extend(events)

    def say(self, what: str, agent_id: str, reason: str) -> None:
        """Record an event: in the pane, in the state file, in the host's status."""
        reason = clean(reason, 300)
        event: dict[str, object] = {"at": round(time.time(), 3), "what": what, "reason": reason}
        if agent_id:
            event["agent_id"] = agent_id
        self._events.append(event)
        with suppress(OSError, ValueError):
            print(f"{time.strftime('%H:%M:%S')} {what:<9} {agent_id:<18} {reason}", flush=True)
        self.changed()

    def mistake(self, error: Exception) -> None:
        """Record an error of ours; the work goes on."""
        self.say("mistake", "", f"{type(error).__name__}: {error}")
        with suppress(OSError, ValueError):
            traceback.print_exception(error, file=sys.stderr)

    def changed(self) -> None:
        """Rows differ: write and say them, once for all changes of this turn."""
        if not self._dirty:
            self._dirty = True
            self._loop.post(self._flush)

    def _flush(self) -> None:
        self._dirty = False
        self.write()
        # That it is busy an agent says itself: twice a task the whole host anew would be most of what all others read.
        if self._told is None or _at_work(self.status()) != self._told:
            self.publish()

    def rows(self) -> list[PaneStatus]:
        """Return every pane of this host, and who speaks from it without one."""
        foreign = self._presences.judge(time.monotonic())
        return [unit.row() for unit in self.units.values()] + foreign

    def dispatcher(self) -> str:
        """Return the id of the agent that dispatches; empty while nobody does."""
        found = self._presences.dispatcher
        return "" if found is None else found.agent_id or found.instance

    def offline(self) -> HostStatus:
        """Return what the broker says of this host when it vanishes."""
        return HostStatus(status="offline", session=self.plan.session, socket=self.plan.socket, version=__version__)

    def status(self) -> HostStatus:
        """Return what this host says of itself."""
        return HostStatus(
            panes=[structs.replace(row, tail=row.tail[-TAIL_SAID:]) for row in self.rows()],
            session=self.plan.session,
            socket=self.plan.socket,
            address=self.plan.layout.address,
            pid=os.getpid(),
            version=__version__,
            broker=shown_url(self.plan.layout.broker.url),
            events=list(self._events)[-EVENTS_SAID:],
            layout=self._layout(),
        )

    def _layout(self) -> LayoutRevision:
        """Return the facts of the layout that runs; worked out once for each plan."""
        plan = self.plan
        if self._revision is None or self._revision[0] is not plan:
            salt = read_salt(self.state)
            told = revision_of(plan.layout, file=plan.path, by=plan.by, at=plan.at, salt=salt)
            self._revision = plan, told
        return self._revision[1]

    def publish(self) -> None:
        """Say the host's status, when somebody can hear it."""
        if self._link.is_up and not self.silent:
            status = self.status()
            self._told = _at_work(status)
            self._link.publish(self._link.writer.message(Kind.HOST_STATUS, status, self.plan.host))

    def write(self) -> None:
        """Replace the state file."""
        saved = Saved(
            pid=os.getpid(),
            start_time=self._started_time,
            boot=state_file.boot_id(),
            version=__version__,
            units={name: unit.saved for name, unit in self.units.items()},
            rows=self.rows(),
            members=self.members,
            minimums=self.minimums,
            bus_up=self._link.is_up,
            bus_reason=self._link.reason,
            stopping=self.waits_for(),
            events=list(self._events),
            plan=self.plan.identity(),
            dispatcher=self.dispatcher(),
            cause=self.cause,
            former=self.former,
            orders=self._link.orders.until,
        )
        try:
            state_file.save(self.state, saved)
        except OSError as error:
            with suppress(OSError, ValueError):
                print(f"the state file cannot be written: {error}", file=sys.stderr, flush=True)


def _at_work(status: HostStatus) -> HostStatus:
    """Return the status with all who wait for work as busy as those who have some."""
    panes = [
        structs.replace(row, state=AgentState.BUSY) if row.state == AgentState.ONLINE else row for row in status.panes
    ]
    return structs.replace(status, panes=panes)
