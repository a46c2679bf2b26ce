"""Warnings about a swarm: rules over the fleet and its recent past, and when to raise, repeat and clear them."""

from collections import deque
from collections.abc import Callable, Iterator

from msgspec import Struct

from swarm_tui.domain.fleet import Changes, Fleet
from swarm_tui.domain.states import ENDED, AgentState, TaskState
from swarm_tui.protocol.bodies import Alert
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind

REPEAT_EVERY = 300.0
CLEAR_AFTER = 15.0
MAX_STANDING = 200


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds beyond which the rules warn. Times are seconds."""

    queue_age: float = 300.0
    """A task has waited this long for an agent."""
    failure_window: float = 600.0
    failure_least: int = 5
    failure_share: float = 0.5
    """Of the tasks that ended within the window, at least `failure_least`, this share failed."""
    restart_window: float = 120.0
    restart_each: int = 3
    restart_all: int = 6
    """Restarts within the window, of one agent and of all together."""
    clock_skew: float = 10.0
    refused_window: float = 60.0
    refused_least: int = 20
    dispatcher_away: float = 30.0


class Past:
    """The last minutes as the rules remember them; fed with each message, bounded by its windows."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.ends: deque[tuple[float, bool]] = deque(maxlen=10_000)
        """When a task ended, and whether it failed."""
        self.restarts: deque[tuple[float, str]] = deque(maxlen=10_000)
        self.refused: deque[tuple[float, str]] = deque(maxlen=1_000)
        self.skew: dict[str, float] = {}
        """Agent id to how far its clock is ahead of ours, as its last heartbeat shows."""
        self._ended: set[str] = set()
        self._counted: dict[str, int] = {}

    def note(self, fleet: Fleet, event: Event | Rejected, changes: Changes, now: float) -> None:
        """Take one message after the fleet has."""
        if isinstance(event, Rejected):
            self.refused.append((now, event.topic))
            return
        if event.kind is Kind.HEARTBEAT and not event.retained:
            self.skew[event.sender] = event.at - event.received
        for task_id in changes.tasks:
            self._end(fleet, task_id, now)
        if event.kind is Kind.HOST_STATUS:
            for agent_id in changes.agents:
                self._restart(fleet, agent_id, now)

    def _end(self, fleet: Fleet, task_id: str, now: float) -> None:
        task = fleet.tasks.get(task_id)
        if task is None or task.state not in ENDED:
            self._ended.discard(task_id)
        elif task_id not in self._ended:
            self._ended.add(task_id)
            if task.state is not TaskState.CANCELLED:
                self.ends.append((now, task.state is not TaskState.COMPLETE))

    def _restart(self, fleet: Fleet, agent_id: str, now: float) -> None:
        agent = fleet.agents.get(agent_id)
        if agent is None:
            return
        more = agent.restarts - self._counted.get(agent_id, agent.restarts)
        self._counted[agent_id] = agent.restarts
        self.restarts.extend([(now, agent_id)] * max(0, min(more, 100)))

    def forget(self, fleet: Fleet, now: float) -> None:
        """Let go of what is older than its window."""
        limits = self.limits
        for kept, window in (
            (self.ends, limits.failure_window),
            (self.restarts, limits.restart_window),
            (self.refused, limits.refused_window),
        ):
            while kept and now - kept[0][0] > window:
                kept.popleft()
        self._ended &= fleet.tasks.keys()
        for gone in [agent_id for agent_id in self.skew if agent_id not in fleet.agents]:
            del self.skew[gone]
        for gone in [agent_id for agent_id in self._counted if agent_id not in fleet.agents]:
            del self._counted[gone]


def findings(fleet: Fleet, past: Past, now: float) -> dict[str, Alert]:
    """Return everything that is to be warned of now, by the alert's name."""
    rules: tuple[Callable[[Fleet, Past, float], Iterator[Alert]], ...] = (
        _silence, _agents, _queue, _failures, _restarts, _clocks, _refusals, _dispatcher,
    )  # fmt: skip
    return {str(alert.name): alert for rule in rules for alert in rule(fleet, past, now)}


def _silence(fleet: Fleet, past: Past, now: float) -> Iterator[Alert]:
    if fleet.common_silence is not None:
        yield Alert(name="silence", severity="critical", message=fleet.common_silence)


_BAD = {
    AgentState.LOST: "critical",
    AgentState.HUNG: "critical",
    AgentState.CRASHLOOP: "critical",
    AgentState.SUSPECT: "warning",
}


def _agents(fleet: Fleet, past: Past, now: float) -> Iterator[Alert]:
    for agent in fleet.agents.values():
        severity = _BAD.get(agent.state)
        vanished = agent.vanished and agent.state is AgentState.OFFLINE
        if severity is not None or vanished:
            severity = severity or "critical"
            # The reason counts seconds: said here it would make each repeat another alert.
            message = f"{agent.agent_id} " + ("vanished without a farewell" if vanished else f"is {agent.state.value}")
            yield Alert(name=f"agent:{agent.agent_id}", severity=severity, message=message, agent_id=agent.agent_id)
        if agent.witness == "split":
            message = f"two processes speak as {agent.agent_id}"
            yield Alert(name=f"split:{agent.agent_id}", severity="critical", message=message, agent_id=agent.agent_id)


