"""A worker's shell: carries out what the pure worker decides, and tells it what happened."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from swarm_tui.agent.agent_reporter import AgentReporter
from swarm_tui.agent.answers import answer_of, unfit
from swarm_tui.agent.ask_desk import AskDesk
from swarm_tui.agent.attempt_output import AttemptOutput
from swarm_tui.agent.handler_thread import HandlerThread
from swarm_tui.agent.large_results import fitted
from swarm_tui.agent.mail_desk import COMMANDS as MAIL
from swarm_tui.agent.mail_desk import MailDesk
from swarm_tui.agent.own_process import Installation
from swarm_tui.agent.presence_messages import fallback_of
from swarm_tui.agent.process_groups import end_left_behind
from swarm_tui.agent.running_attempt import NOT_LOADED, Outcome, RunningAttempt, attempt_token
from swarm_tui.agent.usage_desk import UsageDesk
from swarm_tui.agent.worker_journal import Left, WorkerJournal
from swarm_tui.client.ids import new_id
from swarm_tui.config.model import RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.outcome import outcome, verdict_failed
from swarm_tui.domain.worker import Worker, WorkerIdentity
from swarm_tui.domain.worker.actions import (
    Action,
    Answer,
    Beat,
    HeldLease,
    Ignore,
    Listen,
    Note,
    Run,
    Save,
    Say,
    SayStarted,
    Stop,
)
from swarm_tui.journal.task_output import OutputFile
from swarm_tui.processes.marks import end_marked
from swarm_tui.protocol.bodies import BODY, Complete, ErrorInfo, Failed, Heartbeat, Inbox, Progress
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind, topic

if TYPE_CHECKING:
    from swarm_tui.agent.interactive.screen import CliScreen

#: Kinds that an agent hears while there is no dispatcher.
LEADERLESS_KINDS = (
    Kind.TASK_NEW,
    Kind.DEPLOYMENT_REQUEST,
    Kind.CODE_REVIEW,
    Kind.TASK_ASSIGNED,
    Kind.TASK_QUEUED,
    Kind.TASK_COMPLETE,
    Kind.TASK_FAILED,
    Kind.TASK_CANCEL,
    Kind.TASK_CANCELLED,
)
#: Kinds that a handler may publish besides its result.
_BESIDES = frozenset({Kind.DEPLOYMENT_STATUS, Kind.ALERT, Kind.TASK_NEW, Kind.RUN_NEW, Kind.BROADCAST})

#: Those of them that ask for something of its own, with an id of its own.
_ASKED = frozenset({Kind.TASK_NEW, Kind.RUN_NEW})


class WorkerShell:
    """The tasks of one agent. Every method is thread-safe; one lock keeps decisions and their actions in order."""

    def __init__(
        self,
        spec: RunSpec,
        reporter: AgentReporter,
        beat: Callable[[], Heartbeat],
        changed: Callable[[], None],
        *,
        make_handlers: "Callable[[RunSpec, WorkerShell], HandlerThread]" = HandlerThread,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make it; `beat` gives a heartbeat's body, `changed` is told when work began or ended; `clock` in seconds."""
        self._clock = clock
        self._spec = spec
        self._reporter = reporter
        self._beat = beat
        self._changed = changed
        state = StateDir(Path(spec.state_dir))
        self._results = state.results()
        self._outputs = state.tasks()
        self.installation = Installation()
        self._journal = WorkerJournal(state.worker(spec.agent_id))
        self._handler_thread = make_handlers(spec, self)
        self.asks = AskDesk(reporter, spec.agent_id, spec.policy.ask_within, self._lease, clock, changed)
        self.mail = MailDesk(reporter, spec.agent_id, state.mailbox(spec.agent_id), self._lease, clock, changed)
        self.usage = UsageDesk(reporter, spec.agent_id, state.root, clock)
        self._desks = (self.asks, self.mail, self.usage)
        self.screen: CliScreen | None = None
        """The CLI in the agent's pane, where the layout wants that."""
        self._attempts: dict[str, RunningAttempt] = {}
        self._listening = False
        self._lock = threading.RLock()
        self.core = Worker(
            WorkerIdentity(
                agent_id=spec.agent_id,
                role=spec.role,
                incarnation=reporter.incarnation,
                types=frozenset(reporter.me.types),
                fallback=fallback_of(spec),
                capacity=spec.capacity,
                leaderless=spec.leaderless,
            ),
            new_id,
        )
        self._held = self._holds()

    # -- from the agent

    def open(self) -> None:
        """Read what a predecessor left, and end what it left running. Raises OSError."""
        left = self._journal.open()
        self.mail.open()
        self._end_left_running(left)
        with self._lock:
            self.core.owe(left.owed)
            self._held = self._holds()
            _report_interrupted(left, self._spec.agent_id, self._reporter)
            self._journal.forget(left.groups + left.unfinished)

    def _end_left_running(self, left: Left) -> None:
        """End what a predecessor had running: the groups it wrote down, and what left them, by its mark."""
        ended = sum(end_left_behind(entry.pid, entry.started) for entry in left.groups)
        if ended:
            self._reporter.note(f"ended {ended} process groups that a predecessor left", "⚠")
        if left.groups or left.unfinished:
            cut_off = {attempt_token(entry.task_id, entry.attempt, entry.epoch) for entry in left.unfinished}
            mine = self._spec.agent_id
            more = end_marked(
                self._spec.state_dir, lambda one: one.agent_id == mine and (not one.keep or one.token in cut_off)
            )
            if more:
                self._reporter.note(f"ended {more} processes that a predecessor left", "⚠")

    def on_link(self, up: bool) -> None:
        if up:
            for desk in self._desks:
                desk.again(self._clock())
        with self._lock:
            self._carry_out(self.core.on_link(up, self._clock()))

    def settled(self) -> None:
        """All that is retained has been heard."""
        with self._lock:
            self._carry_out(self.core.settled(self._clock()))

    def on_event(self, event: Event) -> None:
        if event.kind is Kind.ASK_RECORDED:
            self.asks.heard(event)
            return
        if isinstance(event.body, Inbox) and event.body.command in MAIL:
            self.mail.heard(event)
            return
        if event.kind is Kind.DISPATCHER:
            for desk in self._desks:
                desk.again(self._clock())
        if isinstance(event.body, Inbox) and event.body.command == "ack":
            self.usage.heard(event.body)
        with self._lock:
            self._carry_out(self.core.on_event(event, self._clock()))

    def tick(self, now: float) -> float | None:
        """Act on the time that has passed; return when to call again. Both are monotonic seconds."""
        for desk in self._desks:
            desk.tick(now)
        with self._lock:
            self._carry_out(self.core.tick(now))
        return self.wake(now)

    def wake(self, now: float) -> float | None:
        """Return when `tick` is next worth a call, in monotonic seconds; None when nothing is due."""
        with self._lock:
            times = (self.core.wake(now), *(desk.wake() for desk in self._desks))
        return min((when for when in times if when is not None), default=None)

    def state(self) -> tuple[str, int]:
        """Return the agent's word for itself, and how many tasks it runs."""
        active = len(self.core.running)
        if self.core.draining:
            return "draining", active
        return ("busy" if active >= self._spec.capacity or self.core.state.occupied else "online"), active

    def occupy(self, why: str) -> None:
        """Take no task while there is a reason, such as a person at work in the agent's pane; empty ends that."""
        with self._lock:
            if why == self.core.state.occupied:
                return
            self._carry_out(self.core.occupy(why, self._clock()))

    def held(self) -> dict[str, Any]:
        """Return a heartbeat's words of the work. It takes no lock: the work's is held while the disk is written."""
        word, running, owed = self._held
        leases = [lease.names() for lease in running]
        finished = [answer.names() for answer in owed]
        first = running[0].task_id if running else None
        return {"state": word, "active": len(running), "task_id": first, "tasks": leases, "finished": finished}

    def _holds(self) -> tuple[str, tuple[HeldLease, ...], tuple[Answer, ...]]:
        return self.state()[0], tuple(self.core.running.values()), tuple(self.core.owed[-200:])

    def attempts(self) -> list[RunningAttempt]:
        """Return what runs now."""
        with self._lock:
            return list(self._attempts.values())

    def drain(self, reason: str) -> None:
        """Take no more tasks."""
        with self._lock:
            self._carry_out(self.core.drain(True, self._clock(), reason))

    def stop(self, attempt: RunningAttempt, cause: str) -> None:
        """End one attempt."""
        self._handler_thread.stop(attempt, cause)

    def stop_all(self, cause: str, wait: float) -> None:
        """End all work."""
        for attempt in self.attempts():
            self._handler_thread.stop(attempt, cause, wait)

    def give_up(self, attempt: RunningAttempt) -> None:
        """Report the attempt without its loop, which does not turn any more."""

        self.ended(attempt, Outcome(error="the handler blocks its agent", code="stuck", cause="timeout"))

    def ping(self, now: float) -> float:
        """Ask the loop for a sign; when it last gave one."""
        self._handler_thread.ping(now)
        return self._handler_thread.answered

    def close(self) -> None:
        """End what is left, and let go of the journal."""
        self._handler_thread.close()
        self._journal.close()
        self.mail.close()

    # -- from the executor

    def progress(self, attempt: RunningAttempt, percent: float, message: str) -> None:
        message = self._reporter.redact.text(message)[:500]
        attempt.progress = (percent, message)
        lease = self._lease(attempt)
        body = Progress(
            task_id=attempt.task_id,
            agent_id=self._spec.agent_id,
            attempt=lease.attempt,
            epoch=lease.epoch,
            progress=round(percent, 1),
            message=message.encode("utf-8", "replace").decode(),
            usage=attempt.used(),
            turn=attempt.turn or None,
            session=attempt.session,
        )
        self._reporter.say(Kind.TASK_PROGRESS, body)

    def log(self, attempt: RunningAttempt, line: str) -> None:
        attempt.last_sign = self._clock()
        self._reporter.log(f"   {line}")

    def publish(self, attempt: RunningAttempt, kind: str, payload: dict[str, Any]) -> None:
        attempt.last_sign = self._clock()
        wanted = Kind(kind)
        if wanted not in _BESIDES:
            raise ValueError(f"a handler may not say {kind}")
        payload = {"task_id": attempt.task_id, **payload} if wanted not in _ASKED else payload
        self._reporter.say(wanted, msgspec.convert(self._reporter.redact.value(payload), BODY[wanted]))

    def group(self, attempt: RunningAttempt, pid: int, started: str) -> None:
        with self._lock:
            self._journal.group(attempt.lease, pid, started)

    def group_gone(self, pid: int) -> None:
        with self._lock:
            self._journal.gone(pid)

    def ended(self, attempt: RunningAttempt, outcome: Outcome) -> None:
        lease = self._lease(attempt)
        if attempt.output is not None:
            attempt.output.close()
            if attempt.output.failure:
                self._reporter.note(f"{attempt.task_id}: its output is not kept whole: {attempt.output.failure}", "⚠")
        outdated = self.installation.changed() if outcome.code == NOT_LOADED else ""
        if outdated:
            # Another agent, or this one started anew, can do it.
            outcome = msgspec.structs.replace(outcome, error=f"{outcome.error}; {outdated}", retryable=True)
        answer: Complete | Failed
        try:
            answer = answer_of(attempt, outcome, lease, self._spec.agent_id, self._reporter.redact)
            answer = fitted(answer, self._reporter.writer, self._results)
        except Exception as error:  # noqa: BLE001 - whatever a result holds, its task must end
            answer = unfit(attempt, outcome, lease, self._spec.agent_id, self._reporter.redact, error)
        with self._lock:
            if self._attempts.get(attempt.task_id) is not attempt:
                return
            del self._attempts[attempt.task_id]
            self._carry_out(self.core.finished(attempt.task_id, answer, self._clock()))
        self.usage.forget(attempt)
        self._reporter.note(*told(answer))
        self._changed()
        if outdated:
            self._reporter.leave(outdated, 1)

    # -- carrying out

    def _carry_out(self, actions: Sequence[Action]) -> None:
        if actions:
            # Before the first of them: to carry them out may take as long as the disk does.
            self._held = self._holds()
        for action in actions:
            match action:
                case Say(kind, body, message_id):
                    self._reporter.say(kind, body, message_id=message_id)
                case SayStarted(task_id):
                    self._reporter.say_late(Kind.TASK_STARTED, partial(self.core.state.started, task_id))
                case Save():
                    self._save(action)
                case Run(lease):
                    self._run(lease)
                case Stop(task_id, cause):
                    if (attempt := self._attempts.get(task_id)) is not None:
                        self._reporter.note(f"stopping {task_id}", "⏳")
                        self._handler_thread.stop(attempt, cause)
                case Note(text, mark):
                    self._reporter.note(text, mark)
                case Beat():
                    # The retained status goes first: who hears the heartbeat may read it next.
                    self._changed()
                    self._reporter.say(Kind.HEARTBEAT, self._beat(), sure=True)
                case Listen():
                    self._listen(True)
                case Ignore():
                    self._listen(False)

    def _run(self, lease: HeldLease) -> None:
        attempt = self._attempts[lease.task_id] = RunningAttempt(lease, self._spec)
        output = OutputFile(self._outputs, lease.task_id, lease.attempt)
        attempt.output = AttemptOutput(output, self._reporter.redact.text)
        again = f", attempt {lease.attempt}" if lease.attempt > 1 else ""
        self._reporter.note(f"{lease.task.type} {lease.task_id}{again}", "🔨")
        self._changed()
        # Last: a thread that is woken while this one goes on only waits for the interpreter.
        self._handler_thread.start(attempt)

    def _save(self, save: Save) -> None:
        failure = self._journal.failure
        self._journal.save(save)
        if self._journal.failure is not None and failure is None:
            self._reporter.note(f"the work journal cannot be written: {self._journal.failure}", "⚠")

    def _listen(self, on: bool) -> None:
        """Hear what is said of tasks, or no more; an agent that can do none has no use for it."""
        if on is self._listening or not (self.core.me.types or self.core.me.fallback):
            return
        self._listening = on
        swarm, bus = self._spec.swarm, self._reporter.bus
        for pattern in (*(topic(swarm, kind) for kind in LEADERLESS_KINDS), topic(swarm, Kind.STATUS, "+")):
            if on:
                bus.subscribe(pattern)
            elif pattern not in self._spec.extra_topics:
                bus.unsubscribe(pattern)

    def _lease(self, attempt: RunningAttempt) -> HeldLease:
        """Return the lease that counts: a dispatcher may have taken the task over meanwhile."""
        return self.core.running.get(attempt.task_id, attempt.lease)


def _report_interrupted(left: Left, agent_id: str, reporter: AgentReporter) -> None:
    """Say of what was claimed without a dispatcher that it will not end; a dispatcher finds out by itself."""
    for entry in left.unfinished:
        if entry.epoch is None:
            error = ErrorInfo(message="its agent died while it ran", code="interrupted", retryable=True)
            failed = Failed(task_id=entry.task_id, agent_id=agent_id, attempt=entry.attempt, error=error)
            reporter.say(Kind.TASK_FAILED, msgspec.structs.replace(failed, retryable=True, cause="interrupted"))


def told(answer: Complete | Failed) -> tuple[str, str]:
    """Return the line on the pane about a task's end, and its mark."""
    took = f"{(answer.duration or 0) / 1000:.1f} s"
    if isinstance(answer, Failed):
        return f"{answer.task_id} after {took}: {answer.error.message}", "❌"
    if verdict_failed(answer.result):
        return f"{answer.task_id} complete in {took}, its verdict is {outcome(answer.result)}", "❌"
    return f"{answer.task_id} in {took}", "✅"
