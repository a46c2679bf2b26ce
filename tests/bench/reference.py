"""The yardstick: a QoS 1 ping-pong by two bare paho clients, with TCP_NODELAY, through a given broker.

seconds = pingpong("127.0.0.1", 1883, rounds=200)     # one figure a round trip, in order
python -m tests.bench.reference [HOST] [PORT]         # prints the median and the 99th percentile, milliseconds
"""

import os
import socket
import statistics
import sys
import threading
import time
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion


class PingPong:
    """Two clients on one broker, one of which answers the other. A `host` that begins with `/` is a Unix socket."""

    def __init__(self, host: str, port: int, payload: bytes = b"x" * 200) -> None:
        """Connect both. Raises TimeoutError, OSError."""
        self._base, self._place, self._payload = f"bench/{os.urandom(4).hex()}", f"{host}:{port}", payload
        self._back = threading.Event()
        self._asker = _client(host, port, f"{self._base}/pong")
        self._answerer = _client(host, port, f"{self._base}/ping")
        self._answerer.on_message = lambda client, userdata, message: client.publish(
            f"{self._base}/pong", message.payload, 1
        )
        self._asker.on_message = lambda client, userdata, message: self._back.set()

    def trip(self, limit: float = 60.0) -> float:
        """Seconds of one round trip: ping at QoS 1 to the other, pong at QoS 1 back. Raises TimeoutError."""
        self._back.clear()
        began = time.perf_counter()
        self._asker.publish(f"{self._base}/ping", self._payload, 1)
        if not self._back.wait(max(0.0, limit)):
            raise TimeoutError(f"no pong from {self._place} within {limit:g} s")
        return time.perf_counter() - began

    def close(self) -> None:
        """Disconnect both."""
        for client in (self._asker, self._answerer):
            client.disconnect()
            client.loop_stop()


def pingpong(host: str, port: int, rounds: int = 200, payload: bytes = b"x" * 200, limit: float = 60.0) -> list[float]:
    """Seconds of each round trip of a `PingPong`, all within `limit`. Raises TimeoutError, OSError."""
    end = time.monotonic() + limit
    pair = PingPong(host, port, payload)
    try:
        return [pair.trip(end - time.monotonic()) for _ in range(rounds)]
    finally:
        pair.close()


def _client(host: str, port: int, pattern: str) -> Client:
    """A connected client that listens to `pattern`."""
    listening = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, transport="unix" if host.startswith("/") else "tcp")
    client.on_socket_open = _no_delay
    client.on_connect = lambda client, *_: client.subscribe(pattern, 1)
    client.on_subscribe = lambda *_: listening.set()
    client.connect(host, port)
    client.loop_start()
    if not listening.wait(10.0):
        client.disconnect()
        client.loop_stop()
        raise TimeoutError(f"{host}:{port} accepts no subscription")
    return client


def _no_delay(client: Client, userdata: Any, sock: Any) -> None:
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def main(argv: list[str]) -> int:
    host = argv[0] if argv else "127.0.0.1"
    port = int(argv[1]) if len(argv) > 1 else 1883
    trips = sorted(pingpong(host, port))
    print(f"median {statistics.median(trips) * 1000:.2f} ms, p99 {trips[int(len(trips) * 0.99)] * 1000:.2f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
