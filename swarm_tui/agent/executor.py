"""Runs handlers on one event loop in a thread of its own. Imported with the first task: it brings asyncio along."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from swarm_tui.agent.handlers import registry
from swarm_tui.agent.handlers.base import Context, HandlerError, ResumePoint
from swarm_tui.agent.handlers.mail import Mail
from swarm_tui.agent.handlers.output import as_shown
from swarm_tui.agent.process_groups import signal_group
from swarm_tui.agent.running_attempt import Outcome, RunningAttempt, fence
from swarm_tui.agent.task_processes import TaskProcesses
from swarm_tui.config.model import RunSpec
from swarm_tui.config.sandbox import Sandbox
from swarm_tui.config.urls import shown_url
from swarm_tui.domain.asks.model import AskAnswer, Question
from swarm_tui.domain.states import CANCEL_WAIT
from swarm_tui.domain.usage import Usage
from swarm_tui.protocol.bodies import JsonObject

#: Seconds that the processes of a handler that did not stop by itself have after SIGTERM, then it after SIGKILL.
TERM_WAIT, KILL_WAIT = 5.0, 5.0
#: Seconds between two words of progress: more often only costs.
_PROGRESS_EVERY = 0.2
#: Codes of failures that may have come in the middle of the work: what it had done by then is not known.
_HALFWAY = frozenset({"crashed", "killed"})
_CODES = {"timeout": "timeout", "cancelled": "cancelled", "interrupted": "interrupted"}


class AsksPort(Protocol):
    """The way to people, for what a handler asks."""

    def ask(self, attempt: RunningAttempt, question: Question, done: Callable[[AskAnswer], None]) -> str: ...
    def drop(self, ask_id: str) -> None: ...


class MailPort(Protocol):
    """The way to other agents, for what a handler sends and reads."""

    def of(self, attempt: RunningAttempt, running: Callable[[], list[str]]) -> Mail: ...


class Reports(Protocol):
    """The listener to attempts; all thread-safe and quick."""

    @property
    def asks(self) -> AsksPort: ...
    @property
    def mail(self) -> MailPort: ...
    @property
    def screen(self) -> Any: ...

    def progress(self, attempt: RunningAttempt, percent: float, message: str) -> None: ...
    def log(self, attempt: RunningAttempt, line: str) -> None: ...
    def publish(self, attempt: RunningAttempt, kind: str, payload: dict[str, Any]) -> None: ...
    def group(self, attempt: RunningAttempt, pid: int, started: str) -> None: ...
    def group_gone(self, pid: int) -> None: ...
    def ended(self, attempt: RunningAttempt, outcome: Outcome) -> None: ...


class _Running(Struct, kw_only=True):
    attempt: RunningAttempt
    cancel: asyncio.Event
    work: "asyncio.Task[dict[str, Any]]"
    timer: asyncio.TimerHandle
    context: Context | None = None
    asking: int = 0
    force: "asyncio.Task[None] | None" = None


class Executor:
    """The loop's side: everything here runs on the loop, `start` and `stop` come through call_soon_threadsafe."""

    def __init__(self, spec: RunSpec, reports: Reports) -> None:
        self._spec = spec
        self._workdir, self._state_dir = Path(spec.workdir), Path(spec.state_dir)
        self._broker_url = shown_url(spec.broker.url)
        self._sandbox = (
            Sandbox(state=self._state_dir, writable=tuple(spec.writable)) if spec.sandbox == "bwrap" else None
        )
        self._reports = reports
        self._running: dict[str, _Running] = {}
        self._processes = TaskProcesses(
            spec.state_dir, spec.agent_id, lambda: [running.attempt for running in list(self._running.values())]
        )

    def start(self, attempt: RunningAttempt) -> None:
        """Begin the work of an attempt."""
        loop = asyncio.get_running_loop()
        cancel = asyncio.Event()
        attempt.environment.prepare = self._processes.prepare
        running = self._running[attempt.task_id] = _Running(
            attempt=attempt,
            cancel=cancel,
            work=loop.create_task(self._work(attempt, cancel, loop.time())),
            timer=loop.call_later(attempt.timeout, self.stop, attempt, "timeout"),
        )
        running.work.add_done_callback(lambda work: self._settle(running))

    def stop(self, attempt: RunningAttempt, cause: str, wait: float = CANCEL_WAIT) -> None:
        """End the work: ask, then SIGTERM, then SIGKILL to its process groups."""
        running = self._running.get(attempt.task_id)
        if running is not None and running.attempt is attempt and attempt.stop_cause is None:
            attempt.stop_cause = cause
            running.cancel.set()
            running.force = asyncio.get_running_loop().create_task(self._force(running, wait))

    def close(self) -> None:
        """End every process that is left: no more work comes."""
        self._processes.close()

    async def _work(self, attempt: RunningAttempt, cancel: asyncio.Event, now: float) -> dict[str, Any]:
        if attempt.output is not None:
            attempt.output.make_current()
        handler = registry.load(attempt.lease.task.type, attempt.handler)
        why = registry.check(attempt.lease.task.type, attempt.handler, attempt.lease.task.payload)
        if why is not None:
            raise HandlerError(f"the payload does not fit: {why}", code="bad-payload")
        try:
            context = self._context(attempt, cancel, now + attempt.timeout)
            self._running[attempt.task_id].context = context
            result = await handler.run(context)
        except (SystemExit, KeyboardInterrupt) as error:
            # asyncio lets these two end the loop, and with it every other task.
            raise HandlerError(f"the handler called for an exit: {error!r}", code="crashed", retryable=True) from error
        running = self._running.get(attempt.task_id)
        if running is not None and running.attempt is attempt:
            # Not left to the loop's next round, before which other threads would have theirs.
            try:
                self._end(running, Outcome(result=result, cause=attempt.stop_cause))
            except Exception as error:  # noqa: BLE001 - the task's own end must not hide it
                told = {"message": f"the end of {attempt.task_id} could not be told", "exception": error}
                asyncio.get_running_loop().call_exception_handler(told)
        return result

    async def _force(self, running: _Running, wait: float) -> None:
        work, attempt = running.work, running.attempt
        for patience, number in ((wait, signal.SIGTERM), (TERM_WAIT, signal.SIGKILL)):
            if await _ends(work, patience):
                return
            for pid in attempt.groups:
                signal_group(pid, number)
        if await _ends(work, 1.0):
            return
        work.cancel()
        if not await _ends(work, KILL_WAIT):
            words = "the handler does not end, it was given up"
            self._end(running, Outcome(error=words, code="stuck", cause=attempt.stop_cause))

    def _settle(self, running: _Running) -> None:
        """Tell how the work ended, whatever it raised and whatever that raises when it is looked at."""
        attempt = running.attempt
        try:
            outcome = _outcome(running.work, attempt)
            _keep_traceback(running.work, attempt)
        except Exception as error:  # noqa: BLE001 - an exception is a handler's own code, and its task must end
            outcome = _crashed(f"the handler's error cannot be told: {type(error).__name__}")
        self._end(running, outcome)

    def _end(self, running: _Running, outcome: Outcome) -> None:
        attempt = running.attempt
        if self._running.get(attempt.task_id) is not running:
            return
        del self._running[attempt.task_id]
        running.timer.cancel()
        try:
            outcome = self._end_processes(attempt, outcome)
            with contextlib.suppress(OSError):
                attempt.environment.remove()
        finally:
            # Whatever fails before: an end that is not reported is a lease that heartbeats renew for ever.
            self._reports.ended(attempt, outcome)

    def _context(self, attempt: RunningAttempt, cancel: asyncio.Event, deadline: float) -> Context:
        lease, spec = attempt.lease, self._spec
        return Context(
            task_id=lease.task_id,
            type=lease.task.type,
            payload=lease.task.payload,
            attempt=lease.attempt,
            fence=fence(lease),
            idempotency_key=lease.task.idempotency_key or lease.task_id,
            agent_id=spec.agent_id,
            role=spec.role,
            swarm=spec.swarm,
            broker_url=self._broker_url,
            workdir=self._workdir,
            state_dir=self._state_dir,
            spec=attempt.handler,
            deadline=deadline,
            cancel=cancel,
            environment=attempt.environment,
            _progress=_throttled(attempt, self._reports),
            _usage=lambda tokens, cost: _add_usage(attempt, tokens, cost),
            _log=lambda line: self._reports.log(attempt, line),
            _publish=lambda kind, payload: self._reports.publish(attempt, kind, payload),
            _spawned=lambda pid: self._spawned(attempt, pid),
            _output=attempt.output.write if attempt.output is not None else lambda text: None,
            _converse=_conversing(attempt, self._reports),
            _ask=lambda question: self._ask(attempt, question),
            _screen=self._reports.screen,
            _mail=self._reports.mail.of(attempt, lambda: list(self._running)),
            _attend=lambda hear, interrupt: _attend(attempt, hear, interrupt),
            own_names=frozenset(spec.env),
            resume=_resume_point(lease.resume),
            budget=lease.budget,
            granted=lease.granted,
            sandbox=self._sandbox,
        )

    async def _ask(self, attempt: RunningAttempt, question: Question) -> AskAnswer:
        """Ask people, and wait for the answer; that time is none of the attempt's own."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[AskAnswer] = loop.create_future()

        def settle(given: AskAnswer) -> None:
            if not answer.done():
                answer.set_result(given)

        running, began = self._running.get(attempt.task_id), loop.time()
        if running is not None:
            running.asking += 1
            running.timer.cancel()

        def done(given: AskAnswer) -> None:
            loop.call_soon_threadsafe(settle, given)

        ask_id = self._reports.asks.ask(attempt, question, done)
        try:
            return await answer
        finally:
            self._reports.asks.drop(ask_id)
            if running is not None:
                self._goes_on(running, loop.time() - began)

    def _goes_on(self, running: _Running, waited: float) -> None:
        """Let the attempt's clock run again, by so much later."""
        running.asking -= 1
        attempt = running.attempt
        attempt.timeout += waited
        if running.context is not None:
            running.context.deadline += waited
        if not running.asking and self._running.get(attempt.task_id) is running:
            left = attempt.timeout - attempt.running()
            running.timer = asyncio.get_running_loop().call_later(max(0.0, left), self.stop, attempt, "timeout")

    def _spawned(self, attempt: RunningAttempt, pid: int) -> None:
        started = self._processes.began(attempt, pid)
        attempt.last_sign = time.monotonic()
        self._reports.group(attempt, pid, started)
        if attempt.stop_cause is not None:
            signal_group(pid, signal.SIGTERM)

    def _end_processes(self, attempt: RunningAttempt, outcome: Outcome) -> Outcome:
        """End what the attempt left running, or keep it where the layout says so and the task ended well.

        Returns the outcome; its result then names what was kept, as `kept`: `{"pid", "command"}` of each.
        """
        kept = self._processes.end(attempt, keep=attempt.keeps_children and outcome.error is None)
        for pid in attempt.groups:
            self._reports.group_gone(pid)
        if not kept:
            return outcome
        for info in kept:
            self._reports.log(attempt, f"keeps process {info.pid}: {info.command}")
        if not isinstance(outcome.result, dict):
            return outcome
        named = [{"pid": info.pid, "command": info.command[:200]} for info in kept]
        return msgspec.structs.replace(outcome, result={**outcome.result, "kept": named})


