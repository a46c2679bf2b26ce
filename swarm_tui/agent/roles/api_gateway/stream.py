"""The seed's WebSocket: each message as a frame `{"topic", "message"}`; a slow reader is dropped and told."""

import asyncio
from collections import deque
from contextlib import suppress

import msgspec
from aiohttp import WSCloseCode, web

MAX_FRAMES = 2_000
MAX_BYTES = 8 * 1024 * 1024
GOODBYE = 5.0
"""Seconds that a slow reader has to read why it is dropped."""
MAX_READERS = 64
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def frame(topic: str, payload: bytes) -> str:
    """Return one frame: a message that is no JSON comes as its text, an empty retained one as null."""
    message: object = None
    if payload:
        try:
            _decode(payload)
            message = msgspec.Raw(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            message = payload[:1024].decode("utf-8", "replace")
    return _encode({"topic": topic, "message": message}).decode("utf-8", "replace")


class _Reader:
    """Frames that wait for one WebSocket."""

    def __init__(self) -> None:
        self.waiting: deque[str] = deque()
        self.size = 0
        self.wake = asyncio.Event()
        self.too_slow = asyncio.Event()

    def put(self, text: str) -> None:
        self.waiting.append(text)
        self.size += len(text)
        self.wake.set()
        if len(self.waiting) > MAX_FRAMES or self.size > MAX_BYTES:
            self.too_slow.set()


class FrameStream:
    """All readers. `raw` may be called from any thread; the rest belongs to the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._readers: set[_Reader] = set()
        self._fresh: deque[tuple[str, bytes]] = deque(maxlen=20_000)
        self._scheduled = False
        self.dropped = 0
        """Readers that were too slow."""

    @property
    def readers(self) -> int:
        """Return how many read now."""
        return len(self._readers)

    def raw(self, topic: str, payload: bytes) -> None:
        """Take one message of the swarm."""
        if not self._readers:
            return
        self._fresh.append((topic, payload))
        if not self._scheduled:
            self._scheduled = True
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._spread)

    def _spread(self) -> None:
        self._scheduled = False
        while self._fresh:
            text = frame(*self._fresh.popleft())
            for reader in self._readers:
                reader.put(text)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one reader, from its upgrade to its end."""
        if self.readers >= MAX_READERS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_READERS} readers are served already")
        socket = web.WebSocketResponse(heartbeat=30.0, max_msg_size=64 * 1024, compress=False, timeout=GOODBYE)
        await socket.prepare(request)
        reader = _Reader()
        self._readers.add(reader)
        parts = {
            asyncio.ensure_future(_write(reader, socket)),
            asyncio.ensure_future(_read(socket)),
            asyncio.ensure_future(reader.too_slow.wait()),
        }
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._readers.discard(reader)
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
        if reader.too_slow.is_set():
            self.dropped += 1
            await self._drop(request, socket)
        return socket

    async def _drop(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        """Say why behind what is on its way already; who still does not read is cut off."""
        with suppress(ConnectionError, asyncio.TimeoutError, RuntimeError):
            why = b"too slow: more waited for you than is kept"
            await asyncio.wait_for(socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=why), GOODBYE + 1.0)
        if request.transport is not None:
            request.transport.abort()


async def _write(reader: _Reader, socket: web.WebSocketResponse) -> None:
    while not socket.closed:
        await reader.wake.wait()
        reader.wake.clear()
        while reader.waiting:
            text = reader.waiting.popleft()
            reader.size -= len(text)
            await socket.send_str(text)


async def _read(socket: web.WebSocketResponse) -> None:
    """Wait until a reader leaves; what it says means nothing."""
    async for _ in socket:
        pass
