"""Drive one `tmux -C` client: commands without a process each, and a word for every pane that prints."""

import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from msgspec import Struct

from swarm_tui.tmux.errors import NoServerError, TmuxError, TmuxTimeoutError
from swarm_tui.tmux.server import Tmux

LONGEST_WAIT = 5.0
GONE = "the control client is gone"
_CHANGES = (b"%layout-change ", b"%client-session-changed ", b"%client-detached ")


class _Pending(Struct):
    """A command on its way: its answer goes into `answer` as (ok, lines)."""

    answer: "queue.SimpleQueue[tuple[bool, list[str]]]"
    lines: list[str] = []
    mark: bytes = b""
    """The common part of its answer's first and last lines; a pane can show a line that only looks like the last."""


def quoted(argument: str) -> str:
    """Return an argument as tmux's command language takes it unchanged."""
    if argument and all(c.isalnum() or c in "-_./:,@%=+" for c in argument) and argument[0] not in "%-=":
        return argument
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    escaped = escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f'"{escaped}"' if not argument.startswith("~") else f'"\\{escaped}"'


class ControlClient:
    """A control-mode client of one session, with a thread of its own; it connects again by itself.

    `on_output(pane_id)` is called on that thread for each pane that printed, and must return at once; `None` for it
    asks tmux to send no output at all. `on_change()` hears that a window was laid out or a client came or went,
    `on_gone(reason)` of each loss of the connection. Windows do not take its size. End it with `close`.
    """

    def __init__(
        self,
        tmux: Tmux,
        session: str,
        *,
        on_output: Callable[[str], None] | None = None,
        on_change: Callable[[], None] = lambda: None,
        on_gone: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.tmux, self.session = tmux, session
        self._on_output, self._on_change, self._on_gone = on_output, on_change, on_gone
        self._target = f"={session}"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._asked: deque[_Pending] = deque()
        self._overdue: _Pending | None = None
        """A command whose answer was not waited for any longer."""
        self._closing = threading.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tmux-control", daemon=True)
        self._thread.start()

    @property
    def is_up(self) -> bool:
        """Return whether the client is connected."""
        return self._up.is_set()

    @property
    def name(self) -> str | None:
        """Return what tmux calls this client; None while it is not connected."""
        process = self._process
        return None if process is None or not self._up.is_set() else f"client-{process.pid}"

    @property
    def session_target(self) -> str:
        """Return how the session that it is a client of is addressed."""
        return f"{self._target}:"

    def wait_up(self, timeout: float) -> bool:
        """Wait until it is connected."""
        return self._up.wait(timeout)

    def command(self, *argv: str, timeout: float = 5.0) -> list[str]:
        """Return the lines one command printed. Raises TmuxError, NoServerError (not connected), TmuxTimeoutError."""
        return self.commands([argv], timeout=timeout)[0]

    def commands(self, many: Sequence[Sequence[str]], timeout: float = 5.0) -> list[list[str]]:
        """Return what several commands printed, sent at once. Raises as `command` does, for the first that failed."""
        end = time.monotonic() + timeout
        self._catch_up(end)
        asked = [_Pending(queue.SimpleQueue()) for _ in many]
        text = "".join(" ".join(quoted(argument) for argument in argv) + "\n" for argv in many)
        with self._lock:
            process = self._process
            if process is None or process.stdin is None or not self._up.is_set():
                raise NoServerError("the control client is not connected")
            self._asked.extend(asked)
            try:
                process.stdin.write(text.encode())
                process.stdin.flush()
            except (OSError, ValueError) as error:
                raise NoServerError(f"the control client is gone: {error}") from None
        return [self._answer(one, argv, end) for one, argv in zip(asked, many, strict=True)]

    def _catch_up(self, end: float) -> None:
        """Say no more to a tmux that owes an answer: what it does not read fills the pipe, and writing would hang."""
        overdue = self._overdue
        if overdue is not None:
            try:
                overdue.answer.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise TmuxTimeoutError("tmux has not answered for some time") from None
            self._overdue = None

    def _answer(self, one: _Pending, argv: Sequence[str], end: float) -> list[str]:
        try:
            ok, lines = one.answer.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            self._overdue = one
            raise TmuxTimeoutError(f"tmux did not answer `{argv[0]}` in time") from None
        if not ok and lines == [GONE]:
            raise NoServerError(GONE)
        if not ok:
            raise TmuxError(f"tmux {argv[0]}: {' '.join(lines) or 'failed'}")
        return lines

    def capture(self, pane_id: str, *, colours: bool = True, history: int = 0, timeout: float = 5.0) -> list[str]:
        """Return what a pane shows, a string a line, after `history` rows that scrolled off. Raises as `command`.

        A line that the pane wrapped is whole again.
        """
        return self.capture_many([pane_id], colours=colours, history=history, timeout=timeout)[0]

    def capture_many(
        self, pane_ids: Sequence[str], *, colours: bool = True, history: int = 0, timeout: float = 5.0
    ) -> list[list[str]]:
        """Return what several panes show, asked for at once."""
        flags = [*(["-e"] if colours else []), *(["-S", f"-{history}"] if history else [])]
        asked = [["capture-pane", "-p", "-J", *flags, "-t", pane_id] for pane_id in pane_ids]
        return [[line.rstrip(" ") for line in lines] for lines in self.commands(asked, timeout=timeout)]

    def close(self, wait: float = 2.0) -> None:
        """End the client by closing its input, which tmux takes for a detach."""
        self._closing.set()
        with self._lock:
            process = self._process
            if process is not None and process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(wait)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()

    # The client's own thread.

    def _run(self) -> None:
        pause = 0.0
        while not self._closing.wait(pause):
            began = time.monotonic()
            reason = self._live()
            self._lose()
            if not self._closing.is_set():
                self._on_gone(reason)
            pause = 0.1 if time.monotonic() - began > LONGEST_WAIT else min(LONGEST_WAIT, max(0.1, pause * 2))

    def _live(self) -> str:
        """Keep one connection, from its start to its end; return why it ended."""
        flags = "ignore-size" if self._on_output is not None else "ignore-size,no-output"
        self._target = self.tmux.target(self.session)
        argv = [*self.tmux.base, "-C", "attach-session", "-f", flags, "-t", self._target]
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self.tmux.environ,
                start_new_session=True,
            )
        except OSError as error:
            return f"tmux does not start: {error}"
        with self._lock:
            self._process = process
            # The attach itself is answered like a command.
            self._asked.append(_Pending(queue.SimpleQueue()))
            if self._closing.is_set() and process.stdin is not None:
                process.stdin.close()
        assert process.stdout is not None
        reason = "the session is gone"
        with process.stdout as stream:
            current: _Pending | None = None
            for raw in stream:
                current, said = self._line(raw.rstrip(b"\n"), current)
                reason = said or reason
        process.wait()
        return reason

    def _line(self, raw: bytes, current: _Pending | None) -> tuple[_Pending | None, str]:
        if current is not None:
            return self._inside(raw, current), ""
        if raw.startswith((b"%output ", b"%extended-output ")):
            if self._on_output is not None:
                self._on_output(raw.split(b" ", 2)[1].decode("ascii", "replace"))
        elif raw.startswith(b"%begin "):
            # Only answers to this client's own commands carry flag 1.
            ours = raw.endswith(b" 1") or not self._up.is_set()
            asked = self._asked.popleft() if ours and self._asked else _Pending(queue.SimpleQueue())
            asked.mark = raw[len(b"%begin ") :]
            return asked, ""
        elif raw.startswith(_CHANGES):
            self._on_change()
        elif raw.startswith(b"%exit"):
            return None, raw[5:].decode("utf-8", "replace").strip() or "the session is gone"
        return None, ""

    def _inside(self, raw: bytes, current: _Pending) -> _Pending | None:
        if raw in (b"%end " + current.mark, b"%error " + current.mark):
            ok = raw.startswith(b"%end ")
            current.answer.put((ok, current.lines))
            if ok and not self._up.is_set():
                self._up.set()
            return None
        current.lines.append(raw.decode("utf-8", "replace"))
        return current

    def _lose(self) -> None:
        """Whoever waits for an answer hears that there is none."""
        with self._lock:
            self._up.clear()
            if self._process is not None and self._process.stdin is not None:
                with suppress(OSError):
                    self._process.stdin.close()
            self._process = None
            lost, self._asked = list(self._asked), deque()
        for one in lost:
            one.answer.put((False, [GONE]))
