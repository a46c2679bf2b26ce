"""A person who speaks in a conversation from the agent's terminal: a word in its turn, the next turn, an interrupt."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from swarm_tui.agent.handlers.base import Context

#: The reason of a turn that a person ended; seconds for what they say next.
INTERRUPTED, NEXT_WITHIN = "interrupted", 300.0


class Person:
    """Whoever sits at the terminal. Used on the handlers' loop; `steer` says words in the middle of a turn."""

    def __init__(self, context: Context, steer: Callable[[str], Awaitable[bool]]) -> None:
        self._context, self._steer = context, steer
        self._lines: deque[str] = deque()
        self._came = asyncio.Event()
        self._interrupted: asyncio.Future[None] | None = None
        self._steering: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Listen from now on."""
        self._context.attend(self.hear, self.interrupt)

    def close(self) -> None:
        """Listen no more."""
        self._context.attend(None, None)
        for task in self._steering:
            task.cancel()

    def begin(self) -> "asyncio.Future[None]":
        """Begin a turn; what is returned is done when the person interrupts it."""
        self._interrupted = asyncio.get_running_loop().create_future()
        return self._interrupted

    def end(self) -> None:
        """End the turn."""
        if self._interrupted is not None and not self._interrupted.done():
            self._interrupted.cancel()
        self._interrupted = None

    def hear(self, line: str) -> None:
        """Take a line: into the running turn where the CLI has that, else for the next."""
        self._context.log(f"» {line}")
        if self._interrupted is None:
            self._keep(line)
            return
        task = asyncio.ensure_future(self._say_now(line))
        self._steering.add(task)
        task.add_done_callback(self._steering.discard)

    async def _say_now(self, line: str) -> None:
        if await self._steer(line):
            self._context.log("  it has that, in this turn")
        else:
            self._keep(line)
            if self._interrupted is not None:
                self._context.log("  that is said when this turn has ended")

    def _keep(self, line: str) -> None:
        self._lines.append(line)
        self._came.set()

    def interrupt(self) -> None:
        """End the running turn."""
        if self._interrupted is not None and not self._interrupted.done():
            self._interrupted.set_result(None)

    async def next(self, reason: str) -> str | None:
        """Return what is said next; after an interrupt it is waited for. None where nothing more is said."""
        if self._steering:
            await asyncio.wait(set(self._steering), timeout=1.0)
        if reason == INTERRUPTED and not self._lines:
            self._context.log(f"⏸ interrupted: type what it shall do; in {NEXT_WITHIN:.0f} s the task ends")
            await self._wait()
        self._came.clear()
        said = list(self._lines)
        self._lines.clear()
        return "\n".join(said) if said else None

    async def _wait(self) -> None:
        left = min(NEXT_WITHIN, self._context.deadline - asyncio.get_running_loop().time())
        waits = [asyncio.ensure_future(self._came.wait()), asyncio.ensure_future(self._context.cancel.wait())]
        await asyncio.wait(waits, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
