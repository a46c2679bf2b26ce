"""Asks whether what was deployed is healthy: a URL that answers as it should, or a command that ends with 0."""

import asyncio

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.process import run_process

#: Bytes of a page that are looked at.
_MOST_BODY = 1_000_000


class Probe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's `probe`. Placeholders: {service} {version} {path}. `within` and `interval` s."""

    url: str | None = None
    command: list[str] | None = None
    status: int = 200
    contains: str | None = None
    within: float = 30.0
    interval: float = 1.0


async def wait_healthy(context: Context, probe: Probe, values: dict[str, str]) -> str:
    """Return what the healthy service answered, in short. Raises HandlerError (`unhealthy`, `cancelled`)."""
    loop = asyncio.get_running_loop()
    end = min(loop.time() + probe.within, context.deadline)
    tries, said = 0, ""
    while True:
        tries += 1
        left = max(0.1, end - loop.time())
        reason = await _once(context, probe, values, left)
        if reason is None:
            return f"healthy at try {tries}"
        if said and loop.time() >= end:
            # It had only what was left of the time: an earlier one, which had its own, says more.
            reason = said
        said = reason
        if context.cancel.is_set():
            raise HandlerError("cancelled while it was probed", code="cancelled")
        if loop.time() + probe.interval >= end:
            raise HandlerError(f"unhealthy after {tries} tries: {reason}", code="unhealthy")
        await asyncio.sleep(probe.interval)


async def _once(context: Context, probe: Probe, values: dict[str, str], left: float) -> str | None:
    if probe.command is not None:
        argv = [fill(part, values) for part in probe.command]
        try:
            done = await run_process(context, argv, timeout=left)
        except HandlerError as error:
            if error.code == "cancelled":
                raise
            return str(error)
        if done.returncode != 0:
            return f"{argv[0]} ended with {done.returncode}: {done.tail}"
    return await _fetch(probe, values, left) if probe.url is not None else None


async def _fetch(probe: Probe, values: dict[str, str], left: float) -> str | None:
    import aiohttp

    url = fill(probe.url or "", values)
    wanted = None if probe.contains is None else fill(probe.contains, values)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=min(10.0, left))) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            body = bytearray()
            async for chunk in response.content.iter_chunked(65_536):
                body += chunk
                if len(body) > _MOST_BODY:
                    break
            if response.status != probe.status:
                return f"{url} answers {response.status}, not {probe.status}"
            if wanted is not None and wanted not in body.decode("utf-8", "replace"):
                return f"{url} answers without {wanted!r}"
            return None
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return f"{url}: {error or type(error).__name__}"


def fill(text: str, values: dict[str, str]) -> str:
    """Return `text` with each known {placeholder} replaced; anything else in braces stays."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
