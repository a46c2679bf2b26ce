"""The task-manager role: a thread that leads the swarm's tasks over a connection and a journal of its own."""

import queue
import random
import sqlite3
import threading
import time
import uuid
from pathlib import Path

import msgspec

from swarm_tui.agent.roles.port import RoleLink
from swarm_tui.agent.roles.task_manager.engine import Clocks, Engine
from swarm_tui.agent.roles.task_manager.shell import DispatcherShell, Inbound, MakeBus
from swarm_tui.agent.roles.task_manager.turn_scheduler import TurnScheduler
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import BusError, Link
from swarm_tui.client.dispatcher import dispatcher_way, take_former_session
from swarm_tui.client.ids import new_id
from swarm_tui.config.model import RunSpec, ScheduleEntry
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.dispatch.model import DispatchSettings, TypePolicy
from swarm_tui.domain.leadership import Leadership
from swarm_tui.domain.usage import Budget
from swarm_tui.domain.workflows.model import Workflow
from swarm_tui.domain.workflows.schedule import Schedule
from swarm_tui.identity.keyring import GUEST
from swarm_tui.identity.open import open_swarm
from swarm_tui.journal.db import JournalInUseError
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol.client_ids import dispatcher_client_id
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.names import COMPANIONS, NOT_IDEMPOTENT, ROLE_TYPES, type_matches
from swarm_tui.protocol.topics import Kind

#: Seconds between two looks whether the journal is free.
STAND_BY = 1.0


class TaskManager:
    """The role's service. `make_bus(client id, clean)` makes a connection; by default a real one."""

    def __init__(self, spec: RunSpec, link: RoleLink, make_bus: MakeBus | None = None) -> None:
        self.spec = spec
        self.link = link
        self._complaint = ""
        self._asked_to = StateDir(Path(spec.state_dir)).take_over
        self._takes_over = link.take_over
        self.shell: DispatcherShell | None = None
        """None until the journal is ours."""
        self._has_real_bus = make_bus is None
        self._make_bus = make_bus or (lambda name, clean: MqttBus(dispatcher_way(spec), name, clean=clean))
        self._inbound: queue.SimpleQueue[Inbound] = queue.SimpleQueue()
        self._came = threading.Event()
        self._stopping = threading.Event()
        self._turn_scheduler: TurnScheduler | None = None
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    @property
    def complaint(self) -> str:
        """Why it does not dispatch now; empty while it does, or another does."""
        refused = self.shell.engine.troubled if self.shell is not None else None
        if refused is None:
            return self._complaint
        path = StateDir(Path(self.spec.state_dir)).dispatch
        todo = ": make room on that disk" if "full" in refused else ""
        return f"nothing is accepted, its journal {path} cannot be written: {refused}{todo}"

    @property
    def leading(self) -> bool:
        """True while it gives tasks away."""
        return self.shell is not None and self.shell.leading

    @property
    def epoch(self) -> int:
        """0 until it is its turn."""
        return 0 if self.shell is None else self.shell.leadership.epoch

    # RoleService

    def start(self) -> None:
        """Begin, on a thread of its own."""
        self._thread.start()

    def on_event(self, event: Event | Rejected) -> None:
        """Hear who leads: a rival takes our own connection's client id, so that only the agent's hears of it."""
        if isinstance(event, Event) and event.kind is Kind.DISPATCHER:
            self._put(event)

    def on_link(self, link: Link) -> None:
        """The agent's own connection; see on_event."""

    def tick(self, now: float) -> None:
        """The dispatcher's thread keeps its own time."""

    def close(self) -> None:
        """Stop leading; the retained `dispatcher` says whether anything is open."""
        self._stopping.set()
        self._wake(surely=True)
        if self._thread.ident is not None:
            self._thread.join(5.0)

    def _put(self, item: Inbound) -> None:
        self._inbound.put(item)
        self._wake(surely=isinstance(item, Link))

    def _wake(self, *, surely: bool) -> None:
        self._came.set()
        if self._turn_scheduler is not None:
            self._turn_scheduler.nudge(surely=surely)

    # The dispatcher's thread, and while it leads its bus's.

    def _run(self) -> None:
        try:
            journal = self._open_journal()
            if journal is None:
                return
            try:
                self._live(journal)
            finally:
                journal.close()
        except Exception as error:  # noqa: BLE001 - a dispatcher that cannot go on must end, not hang
            self.link.log(f"the dispatcher failed: {type(error).__name__}: {error}")
            self.link.leave(f"the dispatcher failed: {error}")

    def _live(self, journal: Journal) -> None:
        shell = self.shell = self._make_shell(journal)
        try:
            shell.begin()
            wait: float | None = 0.0
            while wait is not None and not shell.leading and not self._stopping.is_set():
                self._came.wait(wait)
                self._came.clear()
                wait = shell.work()
                if wait is not None and not self._takes_over and self._asked_to.exists():
                    self._takes_over = True
                    shell.take_over()
                    wait = 0.0
            if shell.leading:
                self._asked_to.unlink(missing_ok=True)
            if shell.leading and shell.bus is not None:
                self._turn_scheduler = TurnScheduler(shell.bus, lambda: shell.work(last=self._stopping.is_set()))
                self._turn_scheduler.run()
        finally:
            shell.end()

    def _open_journal(self) -> Journal | None:
        """The journal, as soon as no other process has it and it is this host's; None when told to stop meanwhile."""
        path = StateDir(Path(self.spec.state_dir)).dispatch
        said = ""
        while True:
            try:
                journal = Journal(path)
                self._takes_over = self.link.take_over or self._asked_to.exists()
                reason = journal.bind(self.spec.broker.url, self.spec.host, take_over=self._takes_over)
                self._complaint = f"it does not dispatch: {reason}" if reason else ""
                if reason is None:
                    return journal
                journal.close()
            except JournalInUseError as error:
                reason, self._complaint = str(error), ""  # Another one here leads: standing by is its part.
            except sqlite3.Error as error:
                reason = str(error)
                self._complaint = f"it does not dispatch: {reason}"
            if reason != said:
                said = reason
                self.link.log(f"standing by: {reason}")
            if self._stopping.wait(STAND_BY):
                return None

    def _make_shell(self, journal: Journal) -> DispatcherShell:
        spec, clocks = self.spec, Clocks(time.monotonic, time.time, random.random)
        # One that was started by hand is named by no layout, and must hear its own word.
        own = frozenset({*spec.own, spec.agent_id})
        keys = open_swarm(StateDir(Path(spec.state_dir)), "swarm", guests=spec.policy.guests, own=own) or GUEST
        settings = msgspec.structs.replace(settings_of(spec), proved=keys is not GUEST)
        writer = Writer(spec.swarm, spec.agent_id, spec.role, new_id=new_id, clock=time.time, prove=keys.prove)
        leadership = Leadership(
            f"{spec.host}/{uuid.uuid4().hex[:12]}",
            spec.agent_id,
            written=int(journal.meta("epoch") or 0),
            take_over=self._takes_over,
            new_marker=lambda: uuid.uuid4().hex,
            now=time.monotonic(),
        )
        return DispatcherShell(
            spec,
            Engine(settings, journal, writer, clocks, log=self.link.log),
            leadership,
            clocks,
            self._make_bus,
            new_id=new_id,
            log=self.link.log,
            leave=self.link.leave,
            complain=self._complain,
            inbound=self._inbound,
            put=self._put,
            keys=keys,
            before_session=lambda: self._take_former_session(journal),
        )

    def _take_former_session(self, journal: Journal) -> None:
        """Once for each journal of a version whose session had another name: take what the broker holds in it."""
        if not self._has_real_bus or journal.meta("session") is not None:
            return
        try:
            moved = take_former_session(self.spec) if journal.meta("epoch") else 0
        except BusError as error:
            self.link.log(f"what waits in the session of an older version cannot be taken now: {error}")
            return
        journal.set_meta("session", dispatcher_client_id(self.spec.swarm))
        if moved:
            self.link.log(f"{moved} messages waited for an older version, and are taken")

    def _complain(self, sentence: str) -> None:
        self._complaint = sentence


