"""`monitoring.health` and `monitoring.alerts`: each probe finds what is planted, and gives no false alarm."""

import asyncio
import contextlib
import http.server
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.monitoring.health import Alerts, Health
from swarm_tui.agent.handlers.registry import load, schema
from swarm_tui.config.model import HandlerSpec
from tests.examples import examples
from tests.wait import until


def context(payload: dict[str, Any], workdir: Path, *, broker: str = "mqtt://127.0.0.1:1") -> Context:
    return Context(
        task_id="t", type="monitoring.health", payload=payload, attempt=1, fence="1.1", idempotency_key="t",
        agent_id="a1", role="monitoring", swarm="s", broker_url=broker, workdir=workdir, state_dir=workdir,
        spec=HandlerSpec(), deadline=1e18, cancel=asyncio.Event(), environment={},
        _progress=lambda *_: None, _usage=lambda *_: None, _log=lambda _: None, _publish=lambda *_: None,
        _spawned=lambda _: None,
    )  # fmt: skip


def health(payload: dict[str, Any], workdir: Path, **more: Any) -> dict[str, Any]:
    async def go() -> dict[str, Any]:
        return await Health().run(context(payload, workdir, **more))

    return asyncio.run(go())


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/bad" else 200)
        self.end_headers()
        self.wfile.write(b"all well")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def page() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_http(page: str, tmp_path: Path) -> None:
    checks = [
        {"kind": "http", "target": page},
        {"kind": "http", "target": page, "contains": "well"},
        {"kind": "http", "target": page, "contains": "ill"},
        {"kind": "http", "target": f"{page}/bad"},
        {"kind": "http", "target": f"{page}/bad", "status": 503},
        {"kind": "http", "target": page, "max_ms": 0.0001},
        {"kind": "http", "target": "file:///etc/passwd"},
    ]
    found = health({"checks": checks}, tmp_path)
    assert [row["ok"] for row in found["checks"]] == [True, True, False, False, True, False, False]
    assert (found["healthy"], found["verdict"]) == (False, "failed")
    assert found["checks"][3]["value"] == 503
    assert all(row["ms"] is not None for row in found["checks"])


class _Reached:
    """A connection that has reached `address`; the name it was opened by meant that by then."""

    def __init__(self, address: str) -> None:
        self.address, self.sent, self.closed = address, b"", False

    def getpeername(self) -> tuple[str, int]:
        return self.address, 80

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def setsockopt(self, *_: object) -> None:
        """As it is."""

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254"])
def test_what_a_task_names_does_not_reach_the_clouds_metadata(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _Reached(address)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: made)
    found = health({"checks": [{"kind": "http", "target": "http://innocent.example/latest/meta-data"}]}, tmp_path)
    row = found["checks"][0]
    assert not row["ok"]
    assert "link-local" in row["detail"]
    assert (made.sent, made.closed) == (b"", True)


def test_tcp_and_a_lone_target(page: str, free_port: int, tmp_path: Path) -> None:
    assert health({"target": page}, tmp_path)["healthy"]
    assert health({"target": page.removeprefix("http://")}, tmp_path)["checks"][0]["kind"] == "tcp"
    closed = health({"target": f"127.0.0.1:{free_port}"}, tmp_path)
    assert not closed["healthy"]
    assert "refused" in closed["checks"][0]["detail"].lower()
    assert not health({"target": "nonsense"}, tmp_path)["healthy"]


def test_one_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        target = f"http://127.0.0.1:{mute.getsockname()[1]}"
        found = health({"checks": [{"kind": "http", "target": target, "timeout": 0.2}]}, tmp_path)
    assert not found["healthy"]


def _hanging() -> int:
    return sum(thread.name == "probe" for thread in threading.enumerate())


@pytest.fixture
def dripping() -> Iterator[int]:
    """A port where somebody says a byte now and then, and never ends."""
    over = threading.Event()

    def drip(made: socket.socket) -> None:
        with made, contextlib.suppress(OSError):
            # A page's head, and the head of a TLS record, as far as they get.
            first = made.recv(1)
            whole = b"\x16\x03\x03\x3f\xff" if first == b"\x16" else b"HTTP/1.0 200 OK\r\n\r\n"
            made.sendall(whole)
            while not over.wait(0.02):
                made.sendall(b"x")

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(200)
        made: list[threading.Thread] = []

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    made.append(threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True))
                    made[-1].start()

        server = threading.Thread(target=serve)
        server.start()
        yield listener.getsockname()[1]
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        for thread in [server, *made]:
            thread.join(5)


