"""A program that is spoken to by lines of JSON on its stdin and stdout, as a transport of the ACP library."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.output import Capped, Lines
from swarm_tui.agent.handlers.process import OUTPUT_LIMIT, sandboxed
from swarm_tui.processes.descendants import dying_with_us

#: Seconds that a program may take to end by itself once its input is closed, and then after SIGTERM.
EOF_WAIT, TERM_WAIT = 0.3, 0.7
#: Lines that are no messages: so many are told, the rest is counted.
_TOLD = 20


class StdioProgram(asyncio.SubprocessProtocol):
    """A program and its pipes. `send`, `receive` and `close` are what the ACP library asks of a transport."""

    def __init__(self, on_garbage: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.err = Capped(OUTPUT_LIMIT // 10)
        self.ended: asyncio.Future[None] = loop.create_future()
        self.heard_at = loop.time()
        """When it last said anything, by the loop's clock."""
        self.garbage = 0
        self._inbound: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._lines = Lines(self._line)
        self._on_garbage = on_garbage
        self._transport: asyncio.SubprocessTransport | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    @classmethod
    async def start(
        cls, context: Context, argv: Sequence[str], cwd: Path, environment: Mapping[str, str]
    ) -> "StdioProgram":
        """Start it in a process group of its own, which dies with the task. Raises HandlerError (`not-started`)."""
        words = sandboxed(context, argv, cwd)
        try:
            _, program = await asyncio.get_running_loop().subprocess_exec(
                lambda: cls(context.log),
                *dying_with_us(words),
                cwd=cwd,
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise HandlerError(f"{argv[0]} did not start: {error}", code="not-started") from error
        context.spawned(program.pid)
        return program

    @property
    def pid(self) -> int:
        """Return its process id, which is its group's too."""
        assert self._transport is not None
        return self._transport.get_pid()

    @property
    def returncode(self) -> int | None:
        """Return its exit status, negative for a signal; None while it runs."""
        return self._transport.get_returncode() if self._transport is not None else None

    # asyncio's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        if fd == 1:
            self._lines.add(data)
        else:
            self.err.add(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self._inbound.put_nowait(None)
        self._writable.set()

    def process_exited(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        self._inbound.put_nowait(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _line(self, line: str) -> None:
        if not line.strip():
            return
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if isinstance(message, dict):
            self._inbound.put_nowait(message)
            return
        self.garbage += 1
        if self.garbage <= _TOLD:
            self._on_garbage(line[:500])

    # the library's transport

    async def send(self, message: dict[str, Any]) -> None:
        """Write one message. Raises ConnectionError when it does not read any more."""
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        if not isinstance(pipe, asyncio.WriteTransport) or pipe.is_closing() or self.ended.done():
            raise ConnectionError("the program does not read any more")
        pipe.write((json.dumps(message, separators=(",", ":")) + "\n").encode())
        await self._writable.wait()

    async def receive(self) -> dict[str, Any] | None:
        """Return the next message; None when no more comes."""
        return await self._inbound.get()

    async def close(self) -> None:
        """Close its input: a program in order then ends."""
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        if pipe is not None:
            pipe.close()

    async def end(self) -> None:
        """End it and its group: by the end of its input, SIGTERM, SIGKILL. What left the group the runtime ends."""
        await self.close()
        for wait, number in ((EOF_WAIT, signal.SIGTERM), (TERM_WAIT, signal.SIGKILL)):
            await asyncio.wait({self.ended}, timeout=wait)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
            if self.ended.done():
                break
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        await asyncio.wait({self.ended}, timeout=1.0)
        if self._transport is not None:
            self._transport.close()
