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


def pingpong(host: str, port: int, rounds: int = 200, payload: bytes = b"x" * 200, limit: float = 60.0) -> list[float]:
    """Seconds of each round trip: ping at QoS 1 to another client, pong at QoS 1 back. Raises TimeoutError, OSError.

    A `host` that begins with `/` is a Unix socket.
    """
    base = f"bench/{os.urandom(4).hex()}"
    back = threading.Event()
    asker, answerer = _client(host, port, f"{base}/pong"), _client(host, port, f"{base}/ping")
    answerer.on_message = lambda client, userdata, message: client.publish(f"{base}/pong", message.payload, 1)
    asker.on_message = lambda client, userdata, message: back.set()
    trips: list[float] = []
    end = time.monotonic() + limit
    try:
        for _ in range(rounds):
            back.clear()
            began = time.perf_counter()
            asker.publish(f"{base}/ping", payload, 1)
            if not back.wait(max(0.0, end - time.monotonic())):
                raise TimeoutError(f"no pong from {host}:{port} within {limit:g} s")
            trips.append(time.perf_counter() - began)
    finally:
        for client in (asker, answerer):
            client.disconnect()
            client.loop_stop()
    return trips


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
