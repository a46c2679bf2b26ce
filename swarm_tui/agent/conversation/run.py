"""Runs one prompt as a conversation, and tells what came of it: an answer, or an error that says why not."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from swarm_tui.agent.conversation import mail
from swarm_tui.agent.conversation.conversation import Conversation, FailedTurnError, TurnEnd
from swarm_tui.agent.conversation.failures import Failure, failure
from swarm_tui.agent.conversation.open_conversation import keep
from swarm_tui.agent.conversation.permits import Permits, Rules
from swarm_tui.agent.conversation.person import INTERRUPTED
from swarm_tui.agent.conversation.programs import environment, program
from swarm_tui.agent.conversation.settings import Settings
from swarm_tui.agent.conversation.spec import Acp
from swarm_tui.agent.conversation.tool_calls import ToolCall
from swarm_tui.agent.handlers.base import Context, HandlerError, Result, ResumePoint
from swarm_tui.domain.usage import Usage

_MOST_REFUSED = 50


class Told(Struct, frozen=True, kw_only=True):
    """The outcome of a conversation, also of one that failed on the way."""

    text: str = ""
    session: str | None = None
    turns: int = 0
    usage: Usage = Usage()
    refused: list[dict[str, Any]] = []
    stop_reason: str = ""
    resumed: bool = False
    beside: str = ""

    def result(self) -> Result:
        """Return it as a task's result."""
        usage = self.usage
        return {
            "text": self.text,
            "session": self.session,
            "turns": self.turns,
            "usage": {
                "tokens_in": usage.tokens_in,
                "tokens_out": usage.tokens_out,
                "tokens_cached": usage.tokens_cached,
                "cost": None if usage.cost is None else round(usage.cost, 6),
            },
            "refused": self.refused,
            "stop_reason": self.stop_reason,
            **({"beside": self.beside} if self.beside else {}),
        }


async def converse(
    context: Context,
    name: str,
    acp: Acp,
    prompt: str,
    *,
    settings: Settings,
    rules: Rules,
    folder: Path,
    passed: Sequence[str] = (),
    install: str = "",
) -> Told:
    """Say the prompt to the CLI and wait for its answer; an earlier attempt's session is gone on with.

    Raises MissingToolError; HandlerError with a failure's code (`conversation/failures.py`), `cancelled`, `timeout`,
    whose result is as much as there is.
    """
    argv = program(acp.argv, acp.install or install)
    given = environment(context, passed, acp.env, argv[0])
    conversation = Conversation(context, acp, settings, folder, Permits(context, rules, folder))
    told = await hold(context, name, acp, conversation, prompt, folder, argv, given, tools=bool(settings.mcp))
    return replace(told, beside="" if settings.model else acp.beside)


async def hold(
    context: Context,
    name: str,
    acp: Acp,
    conversation: Conversation,
    prompt: str,
    folder: Path,
    argv: Sequence[str],
    given: Mapping[str, str],
    *,
    tools: bool,
) -> Told:
    """Hold the conversation, from its beginning to its end; `tools`: it can answer mail by itself.

    Raises as `converse` does.
    """
    point = context.resume
    told = Told()
    try:
        session, began = (point.session or None, point.began) if point else (None, 0.0)
        resumed = await conversation.open(argv, given, session, began)
        if acp.log is not None and conversation.heard.session is not None:
            kept = keep(context, acp.log, given, conversation.heard.session, conversation.meter.kept())
            conversation.heard.on_call = kept.heard
        if point is not None:
            prompt = _again(prompt, point, resumed, mine=point.task_id in ("", context.task_id))
            gone = "its session is gone: it starts anew" if point.session else "its session is full: it starts anew"
            context.log(f"goes on with session {point.session}" if resumed else gone)
        if (dear := conversation.heard.too_dear()) is not None:
            raise FailedTurnError(dear)
        waiting = context.messages()
        end = await _turn(context, conversation, mail.with_mail(prompt, waiting, tools=tools))
        told = replace(_told(conversation, folder), text=end.text, stop_reason=end.stop_reason, resumed=resumed)
        failed = _hollow(conversation, end.stop_reason)
        if failed is not None:
            raise FailedTurnError(failed)
        if not tools:
            mail.answer(context, waiting, end.text)
        return await _read_on(context, conversation, told, folder, tools=tools)
    except FailedTurnError as error:
        result = replace(told if told.session else _told(conversation, folder), stop_reason=error.failure.code).result()
        raise HandlerError(
            f"{name}: {error.failure.sentence}",
            code=error.failure.code,
            retryable=error.failure.retryable,
            result=result,
            retry_at=error.failure.retry_at(time.time()),
        ) from error
    except HandlerError as error:
        if error.code != "missing-tool":
            error.result = replace(_told(conversation, folder), stop_reason=error.code).result()
        raise
    finally:
        await conversation.close()


