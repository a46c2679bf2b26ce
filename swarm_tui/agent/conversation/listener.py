"""The client's end of a conversation: what the CLI says becomes calls, words and usage, what it asks is answered."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from swarm_tui.agent.conversation.failures import Failure, failure, told_failure
from swarm_tui.agent.conversation.loop_guard import Finding, LoopGuard
from swarm_tui.agent.conversation.narrator import Narrator
from swarm_tui.agent.conversation.settings import Settings
from swarm_tui.agent.conversation.tool_calls import ToolCall, take
from swarm_tui.agent.conversation.usage_meter import UsageMeter
from swarm_tui.agent.handlers.base import Context

#: Says whether a tool call may be done: `""`, or why not.
Permit = Callable[[ToolCall], Awaitable[str]]
#: Percent that a conversation is at by its beginning.
_BEGUN = 5.0


class Listener:
    """Hears one conversation. `serve` is what the ACP library calls for each message of the CLI's."""

    def __init__(self, context: Context, settings: Settings, folder: Path, permit: Permit, meter: UsageMeter) -> None:
        self.session: str | None = None
        self.turns = 0
        self.calls = 0
        """Count of the model's answers that were heard of, at least."""
        self.refused: list[ToolCall] = []
        self.done: list[ToolCall] = []
        """Calls that ended well."""
        self.failed: list[ToolCall] = []
        """Calls that were let through and did not."""
        self.text = ""
        self.answered = self.worked = False
        """The model has answered the prompt that runs; `worked`: it has wanted a tool."""
        self.last: ToolCall | None = None
        """The last call that was heard of."""
        self.replaying = False
        """What is said now was said before."""
        self.asking: set[asyncio.Task[Any]] = set()
        self.stop: asyncio.Future[Failure] | None = None
        """Set with the reason when the turn is over a limit."""
        self.closing = False
        self.on_call: Callable[[int], None] = lambda calls: None
        """Called with how many of the model's answers were heard of."""
        self.narrator = Narrator(context, folder)
        self._context, self._settings, self._folder, self._permit = context, settings, folder, permit
        self._meter = meter
        self._calls: dict[str, ToolCall] = {}
        self._guard = LoopGuard(folder, settings.same_calls, settings.idle_turns, time.time())
        self._loops = False
        self._doing = ""

    def is_busy(self) -> bool:
        """Return whether a tool runs, or somebody is asked: no word is to be expected, and it is no silence."""
        busy = bool(self.asking) or any(not call.over for call in self._calls.values())
        if busy:
            self.tell()
        return busy

    def begin(self, stop: "asyncio.Future[Failure]") -> None:
        """Begin a prompt's turn."""
        self.text, self.stop, self.answered, self.worked = "", stop, False, False
        self.turns += 1
        self.tell()

    async def serve(self, method: str, params: Any, is_notification: bool) -> Any:
        """Answer a request of the CLI's, or hear a notification. Raises RequestError for what it may not."""
        from acp.exceptions import RequestError

        said = params if isinstance(params, dict) else {}
        if method == "session/update":
            update = said.get("update")
            if isinstance(update, dict) and not self.replaying:
                self.hear(update)
            return None
        if method == "session/request_permission":
            return await self._asked(said)
        if method == "fs/write_text_file":
            return await self._write_for_it(said)
        if is_notification:
            return None
        raise RequestError.method_not_found(method)

    def hear(self, update: dict[str, Any]) -> None:
        """Take in an update of the session."""
        kind = update.get("sessionUpdate")
        if kind in ("agent_message_chunk", "agent_thought_chunk"):
            content = update.get("content")
            text = content.get("text") if isinstance(content, dict) else None
            if isinstance(text, str):
                self.answered = True
                if kind == "agent_message_chunk":
                    self.text = (self.text + text)[-200_000:]
                self.narrator.words(text, thought=kind == "agent_thought_chunk")
        elif kind in ("tool_call", "tool_call_update"):
            self._tool(update)
        elif kind == "plan":
            self.narrator.plan(update.get("entries"))
        elif kind == "session_info_update":
            told = told_failure(update.get("_meta"))
            if told is not None and told[1]:
                self.narrator.retrying(told[0], told[2].code)
        elif kind == "usage_update":
            self._meter.updated(update)
            self.tell()
            self.keep_cost()

    def _tool(self, update: dict[str, Any]) -> None:
        known, call, was_over = self.note(update)
        if call.over and not was_over:
            if call.status == "completed":
                self.done.append(call)
            elif not call.refused:
                self.failed.append(call)
            self.narrator.tool_ended(call)
            self.tell(call.target(self._folder))
            self._mind(self._guard.ended(call, self.turns, time.time()))
        else:
            if not known:
                self.narrator.tool_began(call)
            if (target := call.target(self._folder)) != self._doing:
                # Some tell only later what a call is about.
                self._doing = target
                self.tell(target)

    def note(self, said: dict[str, Any]) -> tuple[bool, ToolCall, bool]:
        """Take in words about a tool call. Returns whether it was known, the call, and whether it was over before."""
        call_id = str(said.get("toolCallId", ""))[:200]
        known = self._calls.get(call_id)
        if known is None:
            self.text, self.answered, self.worked = "", True, True
            if all(call.over for call in self._calls.values()):
                # Calls side by side are of one turn of the model's.
                self.turns, self.calls = self.turns + 1, self.calls + 1
                self.on_call(self.calls)
                self._keep_turns()
        was_over = known is not None and known.over
        call = self._calls[call_id] = self.last = take(known, said)
        if call.refused:
            call.status = "failed"
        return known is not None, call, was_over

    async def _asked(self, said: dict[str, Any]) -> dict[str, Any]:
        described = said.get("toolCall")
        described = described if isinstance(described, dict) else {}
        _, call, _ = self.note(described)
        why_not = await self.decide(call)
        if why_not is None:
            return {"outcome": {"outcome": "cancelled"}}
        wanted = "reject" if why_not else "allow"
        options = [one for one in said.get("options") or [] if isinstance(one, dict)]
        for kind in (f"{wanted}_once", f"{wanted}_always"):
            for option in options:
                if option.get("kind") == kind:
                    return {"outcome": {"outcome": "selected", "optionId": option.get("optionId")}}
        return {"outcome": {"outcome": "cancelled"}}

    async def decide(self, call: ToolCall) -> str | None:
        """Return `""` when the call may be done, else why not; None where nobody waits for that any more."""
        me = asyncio.current_task()
        assert me is not None
        self.asking.add(me)
        try:
            why_not = await self._permit(call)
        except asyncio.CancelledError:
            if self.closing:
                raise
            me.uncancel()
            return None
        finally:
            self.asking.discard(me)
        if why_not:
            self.refuse(call, why_not)
        call.allowed = not why_not
        return why_not

    def refuse(self, call: ToolCall, why_not: str) -> None:
        """Note that the call may not be done."""
        call.refused, call.status = why_not, "failed"
        self.refused.append(call)
        self.narrator.tool_refused(call)

    async def _write_for_it(self, said: dict[str, Any]) -> dict[str, Any]:
        """Write a file for a CLI that has its client do so; within the folder only. Raises RequestError."""
        from acp.exceptions import RequestError

        path, content = said.get("path"), said.get("content")
        if not isinstance(path, str) or not isinstance(content, str):
            raise RequestError.invalid_params({"details": "path and content are texts"})
        full = (self._folder / path).resolve()
        if not full.is_relative_to(self._folder.resolve()):
            raise RequestError.invalid_params({"details": f"{path} is outside of {self._folder}"})
        call = ToolCall(call_id=f"write:{full}", title=f"Write {path}", kind="edit", paths=[str(full)])
        if not any(known.allowed and _names(known, full) for known in self._calls.values()):
            why_not = await self._permit(call)
            if why_not:
                call.refused = why_not
                self.refused.append(call)
                raise RequestError.invalid_params({"details": why_not})
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(content)
        return {}

    # limits and words

    def _keep_turns(self) -> None:
        if self.turns > self._settings.max_turns:
            self._give_up(failure("limit", f"more than {self._settings.max_turns} turns"))

    def keep_cost(self) -> None:
        """End the turn that has cost more than it may."""
        if (why := self.too_dear()) is not None:
            self._give_up(why)

    def too_dear(self) -> Failure | None:
        """Return why nothing more may be spent; None where it may."""
        limit, used = self._settings.max_cost, self._meter.total
        if limit is None or used.cost is None or used.cost + used.unsure <= limit:
            return None
        return failure("limit", f"it cost ${used.cost:.4f}, more than ${limit:g}")

    def _mind(self, found: Finding | None) -> None:
        """Tell that it goes round in circles, with what shows it; end the turn when it was told before."""
        if found is None:
            return
        self._loops = True
        self.narrator.say(f"🔁 {found.words}")
        message = f"{self._context.task_id} goes round in circles: {found.words}"
        self._alert(message + ("; its turn is ended" if found.stop else ""), active=True)
        if found.stop:
            self._give_up(failure("loop", found.words))

    def _alert(self, message: str, *, active: bool) -> None:
        name = f"loop:{self._context.task_id}"
        self._context.publish("alerts", {"severity": "warning", "message": message, "name": name, "active": active})

    def end(self) -> None:
        """Let what was told of a loop be over: the conversation is."""
        if self._loops:
            self._alert("the conversation has ended", active=False)

    def _give_up(self, why: Failure) -> None:
        if self.stop is not None and not self.stop.done():
            self.stop.set_result(why)

    def tell(self, doing: str = "") -> None:
        """Say how far the conversation is."""
        self._context.converse(usage=self._meter.total, turn=self.turns, session=self.session)
        if doing:
            percent = min(99.0, max(_BEGUN, 100 * self.turns / max(1, self._settings.max_turns)))
            self._context.progress(percent, " ".join(doing.split())[:200])


def _names(call: ToolCall, full: Path) -> bool:
    known = [*call.paths, *(path for path, _, _ in call.diffs)]
    return any(Path(path) == full for path in known)
