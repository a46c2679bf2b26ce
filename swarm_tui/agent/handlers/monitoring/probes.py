"""Probes of HTTP, TCP, processes, MQTT, disk and memory. Raises OSError or ValueError with the reason."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from swarm_tui.agent.handlers.monitoring.fetch import opener, refuse_link_local
from swarm_tui.protocol.text import clean

if TYPE_CHECKING:
    from swarm_tui.agent.handlers.monitoring.health import Check

_MOST_BODY = 1024 * 1024


class Finding(Struct, frozen=True, kw_only=True):
    """A probe's finding; `value` in `unit` is what its threshold is about, `ms` how long it took."""

    ok: bool
    value: float | None = None
    unit: str = ""
    ms: float | None = None
    detail: str = ""


async def http(check: "Check") -> Finding:
    """A GET; redirects are followed, to http and https only."""
    return await asyncio.to_thread(_get, check)


def _get(check: "Check") -> Finding:
    from urllib.error import HTTPError, URLError
    from urllib.request import Request

    if check.target.partition("://")[0] not in ("http", "https"):
        raise ValueError(f"{check.target!r} is no http or https URL")
    request = Request(check.target, headers={"User-Agent": "swarm-tui"})
    try:
        with opener().open(request, timeout=check.timeout) as reply:
            status, body = int(reply.status), reply.read(_MOST_BODY)
    except HTTPError as error:
        status, body = error.code, error.read(_MOST_BODY)
        error.close()
    except URLError as error:
        raise OSError(str(error.reason)) from None
    ok = status == check.status if check.status is not None else status < 400
    detail = f"status {status}"
    if not ok:
        detail += f", wanted {check.status or 'one below 400'}"
    elif check.contains is not None and check.contains.encode() not in body:
        ok, detail = False, f"{detail}, but the body does not hold {clean(check.contains, 80)!r}"
    return Finding(ok=ok, value=status, unit="status", detail=detail)


async def tcp(check: "Check") -> Finding:
    """A connection that is accepted."""
    host, _, port = check.target.removeprefix("tcp://").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{check.target!r} is not host:port")
    _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    peer = writer.get_extra_info("peername")
    writer.close()
    if peer is not None:
        refuse_link_local(str(peer[0]))
    return Finding(ok=True, detail="accepts connections")


async def process(check: "Check") -> Finding:
    """Return how many processes of that pid or name run, and what memory they use."""
    return await asyncio.to_thread(_processes, check)


def _processes(check: "Check") -> Finding:
    import psutil

    if not check.target:
        raise ValueError("a process check needs a pid or a name as its target")
    count = rss = 0
    for found in psutil.process_iter(["pid", "name", "status", "memory_info"]):
        info = found.info
        if check.target in (str(info["pid"]), info["name"]) and info["status"] != psutil.STATUS_ZOMBIE:
            count += 1
            rss += info["memory_info"].rss if info["memory_info"] else 0
    detail = f"{count} run, wanted {check.min_count}" if count < check.min_count else f"{count} run"
    ok = count >= check.min_count
    if ok and check.max_rss is not None and rss > check.max_rss:
        ok, detail = False, f"{rss:,} bytes of memory, at most {check.max_rss:,}"
    return Finding(ok=ok, value=count, unit="processes", detail=detail)


async def mqtt(check: "Check") -> Finding:
    """Something that speaks MQTT. One that asks for a password that we were not given is alive all the same."""
    from swarm_tui.bus.probe import probe
    from swarm_tui.bus.reasons import IDENTITY, PASSWORD
    from swarm_tui.config.model import Broker

    found = await asyncio.to_thread(probe, Broker(url=check.target), check.timeout)
    if found.ok:
        return Finding(ok=True, detail="accepts MQTT clients")
    if found.kind in (PASSWORD, IDENTITY):
        return Finding(ok=True, detail=f"speaks MQTT ({found.reason})")
    return Finding(ok=False, detail=clean(found.reason, 300))


async def disk(check: "Check") -> Finding:
    """The free share of the file system that holds a path."""
    usage = await asyncio.to_thread(shutil.disk_usage, check.target or "/")
    # What is free to us: the share that is kept for root is not.
    return _share(100 * usage.free / max(1, usage.used + usage.free), check)


async def memory(check: "Check") -> Finding:
    """The share of this host's memory that is available."""
    import psutil

    seen = psutil.virtual_memory()
    return _share(100 * seen.available / seen.total, check)


def _share(free: float, check: "Check") -> Finding:
    ok = free >= check.min_free
    detail = f"{free:.1f}% free" + ("" if ok else f", at least {check.min_free:g}% wanted")
    return Finding(ok=ok, value=round(free, 1), unit="% free", detail=detail)


PROBES: Mapping[str, Callable[["Check"], Awaitable[Finding]]] = {
    "http": http,
    "tcp": tcp,
    "process": process,
    "mqtt": mqtt,
    "disk": disk,
    "memory": memory,
}
