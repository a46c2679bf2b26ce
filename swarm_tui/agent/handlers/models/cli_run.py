"""Runs one agent CLI: its events become progress, usage and an answer; its limits are kept, by it or by us."""

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.models.cli_spec import Cli, Rule, find, fits
from swarm_tui.agent.handlers.output import quoted
from swarm_tui.agent.handlers.process import run_process

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
    tokens: int = 0
    cost: float = 0.0
    events: int = 0
    error: str | None = None
    warning: str | None = None


async def run_cli(context: Context, cli: Cli, prompt: str, mode: str, limits: RunLimits, folder: Path) -> Said:
    """Run to the end. Raises MissingToolError; HandlerError: `agent-cli` with what it said, `limit`, `cancelled`."""
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
            passed=cli.passed,
            on_line=listener.hear,
            install=cli.install,
            stop=stop,
        )
    except HandlerError as error:
        if error.code == "stopped":
            raise HandlerError(str(error), code="limit", result=listener.result()) from error
        if error.code != "missing-tool":
            error.result = listener.result()
        raise
    said = listener.said
    if done.returncode != 0 or said.error is not None:
        meaning = cli.exit_codes.get(done.returncode, f"exit status {done.returncode}")
        why = quoted(said.error or said.warning or "") or quoted(done.stderr) or meaning
        code = "limit" if "max_turns" in why or "max_budget" in why or "limit" in meaning else "agent-cli"
        message = f"{argv[0]}: {why}" if why == meaning else f"{argv[0]}: {why} ({meaning})"
        raise HandlerError(message, code=code, result=listener.result())
    if cli.events and not said.events:
        message = f"{argv[0]} said nothing that can be read: {done.tail}"
        raise HandlerError(message, code="agent-cli", result=listener.result())
    said.text = said.text or ("" if cli.events else done.stdout)
    return said


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

    def result(self) -> dict[str, Any]:
        """Return the result as far as it came."""
        said = self.said
        return {
            "text": said.text,
            "session": said.session,
            "turns": said.turns,
            "usage": {"tokens": said.tokens, "cost": said.cost},
        }

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
        self._meter(rule, event)
        if doing := _strings(event, rule.progress):
            percent = min(99.0, 100 * said.turns / self._limits.max_turns)
            self._context.progress(percent, doing[-1].strip().split("\n")[0][:200])

    def _meter(self, rule: Rule, event: dict[str, Any]) -> None:
        tokens = int(sum(_numbers(event, rule.tokens)))
        cost = sum(_numbers(event, [rule.cost])) if rule.cost is not None else 0.0
        if tokens or cost:
            self.said.tokens += tokens
            self.said.cost += cost
            self._context.usage(tokens, cost)

    def _keep_limits(self) -> None:
        """End a run whose program does not keep the limits itself."""
        limits, why = self._limits, None
        if self.said.turns > limits.max_turns and not self._cli.max_turns:
            why = f"took more than {limits.max_turns} turns"
        elif limits.max_cost is not None and self.said.cost > limits.max_cost and not self._cli.max_cost:
            why = f"cost more than ${limits.max_cost:g}"
        if why is not None and not self._stop.done():
            self._stop.set_result(why)


def _strings(event: Any, paths: list[str]) -> list[str]:
    return [value for path in paths for value in find(event, path) if isinstance(value, str) and value]


def _numbers(event: Any, paths: list[str]) -> list[float]:
    found = [value for path in paths for value in find(event, path)]
    return [value for value in found if isinstance(value, int | float) and not isinstance(value, bool)]
