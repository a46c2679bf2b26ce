"""A conversation over the Agent Client Protocol: prompts, tool calls, permissions, usage, cancel, the end."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from swarm_tui.agent.conversation.failures import Failure, failure, is_error_text, of_rpc, told_failure
from swarm_tui.agent.conversation.listener import Listener, Permit
from swarm_tui.agent.conversation.person import INTERRUPTED, Person
from swarm_tui.agent.conversation.session_log import SessionLogReader
from swarm_tui.agent.conversation.settings import Settings
from swarm_tui.agent.conversation.silence import PROBE_AFTER, too_long
from swarm_tui.agent.conversation.spec import Acp
from swarm_tui.agent.conversation.stdio import StdioProgram
from swarm_tui.agent.conversation.usage_meter import UsageMeter, model_of
from swarm_tui.agent.handlers.base import Context, HandlerError, MissingToolError
from swarm_tui.agent.handlers.output import quoted
from swarm_tui.domain.usage import Usage, told

if TYPE_CHECKING:
    from acp.connection import Connection

INSTALL = "python -m pip install 'swarm-tui[acp]'"
#: Seconds for its start and its session, for its word after a cancel, for `session/close`.
OPEN_WAIT, CANCEL_WAIT, CLOSE_WAIT = 60.0, 1.5, 0.5
#: Seconds for its word that it took a person's into its turn.
STEER_WAIT = 10.0
#: Seconds between two looks into the CLI's own log of its session.
LOG_EVERY = 2.0
#: Seconds from the offer of an attempt within which its session has begun.
BEGUN_WITHIN = 30.0


class TurnEnd(Struct, frozen=True, kw_only=True):
    """The end of a prompt: the reason that the CLI gives, and what the answer was."""

    stop_reason: str
    text: str


class FailedTurnError(Exception):
    """A turn that failed; what was said and used until then is in the conversation."""

    def __init__(self, failed: Failure) -> None:
        super().__init__(failed.sentence)
        self.failure = failed


class Conversation:
    """A CLI at the other end of a pipe. Used on the handlers' loop; `close` must follow, whatever was raised."""

    def __init__(
        self,
        context: Context,
        acp: Acp,
        settings: Settings,
        folder: Path,
        permit: Permit,
    ) -> None:
        point = context.resume
        self.meter = UsageMeter(acp, point, settings.prices)
        self.heard = Listener(context, settings, folder, permit, self.meter)
        self._context, self._acp, self._settings, self._folder = context, acp, settings, folder
        self._offered: dict[str, Any] = {}
        self._metered = False
        """The CLI has told what the prompt took, or it failed before the model did anything."""
        self._program: StdioProgram | None = None
        self._connection: Connection | None = None
        self._log: SessionLogReader | None = None
        self._reading = asyncio.Lock()
        self.person = Person(context, self._steer)

    @property
    def usage(self) -> Usage:
        """Return what this conversation has used since it was opened here."""
        return self.meter.total

    # the way in

    async def open(
        self, argv: Sequence[str], environment: Mapping[str, str], resume: str | None = None, began: float = 0.0
    ) -> bool:
        """Start the CLI and its session; True when `resume`, which `began` then (wall time), goes on.

        Raises MissingToolError, FailedTurnError.
        """
        await self._take_in_earlier(environment)
        try:
            from acp.connection import Connection
        except ImportError as error:
            raise MissingToolError("agent-client-protocol", INSTALL) from error
        self.person.open()
        if resume is not None and self._acp.logs_by_minute:
            await self._let_its_minute_pass(began)
        self._program = await StdioProgram.start(self._context, argv, self._folder, environment)
        self._connection = Connection(self.heard.serve, self._program)
        said = await self._call("initialize", self._acp.client())
        resumed = resume is not None and await self._take_up(resume, said)
        if not resumed:
            made = await self._call("session/new", {"cwd": str(self._folder), "mcpServers": list(self._settings.mcp)})
            session = made.get("sessionId")
            if not isinstance(session, str):
                raise FailedTurnError(failure("agent-cli", "it opened a session without a name"))
            self.heard.session = session
            self._offered = made
            if self._acp.named:
                title = f"{self._context.swarm} {self._context.task_id}"
                with contextlib.suppress(FailedTurnError):
                    await self._call("_session/rename", {"sessionId": session, "title": title})
        if self._acp.log is not None and self.heard.session is not None:
            self._log = SessionLogReader(self._acp.log, environment, self.heard.session)
            self.meter.began(await asyncio.to_thread(self._log.read) if resumed else None)
        await self._prepare(self._offered)
        self.heard.tell()
        return resumed

    async def _take_in_earlier(self, environment: Mapping[str, str]) -> None:
        """Learn what an attempt took that was killed, from its session's log. Raises FailedTurnError (`unpaid`)."""
        point, spec = self._context.resume, self._acp.log
        if point is None or not point.cut_off or point.task_id not in ("", self._context.task_id):
            return
        log = None
        if spec is not None and point.session:
            log = await asyncio.to_thread(SessionLogReader(spec, environment, point.session).read)
        if self.meter.takes_in(point, log):
            self._context.log(f"what was cut off is in its log: {told(self.meter.total)}")
        elif point.owed:
            raise FailedTurnError(failure("unpaid", "no log of its session is here that could be read"))

    async def read_log(self) -> None:
        """Take in what the CLI's own log of the session says by now."""
        if self._log is None:
            return
        async with self._reading:
            self.meter.logged(await asyncio.to_thread(self._log.read))
        self.heard.tell()
        self.heard.keep_cost()

    async def _follow_log(self) -> None:
        """Read the log again and again: what a CLI tells only at the end of a turn is known within it."""
        while True:
            await asyncio.sleep(LOG_EVERY)
            await self.read_log()

    async def _let_its_minute_pass(self, began: float) -> None:
        """Wait until the session cannot have begun in this minute. Raises HandlerError (`cancelled`)."""
        left = 60.0 * ((began + BEGUN_WITHIN) // 60 + 1) - time.time()
        left = min(left, self._context.deadline - asyncio.get_running_loop().time())
        if began and left > 0:
            self._context.log(
                f"waits {left:.0f} s: in the minute in which its session began it would lose what was said"
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._context.cancel.wait(), left)
                raise HandlerError("it was cancelled", code="cancelled")

    async def _take_up(self, session: str, said: Mapping[str, Any]) -> bool:
        """Go on with a session of before; False when it is gone."""
        able = said.get("agentCapabilities")
        able = able if isinstance(able, dict) else {}
        more = able.get("sessionCapabilities")
        ways = ["session/resume"] if isinstance(more, dict) and more.get("resume") is not None else []
        ways += ["session/load"] if able.get("loadSession") else []
        params = {"sessionId": session, "cwd": str(self._folder), "mcpServers": list(self._settings.mcp)}
        for method in ways:
            self.heard.replaying = True
            try:
                self._offered = await self._call(method, params)
            except FailedTurnError as error:
                if error.failure.code in ("authentication", "network", "silent"):
                    raise
                self._context.log(f"{method}: {error}")
                continue
            finally:
                self.heard.replaying = False
            self.heard.session = session
            return True
        return False

    async def _prepare(self, offered: Mapping[str, Any]) -> None:
        """Set the mode that asks, and the model."""
        modes = offered.get("modes")
        mode = self._acp.session_modes.get(self._settings.mode, self._acp.session_mode)
        if mode is not None and isinstance(modes, dict) and modes.get("currentModeId") != mode:
            known = [one.get("id") for one in modes.get("availableModes") or [] if isinstance(one, dict)]
            if mode not in known:
                words = f"it has no mode {mode!r}, in which it asks, but {', '.join(map(str, known)) or 'none'}"
                raise FailedTurnError(failure("agent-cli", words))
            await self._call("session/set_mode", {"sessionId": self.heard.session, "modeId": mode})
        model = self._settings.model
        self.meter.model = model or model_of(offered)
        if model is not None:
            if self._acp.model is None:
                raise FailedTurnError(failure("model-missing", "this CLI takes no model's name over ACP"))
            chosen = {"sessionId": self.heard.session, "configId": self._acp.model, "value": model}
            try:
                await self._call("session/set_config_option", chosen)
            except FailedTurnError as error:
                if error.failure.code == "agent-cli":
                    raise FailedTurnError(failure("model-missing", str(error))) from error
                raise

    # a turn

    async def prompt(self, text: str) -> TurnEnd:
        """Say `text` and wait for the answer's end. Raises FailedTurnError, HandlerError (`cancelled`, `timeout`)."""
        loop = asyncio.get_running_loop()
        stop: asyncio.Future[Failure] = loop.create_future()
        self.heard.begin(stop)
        self.meter.turn_began()
        self._metered = False
        answer = asyncio.ensure_future(self._say(text))
        cancelled = asyncio.ensure_future(self._context.cancel.wait())
        heard = self.heard
        silence = asyncio.ensure_future(
            too_long(
                self._heard_at,
                heard.is_busy,
                self._settings.silent_after,
                self._acp.endpoint,
                heard.narrator.say,
            )
        )
        interrupted = self.person.begin()
        following = asyncio.ensure_future(self._follow_log())
        waits: list[asyncio.Future[Any]] = [answer, cancelled, stop, silence, interrupted]
        try:
            began = loop.time()
            # The deadline moves while people are asked.
            while (left := self._context.deadline - loop.time()) > 0 or heard.asking:
                done, _ = await asyncio.wait(waits, timeout=max(0.2, left), return_when=asyncio.FIRST_COMPLETED)
                if done:
                    break
            if answer.done():
                return await self._end_of_turn(answer)
            await self._interrupt(answer)
            if interrupted.done() and not cancelled.done():
                return TurnEnd(stop_reason=INTERRUPTED, text=self.heard.text.strip())
            if cancelled.done():
                raise HandlerError("it was cancelled", code="cancelled")
            if stop.done():
                raise FailedTurnError(stop.result())
            if silence.done():
                raise FailedTurnError(silence.result())
            quiet = loop.time() - self._heard_at()
            silence_told = f"; it had said nothing for {quiet:.0f} s" if quiet >= PROBE_AFTER else ""
            words = f"it took longer than {loop.time() - began:.0f} s{silence_told}"
            raise HandlerError(words, code="timeout", retryable=True)
        finally:
            if answer.done() and not answer.cancelled() and not isinstance(answer.exception(), ConnectionError):
                self.meter.turn_ended()
            self.person.end()
            for wait in (cancelled, silence, answer, following):
                wait.cancel()
            with contextlib.suppress(BaseException):
                # Its outcome is looked at, so that nobody is told that it was not.
                await answer
            await self.read_log()
            if not self._metered and (self.heard.answered or self._log is not None):
                self.meter.lost(self.heard.calls)
            self.heard.narrator.used(self.usage)
            self.heard.tell()

    def _say(self, text: str) -> Awaitable[Any]:
        """Say a prompt; what is returned gives the CLI's answer at the turn's end."""
        assert self._connection is not None
        params = {"sessionId": self.heard.session, "prompt": [{"type": "text", "text": text}]}
        return self._connection.send_request("session/prompt", params)

    def _heard_at(self) -> float:
        """Return when it last said anything, by the loop's clock."""
        return self._program.heard_at if self._program is not None else 0.0

    async def _end_of_turn(self, answer: "asyncio.Future[Any]") -> TurnEnd:
        try:
            said = await answer
        except ConnectionError as error:
            raise FailedTurnError(await self._why_it_ended()) from error
        except Exception as error:
            self._metered = not self.heard.worked
            raise FailedTurnError(of_rpc(error)) from error
        said = said if isinstance(said, dict) else {}
        # What it said before its answer may still be on its way through the library's tasks.
        await asyncio.sleep(0)
        metered = self._metered = self.meter.prompt_ended(said)
        self.heard.calls += metered
        reason = str(said.get("stopReason") or "end_turn")
        text = self.heard.text.strip()
        told = told_failure(said.get("_meta"))
        if told is not None and not told[1]:
            self._metered = metered or not self.heard.worked
            raise FailedTurnError(told[2])
        if reason == "end_turn" and not metered:
            found = is_error_text(text)
            self._metered = found is not None and not self.heard.worked
            # A limit that is used up is told as an answer by others too, which then took no token.
            if found is not None and (self._acp.silent_errors or found.code == "quota"):
                raise FailedTurnError(found)
        if reason == "max_tokens":
            raise FailedTurnError(failure("context-full", "the answer was cut at the model's limit"))
        if reason == "max_turn_requests":
            raise FailedTurnError(failure("limit", "its own limit of turns"))
        if reason == "refusal":
            raise FailedTurnError(failure("refused", text[-500:] or "the model refused"))
        return TurnEnd(stop_reason=reason, text=text)

    async def _steer(self, text: str) -> bool:
        """Say `text` in the middle of the turn; False where that cannot be."""
        if not self._acp.steering or self._connection is None:
            return False
        params = {"sessionId": self.heard.session, "prompt": [{"type": "text", "text": text}]}
        try:
            said = await asyncio.wait_for(self._connection.send_request("_session/steering", params), STEER_WAIT)
        except Exception as error:  # noqa: BLE001 - whatever it answers, the words are said in the next turn then
            self._context.log(f"it does not take that now: {type(error).__name__}: {error}"[:200])
            return False
        return isinstance(said, dict) and said.get("outcome") == "injected"

    async def _interrupt(self, answer: "asyncio.Future[Any]") -> None:
        """Have the turn ended by the CLI, which then tells what it took; for a moment only."""
        for asking in list(self.heard.asking):
            asking.cancel()
        assert self._connection is not None
        with contextlib.suppress(Exception):
            await self._connection.send_notification("session/cancel", {"sessionId": self.heard.session})
        await asyncio.wait({answer}, timeout=CANCEL_WAIT)
        if answer.done() and not answer.cancelled() and answer.exception() is None:
            said = answer.result()
            self._metered = self.meter.prompt_ended(said if isinstance(said, dict) else {})

    async def _why_it_ended(self) -> Failure:
        assert self._program is not None
        await asyncio.wait({self._program.ended}, timeout=1.0)
        code = self._program.returncode
        words = quoted(self._program.err.text())
        how = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        found = failure("agent-cli", f"it ended in the middle of the turn, {how}" + (f": {words}" if words else ""))
        return Failure(code="agent-cli", sentence=found.sentence, retryable=True)

    async def _call(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the CLI before the first turn. Raises FailedTurnError, HandlerError (`cancelled`)."""
        assert self._connection is not None
        answer = asyncio.ensure_future(self._connection.send_request(method, dict(params)))
        cancelled = asyncio.ensure_future(self._context.cancel.wait())
        try:
            await asyncio.wait({answer, cancelled}, timeout=OPEN_WAIT, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                said = await answer
                return said if isinstance(said, dict) else {}
        except ConnectionError as error:
            ended = await self._why_it_ended()
            if method == "initialize" and (self._program is None or (self._program.returncode or 0) >= 0):
                # One that a signal ended says nothing of what it speaks.
                words = f"it does not speak ACP: it may be too old, or another program of its name ({ended.sentence})"
                ended = failure("agent-cli", words)
            raise FailedTurnError(ended) from error
        except Exception as error:
            raise FailedTurnError(of_rpc(error)) from error
        finally:
            cancelled.cancel()
            if not answer.done():
                answer.cancel()
        if self._context.cancel.is_set():
            raise HandlerError("it was cancelled", code="cancelled")
        raise FailedTurnError(failure("silent", f"no answer to {method} in {OPEN_WAIT:.0f} s"))

    async def close(self) -> None:
        """Close the session, end the program, and whatever is left of it."""
        self.heard.closing = True
        self.person.close()
        self.heard.end()
        for asking in list(self.heard.asking):
            asking.cancel()
        program, connection = self._program, self._connection
        if program is None or connection is None:
            return
        if not program.ended.done() and self.heard.session is not None:
            closing = asyncio.ensure_future(connection.send_request("session/close", {"sessionId": self.heard.session}))
            await asyncio.wait({closing}, timeout=CLOSE_WAIT)
            if closing.done():
                closing.cancelled() or closing.exception()
            else:
                closing.cancel()
        await program.end()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(connection.close(), 1.0)
        await self.read_log()
