"""Probes HTTP, TCP, processes, MQTT, disk and memory. Each raises OSError or ValueError with the reason."""

import asyncio
import contextlib
import shutil
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.monitoring.fetch import Ending, opener, refuse_link_local
from swarm_tui.protocol.text import clean

T = TypeVar("T")
_MOST_BODY = 1024 * 1024
#: Threads of probes that may hang at the same time, in a name server or a file system that does not answer.
MOST_HANGING = 64
_hanging = threading.BoundedSemaphore(MOST_HANGING)

Kind = Literal["http", "tcp", "process", "mqtt", "disk", "memory"]
_Percent = Annotated[float, Meta(ge=0, le=100)]


class Check(Struct, kw_only=True):
    """A probe and its thresholds."""

    kind: Annotated[Kind, Meta(description="what to probe")]
    target: Annotated[
        str,
        Meta(
            max_length=2000,
            description="http: a URL; tcp: host:port; process: a pid or a name; mqtt: a broker's URL; disk: a path",
        ),
    ] = ""
    timeout: Annotated[float, Meta(gt=0, le=300, description="seconds")] = 5.0
    max_ms: Annotated[float, Meta(gt=0, description="the slowest answer that is still healthy")] | None = None
    status: Annotated[int, Meta(ge=100, le=599, description="http: the status wanted; else any below 400")] | None = (
        None
    )
    contains: Annotated[str, Meta(max_length=1000, description="http: text that the body must hold")] | None = None
    min_count: Annotated[int, Meta(ge=1, description="process: how many must run")] = 1
    max_rss: Annotated[int, Meta(ge=1, description="process: bytes of memory that all of them may use")] | None = None
    min_free: Annotated[_Percent, Meta(description="disk, memory: percent that must be free")] = 10.0


class Finding(Struct, frozen=True, kw_only=True):
    """A probe's finding; `value` in `unit` is what its threshold is about, `ms` how long it took."""

    ok: bool
    value: float | None = None
    unit: str = ""
    ms: float | None = None
    detail: str = ""


async def apart(call: Callable[[], T]) -> T:
    """Return what a blocking call gives, on a thread of its own.

    Who is cancelled waits no more, and a call that hangs takes no thread that others need, nor keeps the agent from
    its end. Raises OSError when MOST_HANGING of them hang already.
    """
    if not _hanging.acquire(blocking=False):
        raise OSError(f"{MOST_HANGING} probes before this one still hang")
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def work() -> None:
        result, error = None, None
        try:
            result = call()
        except BaseException as caught:  # noqa: BLE001 - it is raised where it is waited for
            # A StopIteration cannot be set on a future.
            error = RuntimeError(repr(caught)) if isinstance(caught, StopIteration) else caught
        finally:
            _hanging.release()
        with contextlib.suppress(RuntimeError):  # The loop has ended meanwhile.
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="probe", daemon=True).start()
    return await done


async def http(check: Check) -> Finding:
    """GET a page; redirects are followed, to http and https only."""
    ending = Ending(check.timeout)
    try:
        return await apart(lambda: _get(check, ending))
    finally:
        ending.end()


def _get(check: Check, ending: Ending) -> Finding:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request

    if check.target.partition("://")[0] not in ("http", "https"):
        raise ValueError(f"{check.target!r} is no http or https URL")
    request = Request(check.target, headers={"User-Agent": "swarm-tui"})
    try:
        with opener(ending).open(request, timeout=check.timeout) as reply:
            status, body = int(reply.status), reply.read(_MOST_BODY)
    except HTTPError as error:
        with error:
            status, body = error.code, error.read(_MOST_BODY)
    except URLError as error:
        raise OSError(str(error.reason)) from None
    except HTTPException as error:
        raise OSError(f"no HTTP is spoken there: {type(error).__name__}: {error}") from None
    ok = status == check.status if check.status is not None else status < 400
    detail = f"status {status}"
    if not ok:
        detail += f", wanted {check.status or 'one below 400'}"
    elif check.contains is not None and check.contains.encode() not in body:
        ok, detail = False, f"{detail}, but the body does not hold {clean(check.contains, 80)!r}"
    return Finding(ok=ok, value=status, unit="status", detail=detail)


async def tcp(check: Check) -> Finding:
    """Open a connection, by the first of a name's addresses that accepts one."""
    host, _, port = check.target.removeprefix("tcp://").rpartition(":")
    if not host or not (port.isascii() and port.isdecimal() and len(port) < 6) or not 0 < int(port) < 65536:
        raise ValueError(f"{check.target!r} is not host:port")
    loop = asyncio.get_running_loop()
    found = await apart(lambda: socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM))
    failed: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in found:
        refuse_link_local(str(address[0]))
        with socket.socket(family, kind, protocol) as made:
            made.setblocking(False)
            try:
                await loop.sock_connect(made, address)
            except OSError as error:
                failed = error
            else:
                return Finding(ok=True, detail="accepts connections")
    raise failed


async def process(check: Check) -> Finding:
    """Return how many processes of that pid or name run, and what memory they use."""
    return await apart(lambda: _processes(check))


def _processes(check: Check) -> Finding:
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


async def mqtt(check: Check) -> Finding:
    """Connect by MQTT. A broker that asks for a password which we were not given is alive all the same."""
    from swarm_tui.bus.probe import probe
    from swarm_tui.bus.reasons import IDENTITY, PASSWORD
    from swarm_tui.config.model import Broker, Tls
    from swarm_tui.config.own_broker import own_authority

    there = Broker(url=check.target, tls=Tls(ca=own_authority(check.target)))
    ending = Ending(check.timeout)
    try:
        found = await apart(lambda: probe(there, check.timeout, ending.hold))
    finally:
        ending.end()
    if found.ok:
        return Finding(ok=True, detail="accepts MQTT clients")
    if found.kind in (PASSWORD, IDENTITY):
        return Finding(ok=True, detail=f"speaks MQTT ({found.reason})")
    return Finding(ok=False, detail=clean(found.reason, 300))


async def disk(check: Check) -> Finding:
    """Measure the free share of the file system that holds a path."""
    usage = await apart(lambda: shutil.disk_usage(check.target or "/"))
    # What is free to us: the share that is kept for root is not.
    return _share(100 * usage.free / max(1, usage.used + usage.free), check)


async def memory(check: Check) -> Finding:
    """Measure the share of this host's memory that is available."""
    import psutil

    seen = psutil.virtual_memory()
    return _share(100 * seen.available / seen.total, check)


def _share(free: float, check: Check) -> Finding:
    ok = free >= check.min_free
    detail = f"{free:.1f}% free" + ("" if ok else f", at least {check.min_free:g}% wanted")
    return Finding(ok=ok, value=round(free, 1), unit="% free", detail=detail)


PROBES: Mapping[str, Callable[[Check], Awaitable[Finding]]] = {
    "http": http,
    "tcp": tcp,
    "process": process,
    "mqtt": mqtt,
    "disk": disk,
    "memory": memory,
}
