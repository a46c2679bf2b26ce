"""A context for handlers, and small real projects to run them on."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, field

from swarm_tui.agent.handlers.base import Context, Handler
from swarm_tui.config.model import HandlerSpec

GIT = {
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.invalid",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.invalid",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


class Heard(Struct):
    """What a handler said besides its result."""

    progress: list[tuple[float, str]] = field(default_factory=list)
    usage: list[tuple[int, float]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    published: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    spawned: list[int] = field(default_factory=list)
    output: list[str] = field(default_factory=list)


class Bench:
    """Runs one handler in a workdir as the runtime would, and keeps what it said."""

    def __init__(self, folder: Path) -> None:
        self.workdir = folder / "project"
        self.workdir.mkdir()
        self.state = folder / "state"
        self.state.mkdir()
        self.heard = Heard()

    def context(
        self,
        type_: str,
        payload: dict[str, Any] | None = None,
        *,
        options: dict[str, Any] | None = None,
        timeout: float = 60.0,
        task_id: str = "t-1",
    ) -> Context:
        """A context; to be made inside the event loop that runs the handler."""
        heard = self.heard = Heard()
        return Context(
            task_id=task_id,
            type=type_,
            payload=payload or {},
            attempt=1,
            fence="1.1",
            idempotency_key=task_id,
            agent_id="agent-01",
            role="general",
            swarm="opencto-test",
            broker_url="mqtt://127.0.0.1:1",
            workdir=self.workdir,
            state_dir=self.state,
            spec=HandlerSpec(options=options or {}),
            deadline=asyncio.get_running_loop().time() + timeout,
            cancel=asyncio.Event(),
            environment={"SWARM_TASK_ID": task_id},
            _progress=lambda percent, message: heard.progress.append((percent, message)),
            _usage=lambda tokens, cost: heard.usage.append((tokens, cost)),
            _log=heard.log.append,
            _publish=lambda kind, body: heard.published.append((kind, body)),
            _spawned=heard.spawned.append,
            _output=heard.output.append,
        )

    def run(self, handler: Handler, type_: str, payload: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """The handler's result."""

        async def go() -> dict[str, Any]:
            return await handler.run(self.context(type_, payload, **more))

        return asyncio.run(go())

    def cancel_when(self, handler: Handler, type_: str, ready: Callable[[], bool], **more: Any) -> dict[str, Any]:
        """The handler's result, though it was cancelled once `ready` said so."""

        async def go() -> dict[str, Any]:
            context = self.context(type_, **more)
            task = asyncio.ensure_future(handler.run(context))
            while not ready() and not task.done():
                await asyncio.sleep(0.01)
            context.cancel.set()
            return await asyncio.wait_for(task, 11)

        return asyncio.run(go())

    def write(self, path: str, text: str) -> Path:
        """A file of the project."""
        full = self.workdir / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text)
        return full

    def git(self, *argv: str) -> str:
        """git in the project."""
        done = subprocess.run(
            ["git", *argv], cwd=self.workdir, env={**os.environ, **GIT}, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str = "change") -> str:
        """Commit all of the project; makes the repository if there is none. Gives the commit's hash."""
        if not (self.workdir / ".git").exists():
            self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def alive(pid: int) -> bool:
    """Whether any process of the group `pid` runs (a zombie does not)."""
    import psutil

    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == pid and process.status() != psutil.STATUS_ZOMBIE:
                return True
        except (psutil.Error, ProcessLookupError):
            continue
    return False


@pytest.fixture
def group_gone() -> Callable[[int], None]:
    """Wait until no process of a group is left."""

    def wait(pid: int) -> None:
        limit = time.monotonic() + 11
        while alive(pid):
            assert time.monotonic() < limit, f"group {pid} is alive"
            time.sleep(0.02)

    return wait
