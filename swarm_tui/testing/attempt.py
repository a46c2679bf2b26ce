"""An attempt at a task by a handler of yours: the context it gets, and how it ends."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import msgspec
from msgspec import Struct

from swarm_tui.agent.attempt_output import AttemptOutput
from swarm_tui.agent.executor import Executor
from swarm_tui.agent.handlers import registry
from swarm_tui.agent.handlers.base import Context, Handler
from swarm_tui.agent.handlers.mail import Claimed, MailError, Message
from swarm_tui.agent.running_attempt import Outcome, RunningAttempt
from swarm_tui.config.model import Broker, HandlerSpec, RunSpec
from swarm_tui.domain.asks.model import AskAnswer, Question
from swarm_tui.domain.worker.actions import HeldLease
from swarm_tui.journal.task_output import OutputFile, read_output
from swarm_tui.protocol.bodies import Task

TYPE = "test"
#: Bytes of output that a test may look at: all that is kept.
_ALL = 1 << 21


class Done(Struct, kw_only=True):
    """The end of an attempt, and what its handler said on the way.

    `error` is None when the task was done, else the sentence that its record shows; `cause` is set where it was not the
    handler's own end (`timeout`, `cancelled`, `crashed`). `output` is what the task's programs and the handler printed.
    `retry_at` is when a limit is reset, in seconds since the epoch. `progress` holds (percent, message), `published`
    (kind, payload), `sent` (to, text),
    `claimed` paths; `cost` is in US dollars.
    """

    result: Any = None
    error: str | None = None
    code: str | None = None
    retryable: bool = False
    cause: str | None = None
    retry_at: float | None = None
    output: str = ""
    progress: list[tuple[float, str]] = []
    log: list[str] = []
    published: list[tuple[str, dict[str, Any]]] = []
    sent: list[tuple[str, str]] = []
    claimed: list[str] = []
    tokens: float = 0
    cost: float = 0.0


class KitMail:
    """Mail of an attempt in a test: `messages` wait for it, `answers` are what agents say when they are asked."""

    def __init__(self, done: Done, messages: Sequence[Message], answers: Mapping[str, str]) -> None:
        self._done, self._messages, self._answers = done, list(messages), answers

    def of(self, attempt: RunningAttempt, running: Callable[[], list[str]]) -> "KitMail":
        return self

    def read(self) -> list[Message]:
        found, self._messages = self._messages, []
        return found

    def send(self, to: str, text: str, *, reply_to: str | None, expects_answer: bool, message_id: str | None) -> str:
        self._done.sent.append((to, text))
        return message_id or f"m-{len(self._done.sent)}"

    async def ask(self, to: str, text: str, within: float) -> Message:
        asked = self.send(to, text, reply_to=None, expects_answer=True, message_id=None)
        if to not in self._answers:
            raise MailError(f"{to} did not answer within {within:g} s")
        return Message(message_id=f"{asked}-answer", sender=to, text=self._answers[to], reply_to=asked)

    async def claim(self, paths: list[str], within: float) -> Claimed:
        self._done.claimed += paths
        return Claimed(claim_id="c", granted=True, paths=paths)

    def release(self, claim_id: str | None) -> None:
        self._done.claimed.clear()


class RecordingContext(Context, kw_only=True):
    """A context that writes down in `done` what the handler says. Its own folder goes when it does."""

    done: Done
    folder: "_Folder"


class _Folder:
    """A folder that is removed with this object."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="swarm-test-"))

    def __del__(self) -> None:
        rmtree(self.path, ignore_errors=True)


def context(
    payload: Mapping[str, Any] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    workdir: Path | None = None,
    timeout: float = 60.0,
    task_id: str = "t-1",
    attempt: int = 1,
    messages: Sequence[Message] = (),
    answers: Mapping[str, str] | None = None,
) -> RecordingContext:
    """Return what the runtime would give a handler, for to call its `run` yourself; `run` and `start` do more.

    `timeout` is in seconds. Without `workdir` it is an empty folder that is removed with the context.
    """
    folder, done = _Folder(), Done()
    for name in ("state", "work"):
        (folder.path / name).mkdir()

    def add(tokens: float, cost: float) -> None:
        done.tokens += tokens
        done.cost += cost

    def output(text: str) -> None:
        done.output += text

    return RecordingContext(
        task_id=task_id,
        type=TYPE,
        payload=dict(payload or {}),
        attempt=attempt,
        fence=f"{attempt}.1",
        idempotency_key=task_id,
        agent_id="agent-01",
        role="general",
        swarm="test",
        broker_url="mqtt://127.0.0.1:1",
        workdir=workdir or folder.path / "work",
        state_dir=folder.path / "state",
        spec=HandlerSpec(options=dict(options or {})),
        deadline=time.monotonic() + timeout,
        cancel=asyncio.Event(),
        environment={"SWARM_TASK_ID": task_id},
        done=done,
        folder=folder,
        _progress=lambda percent, message: done.progress.append((percent, message)),
        _usage=add,
        _log=done.log.append,
        _publish=lambda kind, body: done.published.append((kind, body)),
        _spawned=lambda pid: None,
        _output=output,
        _mail=KitMail(done, messages, answers or {}),
    )


