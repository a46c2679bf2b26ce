"""A task as a turn in the CLI's own screen: its prompt is typed there, its hooks tell what it does, and the end."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from swarm_tui.agent.conversation.conversation import Conversation, FailedTurnError, TurnEnd
from swarm_tui.agent.conversation.failures import failure, read_error
from swarm_tui.agent.conversation.permits import Permits, Rules
from swarm_tui.agent.conversation.person import NEXT_WITHIN
from swarm_tui.agent.conversation.run import Told, hold
from swarm_tui.agent.conversation.session_log import SessionLogReader
from swarm_tui.agent.conversation.settings import Settings
from swarm_tui.agent.conversation.spec import Acp
from swarm_tui.agent.conversation.tool_calls import ToolCall
from swarm_tui.agent.handlers.base import Context, HandlerError, MissingToolError
from swarm_tui.agent.interactive.begun import BegunTurns
from swarm_tui.agent.interactive.cli_process import boot_ticks
from swarm_tui.agent.interactive.events import HookedCalls, text_of
from swarm_tui.agent.interactive.hook_desk import HookCall
from swarm_tui.agent.interactive.prompts import as_text, holds, is_same, pasted
from swarm_tui.agent.interactive.screen import CliScreen
from swarm_tui.domain.usage import told

#: Seconds between two looks whether the screen is free, and that a person who types there is left alone.
_LOOK, TYPING = 0.2, 3.0
#: Seconds within which the CLI must say that it took a prompt, and how often it is tried.
TAKEN_WAIT, TRIES = 5.0, 3
#: Seconds between pasting and the key that says it, and more for each character.
_PASTE, _A_CHARACTER = 0.2, 0.00002
#: Seconds in which the CLI's own log must tell that a turn was interrupted, or what it took.
HEED_WAIT, LOG_WAIT = 1.0, 2.0
#: Seconds between two looks into that log: no hook tells that a person ended a turn.
LOG_EVERY = 1.0


class _Asked(Struct, kw_only=True):
    """A dialog of the CLI's that stands, and whoever is asked beside."""

    call: ToolCall
    work: "asyncio.Task[None]"


