"""Decide whether a tool call may be done: by the mode, by the rules of the layout, else by asking people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from swarm_tui.agent.conversation.tool_calls import MOST_INPUT, ToolCall
from swarm_tui.agent.handlers.base import Context
from swarm_tui.domain.asks.model import Question
from swarm_tui.domain.asks.rules import Decision, always, judge

Mode = Literal["read", "edit"]


class Rules(Struct, frozen=True, kw_only=True):
    """The layout's rules for one conversation: lists of `Tool(pattern)`; what none of them names is asked."""

    mode: Mode = "read"
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    ask: Sequence[str] = ()


class Permits:
    """Decides about the tool calls of one conversation; `always` answers count for the whole task."""

    def __init__(self, context: Context, rules: Rules, folder: Path) -> None:
        self._context, self._rules, self._folder = context, rules, folder
        self._granted = list(context.granted)

    async def __call__(self, call: ToolCall) -> str:
        """Return `""` when the call may be done, else why not, as a sentence."""
        decision, why_not = self.judge(call)
        return await self._ask(call) if decision == "ask" else why_not

    def judge(self, call: ToolCall) -> tuple[Decision, str]:
        """Return what is decided without asking anybody, and why not where it is a no."""
        use, rules = call.use(self._folder), self._rules
        # What lies in `.git` runs as somebody else's program later on: a hook, a filter, another folder's name.
        within = bool(use.what) and not any(path.startswith("/") or ".git" in path.split("/") for path in use.what)
        verdict = judge(use, allow=rules.allow, deny=rules.deny, ask=rules.ask)
        if verdict.decision == "ask" and self._granted:
            # What a person allowed for the whole task is asked no more, though the layout wants it asked.
            known = judge(use, allow=[*rules.allow, *self._granted], deny=(), ask=())
            verdict = known if known.decision == "allow" else verdict
        if verdict.decision == "deny":
            return "deny", f"the layout denies {verdict.rule}"
        if call.tool == "Edit" and rules.mode == "read":
            return "deny", "the layout lets it read only (mode: read)"
        if verdict.decision == "allow":
            return "allow", ""
        if not verdict.rule and within and (call.tool == "Read" or (call.tool == "Edit" and rules.mode == "edit")):
            return "allow", ""
        return "ask", ""

    async def _ask(self, call: ToolCall) -> str:
        use = call.use(self._folder)
        question = Question(
            tool=use.tool,
            title=call.target(self._folder)[:2000] or use.tool,
            input=_short(call.input),
            diff=call.diff(self._folder) or None,
            rule=always(use),
        )
        answer = await self._context.ask(question)
        if answer.outcome == "always":
            self._granted.append(question.rule)
        if answer.outcome == "deny":
            who = f" by {answer.by}" if answer.by else ""
            return f"refused{who}: {answer.reason}" if answer.reason else f"refused{who}"
        return ""


def _short(given: dict[str, object]) -> dict[str, object]:
    """Return an input with its long texts cut, so that an ask stays a message that all can read."""
    room = MOST_INPUT
    out: dict[str, object] = {}
    for name, value in list(given.items())[:50]:
        text = value if isinstance(value, str) else None
        if text is None:
            shown = repr(value)
            out[name] = value if len(shown) <= 500 else f"{shown[:500]} …"
            room -= min(len(shown), 500)
        else:
            part = text[: max(200, room)]
            out[name] = part if part == text else f"{part} … ({len(text)} characters)"
            room -= len(part)
    return out