def _queue(fleet: Fleet, past: Past, now: float) -> Iterator[Alert]:
    # They wait in the order in which they came to the state, so the first is the one that waits longest.
    oldest = next(iter(fleet.by_state[TaskState.QUEUED]), None)
    if oldest is None or fleet.halted is not None:
        return
    task = fleet.tasks[oldest]
    waited = now - task.updated_at
    if waited > past.limits.queue_age:
        count = len(fleet.by_state[TaskState.QUEUED])
        message = f"{count} tasks wait, the oldest ({task.type} {oldest}) for over {past.limits.queue_age:.0f} s"
        yield Alert(name="queue-age", severity="warning", message=message, task_id=oldest)


def _failures(fleet: Fleet, past: Past, now: float) -> Iterator[Alert]:
    limits, total = past.limits, len(past.ends)
    failed = sum(bad for _, bad in past.ends)
    if total >= limits.failure_least and failed >= limits.failure_share * total:
        minutes = limits.failure_window / 60
        message = f"{failed} of the {total} tasks that ended in the last {minutes:.0f} minutes failed"
        yield Alert(name="failure-rate", severity="warning", message=message)


def _restarts(fleet: Fleet, past: Past, now: float) -> Iterator[Alert]:
    limits = past.limits
    count: dict[str, int] = {}
    for _, agent_id in past.restarts:
        count[agent_id] = count.get(agent_id, 0) + 1
    if len(past.restarts) >= limits.restart_all:
        of = f"{len(count)} agent{'' if len(count) == 1 else 's'}"
        message = f"{len(past.restarts)} restarts of {of} within {limits.restart_window:.0f} s"
        yield Alert(name="restart-storm", severity="critical", message=message)
    for agent_id, times in count.items():
        if times >= limits.restart_each:
            message = f"{agent_id} restarted {times} times within {limits.restart_window:.0f} s"
            yield Alert(name=f"restarts:{agent_id}", severity="warning", message=message, agent_id=agent_id)


def _clocks(fleet: Fleet, past: Past, now: float) -> Iterator[Alert]:
    for agent_id, ahead in past.skew.items():
        if abs(ahead) > past.limits.clock_skew:
            where = "ahead of" if ahead > 0 else "behind"
            message = f"the clock of {agent_id} is {abs(ahead):.0f} s {where} ours"
            yield Alert(name=f"clock:{agent_id}", severity="warning", message=message, agent_id=agent_id)


def _refusals(fleet: Fleet, past: Past, now: float) -> Iterator[Alert]:
    if len(past.refused) >= past.limits.refused_least:
        message = f"{len(past.refused)} refused messages within {past.limits.refused_window:.0f} s, the last on "
        yield Alert(name="refused", severity="warning", message=message + past.refused[-1][1])


def _dispatcher(fleet: Fleet, past: Past, now: float) -> Iterator[Alert]:
    leader = fleet.dispatcher
    if leader is not None and not leader.online and now - leader.since > past.limits.dispatcher_away:
        who = leader.agent_id or leader.instance
        message = f"the dispatcher {who} has been away for over {past.limits.dispatcher_away:.0f} s: tasks wait"
        yield Alert(name="dispatcher", severity="critical", message=message)


class _Standing(Struct):
    alert: Alert
    said: float
    found: float


class Alarm:
    """Turns findings into what is said: raised once, repeated now and then, cleared when gone for a while."""

    def __init__(self) -> None:
        self._standing: dict[str, _Standing] = {}

    def now(self) -> list[Alert]:
        """Return the alerts that stand."""
        return [standing.alert for standing in self._standing.values()]

    def step(self, found: dict[str, Alert], now: float) -> list[Alert]:
        """Return what is to be published now: each alert that is new, due again, or over."""
        say = []
        for name, alert in found.items():
            known = self._standing.get(name)
            if known is None and len(self._standing) >= MAX_STANDING:
                continue
            worse = known is None or known.alert.severity != alert.severity
            if known is None or worse or now - known.said >= REPEAT_EVERY:
                self._standing[name] = _Standing(alert, now, now)
                say.append(alert)
            else:
                known.alert, known.found = alert, now
        for name, known in list(self._standing.items()):
            if name not in found and now - known.found >= CLEAR_AFTER:
                del self._standing[name]
                say.append(_over(known.alert))
        return say

    def clear_all(self) -> list[Alert]:
        """Return the words that end every alert: nobody watches any more."""
        over = [_over(alert) for alert in self.now()]
        self._standing.clear()
        return over


def _over(alert: Alert) -> Alert:
    return Alert(
        name=alert.name, severity="info", active=False, message=f"over: {alert.message}",
        agent_id=alert.agent_id, task_id=alert.task_id,
    )  # fmt: skip
