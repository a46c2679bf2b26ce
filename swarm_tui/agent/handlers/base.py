"""A task as its handler sees it: the context it is given, the result it returns, the error it raises."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Protocol

import msgspec
from msgspec import Struct

from swarm_tui.agent.handlers.mail import Claimed, Mail, MailError, Message
from swarm_tui.config.model import HandlerSpec
from swarm_tui.config.sandbox import Sandbox
from swarm_tui.domain.asks.model import AskAnswer, Question
from swarm_tui.domain.usage import Usage
from swarm_tui.protocol.run_bodies import new_run

Result = dict[str, Any]


class HandlerError(Exception):
    """Failure of a task, in the words that its record shows.

    `code` is a short word that tools branch on; `retryable` says whether another attempt may do better; `result` is the
    part of the result that there is, a JSON object; `retry_at` is when a limit is reset, in seconds since the epoch:
    another attempt before that would fail too.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "failed",
        retryable: bool = False,
        result: Result | None = None,
        retry_at: float | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_at = retry_at
        self.code = code
        self.retryable = retryable
        self.result = result


class MissingToolError(HandlerError):
    """Failure for want of a tool; the text holds the command that installs it. Its code is `missing-tool`."""

    def __init__(self, tool: str, install: str) -> None:
        super().__init__(f"{tool} is not installed here: run `{install}`", code="missing-tool")


class ResumePoint(Struct, frozen=True, kw_only=True):
    """Place where an earlier attempt left off: its session, the task, why it ended, what its session cost.

    `cli` is whose session it is, where another task's is gone on with, as far as is known.
    `session` is empty where nothing can be gone on with; `summary` is the last that was said in it, as far as is known.
    `began` is the wall time at which its first attempt was offered, 0 where nobody knows. `cut_off`: an attempt in the
    session ended before it told what it took; the tokens and `known_cost` are what was told, of at least `calls` of the
    model. `owed`: the budget wants to know the rest before anything more is spent.
    """

    session: str = ""
    cli: str = ""
    task_id: str = ""
    why: str = ""
    cost: float | None = None
    summary: str = ""
    began: float = 0.0
    cut_off: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    known_cost: float = 0.0
    calls: int = 0
    owed: bool = False


