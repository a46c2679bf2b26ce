"""The thread in which handlers run: started with the first task, then kept warm."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from swarm_tui.agent.running_attempt import NOT_LOADED, Outcome, RunningAttempt
from swarm_tui.config.model import RunSpec

if TYPE_CHECKING:
    import asyncio

    from swarm_tui.agent.executor import Executor, Reports


class HandlerThread:
    """Takes attempts from any thread. Its thread lasts: the kernel kills what a thread forked when the thread ends."""

    def __init__(self, spec: RunSpec, reports: Reports) -> None:
        self._spec = spec
        self._reports = reports
        self._waiting: list[tuple[RunningAttempt | None, Callable[[Executor], None]]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._executor: Executor | None = None
        self.answered = 0.0
        """When the loop last answered `ping`, in the caller's seconds."""

    def start(self, attempt: RunningAttempt) -> None:
        """Begin the work of an attempt."""
        self._call(lambda executor: executor.start(attempt), attempt)

    def stop(self, attempt: RunningAttempt, cause: str, wait: float | None = None) -> None:
        """End the work of an attempt; `wait` is how long it may take to end by itself."""
        if wait is None:
            self._call(lambda executor: executor.stop(attempt, cause))
        else:
            self._call(lambda executor: executor.stop(attempt, cause, wait))

    def ping(self, now: float) -> None:
        """Have the loop note that it still runs."""

        def answer(executor: Executor) -> None:
            self.answered = max(self.answered, now)

        self._call(answer)

    def close(self) -> None:
        """End the processes that are left."""
        if self._executor is not None:
            self._executor.close()

    def _call(self, action: Callable[[Executor], None], begins: RunningAttempt | None = None) -> None:
        with self._lock:
            if self._loop is None or self._executor is None:
                self._waiting.append((begins, action))
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="work", daemon=True)
                    self._thread.start()
                return
        self._loop.call_soon_threadsafe(action, self._executor)

    def _run(self) -> None:
        try:
            import asyncio

            from swarm_tui.agent.executor import Executor
        except Exception as error:  # noqa: BLE001 - a package reinstalled meanwhile: what waits must still end
            self._fail(f"this agent's own modules do not load: {type(error).__name__}: {error}")
            return
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        with self._lock:
            self._loop, self._executor = loop, Executor(self._spec, self._reports)
            for _, action in self._waiting:
                loop.call_soon(action, self._executor)
            self._waiting.clear()
        loop.run_forever()

    def _fail(self, why: str) -> None:
        """End what waits for the thread that could not start; the next attempt tries again."""
        with self._lock:
            waiting, self._waiting, self._thread = self._waiting, [], None
        for attempt, _ in waiting:
            if attempt is not None:
                self._reports.ended(attempt, Outcome(error=why, code=NOT_LOADED, retryable=True))
