"""The dispatcher's engine: hear a batch, decide, journal it in one transaction, then give out what is to be said."""

import gc
import math
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec
from msgspec import Struct

from swarm_tui.agent.roles.task_manager.recollection import MERGES, recall, recall_merges
from swarm_tui.bus.port import OnAck
from swarm_tui.domain.dispatch.core import ACTS, forget, lead, restore, step
from swarm_tui.domain.dispatch.metering import take_in_all
from swarm_tui.domain.dispatch.model import (
    Action,
    DispatchSettings,
    Job,
    LinkDown,
    LinkUp,
    Moment,
    Note,
    Refuse,
    Revoked,
    Save,
    SaveMail,
    SaveMerges,
    SaveRun,
    SaveSchedule,
    Say,
    State,
    Tick,
)
from swarm_tui.domain.mail.model import Mail
from swarm_tui.domain.states import GIVEN
from swarm_tui.domain.workflows.run import Run
from swarm_tui.domain.workflows.schedule import ScheduleRecord
from swarm_tui.journal.db import LED_BY
from swarm_tui.journal.dispatch import AT_ONCE, KEEP_TASKS, Journal, OutboxRow
from swarm_tui.protocol.bodies import Alert, Halt, Inbox
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.topics import Kind

Heard = Event | Tick | LinkUp | LinkDown | Revoked
#: A message to be published now, and what to call when the broker has it.
Letter = tuple[Outgoing, OnAck | None]
#: Seconds that a lazy write, or an outbox row the broker has taken, may wait for company.
LAZY, LAZY_SENT = 0.25, 1.0
#: Seconds that tasks' ends and their acks are kept back, to be written and said together; and how many are.
ENDS, MANY_ENDS = 0.05, 16
#: Seconds between two looks for tasks to forget, and while there are too many for one.
PRUNE_EVERY, PRUNE_ON = 60.0, 1.0
MANY = 1000
#: Outbox rows that are removed together; numbers of tasks that are kept together.
MANY_SENT, SEQ_AHEAD = 50, 1000
JOURNAL_ALERT = "journal"
#: What people order, and what of it stands.
_ORDERS = frozenset({*ACTS, Kind.HALT, Kind.SCALE})
_encode_json = msgspec.json.Encoder().encode
#: How the names begin under which the journal keeps the schedules' records.
_SCHEDULE = "schedule:"
_decode_schedule = msgspec.json.Decoder(ScheduleRecord).decode
_decode_orders = msgspec.json.Decoder(tuple[dict[str, float], dict[str, tuple[str, float]]]).decode