class Attempt:
    """A handler at work in the real executor. Made by `start`, on the running event loop."""

    def __init__(
        self,
        handler: type[Handler],
        spec: RunSpec,
        task: Task,
        number: int,
        stack: ExitStack,
        messages: Sequence[Message],
        answers: Mapping[str, str],
    ) -> None:
        self._stack = stack
        stack.enter_context(registry.provided({TYPE: handler}))
        self._running = RunningAttempt(HeldLease(task=task, attempt=number, epoch=1), spec)
        self._folder = Path(spec.state_dir) / "tasks"
        file = OutputFile(self._folder, task.task_id, number)
        self._running.output = AttemptOutput(file, lambda text: text)
        self._reports = _Reports(messages, answers)
        self._executor = Executor(spec, self._reports)
        self._executor.start(self._running)

    def cancel(self) -> None:
        """Cancel the task, as an operator does."""
        self._executor.stop(self._running, "cancelled")

    async def ended(self) -> Done:
        """Wait for the end, and return it; the processes that the handler started are gone then."""
        outcome = await asyncio.shield(self._reports.outcome)
        self._executor.close()
        assert self._running.output is not None
        self._running.output.close()
        done = self._reports.done
        kept = read_output(self._folder, self._running.task_id, limit=_ALL)
        done.output = kept.text if kept is not None else ""
        for name in outcome.__struct_fields__:
            setattr(done, name, getattr(outcome, name))
        used = self._running.used()
        done.tokens, done.cost = used.get("tokens", 0), used.get("cost", 0.0)
        self._stack.close()
        return done


class _Nobody:
    """Answers what is asked in a test: with a no."""

    def ask(self, attempt: RunningAttempt, question: Question, done: Callable[[AskAnswer], None]) -> str:
        done(AskAnswer(outcome="deny", reason="nobody is asked in a test"))
        return ""

    def drop(self, ask_id: str) -> None:
        """Nobody keeps a list."""


class _Reports:
    """Hears what the executor reports of one attempt."""

    def __init__(self, messages: Sequence[Message], answers: Mapping[str, str]) -> None:
        self.asks = _Nobody()
        self.done = Done()
        self.mail = KitMail(self.done, messages, answers)
        self.screen = None
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def progress(self, attempt: RunningAttempt, percent: float, message: str) -> None:
        self.done.progress.append((percent, message))

    def log(self, attempt: RunningAttempt, line: str) -> None:
        self.done.log.append(line)

    def publish(self, attempt: RunningAttempt, kind: str, payload: dict[str, Any]) -> None:
        self.done.published.append((kind, payload))

    def group(self, attempt: RunningAttempt, pid: int, started: str) -> None:
        """The executor ends the group itself."""

    def group_gone(self, pid: int) -> None:
        """Nobody keeps a list."""

    def ended(self, attempt: RunningAttempt, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


def start(
    handler: type[Handler],
    payload: Mapping[str, Any] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    workdir: Path | None = None,
    timeout: float = 60.0,
    task_id: str = "t-1",
    attempt: int = 1,
    keep_children: bool = False,
    messages: Sequence[Message] = (),
    answers: Mapping[str, str] | None = None,
) -> Attempt:
    """Begin an attempt as an agent would: payload checked, time limited (s), errors turned into the task's end.

    `options` are the layout's. With `keep_children` the layout says `children: keep`. Without `workdir` it is an empty
    folder that is removed at the end. `messages` is mail that waits for it, `answers` what agents say to what it asks.
    Raises ValueError for options that `validate` would refuse.
    """
    stack = ExitStack()
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="swarm-test-", ignore_cleanup_errors=True)))
    for name in ("state", "work"):
        (folder / name).mkdir()
    how = HandlerSpec(options=dict(options or {}), children="keep" if keep_children else "end")
    with registry.provided({TYPE: handler}):
        if (why := registry.check_options(TYPE, how)) is not None:
            stack.close()
            raise ValueError(f"the options do not fit: {why}")
    spec = RunSpec(
        agent_id="agent-01",
        role="general",
        swarm="test",
        broker=Broker(url="mqtt://127.0.0.1:1"),
        workdir=str(workdir or folder / "work"),
        state_dir=str(folder / "state"),
        handlers={TYPE: how},
    )
    # As it would come over the wire: what is no JSON is found here.
    plain = msgspec.json.decode(msgspec.json.encode(dict(payload or {})))
    task = Task(task_id=task_id, type=TYPE, payload=plain, timeout=timeout)
    return Attempt(handler, spec, task, attempt, stack, messages, answers or {})


async def run(
    handler: type[Handler],
    payload: Mapping[str, Any] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    workdir: Path | None = None,
    timeout: float = 60.0,
    task_id: str = "t-1",
    attempt: int = 1,
    keep_children: bool = False,
    messages: Sequence[Message] = (),
    answers: Mapping[str, str] | None = None,
) -> Done:
    """Run a handler to its end, as `start` says, and return how it ended."""
    begun = start(
        handler,
        payload,
        options=options,
        workdir=workdir,
        timeout=timeout,
        task_id=task_id,
        attempt=attempt,
        keep_children=keep_children,
        messages=messages,
        answers=answers,
    )
    return await begun.ended()
