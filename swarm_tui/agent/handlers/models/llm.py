"""Asks a language model one question."""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.inputs import read_options, read_payload
from swarm_tui.agent.handlers.models.client import ModelOptions, ask, why_not


class Payload(Struct, kw_only=True):
    """Payload of `llm`."""

    prompt: Annotated[str, Meta(min_length=1, description="the question")]
    system: Annotated[str, Meta(description="what the model is told before")] = ""


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's options."""

    llm: ModelOptions | None = None


class Llm:
    """Gives the model's `text`, and the tokens and dollars that it took."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Raises HandlerError: `llm-key` without a model or a key, `llm-refused`, `llm` (retryable), `cancelled`."""
        payload, options = read_payload(context, Payload), read_options(context, Options)
        if options.llm is None:
            raise HandlerError(why_not(None) or "", code="llm-key")
        context.progress(10, f"asking {options.llm.model}")
        answer = await ask(context, options.llm, payload.prompt, payload.system)
        usage = {"tokens": answer.tokens_in + answer.tokens_out, "cost": answer.cost}
        return {"text": answer.text, "model": answer.model, "finish": answer.finish, "usage": usage}