async def _ends(work: "asyncio.Task[Any]", patience: float) -> bool:
    done, _ = await asyncio.wait({work}, timeout=patience)
    return bool(done)


def _outcome(work: "asyncio.Task[dict[str, Any]]", attempt: RunningAttempt) -> Outcome:
    """Return how the work ended, whatever it raised."""
    cause = attempt.stop_cause
    if work.cancelled():
        # Nobody of ours asked for it: the handler cancelled itself, wherever it then was.
        return _stopped(attempt, cause) if cause is not None else _crashed("the handler cancelled itself")
    error = work.exception()
    if error is None:
        return Outcome(result=work.result(), cause=cause)
    if cause is not None:
        return _stopped(attempt, cause, getattr(error, "result", None))
    if isinstance(error, HandlerError):
        # Handlers of others are not checked for types, and readers refuse a code or a retryable of another.
        code, retryable = str(getattr(error, "code", None) or "failed"), bool(getattr(error, "retryable", False))
        unknown = code if code in _HALFWAY else None
        at = getattr(error, "retry_at", None)
        return Outcome(
            error=_words(error),
            code=code,
            retryable=retryable,
            result=getattr(error, "result", None),
            cause=unknown,
            retry_at=float(at) if isinstance(at, int | float) and isfinite(at) else None,
        )
    return _crashed(f"{type(error).__name__}: {_words(error)}")


