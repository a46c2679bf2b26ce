"""`gateway.probe`: whether the HTTP door answers, and how fast."""

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.monitoring.health import probe
from swarm_tui.agent.handlers.monitoring.probes import Check


class Payload(Struct, kw_only=True):
    """Without `url`: the door of the agent that does the task."""

    url: Annotated[str, Meta(max_length=2000, description="what to GET")] | None = None
    timeout: Annotated[float, Meta(gt=0, le=300, description="seconds")] = 5.0
    max_ms: Annotated[float, Meta(gt=0, description="the slowest answer that is still healthy")] | None = None
    status: Annotated[int, Meta(ge=100, le=599, description="the status wanted; else any below 400")] | None = None


class Probe:
    """Sends a GET to the door's `/healthz`, or of another URL."""

    Payload: ClassVar[type[Struct]] = Payload

    async def run(self, context: Context) -> Result:
        """Return `{healthy, verdict, url, status, ms, detail}`: a silent door is a finding, no failed task."""
        from swarm_tui.agent.roles.api_gateway.role import door_url

        try:
            payload = msgspec.convert(context.payload, Payload)
        except msgspec.ValidationError as error:
            raise HandlerError(f"the payload of {context.type}: {error}", code="bad-payload") from None
        url, own = payload.url, door_url()
        if url is None and own is None:
            raise HandlerError(f"{context.agent_id} has no HTTP door, and the payload names no `url`", code="no-door")
        target = url or f"{own}/healthz"
        found = await probe(
            Check(kind="http", target=target, timeout=payload.timeout, max_ms=payload.max_ms, status=payload.status)
        )
        return {
            "healthy": found.ok,
            "verdict": "passed" if found.ok else "failed",
            "url": target,
            "status": None if found.value is None else int(found.value),
            "ms": found.ms,
            "detail": found.detail,
        }
