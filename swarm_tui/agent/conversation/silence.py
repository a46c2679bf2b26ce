"""Silence in a turn: it is timed, and meanwhile the model's server is looked at, for a CLI may retry unheard."""

import asyncio
import os
import re
from collections.abc import Callable, Mapping

from swarm_tui.agent.conversation.failures import Failure, failure, read_error
from swarm_tui.agent.conversation.spec import Endpoint

_TIMEOUT = 5.0
#: Seconds of silence after which its server is looked at, and between two looks.
PROBE_AFTER, PROBE_EVERY = 10.0, 15.0
_LOOK = 0.5


async def too_long(
    heard_at: Callable[[], float],
    is_busy: Callable[[], bool],
    limit: float,
    endpoint: Endpoint | None,
    say: Callable[[str], None],
) -> Failure:
    """Wait until a turn has said nothing for `limit` seconds, or its server tells why; return that.

    `heard_at` is when it last said something, by the loop's clock; while it `is_busy` no word is expected. `say` is
    told what the CLI retries in silence.
    """
    loop = asyncio.get_running_loop()
    began, looked = loop.time(), 0.0
    while True:
        await asyncio.sleep(_LOOK)
        now = loop.time()
        if is_busy():
            began = now
            continue
        quiet = now - max(began, heard_at())
        if quiet >= limit:
            return failure("silent", f"{quiet:.0f} s without a word")
        if quiet >= PROBE_AFTER and now - looked >= PROBE_EVERY and endpoint is not None:
            looked = now
            found = await look(endpoint)
            if found is not None and not found.retryable:
                return found
            if found is not None:
                say(f"⏳ {found.sentence.split(' (')[0]}; the CLI tries again in silence")


async def look(endpoint: Endpoint, environment: Mapping[str, str] | None = None) -> Failure | None:
    """Return why the server does not answer as it should; None when it does, or nothing can be asked."""
    given = os.environ if environment is None else environment
    headers = {}
    for name, template in endpoint.headers.items():
        value = re.sub(r"\{(\w+)\}", lambda found: given.get(found[1], "\0"), template)
        if "\0" in value:
            return None
        headers[name] = value
    base = next((given[name] for name in endpoint.base if given.get(name)), endpoint.url)
    return await _ask(base.rstrip("/") + endpoint.path, headers)


async def _ask(url: str, headers: Mapping[str, str]) -> Failure | None:
    import aiohttp

    try:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.get(url, headers=headers) as reply,
        ):
            if reply.status < 400 or reply.status == 404:
                # Not every server lists its models: that one answers at all is what counts.
                return None
            words = (await reply.text(errors="replace"))[:300]
            return read_error(f"HTTP {reply.status}: {words}", code=reply.status)
    except (OSError, aiohttp.ClientError, TimeoutError, ValueError) as error:
        return failure("network", f"{url}: {type(error).__name__} {error}".strip())
