"""The one reducer: every message of the swarm, and the passing of time, become what is true now."""

from collections import deque
from collections.abc import Iterable

from swarm_tui.domain.fleet.agents import Agents
from swarm_tui.domain.fleet.asks import Asks
from swarm_tui.domain.fleet.doubts import Doubts
from swarm_tui.domain.fleet.hosts import Hosts
from swarm_tui.domain.fleet.kept_tasks import MAX_ENDED
from swarm_tui.domain.fleet.mails import Mails, MailView
from swarm_tui.domain.fleet.runs import Runs
from swarm_tui.domain.fleet.task_facts import TaskFacts
from swarm_tui.domain.fleet.tasks import Tasks
from swarm_tui.domain.liveness import PAUSE
from swarm_tui.domain.outcome import came_badly
from swarm_tui.domain.states import ENDED, TaskState
from swarm_tui.domain.usage import DayUsage
from swarm_tui.domain.views import AlertView, Changes, Counts, DispatcherView, HostView, ScaleView
from swarm_tui.protocol import bodies
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.proof import SWARM
from swarm_tui.protocol.rows import AskRow, MailRow, RunRow, TaskRow
from swarm_tui.protocol.run_bodies import RunStarted
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind
from swarm_tui.protocol.versions import OTHER_VERSION

MAX_REFUSALS = 200
MAX_ALERTS = 500
ALERT_LIFE = 900.0
"""Seconds after which an alert that nobody repeats is no longer shown."""
_HOLDS = frozenset({TaskState.ASSIGNED, TaskState.RUNNING})


NOT_YET = "not connected yet"
"""Why there is no broker before anything was heard of the connection."""