def _keep_traceback(work: "asyncio.Task[Any]", attempt: RunningAttempt) -> None:
    """Write into the task's output where an error was raised that its handler did not mean to."""
    error = None if work.cancelled() else work.exception()
    if attempt.output is None or error is None or isinstance(error, HandlerError):
        return
    from traceback import format_exception

    attempt.output.write("".join(format_exception(error)))


def _words(error: BaseException) -> str:
    """Return what the error says, as a person reads it; its type where that itself fails."""
    try:
        return as_shown(str(error))
    except Exception:  # noqa: BLE001 - the words are a handler's own code, and its task must end
        return type(error).__name__


def _crashed(error: str) -> Outcome:
    return Outcome(error=error, code="crashed", retryable=True, cause="crashed")


def _stopped(attempt: RunningAttempt, cause: str, result: Any = None) -> Outcome:
    sentence = {
        "timeout": f"it took longer than {attempt.timeout:g} s",
        "interrupted": "its agent was told to stop",
    }.get(cause, "it was cancelled")
    retryable = cause in ("timeout", "interrupted")
    return Outcome(error=sentence, code=_CODES.get(cause, cause), retryable=retryable, cause=cause, result=result)


def _attend(attempt: RunningAttempt, hear: Callable[[str], None] | None, interrupt: Callable[[], None] | None) -> None:
    """Let whoever types on the agent's terminal reach the work, from any thread."""
    loop = asyncio.get_running_loop()
    attempt.interrupt = None if interrupt is None else lambda: _soon(loop, interrupt)
    attempt.hear = None if hear is None else lambda line: _soon(loop, hear, line)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *given: str) -> None:
    loop.call_soon_threadsafe(call, *given)


