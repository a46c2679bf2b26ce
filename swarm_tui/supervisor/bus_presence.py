"""Set what the bus says of each agent against what its supervisor sees: registered, silent, elsewhere, twice."""

from collections.abc import Iterable

from msgspec import Struct

from swarm_tui.domain import restart, witness
from swarm_tui.domain.witness import AgentPulse, Testimony
from swarm_tui.protocol.bodies import Dispatcher, Heartbeat, HostStatus, PaneStatus, Register, Status
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import canonical_role
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor.unit import Phase, Unit

#: A process that has not spoken for so long is not there as far as the bus knows, seconds.
FORGOTTEN_AFTER = 35.0


class ForeignAgent(Struct, kw_only=True):
    """An agent that speaks and is none of this host's units."""

    role: str
    heard: float
    pid: int | None = None
    host: str | None = None


class OtherHost(Struct, kw_only=True):
    """Another host: its agents that run, with their roles, and when its supervisor was last heard."""

    roles: dict[str, str]
    heard: float
    online: bool = True


class Presences:
    """Keeps the bus's word of each unit; times are monotonic. `proved`: what proves nothing takes no host away."""

    def __init__(self, units: dict[str, Unit], host: str, *, proved: bool = False) -> None:
        self.units, self.host, self.proved = units, host, proved
        self.foreign_agents: dict[str, ForeignAgent] = {}
        self.dispatcher: Dispatcher | None = None
        """The swarm's dispatcher, wherever it runs, while it says that it leads."""
        self.elsewhere: dict[str, OtherHost] = {}
        """What each other host last said holds for a while: agents run on while their supervisor is away, and what is
        retained can be of a host that is gone for good."""

    def hear(self, event: Event, now: float) -> Unit | None:
        """Take one message in; the unit whose row changed by it."""
        if event.kind is Kind.HOST_STATUS:
            self._host(event, now)
            return None
        if event.kind is Kind.DISPATCHER:
            self.dispatcher = event.body if isinstance(event.body, Dispatcher) and event.body.online else None
            return None
        agent_id = event.key if event.kind is Kind.STATUS else event.sender
        unit = self.units.get(agent_id)
        if unit is None:
            self._hear_unknown(agent_id, event, now)
            return None
        before = (unit.presence.registered, unit.presence.status, unit.presence.active)
        self._own(unit, event, now)
        after = (unit.presence.registered, unit.presence.status, unit.presence.active)
        return unit if before != after else None

    def hear_foreign(self, agent_id: str, now: float) -> Unit | None:
        """Take in that an agent of another dialect said something; return the unit whose row changed by it."""
        unit = self.units.get(agent_id)
        if unit is None or unit.phase is not Phase.RUNNING:
            return None
        unit.presence.heard = now
        return unit if self._register(unit, now) else None

    def _own(self, unit: Unit, event: Event, now: float) -> None:
        body, presence = event.body, unit.presence
        if isinstance(body, Status):
            if body.status == "offline":
                presence.pids.pop(body.pid or 0, None)
                return
            if body.pid is not None and body.host in (None, self.host):
                presence.pids[body.pid] = now
            if unit.is_own and body.pid != unit.saved.pid:
                return
            presence.status, presence.incarnation = body.status, body.incarnation
            presence.trouble = body.trouble or ""
            unit.saved.version = body.version or ""
            presence.active = body.active or 0
            presence.heard = now
            self._register(unit, now)
        elif isinstance(body, (Register, Heartbeat)) and not event.retained:
            if isinstance(body, Heartbeat):
                if unit.is_own and presence.incarnation and body.incarnation not in (None, presence.incarnation):
                    return
                presence.active = presence.active if body.active is None else body.active
            presence.heard = now
            if not unit.is_own:
                self._register(unit, now)

    def _register(self, unit: Unit, now: float) -> bool:
        if unit.presence.registered or not unit.has_process:
            return False
        unit.presence.registered = True
        unit.saved.history = restart.registered(unit.saved.history, now)
        return True

    def _hear_unknown(self, agent_id: str, event: Event, now: float) -> None:
        body = event.body
        if event.kind is Kind.SHUTDOWN or (isinstance(body, Status) and body.status == "offline"):
            self.foreign_agents.pop(agent_id, None)
        elif isinstance(body, Status) and not event.retained:
            self.foreign_agents[agent_id] = ForeignAgent(
                role=body.role or "general", heard=now, pid=body.pid, host=body.host
            )
        elif isinstance(body, (Register, Heartbeat)) and not event.retained:
            known = self.foreign_agents.get(agent_id)
            if known is not None:
                known.heard = now
            else:
                self.foreign_agents[agent_id] = ForeignAgent(role=event.role or "general", heard=now)

    def _host(self, event: Event, now: float) -> None:
        if event.key == self.host:
            return
        if not isinstance(event.body, HostStatus):
            if not self.proved:
                self.elsewhere.pop(event.key, None)
        elif event.body.status == "online":
            roles = {row.agent_id: row.role for row in event.body.panes if row.pid}
            self.elsewhere[event.key] = OtherHost(roles=roles, heard=now)
        elif (host := self.elsewhere.get(event.key)) is not None:
            host.online = False

    def leaderless(self) -> str:
        """Return why nobody dispatches, where a task-manager of this host says so itself; empty else."""
        if self.dispatcher is not None:
            return ""
        troubled = (unit for unit in self.units.values() if unit.spec.role == "task-manager" and unit.presence.trouble)
        return next((f"nobody dispatches: {unit.agent_id}: {unit.presence.trouble}" for unit in troubled), "")

    def others(self) -> bool:
        """Return whether the supervisor of another host is there."""
        return any(host.online for host in self.elsewhere.values())

    def host_of(self, agent_id: str) -> str | None:
        """Return the other host on which an agent of that id runs."""
        return next((name for name, host in self.elsewhere.items() if agent_id in host.roles), None)

    def number_elsewhere(self) -> int:
        """Return how many agents run on other hosts."""
        return sum(len(host.roles) for host in self.elsewhere.values())

    def before(self, role: str) -> int:
        """Return how many agents of the role run on the hosts that come before this one in the alphabet."""
        hosts = (host for name, host in self.elsewhere.items() if name < self.host)
        return sum(1 for host in hosts for other in host.roles.values() if canonical_role(other) == role)

    def stood_still(self, now: float) -> None:
        """Nobody could be heard meanwhile: all begin anew."""
        for unit in self.units.values():
            if unit.presence.heard is not None:
                unit.presence.heard = now

    def silent(self, now: float, *, after: float, bus_since: float | None, echo: float | None) -> list[Unit]:
        """The units that live and say nothing, when it is they and not the bus; hosts that say nothing fade."""
        if bus_since is not None:
            gone = [name for name, host in self.elsewhere.items() if now - max(host.heard, bus_since) > FORGOTTEN_AFTER]
            for name in gone:
                del self.elsewhere[name]
        pulses = [
            AgentPulse(agent_id=unit.agent_id, last=max(last, bus_since or 0.0))
            for unit in self.units.values()
            # What a stray is and whether it should speak, nobody knows: what becomes of it is for a person to say.
            if unit.phase is Phase.RUNNING and unit.in_layout and (last := self._last(unit)) is not None
        ]
        found = witness.silent_ones(pulses, now, silent_after=after, bus_since=bus_since, echo=echo)
        return [self.units[agent_id] for agent_id in found]

    @staticmethod
    def _last(unit: Unit) -> float | None:
        """A program of somebody else's that never spoke need not speak."""
        if unit.presence.heard is not None:
            return unit.presence.heard
        return unit.saved.history.started_at if unit.is_own else None

    def judge(self, now: float) -> list[PaneStatus]:
        """Set each unit's witness; rows for those that speak from this host and have no pane here."""
        ids_elsewhere = {agent_id for host in self.elsewhere.values() for agent_id in host.roles}
        for unit in self.units.values():
            unit.witness = witness.judge(self._testimony(unit, ids_elsewhere, now))
        self.foreign_agents = {
            name: one for name, one in self.foreign_agents.items() if now - one.heard < FORGOTTEN_AFTER
        }
        return list(self._foreign(ids_elsewhere))

    def _testimony(self, unit: Unit, ids_elsewhere: set[str], now: float) -> Testimony:
        presence = unit.presence
        recent = {pid for pid, at in presence.pids.items() if now - at < FORGOTTEN_AFTER}
        heard = presence.heard is not None and now - presence.heard < FORGOTTEN_AFTER
        return Testimony(
            pane=unit.pane_id is not None,
            alive=unit.has_process,
            in_layout=unit.in_layout,
            silent=unit.hung,
            heard=bool(recent) or heard,
            pid=unit.saved.pid,
            bus_pids=frozenset(recent) if unit.is_own else frozenset(),
            elsewhere=unit.agent_id in ids_elsewhere,
        )

    def _foreign(self, ids_elsewhere: set[str]) -> Iterable[PaneStatus]:
        for agent_id, one in sorted(self.foreign_agents.items()):
            if one.host == self.host and agent_id not in ids_elsewhere:
                yield PaneStatus(
                    agent_id=agent_id,
                    role=one.role,
                    pid=one.pid,
                    state="online",
                    reason=witness.ADVICE["foreign"],
                    witness="foreign",
                )
