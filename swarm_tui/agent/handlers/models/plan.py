"""Turns a goal into parts, by an agent CLI that may only read, or by a model; nothing is changed."""

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta, Struct

from swarm_tui.agent.conversation.programs import find
from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload
from swarm_tui.agent.handlers.models.cli_spec import Cli
from swarm_tui.agent.handlers.models.client import ModelOptions, ask, json_in, why_not
from swarm_tui.agent.handlers.models.talk import TalkOptions, TalkPayload, as_result, choose, talk
from swarm_tui.domain.workflows.model import MAX_ITEMS

#: The CLI that plans where the layout names neither one nor a model, if it is installed.
USUAL = "claude"
#: Characters of a part's prompt, and bytes of all parts: each goes into a task's payload, and all into one result.
MAX_PROMPT, MAX_PARTS_BYTES = 8_000, 64 * 1024


class PlanPayload(TalkPayload, kw_only=True):
    """Payload of `code.plan`: a `goal`, or the same as `prompt`."""

    prompt: Annotated[str, Meta(description="the goal, as other types call it")] = ""
    goal: Annotated[str, Meta(description="what is to be reached")] = ""
    max_parts: Annotated[
        Annotated[int, Meta(ge=1, le=MAX_ITEMS)] | None, Meta(description="parts; at most the layout's limit")
    ] = None


class PlanOptions(TalkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's options: either `cli` or `llm` plans. `max_parts` is the most that a plan may have."""

    llm: ModelOptions | None = None
    max_turns: int = 30
    max_parts: Annotated[int, Meta(ge=1, le=MAX_ITEMS)] = 20


class Part(Struct, kw_only=True, forbid_unknown_fields=True):
    """A part of a plan: a piece of work that one agent does by itself."""

    title: Annotated[str, Meta(min_length=1, max_length=200, description="what it is, in a line")]
    prompt: Annotated[
        str, Meta(min_length=1, max_length=MAX_PROMPT, description="all that whoever does it must be told")
    ]
    files: Annotated[list[str], Meta(max_length=100, description="paths that it touches")] = []
    done: Annotated[str, Meta(max_length=1000, description="how to see that it is done")] = ""


class _Parts(Struct, forbid_unknown_fields=True):
    parts: list[Part]


class Plan:
    """Gives the `parts` of a plan, each with `title`, `prompt`, `files` and `done`, and the answer's own `text`."""

    Payload: ClassVar[type[Struct]] = PlanPayload
    Options: ClassVar[type[Struct]] = PlanOptions

    async def run(self, context: Context) -> Result:
        """Raises HandlerError: `bad-payload`, `not-configured`, `bad-plan` (retryable), and what CLI or model raise."""
        payload, options = read_payload(context, PlanPayload), read_options(context, PlanOptions)
        goal = payload.goal.strip() or payload.prompt.strip()
        if not goal:
            raise HandlerError("goal: say what is to be reached", code="bad-payload")
        folder = inside(context.workdir, payload.repo, what="repo")
        name = payload.cli or options.cli or (None if options.llm else _usual(options.clis))
        most = min(options.max_parts, payload.max_parts or options.max_parts)
        if name is None:
            if reason := why_not(options.llm):
                message = f"nobody is there to plan: give the layout's handler `options: {{cli: claude}}`; {reason}"
                raise HandlerError(message, code="not-configured")
            assert options.llm is not None
            context.progress(10, f"asking {options.llm.model}")
            answer = await ask(context, options.llm, goal, _asked(most))
            usage = {"tokens": answer.tokens_in + answer.tokens_out, "cost": answer.cost}
            said = {"text": answer.text, "model": answer.model, "usage": usage}
        else:
            choose(name, options.clis)
            told = await talk(context, options, payload, name, "read", folder, f"{_READ}{_asked(most)}\n\nGoal: {goal}")
            said = as_result(name, told)
        parts = _parts(said, most)
        context.progress(100, f"planned {len(parts)} part{'' if len(parts) == 1 else 's'}")
        return {**said, "text": str(said.get("text", ""))[:10_000], "parts": parts}


_READ = "Plan, and change nothing: read what you need first. "


def _asked(most: int) -> str:
    schema = msgspec.json.encode(msgspec.json.schema(_Parts)).decode()
    return (
        f"Turn the goal into 1 to {most} parts. Each is done by another agent, which sees nothing but the part's "
        "prompt and the repository, at the same time as the others: so no part needs another, no two touch the same "
        "file, and each prompt says all. Answer with one JSON object of this schema and nothing else:\n" + schema
    )


def _usual(extra: dict[str, Cli]) -> str | None:
    """The CLI that plans when none is named: the usual one, where it is here."""
    cli = choose(USUAL, extra)
    programs = [argv[0] for argv in (cli.acp.argv if cli.acp is not None else [], cli.argv) if argv]
    return USUAL if any(map(find, programs)) else None


def _parts(said: Result, most: int) -> list[dict[str, Any]]:
    """Return the parts in an answer, checked. Raises HandlerError (`bad-plan`) with what is wrong with them."""
    text = str(said.get("text", ""))
    try:
        parts = msgspec.json.decode(json_in(text), type=_Parts).parts
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
        why = str(error) if "{" in text else "it holds no JSON object"
    else:
        size = len(msgspec.json.encode(parts))
        if not 1 <= len(parts) <= most:
            why = f"it has {len(parts)} parts; 1 to {most} are wanted"
        elif size > MAX_PARTS_BYTES:
            why = f"its parts are {size:,} bytes, at most {MAX_PARTS_BYTES:,}"
        else:
            return [dict(msgspec.to_builtins(part)) for part in parts]
    kept = {**said, "text": text[:10_000]}
    message = f"the answer is no plan: {why}; it begins: {text[:300]}"
    raise HandlerError(message, code="bad-plan", retryable=True, result=kept)