class ScreenTurn(Conversation):
    """A conversation in the agent's pane. Used on the handlers' loop; `close` must follow, whatever was raised."""

    def __init__(
        self, context: Context, screen: CliScreen, acp: Acp, settings: Settings, folder: Path, permits: Permits
    ) -> None:
        super().__init__(context, acp, settings, folder, permits)
        self._screen, self._permits = screen, permits
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._end: asyncio.Future[TurnEnd] = self._loop.create_future()
        self._prompt: str | None = None
        """The prompt that was typed, as the CLI must say that it took it; None once it has."""
        self._taken = asyncio.Event()
        self._mixed = ""
        """Words of a person's that came into the prompt: they get them back."""
        self._since = boot_ticks()
        self._interrupts = 0
        self._pause: asyncio.TimerHandle | None = None
        self._asked: list[_Asked] = []
        self._begun = BegunTurns(screen.plan.folder)
        self._calls = HookedCalls(screen.plan.spec, self.heard)
        self._has = self._spoken = False
        """It has the screen; a person has said something since the log was read."""

    # the way in

    async def open(
        self, argv: Sequence[str], environment: Mapping[str, str], resume: str | None = None, began: float = 0.0
    ) -> bool:
        """Wait until the screen is free, and take it; True when its session is `resume`.

        Raises FailedTurnError, HandlerError (`cancelled`, `timeout`).
        """
        await self._take_in_earlier(environment)
        await self._wait_for_screen()
        self.heard.session = self._screen.session
        if self._acp.log is not None and self._screen.session is not None:
            self._log = SessionLogReader(self._acp.log, environment, self._screen.session)
            log = await asyncio.to_thread(self._log.read)
            self.meter.began(log)
            self._begun.keep(self._context.task_id, self._screen.session, log, self._settings)
            self._interrupts = self._log.interrupts
        self.meter.model = self._settings.model
        self.heard.tell()
        return resume is not None and resume == self._screen.session

    async def _take_in_earlier(self, environment: Mapping[str, str]) -> None:
        """Learn what an attempt of this task took that was killed: its part of a session that others have too.

        Raises FailedTurnError (`unpaid`).
        """
        point, spec = self._context.resume, self._acp.log
        if point is None or not point.cut_off or point.task_id not in ("", self._context.task_id):
            return
        log, began = None, self._begun.read(self._context.task_id, point.session)
        if spec is not None and began is not None:
            now = SessionLogReader(spec, environment, point.session)
            # What people and other tasks have said since the agent was killed is not of it.
            log = self._screen.left or await asyncio.to_thread(now.read)
        if began is not None and self.meter.takes_in(began.shifted(point), log):
            self._context.log(f"what was cut off is in its log: {told(self.meter.total)}")
        elif point.owed:
            raise FailedTurnError(failure("unpaid", "no log of its session is here that could be read"))

    async def _wait_for_screen(self) -> None:
        name, told = self._screen.plan.name, ""
        while not self._screen.take(self._from_screen):
            if self._screen.missing:
                raise MissingToolError(self._screen.missing, self._screen.plan.install)
            why = self._screen.occupied or self._screen.why
            if self._screen.stuck:
                raise FailedTurnError(failure("agent-cli", self._screen.why))
            if (line := why or f"{name} is starting") != told:
                told = line
                self._context.progress(0, line)
                self._context.log(f"waits: {line}")
            if self._context.cancel.is_set():
                raise HandlerError("it was cancelled", code="cancelled")
            if self._loop.time() >= self._context.deadline:
                raise HandlerError(f"it could not begin: {line}", code="timeout", retryable=True)
            await asyncio.sleep(_LOOK)
        self._has = True

    # a turn

    async def _say(self, text: str) -> TurnEnd:
        """Type the prompt, and wait for the turn's end. Raises FailedTurnError."""
        self._end, self._since = self._loop.create_future(), boot_ticks()
        self._taken.clear()
        self._mixed = ""
        self._prompt = as_text(text, self._screen.plan.spec.special)
        typing = asyncio.ensure_future(self._type(self._prompt))
        waits: set[asyncio.Future[Any]] = {typing, self._end}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if typing.done():
                typing.result()
            return await self._end
        finally:
            typing.cancel()

    async def _type(self, text: str) -> None:
        """Type the prompt until the CLI says that it took it. Raises FailedTurnError."""
        screen, spec = self._screen, self._screen.plan.spec
        for again in range(TRIES):
            while time.monotonic() - screen.typed_at < TYPING:
                await asyncio.sleep(_LOOK)
            if self._taken.is_set():
                return
            if again != 1 or self._mixed:
                if again:
                    # Something else has the screen: it is closed, and what was written before is gone.
                    screen.send(spec.interrupt.encode())
                    await asyncio.sleep(_PASTE)
                    screen.send(spec.clear.encode())
                    await asyncio.sleep(_PASTE)
                elif screen.draft and spec.stash:
                    screen.send(spec.stash.encode())
                    await asyncio.sleep(_PASTE)
                screen.send(pasted(text))
                await asyncio.sleep(_PASTE + len(text) * _A_CHARACTER)
            screen.send(spec.submit.encode())
            until = self._loop.time() + TAKEN_WAIT
            # In a person's own turn it waits until that has ended.
            while self._loop.time() < until or screen.state in ("working", "asks"):
                if self._mixed and not again:
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._taken.wait(), _LOOK)
                    screen.send(pasted(self._mixed) if self._mixed else b"")
                    return
        screen.renew()
        why = failure("agent-cli", f"{screen.plan.name} did not take the prompt: it is started anew, with its session")
        raise FailedTurnError(replace(why, retryable=True))

    def _heard_at(self) -> float:
        return self._last

    async def _end_of_turn(self, answer: "asyncio.Future[Any]") -> TurnEnd:
        end: TurnEnd = await answer
        self._metered = await self._log_is_whole()
        return end

    async def _log_is_whole(self) -> bool:
        """Wait a moment until the CLI has written what the turn took; False where it does not."""
        if self._log is None:
            return False
        until = self._loop.time() + LOG_WAIT
        while True:
            log = await asyncio.to_thread(self._log.read)
            self.meter.logged(log)
            if log is not None and not log.waiting and log.calls:
                return True
            if self._loop.time() >= until:
                return False
            await asyncio.sleep(_LOOK)

    async def _interrupt(self, answer: "asyncio.Future[Any]") -> None:
        """End the turn by the CLI's own key, and what its tools have started."""
        self._drop_asks()
        if self._prompt is None and not self._end.done():
            before, spec = self._interrupts, self._screen.plan.spec
            self._screen.send(spec.interrupt.encode())
            until = self._loop.time() + HEED_WAIT
            while self._interrupts == before and self._loop.time() < until:
                await asyncio.sleep(_LOOK)
                await self.read_log()
            if self._interrupts == before:
                # Before its first word it puts the prompt back into its line, and tells nobody.
                self._screen.send(spec.clear.encode())
        await asyncio.to_thread(self._screen.end_tools, self._since)
        self._screen.set_state("idle")

    async def read_log(self) -> None:
        """Take in what the CLI's own log says by now: what was used, and whether a person has ended the turn."""
        await super().read_log()
        if self._log is not None and (count := self._log.interrupts) > self._interrupts:
            self._interrupts, self._last = count, self._loop.time()
            if not self._spoken:
                self._interrupted()
        self._spoken = False

    async def _follow_log(self) -> None:
        while True:
            await asyncio.sleep(LOG_EVERY)
            await self.read_log()
            if self._prompt is None and self._pause is None and self._screen.escaped():
                # Before its first word it puts the prompt back into its line, and tells nobody.
                self._interrupted()

    def _interrupted(self) -> None:
        """Wait for what the person says next: they ended the turn."""
        for one in self._asked:
            self._answered_there(one, "n")
            self.heard.refuse(one.call, "refused in its pane")
        self._screen.set_state("idle")
        if self._context.cancel.is_set() or self._end.done():
            return
        self._context.log(
            f"⏸ interrupted in its pane: say there what it shall do; in {NEXT_WITHIN:.0f} s the task ends"
        )
        self._wait_no_more()
        self._pause = self._loop.call_later(NEXT_WITHIN, self._fail, FailedTurnError(failure("stopped")))

    def _wait_no_more(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    async def close(self) -> None:
        """Let the person have the screen alone."""
        self.heard.closing = True
        self._wait_no_more()
        self.heard.end()
        self._drop_asks()
        if self._has:
            self._screen.give_back()
        await self.read_log()

    def _drop_asks(self) -> None:
        for one in self._asked:
            one.work.cancel()

    # what its hooks tell

    def _from_screen(self, means: str, call: HookCall | None) -> None:
        """Hear a hook, on the screen's thread."""
        try:
            self._loop.call_soon_threadsafe(self._hear, means, call)
        except RuntimeError:
            if call is not None:
                call.answer()

    def _hear(self, means: str, call: HookCall | None) -> None:
        self._last = self._loop.time()
        if self.heard.closing:
            if call is not None:
                call.answer()
            return
        if call is None:
            why = failure("agent-cli", self._screen.why or "it ended in the middle of the turn")
            self._fail(FailedTurnError(replace(why, retryable=True)))
            return
        if means == "tool":
            self._tool(call)
        elif means == "ask":
            self._ask(call)
        elif means == "prompt":
            self._prompted(call)
        else:
            call.answer()
            if means in ("tool-done", "tool-failed"):
                self._tool_over(call, "completed" if means == "tool-done" else "failed")
            elif means in ("done", "failed"):
                self._turn_over(call, failed=means == "failed")
            elif means == "gone" and self._prompt is None:
                self._fail(FailedTurnError(failure("stopped", "its session was ended in its pane")))

    def _prompted(self, call: HookCall) -> None:
        """Hear that a prompt was said: ours, or a word of the person's, which belongs to the turn."""
        said, meant = text_of(call.said, self._screen.plan.spec.prompt), self._prompt
        self._wait_no_more()
        if meant is not None and is_same(said, meant):
            self._prompt = None
            self._taken.set()
            call.answer()
        elif meant is not None and holds(said, meant):
            refuse = self._screen.plan.spec.hooks[call.event].refuse
            call.answer(refuse, "The prompt of a task came into the middle of this; it is said by itself.")
            self._mixed = said.replace(meant, "", 1).strip()
            self._screen.set_state("idle")
        else:
            call.answer()
            self._spoken = True
            self._context.log(f"» {' '.join(said.split())[:200]}")

    def _tool(self, call: HookCall) -> None:
        hook = self._screen.plan.spec.hooks[call.event]
        one = self._calls.noted(call.said, "pending")
        decision, why = self._permits.judge(one)
        if decision == "deny":
            self.heard.refuse(one, why)
            call.answer(hook.deny, why)
        elif decision == "allow":
            one.allowed = True
            call.answer(hook.allow)
        else:
            call.answer(hook.ask, "people are asked elsewhere too: whoever is first")

    def _ask(self, call: HookCall) -> None:
        one = self._calls.known(call.said) or self._calls.noted(call.said, "pending")
        asked = _Asked(call=one, work=asyncio.ensure_future(self._people(one, call)))
        self._asked.append(asked)

        def over(work: "asyncio.Task[None]") -> None:
            self._asked.remove(asked)
            call.answer()

        asked.work.add_done_callback(over)

    async def _people(self, one: ToolCall, call: HookCall) -> None:
        """Ask people while the CLI's dialog stands in the pane: whoever is first decides."""
        hook = self._screen.plan.spec.hooks[call.event]
        why_not = await self.heard.decide(one)
        if why_not is None:
            call.answer()
            return
        call.answer(hook.deny if why_not else hook.allow, why_not)
        if self._screen.state == "asks":
            # Else the dialog was answered in the pane, and what followed from that is known already.
            self._screen.set_state("working")

    def _tool_over(self, call: HookCall, status: str) -> None:
        one = self._calls.known(call.said)
        for asked in self._asked:
            if asked.call is one:
                self._answered_there(asked, "y")
        self._calls.noted(call.said, status)

    def _answered_there(self, asked: _Asked, letter: str) -> None:
        """Say what was answered in the pane as the answer of the person who sits there; no other counts any more."""
        self._screen.answered(asked.call.target(self._folder), letter)
        asked.work.cancel()

    def _turn_over(self, call: HookCall, *, failed: bool) -> None:
        if self._prompt is not None or self._end.done():
            return
        spec = self._screen.plan.spec
        text = text_of(call.said, spec.text)
        if failed:
            kind = text_of(call.said, spec.error)
            self._fail(FailedTurnError(read_error(text or kind, kind=kind)))
            return
        self.heard.hear({"sessionUpdate": "agent_message_chunk", "content": {"text": text}})
        self._end.set_result(TurnEnd(stop_reason="end_turn", text=text.strip()))

    def _fail(self, error: Exception) -> None:
        if not self._end.done():
            self._end.set_exception(error)


async def converse_in(
    context: Context, screen: CliScreen, acp: Acp, prompt: str, settings: Settings, rules: Rules
) -> Told:
    """Say the prompt in the agent's pane, and wait for the turn's end. Raises as `converse` does."""
    plan = screen.plan
    permits = Permits(context, rules, plan.workdir)
    turn = ScreenTurn(context, screen, acp, settings, plan.workdir, permits)
    return await hold(context, plan.name, acp, turn, prompt, plan.workdir, (), plan.environment, tools=False)