def settings_of(spec: RunSpec) -> DispatchSettings:
    """Return what the layout says to the dispatcher; without any types, the roles' own."""
    approve = spec.policy.approve
    rules = {
        name: TypePolicy(
            roles=tuple(rule.roles),
            agents=tuple(rule.agents),
            timeout=rule.timeout,
            max_attempts=rule.max_attempts,
            idempotent=rule.idempotent,
            approve=rule.approve or any(type_matches(pattern, name) for pattern in approve),
            keyless=tuple(rule.keyless),
        )
        for name, rule in spec.types.items()
    }
    if not rules:
        rules = _plain_rules(approve)
    return DispatchSettings(
        rules=rules,
        approve=tuple(approve),
        scale=dict(spec.scale),
        schedules=tuple(_schedule(entry) for entry in spec.schedules),
        approvers=spec.policy.approve_by,
        approve_within=spec.policy.approve_within,
        ask_within=spec.policy.ask_within,
        merge_checks=None if spec.policy.merge_checks is None else tuple(spec.policy.merge_checks),
        budget=_budget(spec),
        costly=frozenset(name for name in {*rules, *COSTLY} if _costs(spec, name)),
        max_open=spec.policy.max_open_tasks,
        scale_every=spec.policy.scale_every,
        scale_down_after=spec.policy.scale_down_after,
        scale_down_every=spec.policy.scale_down_every,
        agents=frozenset(spec.own),
    )


def _schedule(entry: ScheduleEntry) -> Schedule:
    return Schedule(
        name=entry.name,
        cron=entry.cron,
        timezone=entry.timezone,
        type=entry.type,
        workflow=entry.workflow if isinstance(entry.workflow, Workflow) else None,
        payload=entry.payload,
        overlap=entry.overlap,
        missed=entry.missed,
    )


#: Handlers that ask a model, and so cost money.
COSTLY = frozenset({"agent-cli", "code.generate", "code.plan", "llm"})


def _budget(spec: RunSpec) -> Budget | None:
    """Return the layout's budget; None where it sets none."""
    given = spec.policy.budget
    return Budget(task=given.task, day=given.day, month=given.month) if given != type(given)() else None


def _costs(spec: RunSpec, name: str) -> bool:
    """Return whether tasks of the type cost money, by the handlers that the layout gives it."""
    known = spec.doers.get(name) or [spec.handlers.get(name)]
    used = [(one.use or name, one.options) if one is not None else (name, {}) for one in known]
    return any(use in COSTLY or "llm" in options or "cli" in options for use, options in used)


def _plain_rules(approve: list[str]) -> dict[str, TypePolicy]:
    owners: dict[str, list[str]] = {}
    for role, types in ROLE_TYPES.items():
        for name in types:
            owners.setdefault(name, []).append(role)
    owners["noop"] = list(ROLE_TYPES)
    for name, others in COMPANIONS.items():
        owners |= {other: owners[name] for other in others if name in owners}
    return {
        name: TypePolicy(
            roles=tuple(roles),
            idempotent=not any(type_matches(pattern, name) for pattern in NOT_IDEMPOTENT),
            approve=any(type_matches(pattern, name) for pattern in approve),
        )
        for name, roles in owners.items()
    }
