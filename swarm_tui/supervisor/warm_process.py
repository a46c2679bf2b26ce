"""Keep the warm process, of which the agents of ours are forks: made with the first start, again when it has ended."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import swarm_tui
from swarm_tui.config.model import RunSpec
from swarm_tui.config.own_process import own_argv
from swarm_tui.supervisor.loop import Call, Loop
from swarm_tui.supervisor.services import SayEvent

#: The socket's name in the state folder; `agent/pane_leader.py` has it too.
SOCKET = "warm.sock"
LEADER = Path(swarm_tui.__file__).parent / "agent" / "pane_leader.py"
#: Room for the command line of an agent, which a fork shows instead of its own.
PADDING = " " * 2000
#: Panes that may wait for it at once.
BACKLOG = 1024
#: Seconds that it must have lived for its end to be made good at once, and that another is not tried for otherwise.
STEADY, PAUSE = 5.0, 2.0
#: Seconds that it has to end when the supervisor does.
END_WAIT = 2.0


class WarmProcess:
    """A supervisor has one. `wanted` says whether the layout has it; without one, agents start by themselves."""

    def __init__(self, folder: Path, loop: Loop, say: SayEvent, environ: Mapping[str, str], *, wanted: bool) -> None:
        self.wanted = wanted and sys.platform == "linux"
        self._folder, self._loop, self._say, self._environ = folder, loop, say, environ
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._unwatch: Call | None = None
        self._began = float("-inf")
        self._not_before = float("-inf")

    @property
    def pid(self) -> int | None:
        """The pid of the one that lives."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def argv(self, spec: RunSpec, own: list[str]) -> list[str]:
        """Return the command line of the agent's pane, which is `own` where there is no warm process.

        Programs of others are no forks of ours.
        """
        if spec.command is not None or not self._ensure():
            return own
        return [sys.executable, "-P", "-I", "-S", str(LEADER), str(self._folder), "--", *own]

    def begin(self) -> None:
        """Make it now, so that it is warm when the first agent starts."""
        self._ensure()

    def want(self, wanted: bool) -> None:
        """Have one from the next start on, or none any more: the layout may have changed."""
        if wanted:
            self.wanted = sys.platform == "linux"
        elif self.wanted:
            self.close()

    def close(self) -> None:
        """End it; what it forked lives on."""
        self.wanted = False
        if self._unwatch is not None:
            self._unwatch()
        self._let_go()
        process, self._process = self._process, None
        if process is not None:
            try:
                process.wait(END_WAIT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        (self._folder / SOCKET).unlink(missing_ok=True)

    def _ensure(self) -> bool:
        if not self.wanted:
            return False
        if self.pid is not None:
            return True
        if time.monotonic() < self._not_before:
            return False
        try:
            self._make()
        except OSError as error:
            self._not_before = time.monotonic() + PAUSE
            self._say("warm", "", f"no warm process: {error}; agents start by themselves")
            return False
        return True

    def _make(self) -> None:
        """Start it. It inherits a socket that listens already: a pane can ask before it is warm. Raises OSError."""
        self._let_go()
        (self._folder / SOCKET).unlink(missing_ok=True)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                # By way of the descriptor, because a socket's path has 107 bytes at most.
                listener.bind(f"/proc/self/fd/{folder}/{SOCKET}")
                listener.listen(BACKLOG)
                theirs, self._lifeline = os.pipe()
                try:
                    self._process = subprocess.Popen(
                        own_argv(
                            "swarm_tui.agent.warm_process",
                            str(listener.fileno()),
                            str(theirs),
                            str(self._folder),
                            PADDING,
                        ),
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        pass_fds=(listener.fileno(), theirs),
                        env=dict(self._environ),
                        start_new_session=True,
                    )
                finally:
                    os.close(theirs)
        finally:
            os.close(folder)
        self._began = time.monotonic()
        process = self._process
        self._unwatch = self._loop.watch(process.pid, lambda: self._ended(process))

    def _ended(self, process: "subprocess.Popen[bytes]") -> None:
        code = process.wait()
        if process is not self._process:
            return
        self._process = None
        if time.monotonic() - self._began < STEADY:
            self._not_before = time.monotonic() + PAUSE
        self._say("warm", "", f"the warm process ended ({code}): agents run on, the next start makes another")

    def _let_go(self) -> None:
        if self._lifeline is not None:
            with suppress(OSError):
                os.close(self._lifeline)
            self._lifeline = None
