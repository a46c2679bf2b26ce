"""A talk to the small ACP agent of ours, as each real CLI behaves, or to a real one that is installed."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from swarm_tui.agent.conversation.permits import Rules
from swarm_tui.agent.conversation.run import Told, converse
from swarm_tui.agent.conversation.settings import Settings
from swarm_tui.agent.handlers.models.cli_spec import known_clis
from swarm_tui.domain.asks.model import AskAnswer, Question
from swarm_tui.testing.attempt import RecordingContext, context

AGENT = Path(__file__).parents[2] / "acp_agent.py"
NAMES = ("claude", "codex", "gemini", "opencode")


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
        ask: list[str] | None = None,
        ready: Callable[[], bool] | None = None,
        **settings: Any,
    ) -> Told:
        """Talk to the end; cancelled once `ready` says so."""
        known = known_clis()[name]
        assert known.acp is not None
        argv = [sys.executable, "-I", "-S", str(AGENT), name]
        env = {**known.acp.env, "ACP_AGENT_HOME": str(self.home)}
        acp = msgspec.structs.replace(known.acp, argv=argv, env=env, endpoint=None)
        made = self.context = context({}, workdir=self.folder, timeout=timeout)
        made.deadline = asyncio.get_running_loop().time() + timeout
        made.resume, made.granted = resume, granted
        made._spawned = self.spawned.append

        async def asks(question: Question) -> AskAnswer:
            self.asked.append(question)
            return self.answer(question)

        made._ask = asks
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
        return await talking

    @property
    def log(self) -> list[str]:
        """What was said on the pane."""
        return self.context.done.log if self.context is not None else []


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    return Talk(tmp_path)
