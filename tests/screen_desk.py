"""A person at the terminal of an agent whose CLI has a screen of its own: what they see and type, what tasks come."""

import asyncio
import os
import sys
import threading
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.models.agent_cli import AgentCli
from swarm_tui.agent.handlers.models.cli_spec import known_clis
from swarm_tui.agent.interactive.cli_process import set_size
from swarm_tui.agent.interactive.pane import Pane
from swarm_tui.agent.interactive.screen import CliScreen
from swarm_tui.agent.interactive.setup import TYPE, screen_of
from swarm_tui.config.model import Broker, HandlerSpec, RunSpec
from swarm_tui.domain.asks.model import AskAnswer, Question
from swarm_tui.processes.descendants import ProcessInfo, descendants
from swarm_tui.testing.attempt import RecordingContext, context
from tests.screen_cli import LOG
from tests.wait import until

CLI = Path(__file__).parent / "screen_cli.py"


def description(**more: Any) -> dict[str, Any]:
    """Return the small CLI's, as a layout has one under `clis`: Claude's hooks, another program."""
    way = msgspec.to_builtins(known_clis()["claude"].interactive)
    argv = [sys.executable, "-I", "-S", str(CLI), "--settings", "{settings}", "{resume}"]
    way |= {"argv": argv, "env": {}, "begun_within": 1.0, **more}
    return {
        "acp": {"argv": ["none"], "log": LOG},
        "interactive": way,
        "passed": ["SCREEN_CLI_HOME", "SCREEN_CLI_DIALOG"],
    }


def _children() -> list[ProcessInfo]:
    """Return our children that live: as a subreaper, the tests' process has all orphans of its programs."""
    return [child for child in descendants(os.getpid()) if child.parent == os.getpid() and not child.zombie]


class Desk:
    """A person at the agent's terminal: what they see, what they type, and what tasks come meanwhile."""

    def __init__(self, folder: Path, options: dict[str, Any] | None = None, **way: Any) -> None:
        self.work, self.home, self.state = folder / "work", folder / "home", folder / "state"
        for made in (self.work, self.home, self.state):
            made.mkdir(exist_ok=True)
        mine = {"cli": "mine", "clis": {"mine": description(**way)}, "mode": "edit"}
        self.options: dict[str, Any] = mine if options is None else options
        self.person, self._terminal = os.openpty()
        tty.setraw(self._terminal)
        set_size(self._terminal, (24, 80))
        self.seen, self.notes, self.changes, self.answered = b"", list[str](), 0, list[tuple[str, str]]()
        self.asked: list[Question] = []
        self.answer: Callable[[Question], AskAnswer] | None = lambda question: AskAnswer(outcome="allow", by="ada")
        threading.Thread(target=self._watch, daemon=True).start()
        self._others = {child.key for child in _children()}
        """Children of other tests: a tmux server, say."""
        self.screen = self.made()

    def made(self) -> CliScreen:
        """Return a screen as the agent's runtime makes it."""
        spec = RunSpec(
            agent_id="a1", role="general", swarm="s", broker=Broker(), workdir=str(self.work),
            state_dir=str(self.state), interactive=True, handlers={TYPE: HandlerSpec(options=self.options)},
        )  # fmt: skip
        return screen_of(
            spec, lambda line, mark: self.notes.append(line), self._changed,
            lambda title, letter: self.answered.append((title, letter)), lambda on: None,
            Pane(self._terminal, self._terminal),
        )  # fmt: skip

    def _changed(self) -> None:
        self.changes += 1

    def _watch(self) -> None:
        while True:
            try:
                self.seen += os.read(self.person, 65536)
            except OSError:
                return

    def types(self, keys: str) -> None:
        os.write(self.person, keys.encode())

    def sees(self, words: str, limit: float = 10.0) -> None:
        """Wait until the pane shows it."""
        until(lambda: words.encode() in self.seen, limit, f"{words!r} in {self.seen[-2000:].decode()}")

    def is_(self, state: str) -> None:
        until(lambda: self.screen.state == state, 10, f"{state}, not {self.screen.state}: {self.notes}")

    def resize(self, rows: int, columns: int) -> None:
        set_size(self._terminal, (rows, columns))

    def task(self, prompt: str, *, meanwhile: Callable[[], None] | None = None, timeout: float = 30.0,
             **more: Any) -> dict[str, Any]:  # fmt: skip
        """Return what came of a task: its result with `code`, `""` for a success, and what was said on its pane."""
        return asyncio.run(self._task(prompt, meanwhile, timeout, more))

    async def _task(
        self, prompt: str, meanwhile: Callable[[], None] | None, timeout: float, more: dict[str, Any]
    ) -> dict[str, Any]:
        resume, cancel, task_id = (more.pop(name, None) for name in ("resume", "cancel_when", "task_id"))
        task_id = task_id or "t-1"
        made: RecordingContext = context(
            {"prompt": prompt, **more}, options=self.options, workdir=self.work, timeout=timeout, task_id=task_id
        )
        made._screen, made._ask, made.resume = self.screen, self._ask, resume
        loop = asyncio.get_running_loop()
        beside = loop.run_in_executor(None, meanwhile) if meanwhile is not None else None
        work = asyncio.ensure_future(AgentCli().run(made))
        while cancel is not None and not work.done():
            await asyncio.wait({work}, timeout=0.05)
            if cancel():
                cancel = None
                made.cancel.set()
        out: dict[str, Any] = {}
        try:
            out |= {"code": "", **await work}
        except HandlerError as error:
            out |= {"code": error.code, "why": str(error), "retryable": error.retryable, **(error.result or {})}
        finally:
            if beside is not None:
                await beside
        return {**out, "log": made.done.log}

    async def _ask(self, question: Question) -> AskAnswer:
        self.asked.append(question)
        while self.answer is None:
            await asyncio.sleep(0.02)
        return self.answer(question)

    def process(self) -> psutil.Process:
        """Return the CLI's process."""
        assert self.screen._process is not None
        return psutil.Process(self.screen._process.pid)

    def close(self) -> None:
        self.screen.close()
        os.close(self._terminal)
        os.close(self.person)
        ours = "the shell that guards its processes has ended"
        until(lambda: not {child.key for child in _children()} - self._others, 10, ours)
