"""Telling supervisors what to do with agents: which host has one, what it is told, and when that has become true."""

import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from types import TracebackType
from typing import Literal

import click

from swarm_tui.cli.common import FAILED, NO_SUCH, Failure, Target, connect
from swarm_tui.protocol.bodies import HostControl, HostStatus, PaneStatus, Status
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.names import canonical_role
from swarm_tui.protocol.topics import Kind, topic

#: How long the first host is waited for, and then the others, whose words are retained beside its; seconds.
HEAR_HOSTS, HEAR_OTHERS = 2.0, 0.5
#: How a host says that its layout does not scale a role.
UNSCALED = "not scaled: "
Command = Literal["start", "stop", "restart", "scale", "drain", "undrain", "kill", "forget"]


class SupervisorClient:
    """The supervisors of a swarm over the bus, as long as the `with` lasts."""

    def __init__(self, found: Target) -> None:
        self.found = found
        self.operator = connect(found)
        self.statuses: dict[str, HostStatus] = {}
        self._speaking: set[str] = set()
        self._changed = threading.Condition()
        self.operator.on_event(self._hear)
        # What was retained came before we listened; a subscription of its own brings it once more.
        for kind in (Kind.STATUS, Kind.HOST_STATUS):
            self.operator.bus.subscribe(topic(found.swarm, kind, "+"))
        # Some brokers bring nothing for a wildcard: then the hosts are asked.
        self.operator.look_round()

    def __enter__(self) -> "SupervisorClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.operator.close()

    def _hear(self, event: Event | Rejected) -> None:
        if isinstance(event, Event) and event.kind is Kind.STATUS:
            there = isinstance(event.body, Status) and event.body.status != "offline"
            (self._speaking.add if there else self._speaking.discard)(event.key)
        if isinstance(event, Event) and event.kind is Kind.HOST_STATUS:
            with self._changed:
                # Made anew, never changed: whoever goes through it does so without the lock.
                statuses = {host: status for host, status in self.statuses.items() if host != event.key}
                if isinstance(event.body, HostStatus) and event.body.status == "online":
                    statuses[event.key] = event.body
                self.statuses = statuses
                self._changed.notify_all()

    def until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Wait for a host to say what makes `condition` true."""
        with self._changed:
            return self._changed.wait_for(condition, limit)

    def row(self, agent_id: str) -> PaneStatus | None:
        """The agent's row, of whichever host has it."""
        rows = (row for status in self.statuses.values() for row in status.panes if row.witness != "foreign")
        return next((row for row in rows if row.agent_id == agent_id), None)

    def find(self, agent_id: str) -> tuple[str, HostStatus]:
        """The host that has the agent. Raises Failure (exit 4)."""

        def having() -> tuple[str, HostStatus] | None:
            for host, status in self.statuses.items():
                if any(row.agent_id == agent_id and row.witness != "foreign" for row in status.panes):
                    return host, status
            return None

        self.until(lambda: bool(self.statuses), HEAR_HOSTS)
        self.until(lambda: having() is not None, HEAR_OTHERS)
        found = having()
        if found is None:
            raise self._nobody(agent_id)
        return found

    def check_here(self, hosts: Collection[str]) -> None:
        """Raise Failure where this host is one of `hosts`, and its supervisor lives and does nothing."""
        running = self.found.running
        if running is None or running.host not in hosts:
            return
        from swarm_tui.supervisor.host_access import supervisor_trouble

        if trouble := supervisor_trouble(self.found.state):
            raise Failure(trouble, FAILED)

    def _nobody(self, name: str) -> Failure:
        running = self.found.running
        if running is not None and running.host not in self.statuses:
            # The broker takes one that stands still for gone.
            self.check_here((running.host,))
        rows = [row for status in self.statuses.values() for row in status.panes]
        if name in self._speaking or any(row.agent_id == name for row in rows):
            return Failure(
                f"{name} was started by hand, and no supervisor minds it: end or start it where it runs; "
                "`drain` and `undrain` reach it"
            )
        if not self.statuses:
            return Failure(
                f"no supervisor of `{self.found.swarm}` answers; `swarm-tui up` starts the swarm, or mends it", NO_SUCH
            )
        names = sorted(row.agent_id for row in rows)
        return Failure(f"no agent `{name}` in {self.found.swarm}; there are {', '.join(names) or 'none'}", NO_SUCH)

    def agents(self, names: tuple[str, ...]) -> list[str]:
        """The agents that the names mean: an agent's own, or a role's, which stands for all of its agents."""
        self.until(lambda: bool(self.statuses), HEAR_HOSTS)
        self.until(lambda: all(self._meant(name) for name in names), HEAR_OTHERS)
        found: list[str] = []
        for name in names:
            meant = self._meant(name)
            if not meant:
                raise self._nobody(name)
            found += [agent_id for agent_id in meant if agent_id not in found]
        return found

    def _meant(self, name: str) -> list[str]:
        if self.row(name) is not None:
            return [name]
        role = canonical_role(name)
        return [row.agent_id for status in self.statuses.values() for row in status.panes if row.role == role]

    def is_role(self, name: str) -> bool:
        """Return whether the name means a role here, and no agent."""
        return self.row(name) is None and bool(self._meant(name))

    def ask(self, host: str, body: HostControl) -> None:
        """Tell one host's supervisor."""
        self.operator.act(Kind.HOST_CONTROL, body, host)


#: Gets an agent's row before it was told anything, and as it is now; returns whether it does what it was told.
Done = Callable[[PaneStatus | None, PaneStatus | None], bool]


def _is_done(supervisors: SupervisorClient, agent_id: str, before: PaneStatus | None, done: Done) -> bool:
    return done(before, supervisors.row(agent_id))


def control_agents(
    found: Target,
    names: tuple[str, ...],
    command: Command,
    done: Done,
    *,
    word: str,
    limit: float,
    when_idle: bool = False,
) -> None:
    """Ask for `command` on each agent, and wait until `done(before, now)` holds of its row. Raises Failure."""
    with SupervisorClient(found) as supervisors:
        agents = supervisors.agents(names)
        supervisors.check_here({supervisors.find(agent_id)[0] for agent_id in agents})
        before = {agent_id: supervisors.row(agent_id) for agent_id in agents}
        for agent_id in agents:
            if any(supervisors.is_role(name) and agent_id in supervisors.agents((name,)) for name in names):
                continue
            supervisors.ask(
                supervisors.find(agent_id)[0], HostControl(command=command, agent_id=agent_id, when_idle=when_idle)
            )
        for name in [name for name in names if supervisors.is_role(name)]:
            for host in list(supervisors.statuses):
                supervisors.ask(host, HostControl(command=command, role=canonical_role(name), when_idle=when_idle))
        end = time.monotonic() + limit
        late = []
        for agent_id in agents:
            is_done = partial(_is_done, supervisors, agent_id, before[agent_id], done)
            if supervisors.until(is_done, max(0.0, end - time.monotonic())):
                click.echo(f"{agent_id} {word}")
            else:
                now = supervisors.row(agent_id)
                late.append(
                    f"{agent_id} is {now.state if now else 'gone'}{': ' + now.reason if now and now.reason else ''}"
                )
    if late:
        raise Failure(f"not {word} within {limit:g} s: {'; '.join(late)}", FAILED)