def _throttled(attempt: RunningAttempt, reports: Reports) -> Callable[[float, str], None]:
    last_at = -_PROGRESS_EVERY

    def progress(percent: float, message: str = "") -> None:
        nonlocal last_at
        with contextlib.suppress(TypeError, ValueError):
            percent = min(100.0, max(0.0, float(percent)))
            now = attempt.last_sign = time.monotonic()
            if now - last_at >= _PROGRESS_EVERY or percent >= 100:
                last_at = now
                reports.progress(attempt, percent, str(message))

    return progress


def _resume_point(said: JsonObject | None) -> ResumePoint | None:
    """Return where an earlier attempt left off; None where nothing that can be read says so."""
    try:
        return None if said is None else msgspec.convert(said, ResumePoint)
    except msgspec.ValidationError:
        return None


def _conversing(attempt: RunningAttempt, reports: Reports) -> Callable[[Usage, int, str | None], None]:
    """Note how far a conversation is; a session and what it used are said at once: whoever dies next cannot."""

    def converse(usage: Usage, turn: int, session: str | None) -> None:
        known, spent = attempt.session, attempt.conversation
        attempt.conversation, attempt.turn, attempt.session = usage, turn, session
        attempt.last_sign = time.monotonic()
        if (session is not None and session != known) or usage != spent:
            percent, message = attempt.progress or (0.0, "")
            reports.progress(attempt, percent, message)

    return converse


def _add_usage(attempt: RunningAttempt, tokens: int, cost: float) -> None:
    # What is no number that can be added would spoil what was added before.
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        attempt.tokens += tokens if 0 <= tokens < 2**53 else 0
        attempt.cost += cost if isfinite(cost) else 0.0
    attempt.last_sign = time.monotonic()
