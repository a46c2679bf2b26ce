"""`monitoring.health` probes what it is told to, and `monitoring.alerts` lists what stands."""

import asyncio
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.monitoring.probes import PROBES, Check, Finding, Kind
from swarm_tui.protocol.text import clean


class HealthPayload(Struct, kw_only=True):
    """Without `checks` and `target`: this host's disk and memory, and the swarm's broker."""

    checks: Annotated[list[Check], Meta(max_length=100, description="the probes")] = []
    target: Annotated[str, Meta(max_length=2000, description="one URL or host:port, in place of `checks`")] | None = (
        None
    )
    timeout: Annotated[float, Meta(gt=0, le=300, description="seconds, of `target`")] = 5.0


class AlertsPayload(Struct, kw_only=True):
    """The alerts to list."""

    severity: Annotated[Literal["critical", "warning", "info"], Meta(description="only these")] | None = None


class Health:
    """Runs all probes at once; `healthy` when each is within its thresholds."""

    Payload: ClassVar[type[Struct]] = HealthPayload

    async def run(self, context: Context) -> Result:
        """Return `{healthy, verdict, checks: [{kind, target, ok, value, unit, ms, detail}]}`; a probe fails no task."""
        payload = _payload(context, HealthPayload)
        checks = payload.checks or _default_checks(context, payload)
        done = 0

        async def one(check: Check) -> Result:
            nonlocal done
            found = await probe(check)
            done += 1
            context.progress(done * 100 / len(checks), f"{f'{check.kind} {check.target}'.strip()}: {found.detail}")
            return {"kind": check.kind, "target": check.target, **msgspec.structs.asdict(found)}

        work = asyncio.gather(*(one(check) for check in checks))
        stop = asyncio.ensure_future(context.cancel.wait())
        both: set[asyncio.Future[Any]] = {work, stop}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work
                raise HandlerError("cancelled", code="cancelled")
            rows = work.result()
        finally:
            work.cancel()
            stop.cancel()
        healthy = all(row["ok"] for row in rows)
        return {"healthy": healthy, "verdict": "passed" if healthy else "failed", "checks": rows}


class Alerts:
    """Lists the alerts that stand now, as the agent of the monitoring role knows them."""

    Payload: ClassVar[type[Struct]] = AlertsPayload

    async def run(self, context: Context) -> Result:
        """Return `{alerts: [{name, severity, message, agent_id?, task_id?}], count}`."""
        from swarm_tui.agent.roles.monitoring.role import standing_alerts

        payload = _payload(context, AlertsPayload)
        standing = standing_alerts()
        if standing is None:
            raise HandlerError(
                f"{context.agent_id} does not watch the swarm: only an agent of role monitoring does",
                code="not-watching",
            )
        rows = [
            {
                name: value
                for name, value in msgspec.structs.asdict(alert).items()
                if value is not None and name != "active"
            }
            for alert in standing
            if payload.severity in (None, alert.severity)
        ]
        return {"alerts": rows, "count": len(rows)}


def _payload(context: Context, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(context.payload, kind)
    except msgspec.ValidationError as error:
        raise HandlerError(f"the payload of {context.type}: {error}", code="bad-payload") from None


def _default_checks(context: Context, payload: HealthPayload) -> list[Check]:
    target = payload.target
    if target is None:
        return [
            Check(kind="disk", target=str(context.workdir)),
            Check(kind="memory"),
            Check(kind="mqtt", target=context.broker_url),
        ]
    scheme = target.partition("://")[0]
    kind: Kind = "http" if scheme in ("http", "https") else "mqtt" if "://" in target else "tcp"
    return [Check(kind=kind, target=target, timeout=payload.timeout)]


async def probe(check: Check) -> Finding:
    """Run one check within its time limit; what goes wrong is a finding."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        found = await asyncio.wait_for(PROBES[check.kind](check), check.timeout)
    except TimeoutError:
        found = Finding(ok=False, detail=f"no answer within {check.timeout:g} s")
    except ConnectionRefusedError:
        found = Finding(ok=False, detail="connection refused: nothing listens there")
    except (OSError, ValueError, OverflowError) as error:
        found = Finding(ok=False, detail=clean(str(error) or type(error).__name__, 300))
    ms = round((loop.time() - began) * 1000, 1)
    found = msgspec.structs.replace(found, ms=ms)
    if found.ok and check.max_ms is not None and ms > check.max_ms:
        return msgspec.structs.replace(found, ok=False, detail=f"{found.detail}; {ms:g} ms, at most {check.max_ms:g}")
    return found
