"""Runs one agent CLI: its events become progress, usage and an answer; its limits are kept, by it or by us."""

import asyncio
import re
import signal
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from swarm_tui.agent.conversation.failures import read_error
from swarm_tui.agent.conversation.run import Told
from swarm_tui.agent.conversation.spec import find, fits
from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.git import try_git
from swarm_tui.agent.handlers.models.cli_spec import Cli, Rule
from swarm_tui.agent.handlers.output import quoted
from swarm_tui.agent.handlers.process import Completed, run_process
from swarm_tui.domain.usage import Usage

_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}")


class RunLimits(Struct, frozen=True, kw_only=True):
    """Of one run: turns, and US dollars where the program says what it costs."""

    max_turns: int
    max_cost: float | None = None
    model: str | None = None


class Said(Struct, kw_only=True):
    """The outcome of a run."""

    text: str = ""
    session: str | None = None
    turns: int = 0
    usage: Usage = Usage()
    refused: list[dict[str, Any]] = []
    events: int = 0
    error: str | None = None
    warning: str | None = None

    def told(self, stop_reason: str = "end_turn") -> Told:
        """Return it as every conversation is told of."""
        return Told(
            text=self.text,
            session=self.session,
            turns=self.turns,
            usage=self.usage,
            refused=self.refused,
            stop_reason=stop_reason,
        )


async def run_cli(context: Context, cli: Cli, prompt: str, mode: str, limits: RunLimits, folder: Path) -> Said:
    """Run to the end. Raises MissingToolError; HandlerError: a failure's code with what it said, `cancelled`."""
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    listener = Listener(context, cli, limits, stop)
    argv = build_argv(cli, prompt, mode, limits)
    stdin = None if "{prompt}" in " ".join(cli.argv) else prompt.encode()
    try:
        done = await run_process(
            context,
            argv,
            cwd=folder,
            stdin=stdin,
            passed=[*cli.passed, *context.own_names],
            on_line=listener.hear,
            install=cli.install,
            stop=stop,
            stop_signal=signal.Signals[cli.stop],
        )
    except HandlerError as error:
        if error.code == "stopped":
            raise HandlerError(str(error), code="limit", result=listener.result()) from error
        if error.code != "missing-tool":
            error.result = listener.result()
        raise
    said = listener.said
    if done.returncode != 0 or said.error is not None:
        raise _failed(argv[0], cli, done, listener)
    if cli.events and not said.events:
        message = f"{argv[0]} said nothing that can be read: {done.tail}"
        raise HandlerError(message, code="agent-cli", result=listener.result())
    said.text = said.text or ("" if cli.events else done.stdout)
    if said.refused and not await _has_written(context, folder, mode):
        tools = ", ".join(dict.fromkeys(str(one["tool"]) for one in said.refused))
        message = f"{argv[0]}: all that it wanted to do was refused, for nobody can be asked headless ({tools})"
        raise HandlerError(message, code="refused", result=listener.result("refused"))
    return said


def _failed(name: str, cli: Cli, done: Completed, listener: "Listener") -> HandlerError:
    """Return the error of a run that failed, by what it said, else by its exit status."""
    said = listener.said
    meaning = cli.exit_codes.get(done.returncode, f"exit status {done.returncode}")
    why = quoted(said.error or said.warning or "") or quoted(done.stderr) or meaning
    message = f"{name}: {why}" if why == meaning else f"{name}: {why} ({meaning})"
    read = read_error(f"{why} ({meaning})" if done.returncode in cli.exit_codes else why)
    if read.code == "agent-cli" and said.warning:
        read = read_error(said.warning)
    return HandlerError(
        message,
        code=read.code,
        retryable=read.retryable,
        result=listener.result(read.code),
        retry_at=read.retry_at(time.time()),
    )


async def _has_written(context: Context, folder: Path, mode: str) -> bool:
    """Return whether a repository shows work besides what was refused."""
    if mode != "edit":
        return False
    done = await try_git(context, folder, "status", "--porcelain")
    return done.returncode == 0 and bool(done.stdout.strip())


