"""A talk to the small ACP agent of ours, as each real CLI behaves, or to a real one that is installed."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from swarm_tui.agent.conversation.permits import Rules
from swarm_tui.agent.conversation.run import Told, converse
from swarm_tui.agent.conversation.settings import Settings
from swarm_tui.agent.conversation.spec import SessionLog
from swarm_tui.agent.handlers.mail import Message
from swarm_tui.agent.handlers.models.cli_spec import known_clis
from swarm_tui.domain.asks.model import AskAnswer, Question
from swarm_tui.testing.attempt import KitMail, RecordingContext, context

AGENT = Path(__file__).parents[2] / "acp_agent.py"
NAMES = ("claude", "codex", "gemini", "opencode")


class Person:
    """Somebody at the terminal of the agent."""

    def __init__(self, talk: "Talk") -> None:
        self._talk = talk

    async def sees(self, words: str) -> None:
        """Wait until the pane shows it."""
        for _ in range(1000):
            if any(words in line for line in self._talk.log):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{words!r} is not in {self._talk.log}")

    def types(self, line: str) -> None:
        self._talk.hear(line)

    def interrupts(self) -> None:
        assert self._talk.interrupt is not None
        self._talk.interrupt()


class Talk:
    """Talks to a CLI in a folder, and keeps what was said and asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self.home = folder / "agent"
        self.home.mkdir()
        self.asked: list[Question] = []
        self.answer: Callable[[Question], AskAnswer] = lambda question: AskAnswer(outcome="allow", by="operator:ada@h")
        self.context: RecordingContext | None = None
        self.spawned: list[int] = []
        self.hear: Callable[[str], None] = lambda line: None
        self.interrupt: Callable[[], None] | None = None

    def __call__(self, name: str, prompt: str, **more: Any) -> Told:
        return asyncio.run(self.run(name, prompt, **more))

    async def run(
        self,
        name: str,
        prompt: str,
        *,
        mode: Any = "edit",
        timeout: float = 60.0,
        allow: list[str] | None = None,
        deny: list[str] | None = None,
        resume: Any = None,
        granted: tuple[str, ...] = (),
        argv: list[str] | None = None,
        ask: list[str] | None = None,
        ready: Callable[[], bool] | None = None,
        person: "Callable[[Person], Awaitable[None]] | None" = None,
        mail: list[list[Message]] | None = None,
        log: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Told:
        """Talk to the end; cancelled once `ready` says so. `mail` comes before each turn, `log` describes its log."""
        known = known_clis()[name]
        assert known.acp is not None
        argv = argv or [sys.executable, "-I", "-S", str(AGENT), name]
        env = {**known.acp.env, "ACP_AGENT_HOME": str(self.home)}
        acp = msgspec.structs.replace(known.acp, argv=argv, env=env, endpoint=None)
        kept_log = None if log is None else msgspec.convert(log, SessionLog)
        acp = msgspec.structs.replace(acp, log=kept_log) if kept_log is not None else acp
        made = self.context = context({}, workdir=self.folder, timeout=timeout)
        made.deadline = asyncio.get_running_loop().time() + timeout
        made.resume, made.granted = resume, granted
        made._spawned = self.spawned.append

        waiting = list(mail or [])
        assert isinstance(made._mail, KitMail)
        made._mail.read = lambda: waiting.pop(0) if waiting else []  # type: ignore[method-assign]

        async def asks(question: Question) -> AskAnswer:
            self.asked.append(question)
            return self.answer(question)

        made._ask = asks
        made._attend = self._attend
        self.person = Person(self)
        talking = asyncio.ensure_future(
            converse(
                made,
                name,
                acp,
                prompt,
                settings=Settings(mode=mode, **settings),
                rules=Rules(mode=mode, allow=allow or [], deny=deny or [], ask=ask or []),
                folder=self.folder,
            )
        )
        while ready is not None and not ready() and not talking.done():
            await asyncio.sleep(0.01)
        if ready is not None:
            made.cancel.set()
        acts = asyncio.ensure_future(person(self.person)) if person is not None else None
        try:
            return await talking
        finally:
            if acts is not None:
                await acts

    def _attend(self, hear: Callable[[str], None] | None, interrupt: Callable[[], None] | None) -> None:
        if hear is not None:
            self.hear, self.interrupt = hear, interrupt

    @property
    def log(self) -> list[str]:
        """What was said on the pane."""
        return self.context.done.log if self.context is not None else []


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    return Talk(tmp_path)