async def _turn(context: Context, conversation: Conversation, said: str) -> TurnEnd:
    """Say it, then what a person at its pane says; the end of the last of them. Raises as `Conversation.prompt`."""
    end = await conversation.prompt(said)
    while (more := await conversation.person.next(end.stop_reason)) is not None:
        end = await conversation.prompt(more)
    if end.stop_reason == INTERRUPTED:
        raise _after_interrupt(context)
    return end


def _after_interrupt(context: Context) -> Exception:
    if context.cancel.is_set():
        return HandlerError("it was cancelled", code="cancelled")
    return FailedTurnError(failure("stopped"))


async def _read_on(context: Context, conversation: Conversation, told: Told, folder: Path, *, tools: bool) -> Told:
    """Let the agent have the mail that came while it was at work, a turn at a time; its last answer counts.

    A turn that fails takes nothing back of what was done before. Raises HandlerError (`cancelled`, `timeout`).
    """
    for _ in range(mail.MOST_TURNS):
        if told.stop_reason != "end_turn" or not (came := context.messages()):
            break
        context.log(f"reads mail of {', '.join(dict.fromkeys(message.sender for message in came))}")
        try:
            end = await _turn(context, conversation, mail.at_next_turn(came, tools=tools))
        except FailedTurnError as error:
            if error.failure.code == "stopped":
                raise
            context.log(f"it could not read its mail: {error}")
            break
        said = _told(conversation, folder)
        told = replace(said, text=end.text or told.text, stop_reason=end.stop_reason, resumed=told.resumed)
        if not tools:
            mail.answer(context, came, end.text)
    return told


def _again(prompt: str, point: ResumePoint, resumed: bool, *, mine: bool) -> str:
    """Return what is said to one that goes on: after its attempt ended, or for another task (not `mine`)."""
    because = f" ({point.why})" if point.why else ""
    if resumed and not mine:
        return prompt
    if resumed:
        return (
            f"Your last turn was cut off{because}. Look at what is done already, then go on with what you were asked:"
            f"\n\n{prompt}"
        )
    said = f" The last that was said in it:\n\n{point.summary}\n\n(end of that.)" if point.summary else ""
    return (
        f"Somebody began this before you and was cut off{because}; nothing of that conversation is left but the files "
        f"as they are now. Look at them first.{said}\n\n{prompt}"
    )


def _hollow(conversation: Conversation, reason: str) -> Failure | None:
    """Return why a turn that ended well did not do what it was asked: all that it wanted to do was refused."""
    if not conversation.heard.refused:
        return _undone(conversation)
    wrote = any(call.writes for call in conversation.heard.done)
    # Some end the turn at a refusal, without another word: what was to follow was not done.
    heard = conversation.heard
    cut_off = reason == "cancelled" or (not heard.text.strip() and heard.last in heard.refused)
    if wrote and not cut_off:
        return None
    tools = ", ".join(dict.fromkeys(f"{call.tool}: {call.refused}" for call in conversation.heard.refused))
    return failure("refused", tools[:1000])


def _undone(conversation: Conversation) -> Failure | None:
    """Return why a turn in which every change failed did not do what it was asked, whatever it says of that."""
    heard = conversation.heard
    edits = [call for call in heard.failed if call.tool == "Edit"]
    if not edits or any(call.writes for call in heard.done):
        return None
    said = " ".join(edits[-1].output.split())[:300]
    return failure(
        "agent-cli",
        f"none of its changes could be made: {(edits[-1].title[:200] or edits[-1].tool)}"
        + (f": {said}" if said else ""),
    )


def _told(conversation: Conversation, folder: Path) -> Told:
    refused = [_refusal(call, folder) for call in conversation.heard.refused[:_MOST_REFUSED]]
    return Told(
        text=conversation.heard.text.strip(),
        session=conversation.heard.session,
        turns=conversation.heard.turns,
        usage=conversation.usage,
        refused=refused,
    )


def _refusal(call: ToolCall, folder: Path) -> dict[str, Any]:
    return {"tool": call.tool, "input": call.target(folder)[:2000], "why": call.refused}