def build_argv(cli: Cli, prompt: str, mode: str, limits: RunLimits) -> list[str]:
    """Return the argv. Raises HandlerError (`bad-payload`) for a mode or a model that cannot be passed on."""
    if mode not in cli.modes:
        raise HandlerError(f"mode: {mode!r} is none of {', '.join(cli.modes)}", code="bad-payload")
    if limits.model is not None and not _VALUE.fullmatch(limits.model):
        raise HandlerError(f"model: {limits.model!r} is no model's name", code="bad-payload")
    given = {"model": limits.model, "max_turns": limits.max_turns, "max_cost": limits.max_cost}
    groups: dict[str, list[str]] = {"{mode}": cli.modes[mode]}
    for name, value in given.items():
        template: list[str] = getattr(cli, name)
        groups[f"{{{name}}}"] = (
            [part.replace(f"{{{name}}}", str(value)) for part in template] if value is not None else []
        )
    if prompt.startswith("-"):
        # A prompt means the same after a space, and is never read as an option.
        prompt = f" {prompt}"
    argv: list[str] = []
    for part in cli.argv:
        argv += groups.get(part, [part.replace("{prompt}", prompt)])
    return argv


class Listener:
    """Hears the lines of one run."""

    def __init__(self, context: Context, cli: Cli, limits: RunLimits, stop: "asyncio.Future[str]") -> None:
        self.said = Said()
        self._context, self._cli, self._limits, self._stop = context, cli, limits, stop

    def hear(self, line: str) -> None:
        """Take one line; what is no JSON object goes to the log."""
        try:
            event = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError):
            event = None
        if not isinstance(event, dict):
            if line.strip():
                self._context.log(line[:500], kept=True)
            return
        self.said.events += 1
        for rule in self._cli.events:
            if fits(event, rule.when):
                self._take(rule, event)
        self._keep_limits()

    def result(self, stop_reason: str = "") -> dict[str, Any]:
        """Return the result as far as it came."""
        return self.said.told(stop_reason).result()

    def _take(self, rule: Rule, event: dict[str, Any]) -> None:
        said = self.said
        said.turns += rule.turn
        if rule.text is not None and (texts := _strings(event, [rule.text])):
            said.text = said.text + "".join(texts) if rule.append else texts[-1]
        if rule.session is not None:
            said.session = next(iter(_strings(event, [rule.session])), said.session)
        if rule.turns is not None:
            said.turns = int(next(iter(_numbers(event, [rule.turns])), said.turns))
        if rule.warning is not None:
            said.warning = next(iter(_strings(event, [rule.warning])), said.warning)
        failed = not rule.failed_if or fits(event, rule.failed_if)
        if rule.error is not None and failed:
            said.error = next(iter(_strings(event, [rule.error])), said.error or "it failed, and does not say why")
        if rule.refused is not None:
            for one in find(event, rule.refused):
                self._refused(one)
        self._meter(rule, event)
        if said.session is not None:
            self._context.converse(said.usage, said.turns, said.session)
        if doing := _strings(event, rule.progress):
            percent = min(99.0, 100 * said.turns / self._limits.max_turns)
            self._context.progress(percent, doing[-1].strip().split("\n")[0][:200])

    def _meter(self, rule: Rule, event: dict[str, Any]) -> None:
        costs = _numbers(event, [rule.cost]) if rule.cost is not None else []
        used = Usage(
            tokens_in=int(sum(_numbers(event, [*rule.tokens, *rule.tokens_in]))),
            tokens_out=int(sum(_numbers(event, rule.tokens_out))),
            tokens_cached=int(sum(_numbers(event, rule.tokens_cached))),
            cost=sum(costs) if costs else None,
        )
        if not used.is_nothing:
            self.said.usage = self.said.usage.plus(used)
            self._context.converse(self.said.usage, self.said.turns, self.said.session)

    def _refused(self, uses: Any) -> None:
        for one in uses if isinstance(uses, list) else [uses]:
            if isinstance(one, dict):
                why = "nobody can be asked in a headless run"
                tool, given = str(one.get("tool_name", "?"))[:100], msgspec.json.encode(one.get("tool_input")).decode()
                self.said.refused.append({"tool": tool, "input": given[:2000], "why": why})

    def _keep_limits(self) -> None:
        """End a run whose program does not keep the limits itself."""
        limits, why = self._limits, None
        if self.said.turns > limits.max_turns and not self._cli.max_turns:
            why = f"took more than {limits.max_turns} turns"
        elif limits.max_cost is not None and (self.said.usage.cost or 0.0) > limits.max_cost and not self._cli.max_cost:
            why = f"cost more than ${limits.max_cost:g}"
        if why is not None and not self._stop.done():
            self._stop.set_result(why)


def _strings(event: Any, paths: list[str]) -> list[str]:
    return [value for path in paths for value in find(event, path) if isinstance(value, str) and value]


def _numbers(event: Any, paths: list[str]) -> list[float]:
    found = [value for path in paths for value in find(event, path)]
    return [value for value in found if isinstance(value, int | float) and not isinstance(value, bool)]