@pytest.mark.parametrize("scheme", ["http", "https", "mqtt", "mqtts"])
def test_a_page_that_drips_ends_and_takes_no_thread(
    dripping: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    # No handshake gets as far as to a certificate, and reading all that the machine trusts takes most of the time.
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    kind = scheme.rstrip("s") if "http" in scheme else "mqtt"
    check = {"kind": kind, "target": f"{scheme}://127.0.0.1:{dripping}", "timeout": 0.3}
    begun = time.monotonic()
    found = health({"checks": [check] * 40}, tmp_path)
    assert time.monotonic() - begun < 20
    assert not found["healthy"]
    until(lambda: _hanging() == 0, 5, "no thread hangs")


def test_names_that_nobody_resolves_end_and_leave_threads_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def never(*_: object, **__: object) -> None:
        over.wait(20)
        raise socket.gaierror("over")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    checks = [{"kind": "tcp", "target": f"h{n}.example:1", "timeout": 0.2} for n in range(50)]
    checks += [{"kind": "http", "target": f"http://h{n}.example/", "timeout": 0.2} for n in range(50)]
    try:
        rows = health({"checks": [*checks[:99], {"kind": "memory", "min_free": 0}]}, tmp_path)["checks"]
        assert rows[-1]["ok"]
        assert "no answer within 0.2 s" in rows[0]["detail"]
        assert "64 probes before this one still hang" in rows[98]["detail"]
    finally:
        over.set()
    until(lambda: _hanging() == 0, 5, "no thread hangs")


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 99999 OK\r\n\r\n", b"", b"\xff\n"])
def test_what_speaks_no_http_is_a_finding(tmp_path: Path, said: bytes) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            made = listener.accept()[0]
            with made:
                made.recv(1000)
                made.sendall(said)

        server = threading.Thread(target=answer)
        server.start()
        row = health({"target": f"http://127.0.0.1:{listener.getsockname()[1]}"}, tmp_path)["checks"][0]
        server.join()
    assert not row["ok"]
    assert row["detail"]


_SCHEMES = st.sampled_from(["http://", "https://[", "tcp://", "mqtt://", "mqtts://", "ws://", ""])
_PLACES = st.sampled_from(
    ["[::1", "127.0.0.1:99999999999", "127.0.0.1:0/\0", "a b", "x:", "@:1", "%zz", "h:٣", "1" * 999]
)


@given(
    kind=st.sampled_from(["http", "tcp", "process", "mqtt", "disk"]),
    target=st.one_of(st.text(max_size=40), st.tuples(_SCHEMES, _PLACES).map("".join)),
)
@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_target_fails_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, target: str) -> None:
    monkeypatch.setattr(socket, "create_connection", _refuse)
    monkeypatch.setattr(socket, "getaddrinfo", _refuse)
    found = health({"checks": [{"kind": kind, "target": target, "timeout": 0.2}]}, tmp_path)
    assert isinstance(found["checks"][0]["ok"], bool)


def _refuse(*_: object, **__: object) -> None:
    raise ConnectionRefusedError("nobody")


def test_processes(tmp_path: Path) -> None:
    me = str(os.getpid())
    checks = [
        {"kind": "process", "target": me},
        {"kind": "process", "target": me, "min_count": 2},
        {"kind": "process", "target": me, "max_rss": 1},
        {"kind": "process", "target": "no such program"},
        {"kind": "process"},
    ]
    assert [row["ok"] for row in health({"checks": checks}, tmp_path)["checks"]] == [True, False, False, False, False]


def test_disk_and_memory(tmp_path: Path) -> None:
    checks = [
        {"kind": "disk", "target": str(tmp_path), "min_free": 0},
        {"kind": "disk", "target": str(tmp_path), "min_free": 100},
        {"kind": "disk", "target": str(tmp_path / "nowhere")},
        {"kind": "memory", "min_free": 0},
        {"kind": "memory", "min_free": 100},
    ]
    assert [row["ok"] for row in health({"checks": checks}, tmp_path)["checks"]] == [True, False, False, True, False]


def test_mqtt_and_what_is_probed_by_default(real_broker: Any, free_port: int, tmp_path: Path) -> None:
    found = health({}, tmp_path, broker=real_broker.url)
    assert [row["kind"] for row in found["checks"]] == ["disk", "memory", "mqtt"]
    assert found["checks"][2]["ok"]
    assert not health({"target": f"mqtt://127.0.0.1:{free_port}"}, tmp_path)["healthy"]


def test_a_payload_that_means_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(HandlerError, match="kind"):
        health({"checks": [{"kind": "smoke"}]}, tmp_path)


def test_cancel_ends_it_at_once(tmp_path: Path) -> None:
    async def go() -> None:
        with socket.socket() as mute:
            mute.bind(("127.0.0.1", 0))
            mute.listen()
            made = context({"target": f"tcp://127.0.0.1:{mute.getsockname()[1]}"}, tmp_path)
            made.cancel.set()
            made.payload["checks"] = [
                {"kind": "mqtt", "target": f"mqtt://127.0.0.1:{mute.getsockname()[1]}", "timeout": 0.5}
            ]
            await Health().run(made)

    with pytest.raises(HandlerError, match="cancelled"):
        asyncio.run(go())


def test_alerts_of_an_agent_that_does_not_watch(tmp_path: Path) -> None:
    async def go() -> None:
        await Alerts().run(context({}, tmp_path))

    with pytest.raises(HandlerError, match="does not watch"):
        asyncio.run(go())


def test_they_are_in_the_table_with_a_schema() -> None:
    assert isinstance(load("monitoring.health"), Health)
    assert isinstance(load("monitoring.alerts"), Alerts)
    assert "checks" in schema("monitoring.health")["properties"]
