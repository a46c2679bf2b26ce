"""Does nothing, at once or after a while: for benchmarks, and to try a swarm out."""

import asyncio
import contextlib
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result


class Payload(Struct, kw_only=True):
    """Payload of `noop`; further fields are let pass."""

    seconds: Annotated[float, Meta(ge=0, le=86_400, description="how long to do nothing")] = 0.0
    echo: Annotated[Any, Meta(description="comes back in the result")] = None


class Noop:
    """Waits `seconds`, saying how far it is, and gives back `echo`."""

    Payload: ClassVar[type[Struct]] = Payload

    async def run(self, context: Context) -> Result:
        """Return `{}` or `{"echo": …}`."""
        seconds = float(context.payload.get("seconds") or 0.0)
        steps = min(10, int(seconds * 2)) or int(seconds > 0)
        for step in range(steps):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(context.cancel.wait(), seconds / steps)
                raise HandlerError("cancelled", code="cancelled")
            context.progress((step + 1) * 100 / steps)
        echo = context.payload.get("echo")
        return {} if echo is None else {"echo": echo}