class Context(Struct, kw_only=True):
    """Attempt at one task, as its handler sees it.

    `payload` is the task's, as JSON gives it; `spec` what the layout says of the type, its `options` among it.
    `workdir` is where the agent works, `state_dir` the swarm's own folder, both absolute. `deadline` is seconds on
    the event loop's clock. `cancel` is set when the task is to stop: a handler has 10 s to end by
    itself, then its process group gets SIGTERM, then SIGKILL; `run_process` tells its program by SIGTERM at once,
    because a program hears nothing else, and kills it after 10 s. `fence` is `<attempt>.<epoch>`; it only grows.
    `environment` is what a handler's processes get (SWARM_TASK_ID …, TRACEPARENT), on top of the allowed one.
    """

    task_id: str
    type: str
    payload: dict[str, Any]
    attempt: int
    fence: str
    idempotency_key: str
    agent_id: str
    role: str
    swarm: str
    broker_url: str
    workdir: Path
    state_dir: Path
    spec: HandlerSpec
    deadline: float
    cancel: asyncio.Event
    environment: Mapping[str, str]
    _progress: Callable[[float, str], None]
    _usage: Callable[[int, float], None]
    _log: Callable[[str], None]
    _publish: Callable[[str, dict[str, Any]], None]
    _spawned: Callable[[int], None]
    _output: Callable[[str], None] = lambda text: None
    _converse: Callable[[Usage, int, str | None], None] = lambda usage, turn, session: None
    _attend: Callable[[Callable[[str], None] | None, Callable[[], None] | None], None] = lambda hear, interrupt: None
    _ask: Callable[[Question], Awaitable[AskAnswer]] | None = None
    _mail: Mail | None = None
    _screen: Any = None
    sandbox: Sandbox | None = None
    """Where the layout wants its programs to run; None: as the agent does."""
    own_names: frozenset[str] = frozenset()
    """Names of the variables that the layout's entry sets under `env`."""
    resume: ResumePoint | None = None
    """Where an earlier attempt left off, when it did."""
    budget: float | None = None
    """US dollars that the swarm's budget leaves for this attempt."""
    granted: tuple[str, ...] = ()
    """Rules for an AI agent's tools that people allowed for this task."""

    @property
    def screen(self) -> Any:
        """The agent's CLI with its own full screen, a CliScreen; None where it has none. For `agent-cli` alone."""
        return self._screen

    def progress(self, percent: float, message: str = "") -> None:
        """Say how far the work is, 0 to 100 percent; also renews the lease. Thread-safe, raises nothing."""
        self._progress(percent, message)

    def usage(self, tokens: int = 0, cost: float = 0.0) -> None:
        """Add to what the task has used: tokens, and US dollars. Thread-safe."""
        self._usage(tokens, cost)

    def converse(self, usage: Usage, turn: int, session: str | None) -> None:
        """Say how far a conversation is: what it used in this attempt so far, its turn, the name of its session.

        What it used is said whole each time, where `usage` adds. Thread-safe.
        """
        self._converse(usage, turn, session)

    async def ask(self, question: Question) -> AskAnswer:
        """Ask people whether something may be done, and wait for the answer; silence is a no. Raises nothing."""
        if self._ask is None:
            return AskAnswer(outcome="deny", reason="nobody can be asked here")
        return await self._ask(question)

    def attend(self, hear: Callable[[str], None] | None, interrupt: Callable[[], None] | None) -> None:
        """Let a person at the agent's terminal speak to this work: lines go to `hear`, a Ctrl-C calls `interrupt`.

        Both are called on the event loop; None for both ends it.
        """
        self._attend(hear, interrupt)

    def log(self, line: str, *, kept: bool = False) -> None:
        """Write a line on the agent's pane (and so into its log), and into the task's output unless that has it."""
        self._log(line)
        if not kept:
            self._output(f"{line}\n")

    def output(self, text: str) -> None:
        """Write whole lines into the task's output, which is kept with the task; its programs' own is there already."""
        self._output(text)

    def publish(self, kind: str, payload: dict[str, Any]) -> None:
        """Publish a message besides the result: `deployment/status`, `alerts`, `tasks/new`, `runs/new`, `broadcast`."""
        self._publish(kind, payload)

    def run(self, workflow: dict[str, Any], inputs: dict[str, Any] | None = None, run_id: str | None = None) -> str:
        """Begin a run of a workflow, whole as its file has it. Returns the run's id.

        By default the id follows from the task and the workflow, so that another attempt begins no second run. Nobody
        waits for it here: a step that needs the run's end belongs into the workflow.
        """
        mark = sha256(f"{self.idempotency_key}\0{workflow.get('workflow')}".encode()).hexdigest()[:16]
        known = run_id or f"run-{mark}"
        body = msgspec.to_builtins(new_run(known, workflow, inputs or {}))
        self._publish("runs/new", {name: value for name, value in body.items() if value is not None})
        return known

    def messages(self) -> list[Message]:
        """Return the agent's mail that nobody has read, oldest first; each message is given once, and counts as read.

        What is about another task that the agent is at is left to that. Thread-safe, raises nothing.
        """
        return [] if self._mail is None else self._mail.read()

    def send(
        self,
        to: str,
        text: str,
        *,
        reply_to: str | None = None,
        expects_answer: bool = False,
        message_id: str | None = None,
    ) -> str:
        """Send a message to an agent, a role, `all` or a person; the swarm's dispatcher brings it. Returns its id.

        It is sent until it is accepted, also when this agent dies. By default the id follows from the task and the
        words, so that another attempt tells nobody the same twice. Thread-safe. Raises HandlerError.
        """
        if self._mail is None:
            raise HandlerError("there is no mail here", code="no-mail")
        try:
            return self._mail.send(to, text, reply_to=reply_to, expects_answer=expects_answer, message_id=message_id)
        except MailError as error:
            raise HandlerError(str(error), code="no-mail") from error

    def reply(self, message: Message, text: str) -> str:
        """Answer a message. Returns the answer's id. Raises HandlerError."""
        return self.send(message.sender, text, reply_to=message.message_id)

    async def ask_agent(self, to: str, text: str, within: float = 300.0) -> Message:
        """Send a message and wait for the answer, so many seconds. Raises HandlerError (`no-answer`)."""
        if self._mail is None:
            raise HandlerError("there is no mail here", code="no-mail")
        try:
            return await self._mail.ask(to, text, within)
        except MailError as error:
            raise HandlerError(str(error), code="no-answer", retryable=True) from error

    async def claim(self, paths: list[str], within: float = 30.0) -> Claimed:
        """Claim paths or globs of the workdir until the attempt ends, and return whether it has them. Raises nothing.

        No two tasks hold what may be one file. Others are told who holds it; nobody is kept from writing.
        """
        if self._mail is None:
            return Claimed(claim_id="", granted=False, reason="nobody keeps claims here")
        return await self._mail.claim(paths, within)

    def release(self, claimed: Claimed | None = None) -> None:
        """Let go of a claim before the attempt ends, or of all of them. Thread-safe."""
        if self._mail is not None:
            self._mail.release(None if claimed is None else claimed.claim_id)

    def spawned(self, pid: int) -> None:
        """Record the leader of a new process group, so that it dies with the task and the agent."""
        self._spawned(pid)


class Handler(Protocol):
    """Does one task type. `Payload` is its schema: the form, `publish TYPE --help` and validation read it.

    A handler may also have a class attribute `Options`, the schema of the layout's `options`: `validate` reads it.
    """

    Payload: ClassVar[type[Struct]]

    def run(self, context: Context) -> Awaitable[Result]:
        """Do the work, and return a JSON object as its result.

        Raises HandlerError for a failure that the task's record should name. Any other exception is a crash: the task
        fails as `crashed`, which may be tried again, and the traceback is in its output.
        """
        ...
