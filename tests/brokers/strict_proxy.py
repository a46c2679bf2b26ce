"""An MQTT proxy that holds clients to the limits of AWS IoT Core, in front of any broker: a breach ends the connection.

    python -m tests.brokers.strict_proxy LISTEN_PORT BROKER_PORT REPORT    # until SIGTERM, which writes the report

Held: 8 filters in a SUBSCRIBE, 50 subscriptions of a connection (those of a kept session count), 100 PUBLISHes in a
second, 128 KiB, 7 slashes and 256 bytes in a topic, QoS 1, no `$` topics. What is retained comes only for a filter
without wildcards. The report is JSON: `breaches`, and the most of each that any client came to.
"""

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections import Counter, deque
from pathlib import Path

MOST = {"filters": 8, "subscriptions": 50, "rate": 100, "payload": 128 * 1024, "slashes": 7, "topic": 256, "qos": 1}
CONNECT, PUBLISH, SUBSCRIBE, SUBACK, UNSUBSCRIBE = 1, 3, 8, 9, 10


class BreachError(Exception):
    """A limit was exceeded."""


class Fields:
    """The fields of a packet's body, one after another."""

    def __init__(self, body: bytes) -> None:
        self.body, self.at = body, 0

    def take(self, count: int) -> bytes:
        part, self.at = self.body[self.at : self.at + count], self.at + count
        return part

    def number(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def text(self) -> str:
        return self.take(self.number()).decode("utf-8", "replace")

    def left(self) -> bytes:
        return self.body[self.at :]


async def packet(stream: asyncio.StreamReader) -> tuple[int, bytes, bytes] | None:
    """The first byte, the body, and the packet as it came; None at the end."""
    try:
        raw = await stream.readexactly(1)
        length = 0
        for shift in (0, 7, 14, 21):
            byte = await stream.readexactly(1)
            raw += byte
            length |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                break
        body = await stream.readexactly(length)
    except (asyncio.IncompleteReadError, OSError):
        return None
    return raw[0], body, raw + body


class Proxy:
    """What all connections share: kept sessions' filters, breaches, and how near to each limit anybody came."""

    def __init__(self, broker: int) -> None:
        self.broker = broker
        self.sessions: dict[str, set[str]] = {}
        self.breaches: list[str] = []
        self.most: Counter[str] = Counter()
        self.withheld = 0

    def hold(self, client: str, limit: str, value: int, about: str) -> None:
        self.most[limit] = max(self.most[limit], value)
        if value > MOST[limit]:
            self.breaches.append(f"{client}: {limit} {value}: {about}"[:300])
            raise BreachError(limit)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        one = Connection(self, writer)
        with contextlib.suppress(BreachError, OSError):
            await one.run(reader)
        one.close()


class Connection:
    """One client."""

    def __init__(self, proxy: Proxy, writer: asyncio.StreamWriter) -> None:
        self.proxy, self.writer = proxy, writer
        self.up: asyncio.StreamWriter | None = None
        self.client = "?"
        self.filters: set[str] = set()
        self.sent: deque[float] = deque()
        self.asked: dict[int, list[str]] = {}
        self.due: dict[str, float] = {}
        """Exact filters whose retained message may come, and until when."""

    def close(self) -> None:
        for writer in (self.writer, self.up):
            if writer is not None:
                writer.transport.abort()

    async def run(self, reader: asyncio.StreamReader) -> None:
        first = await packet(reader)
        if first is None:
            return
        self.connect(first[1])
        down, self.up = await asyncio.open_connection("127.0.0.1", self.proxy.broker)
        self.up.write(first[2])
        ways = [asyncio.create_task(self.upward(reader)), asyncio.create_task(self.downward(down))]
        done, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in rest:
            way.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for way in done:
            way.result()

    def hold(self, limit: str, value: int, about: str) -> None:
        self.proxy.hold(self.client, limit, value, about)

    def connect(self, body: bytes) -> None:
        fields = Fields(body)
        fields.text()
        _, flags = fields.take(1), fields.take(1)[0]
        fields.number()
        self.client = fields.text()
        if flags & 4:
            topic = fields.text()
            self.topic(topic)
            self.hold("payload", fields.number(), topic)
            self.hold("qos", flags >> 3 & 3, topic)
        if flags & 2:
            self.proxy.sessions.pop(self.client, None)
        else:
            self.filters = self.proxy.sessions.setdefault(self.client, set())

    def topic(self, topic: str) -> None:
        self.hold("slashes", topic.count("/"), topic)
        self.hold("topic", len(topic.encode()), topic)
        self.hold("qos", 9 if topic.startswith("$") else 0, topic)

    async def upward(self, reader: asyncio.StreamReader) -> None:
        assert self.up is not None
        while (came := await packet(reader)) is not None:
            kind, body, raw = came
            if kind >> 4 == PUBLISH:
                self.publish(kind, body)
            elif kind >> 4 in (SUBSCRIBE, UNSUBSCRIBE):
                self.subscribe(kind >> 4 == SUBSCRIBE, body)
            self.up.write(raw)
            await self.up.drain()

    def publish(self, kind: int, body: bytes) -> None:
        fields, qos, now = Fields(body), kind >> 1 & 3, time.monotonic()
        topic = fields.text()
        fields.take(2 if qos else 0)
        self.hold("qos", qos, topic)
        self.topic(topic)
        self.hold("payload", len(fields.left()), topic)
        self.sent.append(now)
        while self.sent[0] <= now - 1:
            self.sent.popleft()
        self.hold("rate", len(self.sent), topic)

    def subscribe(self, on: bool, body: bytes) -> None:
        fields, asked = Fields(body), []
        mid = fields.number()
        while fields.left():
            asked.append(fields.text())
            if on:
                self.hold("qos", fields.take(1)[0] & 3, asked[-1])
        self.hold("filters", len(asked), str(asked))
        for pattern in asked:
            self.topic(pattern)
            (self.filters.add if on else self.filters.discard)(pattern)
        self.hold("subscriptions", len(self.filters), str(asked))
        if on:
            self.asked[mid] = exact = [pattern for pattern in asked if not set(pattern) & {"+", "#"}]
            self.due |= dict.fromkeys(exact, float("inf"))

    async def downward(self, reader: asyncio.StreamReader) -> None:
        while (came := await packet(reader)) is not None:
            kind, body, raw = came
            if kind >> 4 == SUBACK:
                self.due |= dict.fromkeys(self.asked.pop(int.from_bytes(body[:2], "big"), []), time.monotonic() + 2)
            if kind >> 4 == PUBLISH and kind & 1 and self.withholds(kind, body):
                continue
            self.writer.write(raw)
            await self.writer.drain()

    def withholds(self, kind: int, body: bytes) -> bool:
        """Keep back what is retained and was not asked for by its name; it is acknowledged in the client's place."""
        fields = Fields(body)
        if self.due.pop(fields.text(), 0.0) >= time.monotonic():
            return False
        self.proxy.withheld += 1
        if kind >> 1 & 3 and self.up is not None:
            self.up.write(b"\x40\x02" + fields.take(2))
        return True


async def main(listen: int, broker: int, report: Path) -> None:
    """Serve until SIGTERM."""
    proxy, end = Proxy(broker), asyncio.Event()
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", listen, limit=2**20)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    await end.wait()
    server.close()
    said = {"breaches": proxy.breaches, "most": dict(proxy.most), "withheld": proxy.withheld}
    report.write_text(json.dumps(said))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
