"""Runs the programs that handlers call: each in a process group of its own, capped, cancellable, and never left behind."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, MissingToolError
from swarm_tui.agent.handlers.output import Capped, Lines

#: Bytes kept of each of stdout and stderr: the first half and the last.
OUTPUT_LIMIT = 1_000_000
#: Seconds between SIGTERM and SIGKILL.
GRACE = 5.0
#: Seconds that the pipes may stay open after the program itself has ended.
LINGER = 1.0
#: What a program gets of the agent's environment; secrets are passed on by name only.
ALLOWED = frozenset(
    "HOME PATH USER LOGNAME SHELL LANG LANGUAGE TERM TZ TMPDIR VIRTUAL_ENV PYTHONPATH SSL_CERT_FILE SSL_CERT_DIR "
    "REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy "
    "PIP_INDEX_URL PIP_EXTRA_INDEX_URL SSH_AUTH_SOCK".split()
)
_ALLOWED_PREFIXES = ("LC_", "XDG_")


class Completed(Struct, frozen=True, kw_only=True):
    """How a program ended. `returncode` is negative for a signal; `duration` s; output is text, capped."""

    argv: list[str]
    returncode: int
    stdout: str
    stderr: str
    duration: float
    truncated: bool = False

    @property
    def tail(self) -> str:
        """The last lines of what it said, stderr first: what an error message quotes."""
        text = (self.stderr.strip() or self.stdout.strip())[-2000:]
        return "\n".join(text.splitlines()[-12:])


def allowed_environment(extra: Sequence[str] = ()) -> dict[str, str]:
    """The part of the agent's environment that programs get, and the variables named in `extra`."""
    names = ALLOWED | set(extra)
    return {name: value for name, value in os.environ.items() if name in names or name.startswith(_ALLOWED_PREFIXES)}


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
) -> Completed:
    """Run `argv` and wait for its end.

    `env` is added to the allowed environment, `passed` names further variables of the agent's that it gets, `on_line`
    hears each line of stdout as it comes. Raises MissingToolError when argv[0] is not there, HandlerError with code
    `timeout` or `cancelled` when it was stopped; an exit status other than 0 is the caller's to judge.
    """
    environment = {**allowed_environment(passed), **context.environment, **(env or {})}
    folder = cwd or context.workdir
    program = _find(argv[0], environment, folder, install)
    started = time.monotonic()
    try:
        process = await asyncio.create_subprocess_exec(
            *_dying_with_us([program, *argv[1:]]),
            cwd=folder,
            env=environment,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise HandlerError(f"{argv[0]} did not start: {error}", code="not-started") from error
    context.spawned(process.pid)
    out, err = Capped(limit), Capped(limit)
    pumps = [
        asyncio.create_task(_pump(process.stdout, out, Lines(on_line) if on_line else None)),
        asyncio.create_task(_pump(process.stderr, err, None)),
    ]
    if stdin is not None:
        pumps.append(asyncio.create_task(_feed(process.stdin, stdin)))
    try:
        stopped = await _wait(context, process, timeout)
        await _finish(process.pid, pumps)
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:
                await asyncio.shield(process.wait())
    done = Completed(
        argv=list(argv),
        returncode=process.returncode if process.returncode is not None else -signal.SIGKILL,
        stdout=out.text(),
        stderr=err.text(),
        duration=time.monotonic() - started,
        truncated=out.truncated or err.truncated,
    )
    if stopped:
        raise HandlerError(f"{Path(argv[0]).name} {stopped[1]}", code=stopped[0], result={"output": done.tail})
    return done


def _find(name: str, environment: Mapping[str, str], folder: Path, install: str) -> str:
    if "/" in name:
        path = str((folder / name).resolve())
        if os.access(path, os.X_OK):
            return path
        raise MissingToolError(name, install or f"chmod +x {name}, if it is there")
    found = shutil.which(name, path=environment.get("PATH"))
    if found is None:
        raise MissingToolError(name, install or f"command -v {name}")
    return found


def _dying_with_us(argv: list[str]) -> list[str]:
    """`argv`, such that the kernel kills it when the agent dies; where setpriv is missing, the agent's successor does."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *argv] if setpriv else argv


async def _wait(context: Context, process: asyncio.subprocess.Process, timeout: float | None) -> tuple[str, str] | None:
    """Wait for the end; None when it came by itself, else (code, why) after stopping it."""
    left = context.deadline - asyncio.get_running_loop().time()
    limit = left if timeout is None else min(left, timeout)
    ended = asyncio.ensure_future(process.wait())
    cancelled = asyncio.ensure_future(context.cancel.wait())
    try:
        await asyncio.wait({ended, cancelled}, timeout=max(0.0, limit), return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return None
        why = ("cancelled", "was cancelled") if cancelled.done() else ("timeout", f"was stopped after {limit:.0f} s")
        _signal_group(process.pid, signal.SIGTERM)
        await asyncio.wait({ended}, timeout=GRACE)
        return why
    finally:
        cancelled.cancel()
        ended.cancel()


async def _finish(pid: int, pumps: list["asyncio.Task[None]"]) -> None:
    """Read what is left; something the program left behind may hold the pipes, and goes with it."""
    _, open_pumps = await asyncio.wait(pumps, timeout=LINGER)
    if open_pumps:
        _signal_group(pid, signal.SIGKILL)
        await asyncio.wait(open_pumps, timeout=LINGER)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


async def _pump(stream: asyncio.StreamReader | None, sink: Capped, lines: Lines | None) -> None:
    while stream is not None and (chunk := await stream.read(65536)):
        sink.add(chunk)
        if lines is not None:
            lines.add(chunk)
    if lines is not None:
        lines.end()


async def _feed(stream: asyncio.StreamWriter | None, data: bytes) -> None:
    if stream is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()
    stream.close()
