"""Does a task by a program that the layout names: the JSON task on its stdin, its lines as progress and result."""

import re
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.inputs import read_options
from swarm_tui.agent.handlers.placeholders import fill
from swarm_tui.agent.handlers.process import Completed, run_process
from swarm_tui.protocol.raw import RefusedError, check_numbers

#: Lines of a program that are no messages, shown on the pane; what comes beyond is only counted.
_LINES_SHOWN = 500
#: How a line of ours begins, and one that says a result.
_OURS = re.compile(r"""\s*\{\s*["'](?:result|progress|usage)["']\s*:""")
_RESULT = re.compile(r"""\s*\{(?:.{0,400},)?\s*["']result["']\s*:""", re.DOTALL)
#: The exit status by which programs say "try again later" (EX_TEMPFAIL).
_TRY_AGAIN = 75


class Payload(Struct, kw_only=True):
    """Anything: the layout's command says which fields it takes."""


class Options(Struct, kw_only=True, forbid_unknown_fields=True):
    """The layout's `options`."""

    shell: bool = False
    """The command's first element is a shell script; the others are its `$1`, `$2` …"""
    env: dict[str, str] = {}
    """Added to the program's environment."""
    pass_env: list[str] = []
    """Further variables of the agent's own that the program gets, secrets among them."""
    retry: bool = True
    """A failure may do better at another attempt; without it only exit status 75 does."""
    silent_after: float | None = None
    """Seconds without a sign after which the task is ended."""


class Command:
    """Runs the layout's argv.

    A program hears a cancel as SIGTERM to its process group, at once, and has 10 s until SIGKILL. Where a signal ended
    it that nobody here sent, what it had done is not known, and a type that must not run twice is held.
    """

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Return the value of the last `{"result": …}` line, else `{"exit_code", "output"}`. Raises HandlerError."""
        options = read_options(context, Options)
        heard = _Lines(context)
        facts = {
            "agent_id": context.agent_id,
            "role": context.role,
            "swarm": context.swarm,
            "broker": context.broker_url,
            "workdir": str(context.workdir),
            "task_id": context.task_id,
            "attempt": str(context.attempt),
        }
        done = await run_process(
            context,
            fill(context.spec.command or [], facts, context.payload, as_script=options.shell),
            env=options.env,
            passed=options.pass_env,
            stdin=_task_json(context),
            on_line=heard.line,
        )
        if done.returncode != 0:
            raise _failure(done, options, heard.result)
        if heard.refused:
            raise HandlerError(heard.refused, code="bad-result")
        if heard.result is None:
            return {"exit_code": 0, "output": done.stdout.strip()[-4000:]}
        return heard.result if isinstance(heard.result, dict) else {"value": heard.result}


class _Lines:
    """Hears the program's stdout, a line at a time. `refused` says why the last result is none, and its line."""

    def __init__(self, context: Context) -> None:
        self.result: Any = None
        self.refused = ""
        self._context = context
        self._shown = self._number = 0

    def line(self, line: str) -> None:
        self._number += 1
        try:
            message = _message(line)
        except ValueError as error:
            self._refuse(line, error)
            return
        if message is None:
            self._show(line)
            return
        if "result" in message:
            self.result, self.refused = message["result"], ""
        if "progress" in message:
            percent, text = message["progress"], message.get("message", "")
            if isinstance(percent, (int, float)) and not isinstance(percent, bool):
                self._context.progress(_number(percent), str(text))
        usage = message.get("usage")
        if isinstance(usage, dict):
            self._context.usage(int(_number(usage.get("tokens"))), _number(usage.get("cost")))

    def _refuse(self, line: str, error: ValueError) -> None:
        """Tell of a line that cannot be read: a result must not pass for mere output, and be lost."""
        why = f"line {self._number} of its output is no {{...}} line that can be read: {error}: {line.strip()[:200]}"
        self._context.log(f"⚠ {why}", kept=True)
        if _RESULT.match(line):
            self.refused = why

    def _show(self, line: str) -> None:
        self._shown += 1
        if self._shown <= _LINES_SHOWN and line.strip():
            self._context.log(line.rstrip()[:400], kept=True)
        elif self._shown == _LINES_SHOWN + 1:
            self._context.log("… (further lines are not shown)", kept=True)


def _number(value: object) -> float:
    """Return a number that can be counted with, and 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e15:
        return 0.0
    return float(value)


def _message(line: str) -> dict[str, Any] | None:
    """Return the line as a message of ours, or None when it is anything else.

    Raises ValueError when it begins as one of ours, and cannot be read, or holds a number that no reader takes.
    """
    if not line.lstrip().startswith("{"):
        return None
    try:
        value = msgspec.json.decode(line)
        if not isinstance(value, dict) or not value.keys() & {"progress", "result", "usage"}:
            return None
        check_numbers(value)
    except RefusedError as error:
        raise ValueError(str(error)) from None
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        if _OURS.match(line):
            raise ValueError(str(error) or type(error).__name__) from None
        return None
    return value


def _failure(done: Completed, options: Options, result: Any) -> HandlerError:
    tail = done.tail
    return HandlerError(
        f"{done.argv[0].rpartition('/')[2]}: {done.how}" + (f": {tail}" if tail else ""),
        code="killed" if done.killed else "exit",
        retryable=options.retry or done.returncode == _TRY_AGAIN,
        result=result if isinstance(result, dict) else None,
    )


def _task_json(context: Context) -> bytes:
    task = {
        "task_id": context.task_id,
        "type": context.type,
        "payload": context.payload,
        "attempt": context.attempt,
        "fence": context.fence,
        "idempotency_key": context.idempotency_key,
    }
    return msgspec.json.encode(task) + b"\n"