class Fleet:
    """The knowledge of one swarm. Feed it with `apply`, `tick`, `link` and `load`; read its attributes.

    All text that is meant for people is safe to show, but for the payloads and results of tasks, which stay as they
    came. Not thread-safe: one thread feeds and reads, or the caller locks. `kept` is how many tasks it keeps that ended
    over an hour ago.
    """

    def __init__(self, swarm: str, *, kept: int = MAX_ENDED) -> None:
        self.swarm = swarm
        self.guarded = False
        """Words are proved to us here: the dispatcher's own was."""
        self._doubts = Doubts()
        self.broker_up = False
        self.broker_reason = NOT_YET
        self.was_linked = False
        """True once our own connection was up."""
        self.link_changed: float | None = None
        """When it last came or went."""
        self.dispatcher: DispatcherView | None = None
        self.halted: str | None = None
        self.alerts: dict[str, AlertView] = {}
        self.scale: dict[str, ScaleView] = {}
        self.counts = Counts()
        self.refusals: deque[Rejected] = deque(maxlen=MAX_REFUSALS)
        self.rate = 0.0
        """Messages a second, over the last ticks."""
        self._agents = Agents()
        self._hosts = Hosts(self._agents)
        self._tasks = Tasks(self._moved, kept)
        self._runs = Runs()
        self._mails = Mails()
        self.asks = Asks()
        self.usage_today: DayUsage | None = None
        """What the dispatcher said last of the day's usage."""
        self.agents = self._agents.all
        self.hosts: dict[str, HostView] = self._hosts.all
        self.tasks = self._tasks.all
        self.runs = self._runs.all
        self._listening_since = 0.0
        self._ticked: float | None = None
        self._counted = 0
        self._touched: set[str] = set()

    @property
    def mails(self) -> dict[str, MailView]:
        """Return the messages between agents and people, the newest last."""
        return self._mails.all

    def parts(self) -> tuple[Agents, Hosts, Tasks]:
        """Return the keepers of agents, hosts and tasks, for a snapshot."""
        return self._agents, self._hosts, self._tasks

    def times(self) -> tuple[float, float | None, int]:
        """Return since when it listens, when it last ticked, and how many messages it had counted then."""
        return self._listening_since, self._ticked, self._counted

    def set_times(self, since: float, ticked: float | None, counted: int) -> None:
        """Take what another fleet's `times` gave."""
        self._listening_since, self._ticked, self._counted = since, ticked, counted

    @property
    def by_state(self) -> dict[TaskState, dict[str, None]]:
        """Return task ids by state, kept as tasks move; each in the order in which they came to that state."""
        return self._tasks.by_state

    def counts_by_state(self) -> dict[TaskState, int]:
        """Return how many tasks are in each state, or ended in it and were forgotten since."""
        return {state: len(ids) + self._tasks.ended.past[state] for state, ids in self.by_state.items()}

    @property
    def came_badly(self) -> int:
        """Return how many of the complete tasks came out badly by their own verdict."""
        return self._tasks.came_badly

    @property
    def common_silence(self) -> str | None:
        """Return a sentence, while all agents are silent together: the broker's gap or ours, not theirs."""
        return self._agents.common_silence

    def minder(self, agent_id: str) -> str | None:
        """Return the host whose supervisor has the agent in hand; None for one that was started by hand."""
        agent = self.agents.get(agent_id)
        return None if agent is None or agent.stranger or agent.pane is None else agent.pane.host

    @property
    def dropped_tasks(self) -> int:
        """Return how many tasks were forgotten to stay within the bounds."""
        return self._tasks.dropped

    def apply(self, event: Event | Rejected, now: float) -> Changes:
        """Take one message; `now` is seconds since the epoch. Returns what it touched. Never raises."""
        counts = self.counts
        counts.received += 1
        if isinstance(event, Rejected):
            counts.refused += 1
            self.refusals.append(event)
            if event.hint:
                # One for all: whoever forges may name whom they like.
                self._stand(AlertView(name=OTHER_VERSION, severity="warning", message=event.hint, since=now, seen=now))
            return Changes(header=True)
        kind = event.kind
        counts.kinds[kind] = counts.kinds.get(kind, 0) + 1
        if event.warnings:
            counts.warned += 1
        self.guarded = self.guarded or event.proved_by == SWARM
        if self.guarded and not event.proved_by and (why := self._doubts.why_not(event, self)):
            return self._refuse(event, why)
        agents = (self._hosts if kind is Kind.HOST_STATUS else self._agents).apply(event, now)
        changes = Changes(agents=agents, header=bool(agents))
        body = event.body
        if kind is Kind.HALT:
            self.halted = None
            if isinstance(body, bodies.Halt) and not body.lifted:
                self.halted = clean(body.reason, 300) or "no reason given"
        elif kind is Kind.DISPATCHER:
            self._lead(event, now)
        elif kind is Kind.ALERT and isinstance(body, bodies.Alert):
            self._alert(event, body, now)
        elif kind is Kind.SCALE:
            self._wish(event)
        elif kind in (Kind.ASK, Kind.ASK_RECORDED):
            return self._asked(changes, [self.asks.apply(event)])
        else:
            return self._task(event, changes)
        changes.header = True
        return changes

    def _refuse(self, event: Event, why: str) -> Changes:
        """Let what was heard count for nothing."""
        refused = Rejected(
            topic=event.topic, reason=why, first="", received=event.received, who=event.sender, unproved=True
        )
        self.counts.refused += 1
        self.refusals.append(refused)
        return Changes(header=True, refused=refused)

    def _asked(self, changes: Changes, rows: Iterable[AskRow | None]) -> Changes:
        """Tell of asks that came or went: their tasks and agents look different."""
        for row in rows:
            if row is not None:
                changes.header = True
                changes.agents |= {row.agent_id} & self.agents.keys()
                changes.tasks |= {row.task_id} & self.tasks.keys()
        return changes

    @property
    def usage_told(self) -> int:
        """Return how often usage was told of: the day's sum is another one then."""
        return self._tasks.usage_told

    def load_asks(self, rows: list[AskRow]) -> Changes:
        """Merge what waits for an answer, as the dispatcher told it."""
        return self._asked(Changes(), self.asks.load(rows))

    def _task(self, event: Event, changes: Changes) -> Changes:
        self._touched = changes.agents
        if (run_id := self._runs.apply(event)) is not None:
            changes.runs.add(run_id)
            changes.header = True
            if isinstance(event.body, RunStarted):
                changes.tasks |= self._tasks.blocked(event, event.body)
                self._steps(changes.tasks)
            return changes
        if (mail := self._mails.apply(event)) is not None:
            return self._written(changes, [mail])
        for each in [event, *self._doubts.take(event)]:
            task_id = self._tasks.apply(each)
            if task_id is not None:
                changes.tasks.add(task_id)
                changes.runs |= self._steps({task_id})
                changes.header = True
            elif each.kind is Kind.ASK:
                self._asked(changes, [self.asks.apply(each)])
        # Those that are kept no more are gone from every list too.
        changes.tasks |= self._tasks.take_forgotten()
        return changes

    def _written(self, changes: Changes, mails: Iterable[MailView]) -> Changes:
        """Tell of mail that came or moved: its parties look different."""
        for mail in mails:
            changes.mails.add(mail.message_id)
            parties = {mail.sender.removeprefix("guest "), mail.to, *mail.receipts}
            changes.agents |= parties & self.agents.keys()
        return changes

    def load_mails(self, rows: list[MailRow]) -> Changes:
        """Take what the dispatcher has of mail."""
        return self._written(Changes(), self._mails.load(rows))

    def _steps(self, task_ids: set[str]) -> set[str]:
        """Let the runs know how their steps' tasks are. Returns the runs that this touches."""
        touched = set()
        for task_id in task_ids:
            task = self.tasks.get(task_id) if "." in task_id else None
            if task is not None and (run_id := self._runs.task_moved(task_id, task.state, task.updated_at)) is not None:
                touched.add(run_id)
        return touched

    def _moved(self, task: TaskFacts, before: TaskState | None, holder: str | None) -> None:
        """Keep what agents hold, and how much each has done, in step with the tasks."""
        held = self._agents.held
        if holder is not None and (task.state not in _HOLDS or task.agent_id != holder):
            held.get(holder, set()).discard(task.task_id)
            self._busy(holder)
        if task.agent_id is None:
            return
        if task.state in _HOLDS:
            held.setdefault(task.agent_id, set()).add(task.task_id)
        elif task.state in ENDED and before not in ENDED and task.agent_id in self.agents:
            agent = self.agents[task.agent_id]
            if task.state is TaskState.COMPLETE:
                agent.done += 1
                agent.badly += came_badly(task)
            elif task.state in (TaskState.FAILED, TaskState.DEAD):
                agent.failed += 1
        self._busy(task.agent_id)

    def _busy(self, agent_id: str) -> None:
        agent = self.agents.get(agent_id)
        if agent is not None:
            agent.task_id = next(iter(agent.tasks), None)
            agent.active = len(agent.tasks)
            self._touched.add(agent_id)

    def _lead(self, event: Event, now: float) -> None:
        body, known = event.body, self.dispatcher
        if not isinstance(body, bodies.Dispatcher):
            self.dispatcher = None
            return
        instance = clean(body.instance, 128)
        if known is not None and body.epoch < known.epoch and (known.online or not body.online):
            return
        since = known.since if known and known.instance == instance and known.online == body.online else now
        self.dispatcher = DispatcherView(
            instance=instance,
            epoch=body.epoch,
            online=body.online,
            agent_id=body.agent_id or (known.agent_id if known and known.instance == instance else None),
            since=since,
        )

    def _alert(self, event: Event, body: bodies.Alert, now: float) -> None:
        message = clean(body.message, 500)
        name = clean(body.name or f"{body.agent_id or body.task_id or event.sender}: {message}", 200)
        known = self.alerts.get(name)
        if known is not None and not _may_change(event, known):
            name = clean(f"{event.sender}: {name}", 200)
            known = self.alerts.get(name)
        if not body.active:
            self.alerts.pop(name, None)
            return
        self._stand(
            AlertView(
                name=name,
                severity=clean(body.severity, 32),
                message=message,
                since=now,
                agent_id=body.agent_id,
                task_id=body.task_id,
                seen=now,
                by=event.proved_by,
            )
        )

    def _stand(self, alert: AlertView) -> None:
        """Let an alert stand in place of the one of its name."""
        known = self.alerts.get(alert.name)
        if known is not None:
            alert.since = known.since
        elif len(self.alerts) >= MAX_ALERTS:
            del self.alerts[next(iter(self.alerts))]
        self.alerts[alert.name] = alert

    def _wish(self, event: Event) -> None:
        role, body = clean(event.key, 64), event.body
        if not isinstance(body, bodies.Scale):
            self.scale.pop(role, None)
        elif role in self.scale or len(self.scale) < 1000:
            self.scale[role] = ScaleView(
                role=role, desired=body.desired, reason=clean(body.reason, 300), by=event.sender, since=event.received
            )

    def tick(self, now: float) -> Changes:
        """Let time pass; call it about once a second. Returns what changed by it."""
        if self._ticked is not None and not -PAUSE < now - self._ticked < PAUSE:
            self._listening_since = now
        passed = now - self._ticked if self._ticked is not None else 0.0
        if self._ticked is None:
            self._counted = self.counts.received
        elif passed > 0:
            self.rate += min(1.0, passed / 3) * ((self.counts.received - self._counted) / passed - self.rate)
            self._counted = self.counts.received
        self._ticked = now
        silent = self.common_silence
        agents = self._agents.tick(now, self._listening_since, self.broker_up)
        stale = [name for name, alert in self.alerts.items() if now - alert.seen > ALERT_LIFE]
        for name in stale:
            del self.alerts[name]
        changes = Changes(agents=agents, header=bool(agents or stale or silent != self.common_silence))
        return self._asked(changes, self.asks.tick(now))

    def link(self, up: bool, reason: str, now: float) -> Changes:
        """Take in that our own connection came or went: while it is down nobody's silence counts."""
        if up and not self.broker_up:
            self._listening_since = now
        if up != self.broker_up or self.link_changed is None:
            self.link_changed = now
        self.was_linked |= up
        self.broker_up, self.broker_reason = up, clean(reason, 300)
        return Changes(header=True)

    def load(self, rows: list[TaskRow], now: float) -> Changes:
        """Merge the past, as a query answered it; facts already known that are newer stay."""
        self._touched = set()
        tasks = self._tasks.load(rows, now) | self._tasks.take_forgotten()
        return Changes(tasks=tasks, agents=self._touched, runs=self._steps(tasks), header=bool(tasks))

    def load_runs(self, rows: list[RunRow]) -> Changes:
        """Take what the dispatcher has of runs."""
        return Changes(runs=self._runs.load(rows, self.tasks), header=bool(rows))


def _may_change(event: Event, alert: AlertView) -> bool:
    """Return whether an alert is replaced or ended by who says so: by whoever raised it, and by the swarm itself."""
    return event.proved_by in (alert.by, SWARM)