class Clocks(Struct, frozen=True):
    """The time and the chance of one dispatcher: `monotonic` and `wall` in seconds, `chance` uniform in [0, 1)."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]
    chance: Callable[[], float]


class _Taken(Struct, frozen=True, gc=False):
    """Notes that the broker has an outbox row; called on the bus's thread, where a deque's append is atomic."""

    sent: deque[int]
    row: int

    def __call__(self) -> None:
        self.sent.append(self.row)


class Engine:
    """A dispatcher's state and journal; it returns what is to be said, written down first. Used by one thread."""

    def __init__(
        self,
        settings: DispatchSettings,
        journal: Journal,
        writer: Writer,
        clocks: Clocks,
        *,
        log: Callable[[str], None],
    ) -> None:
        self.journal = journal
        self.writer = writer
        self.state = State(settings=settings, me=writer.sender)
        self.troubled: str | None = None
        """Why the journal cannot be written now; nothing is said until it can."""
        self.refused: list[Refuse] = []
        """What was heard and counts for nothing, since whoever looks took it away."""
        self._log = log
        self._clocks = clocks
        self._jobs: dict[str, Job] = {}
        self._runs: dict[str, Run] = {}
        self._mails: dict[str, Mail] = {}
        self._says: list[Say] = []
        self._meta: dict[str, str] = {}
        self._urgent = False
        self._write_by: float | None = None
        self._ended: dict[str, Job] = {}
        self._acks: list[Say] = []
        self._ends_by: float | None = None
        """When ends are written at the latest, and then their agents told."""
        self._sent: deque[int] = deque()
        self._pruned = 0.0
        self._forgot = 0.0
        self._seq_kept = 0
        self._offered = (0.0, -math.inf)
        """When the last offer was said, and the time it bears."""

    def moment(self) -> Moment:
        """Return now."""
        clocks = self._clocks
        return Moment(clocks.monotonic(), clocks.wall(), clocks.chance)

    def restore(self) -> None:
        """Take up what the journal holds. Raises sqlite3.Error."""
        # A hundred thousand tasks are no garbage: the collector need not walk them again and again.
        gc.disable()
        try:
            runs, jobs = self.journal.runs.open(), self.journal.open_jobs()
            known = {job.task_id for job in jobs}
            # What ended of an open run is referred to by what did not.
            jobs += [job for run in runs for job in self.journal.jobs_of(run.run_id) if job.task_id not in known]
            restore(self.state, jobs, self.moment(), runs)
            if self.state.open > MANY:
                gc.freeze()
        finally:
            gc.enable()
        for mail in self.journal.mails.open():
            self.state.post.remember(mail, self._clocks.monotonic())
        self.state.post.seq = max(self.state.post.seq, self.journal.mails.last_seq())
        for name, raw in self.journal.metas(_SCHEDULE):
            self.state.schedules[name] = _decode_schedule(raw)
        recall_merges(self.state, self.journal)
        take_in_all(self.state, self.journal.search(None, None, KEEP_TASKS, 0), self._clocks.wall())
        self.state.seq = self._seq_kept = max(self.state.seq, self.journal.last_seq())
        # What is adopted before we lead has a fence too, and fences only grow.
        self.state.epoch = int(self.journal.meta("epoch") or 0)
        self.state.halted = self.journal.meta("halted") or None
        self.state.halt_id = self.journal.meta("halt_id") or ""
        if kept := self.journal.meta("acts"):
            with suppress(msgspec.DecodeError):
                self.state.acts, self.state.last_retained = _decode_orders(kept)

    def begin(self, epoch: int) -> list[Letter]:
        """Write the epoch down before anybody hears of it: none is used again. It is, when `troubled` is None then."""
        self._meta |= {"epoch": str(epoch), LED_BY: ""}
        self._urgent = True
        return self.flush()

    def pass_on(self, leader: str) -> list[Letter]:
        """Write down that another led after us, so that whoever reads the journal asks the swarm instead."""
        self._meta[LED_BY] = leader
        self._urgent = True
        return self.flush()

    def lead(self, epoch: int) -> list[Letter]:
        """Begin to give tasks away, after saying again what an earlier life may not have said; see `begin`.

        Raises sqlite3.Error.
        """
        unsaid = []
        for row in self.journal.outbox():
            if self._still_true(row):
                unsaid.append(self._letter(row))
            else:
                self._sent.append(row.row)
        self._take(lead(self.state, epoch, self.moment()))
        return unsaid + self.flush()

    def _still_true(self, row: OutboxRow) -> bool:
        """An offer counts only while its attempt holds the task; anything else that was decided is still to be said."""
        if row.kind not in (Kind.INBOX, Kind.TASK_ASSIGNED):
            return True
        job = self.state.jobs.get(row.task_id)
        return job is not None and job.state in GIVEN and job.attempt == row.attempt

    def hear(self, batch: Iterable[Heard]) -> list[Letter]:
        """Apply a batch of events and write what follows in one transaction. Returns what is to be said of it now."""
        moment = self.moment()
        for event in batch:
            if isinstance(event, Event):
                recall(self.state, self.journal, event)
            self._take(step(self.state, event, moment))
            if isinstance(event, Event) and (event.kind in _ORDERS or event.id in self.state.acts):
                self._keep_orders(event)
        return self.flush()

    def _keep_orders(self, event: Event) -> None:
        """Have it written what people have ordered: no later life is to carry out again what somebody repeats."""
        state, acts = self.state, (self.state.acts, self.state.last_retained)
        if event.kind is Kind.HALT:
            self._meta |= {"halted": state.halted or "", "halt_id": state.halt_id}
        if event.id in state.acts:
            self._meta["acts"] = _encode_json(acts).decode()
        self._urgent = True

    def _take(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Save):
                self._keep(action)
            elif isinstance(action, SaveRun):
                self._runs[action.run_id] = self.state.runs[action.run_id]
                self._urgent = True
            elif isinstance(action, SaveMail):
                self._keep_mail(action)
            elif isinstance(action, SaveSchedule):
                record = _encode_json(self.state.schedules[action.name]).decode()
                self._meta[_SCHEDULE + action.name] = record
                self._urgent = True
            elif isinstance(action, SaveMerges):
                self._meta[MERGES] = _encode_json(self.state.merges).decode()
                self._urgent = True
            elif isinstance(action, Say) and action.patient:
                self._acks.append(action)
                self._ends_by = self._ends_by or self._clocks.monotonic() + ENDS
            elif isinstance(action, Say):
                self._says.append(action)
                self._urgent = self._urgent or action.durable
            elif isinstance(action, Note):
                self._log(action.line)
            elif isinstance(action, Refuse):
                self.refused.append(action)

    def _keep(self, save: Save) -> None:
        """Have the job written: with what is urgent, with the next that is, or with other ends."""
        task_id = save.task_id
        job = self.state.jobs[task_id]
        if save.soon and not (self._urgent and task_id in self._jobs):
            self._jobs.pop(task_id, None)
            self._ended[task_id] = job
            self._ends_by = self._ends_by or self._clocks.monotonic() + ENDS
            return
        self._ended.pop(task_id, None)
        self._jobs[task_id] = job
        if not save.lazy:
            self._urgent = True
        elif self._write_by is None:
            self._write_by = self._clocks.monotonic() + LAZY

    def _keep_mail(self, save: SaveMail) -> None:
        self._mails[save.message_id] = self.state.post.mails[save.message_id]
        if not save.lazy:
            self._urgent = True
        elif self._write_by is None:
            self._write_by = self._clocks.monotonic() + LAZY

    def flush(self, *, now: bool = False) -> list[Letter]:
        """Write what is to be written; `now` also what could wait. Returns what may be said then.

        While the disk refuses, `troubled` says why, and nothing is said but an alert.
        """
        letters: list[Letter] = []
        ends = now or self._ends_are_due()
        if self._urgent or ends or self.troubled is not None or self._is_due():
            letters = self._commit(now=now, ends=ends)
            if self.troubled is not None:
                return letters
        elif self._says:
            letters = [self._letter(self._row(say)) for say in self._says]
            self._says = []
        self._prune()
        return letters

    def _ends_are_due(self) -> bool:
        return self._ends_by is not None and (len(self._acks) >= MANY_ENDS or self._clocks.monotonic() >= self._ends_by)

    def _is_due(self) -> bool:
        now = self._clocks.monotonic()
        if self._write_by is not None and now >= self._write_by:
            return True
        return bool(self._sent) and now - self._forgot >= LAZY_SENT

    def wait(self, limit: float = 1.0) -> float:
        """Return the seconds that the shell may wait for the next event, at most `limit`."""
        now = self._clocks.monotonic()
        if self._write_by is not None:
            limit = min(limit, self._write_by - now)
        if self._ends_by is not None:
            limit = min(limit, self._ends_by - now)
        if self.state.timers:
            limit = min(limit, self.state.timers[0][0] - now)
        return max(0.0, limit)

    def _commit(self, *, now: bool, ends: bool) -> list[Letter]:
        says = self._says
        jobs = [*self._jobs.values(), *(self._ended.values() if ends else ())]
        said = [self._row(say) for say in says]
        sent = self._sent_rows(now=now)
        if self.state.seq > self._seq_kept:
            # Numbers are kept ahead: to write each costs every accept a page.
            self._seq_kept = self.state.seq + SEQ_AHEAD
            self._meta["seq"] = str(self._seq_kept)
        meta = self._meta
        durable = [row for row, say in zip(said, says, strict=True) if say.durable]
        try:
            self.journal.commit(jobs, durable, sent, meta, self._runs.values(), self._mails.values())
        except sqlite3.Error as error:
            self._sent.extendleft(reversed(sent))
            return self._trouble(f"{type(error).__name__}: {error}")
        self._jobs, self._runs, self._mails, self._says, self._meta = {}, {}, {}, [], {}
        self._urgent, self._write_by = False, None
        # First what an agent waits for: its broker reads one message at a time.
        letters = [self._letter(row) for row in sorted(said, key=lambda row: row.kind != Kind.INBOX)]
        if self.troubled is not None:
            self.troubled = None
            self._log("the journal can be written again")
            letters.insert(0, self._alert("the dispatcher's journal can be written again", active=False))
        if ends:
            letters += [self._letter(self._row(say)) for say in self._acks]
            self._ended, self._acks, self._ends_by = {}, [], None
        return letters

    def _sent_rows(self, *, now: bool) -> list[int]:
        """The outbox rows that the broker has, once they are many or it is time."""
        if not now and len(self._sent) < MANY_SENT and self._clocks.monotonic() - self._forgot < LAZY_SENT:
            return []
        self._forgot = self._clocks.monotonic()
        return [self._sent.popleft() for _ in range(len(self._sent))]

    def _row(self, say: Say) -> OutboxRow:
        if say.body is None:
            message = self.writer.clear(say.kind, say.key)
        else:
            offers = isinstance(say.body, Inbox) and say.body.task is not None
            message = self.writer.message(say.kind, say.body, say.key, at=self._offer_time() if offers else None)
        return OutboxRow(message, say.kind, say.task_id, say.attempt)

    def _offer_time(self) -> float:
        """Return the wall clock's time, and where that was set back, the time that has passed since the last offer's.

        An agent takes no offer that seems far older than the newest that it heard of this epoch.
        """
        said, bore = self._offered
        now = self._clocks.monotonic()
        self._offered = (now, max(self._clocks.wall(), bore + (now - said)))
        return self._offered[1]

    def _letter(self, row: OutboxRow) -> Letter:
        return row.message, _Taken(self._sent, row.row) if row.row else None

    def _trouble(self, reason: str) -> list[Letter]:
        known, self.troubled = self.troubled, reason
        if known is not None:
            return []
        self._log(f"the journal cannot be written, so nothing is accepted until it can: {reason}")
        return [self._alert(f"the dispatcher's journal cannot be written, nothing is accepted: {reason}", active=True)]

    def _alert(self, message: str, *, active: bool) -> Letter:
        severity = "critical" if active else "info"
        alert = Alert(severity=severity, message=message, name=JOURNAL_ALERT, active=active)
        return self.writer.message(Kind.ALERT, alert), None

    def _prune(self) -> None:
        forget(self.state)
        self.state.post.forget()
        now = self._clocks.monotonic()
        if now - self._pruned < PRUNE_EVERY:
            return
        self._pruned = now
        try:
            if self.journal.prune(self._clocks.wall()) >= AT_ONCE:
                # More may be due: a swarm can end more tasks in a minute than are forgotten in one go.
                self._pruned = now - PRUNE_EVERY + PRUNE_ON
        except sqlite3.Error as error:
            self._log(f"old tasks could not be removed from the journal: {error}")

    def halt_again(self) -> list[Letter]:
        """Return the halt that the journal knows of, to be retained again by a broker that forgot it."""
        if self.state.halted is None:
            return []
        return [(self.writer.message(Kind.HALT, Halt(reason=self.state.halted), message_id=self.state.halt_id), None)]
