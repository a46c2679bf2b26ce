"""The seed's WebSocket: frames as its snippet reads them; who does not read is dropped and told."""

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from swarm_tui.agent.roles.api_gateway import stream as api_gateway_stream
from swarm_tui.agent.roles.api_gateway.role import ApiGateway
from swarm_tui.agent.roles.api_gateway.stream import frame
from swarm_tui.bus.memory import MemoryBroker
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.envelope import Outgoing
from swarm_tui.protocol.topics import Kind as K
from tests.unit.gateway.conftest import SWARM, Dispatcher, Visitor

Opener = Callable[..., ApiGateway]


def test_frames() -> None:
    assert json.loads(frame("s/x", b'{"a": [1]}')) == {"topic": "s/x", "message": {"a": [1]}}
    assert json.loads(frame("s/x", b"")) == {"topic": "s/x", "message": None}
    assert json.loads(frame("s/x", b"\xff{")) == {"topic": "s/x", "message": "\ufffd{"}
    assert json.loads(frame("s/\u2603", b'"\xc3"'))["topic"] == "s/\u2603"


def test_the_seeds_snippet_reads_every_message(open_door: Opener, visitor: Visitor, dispatcher: Dispatcher) -> None:
    open_door()

    async def go() -> list[Any]:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{visitor.port}") as ws:
            await _until_reading(session, visitor)
            dispatcher.say(K.HEARTBEAT, b.Heartbeat(agent_id="tm", uptime=60))
            dispatcher.bus.publish(Outgoing(f"{SWARM}/tasks/complete", b'{"task_id":"t","status":"success"}'))
            await ws.send_str("what a reader says means nothing")
            dispatcher.say(K.BROADCAST, b.Broadcast(text="bye"))
            return [json.loads((await ws.receive(5.0)).data) for _ in range(3)]

    heartbeat, complete, broadcast = asyncio.run(go())
    assert heartbeat["topic"] == f"{SWARM}/agents/heartbeat"
    assert heartbeat["message"]["agent_id"] == "tm"
    assert heartbeat["message"]["payload"]["uptime"] == 60
    assert complete == {"topic": f"{SWARM}/tasks/complete", "message": {"task_id": "t", "status": "success"}}
    assert broadcast["message"]["payload"]["text"] == "bye"


async def _until_reading(session: aiohttp.ClientSession, visitor: Visitor, count: int = 1) -> None:
    for _ in range(500):
        async with session.get(f"http://127.0.0.1:{visitor.port}/metrics") as reply:
            if f"swarm_gateway_websocket_readers {count}.0" in await reply.text():
                return
        await asyncio.sleep(0.01)
    raise AssertionError("the reader is not known")


def test_a_slow_reader_is_dropped_and_told_and_the_others_go_on(
    open_door: Opener, visitor: Visitor, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_gateway_stream, "MAX_BYTES", 1_000_000)
    open_door()

    async def go() -> tuple[list[Any], str, int]:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
        slow.settimeout(10.0)
        slow.connect(("127.0.0.1", visitor.port))
        handshake = (
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{visitor.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        slow.sendall(handshake.encode())
        try:
            async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{visitor.port}") as ws:
                await _until_reading(session, visitor, 2)
                seen = 0
                for _ in range(200):
                    dispatcher.say(K.BROADCAST, b.Broadcast(text="x" * 60_000))
                    seen += len((await ws.receive(5.0)).data) > 60_000
                async with session.get(f"http://127.0.0.1:{visitor.port}/metrics") as reply:
                    metrics = await reply.text()
                got = await asyncio.to_thread(_read_all, slow)
        finally:
            slow.close()
        return [got], metrics, seen

    (got,), metrics, seen = asyncio.run(go())
    assert seen == 200
    assert "swarm_gateway_websocket_readers 1.0" in metrics
    assert b"too slow" in got[-100:], "the close frame says why"


def _read_all(slow: socket.socket) -> bytes:
    parts = []
    while True:
        try:
            part = slow.recv(1 << 20)
        except ConnectionError:
            break
        if not part:
            break
        parts.append(part)
        if b"too slow" in part[-100:]:
            break
    return b"".join(parts)


def test_elsewhere_a_reader_needs_the_token_and_a_foreign_page_gets_nothing(
    open_door: Opener, visitor: Visitor, tmp_path: Path
) -> None:
    open_door("opencto-prod")
    token = (tmp_path / "state" / "gateway.token").read_text().strip()
    url = f"ws://127.0.0.1:{visitor.port}/"

    async def status(path: str, **headers: str) -> int:
        async with aiohttp.ClientSession() as session:
            try:
                async with session.ws_connect(path, headers=headers):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    async def go() -> list[int]:
        return [
            await status(url),
            await status(f"{url}?token={token}"),
            await status(url, Authorization=f"Bearer {token}"),
            await status(f"{url}?token={token}", Origin="http://evil.example"),
        ]

    assert asyncio.run(go()) == [401, 101, 101, 403]


def test_readers_are_bounded(
    open_door: Opener, visitor: Visitor, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_gateway_stream, "MAX_READERS", 1)
    open_door()

    async def go() -> int:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{visitor.port}"):
            await _until_reading(session, visitor)
            try:
                async with session.ws_connect(f"ws://127.0.0.1:{visitor.port}"):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    assert asyncio.run(go()) == 503
