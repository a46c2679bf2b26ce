"""Runs the programs that handlers call: each in its own process group, capped, cancellable, never left behind."""

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, MissingToolError
from swarm_tui.agent.handlers.output import Capped, LineBlocks, Lines, quoted
from swarm_tui.config import sandbox
from swarm_tui.processes.descendants import dying_with_us

#: Bytes kept of each of stdout and stderr: the first half and the last.
OUTPUT_LIMIT = 1_000_000
#: Seconds between SIGTERM, by which alone a program hears that it is to stop, and SIGKILL.
GRACE = 10.0
#: Characters of a command line that the task's output shows.
_SHOWN = 500
#: Seconds that the pipes may stay open after the program itself has ended.
LINGER = 1.0
#: The exit statuses by which a shell says that a signal ended its command (128 + number).
_BY_SIGNAL = range(129, 160)
#: What a program gets of the agent's environment; secrets are passed on by name only.
ALLOWED = frozenset(
    {
        *("HOME", "PATH", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TERM", "TZ", "TMPDIR", "VIRTUAL_ENV"),
        *("PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "SSH_AUTH_SOCK"),
    }
)
_ALLOWED_PREFIXES = ("LC_", "XDG_")


class Completed(Struct, frozen=True, kw_only=True):
    """The end of a program. `returncode` is negative for a signal; `duration` s; output is text, capped."""

    argv: list[str]
    returncode: int
    stdout: str
    stderr: str
    duration: float
    truncated: bool = False

    @property
    def killed(self) -> bool:
        """Return whether a signal ended it that nobody here sent: what it had done by then is not known."""
        return self.returncode < 0 or self.returncode in _BY_SIGNAL

    @property
    def how(self) -> str:
        """Its end in words."""
        return f"exit status {self.returncode}" if self.returncode > 0 else f"signal {-self.returncode}"

    @property
    def tail(self) -> str:
        """The last lines of what it said, stderr first: what an error message quotes."""
        return quoted(self.stderr) or quoted(self.stdout)


def allowed_environment(extra: Sequence[str] = ()) -> dict[str, str]:
    """Return the part of the agent's environment that programs get, and the variables named in `extra`."""
    names = ALLOWED | set(extra)
    return {name: value for name, value in os.environ.items() if name in names or name.startswith(_ALLOWED_PREFIXES)}


class _Program(asyncio.SubprocessProtocol):
    """Hears one program: `ended` when it exits, `closed` when nothing holds its pipes any more."""

    def __init__(self, limit: int, lines: Lines | None, keep: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.out, self.err = Capped(limit), Capped(limit)
        self.ended: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._lines = lines
        self._kept = (LineBlocks(keep), LineBlocks(keep))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        (self.out if fd == 1 else self.err).add(data)
        self._kept[fd != 1].add(data)
        if fd == 1 and self._lines is not None:
            self._lines.add(data)

    def process_exited(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def finish(self) -> None:
        """Pass on a last line without a newline."""
        if self._lines is not None:
            self._lines.end()
        for blocks in self._kept:
            blocks.end()


async def run_process(
    context: Context,
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    passed: Sequence[str] = (),
    timeout: float | None = None,
    stdin: bytes | None = None,
    on_line: Callable[[str], None] | None = None,
    limit: int = OUTPUT_LIMIT,
    install: str = "",
    heed_cancel: bool = True,
    stop: "asyncio.Future[str] | None" = None,
    stop_signal: int = signal.SIGTERM,
    errors: str = "replace",
    kept: bool = True,
    trees: bool = False,
) -> Completed:
    """Run `argv` and wait for its end.

    `env` is added to the allowed environment, `passed` names further variables of the agent's that it gets, `on_line`
    hears each line of stdout as it comes. With `heed_cancel` off the program is let finish its `timeout` in spite of a
    cancel or the deadline: for what undoes. Else SIGTERM tells it at once, and SIGKILL follows after GRACE. A reason
    set on `stop` ends it too. `stop_signal` is what tells it instead of SIGTERM. The exit status is not judged.
    `errors` is how bytes of stdout that are no UTF-8 are decoded. What it prints is kept with the task, but for `kept`
    off: an answer that only the handler reads. `trees`: in a sandbox it may make worktrees, and take them away.

    Raises MissingToolError when argv[0] is not there, HandlerError with code `timeout`, `cancelled` or `stopped`.
    """
    environment = {**allowed_environment(passed), **context.environment, **(env or {})}
    folder = cwd or context.workdir
    path = _find(argv[0], environment, folder, install)
    keep = context.output if kept else _nowhere
    words = sandboxed(context, [path, *argv[1:]], folder, trees=trees)
    keep(f"$ {shlex.join(argv)[:_SHOWN]}\n")
    started = time.monotonic()
    loop = asyncio.get_running_loop()
    try:
        transport, program = await loop.subprocess_exec(
            lambda: _Program(limit, Lines(on_line) if on_line else None, keep),
            *dying_with_us(words),
            cwd=folder,
            env=environment,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        keep(f"({error})\n")
        raise HandlerError(f"{argv[0]} did not start: {error}", code="not-started") from error
    pid = transport.get_pid()
    # A group that the runtime knows is ended when the task is cancelled, which is when an undoing one must run on.
    if heed_cancel:
        context.spawned(pid)
    if stdin is not None:
        _feed(transport, stdin)
    try:
        stopped = await _wait(context, pid, program.ended, timeout, heed_cancel, stop, stop_signal)
        # Something the program left behind may hold the pipes open: it goes with it.
        await asyncio.wait({program.closed}, timeout=LINGER)
    finally:
        # What it leaves behind and the layout keeps is the runtime's to end, should the task fail.
        if not program.ended.done() or context.spec.children != "keep":
            _signal_group(pid, signal.SIGKILL)
        await asyncio.wait({program.ended, program.closed}, timeout=LINGER)
        transport.close()
    program.finish()
    done = Completed(
        argv=list(argv),
        returncode=code if (code := transport.get_returncode()) is not None else -signal.SIGKILL,
        stdout=program.out.text(errors),
        stderr=program.err.text(),
        duration=time.monotonic() - started,
        truncated=program.out.truncated or program.err.truncated,
    )
    if stopped or done.returncode:
        keep(f"({stopped[1] if stopped else done.how}, after {done.duration:.1f} s)\n")
    if stopped:
        raise HandlerError(f"{Path(argv[0]).name} {stopped[1]}", code=stopped[0], result={"output": done.tail})
    return done


def sandboxed(context: Context, argv: Sequence[str], folder: Path, *, trees: bool = False) -> list[str]:
    """Return the words by which `argv` is run in `folder`: in the sandbox, where the layout wants one.

    Raises HandlerError (`sandbox`) where there is none: what is meant for one is not run without.
    """
    if context.sandbox is None:
        return list(argv)
    if why := sandbox.why_not():
        raise HandlerError(f"the layout says `sandbox: bwrap`, and {why}", code="sandbox")
    file = context.environment.get("SWARM_TASK_FILE")
    read = [Path(file)] if file else []
    return context.sandbox.around(argv, context.workdir, folder, read=read, trees=trees)


def _nowhere(_: str) -> None:
    """Keep nothing."""


def _find(name: str, environment: Mapping[str, str], folder: Path, install: str) -> str:
    if "/" in name:
        # Not resolved: a virtual environment's python is a link, and works by its own name only.
        path = str(folder.absolute() / name)
        if os.access(path, os.X_OK):
            return path
        raise MissingToolError(name, install or f"chmod +x {name}, if it is there")
    # The tools of our own extras lie beside our interpreter, which need not be on the PATH.
    beside = os.path.dirname(sys.executable)
    found = shutil.which(name, path=os.pathsep.join(filter(None, [environment.get("PATH", os.defpath), beside])))
    if found is None:
        raise MissingToolError(name, install or f"command -v {name}")
    return found


async def _wait(
    context: Context,
    pid: int,
    ended: "asyncio.Future[None]",
    timeout: float | None,
    heed_cancel: bool,
    stop: "asyncio.Future[str] | None",
    stop_signal: int,
) -> tuple[str, str] | None:
    """Wait for the end; None when it came by itself, else (code, why) after stopping it."""
    left = context.deadline - asyncio.get_running_loop().time()
    limit = left if timeout is None else min(left, timeout) if heed_cancel else timeout
    never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    cancelled = asyncio.ensure_future(context.cancel.wait()) if heed_cancel else never
    stopped = stop if stop is not None else never
    try:
        await asyncio.wait([ended, cancelled, stopped], timeout=max(0.0, limit), return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return None
        why = ("timeout", f"was stopped after {limit:.1f} s")
        if cancelled.done():
            why = ("cancelled", "was cancelled")
        elif stopped.done():
            why = ("stopped", stopped.result())
        if context.sandbox is None or not sandbox.tell(pid, stop_signal):
            _signal_group(pid, stop_signal)
        await asyncio.wait({ended}, timeout=GRACE)
        return why
    finally:
        cancelled.cancel()


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _feed(transport: asyncio.SubprocessTransport, data: bytes) -> None:
    pipe = transport.get_pipe_transport(0)
    if isinstance(pipe, asyncio.WriteTransport):
        pipe.write(data)
        pipe.close()
