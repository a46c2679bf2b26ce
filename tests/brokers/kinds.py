"""Brokers to try a swarm on: mosquitto in each way that it is run, and others where they are installed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from swarm_tui.broker.accounts import hashed
from swarm_tui.broker.mosquitto import EmbeddedBroker
from swarm_tui.config.model import Broker, Tls
from swarm_tui.identity import acl
from tests.conftest import listening, pick_port
from tests.unit.bus.grounds import certificates
from tests.wait import until

SWARM = "contract"


class Kind(Struct, frozen=True):
    """A kind of broker: `run(folder)` starts one and yields the layout's `broker` that reaches it.

    `keeps`: it sends what it retains to a filter with wildcards.
    """

    name: str
    run: Callable[[Path], Any]
    keeps: bool = True
    lacks: frozenset[str] = frozenset()
    """What `doctor` warns of, by the names of its lines."""


@contextmanager
def program(argv: list[str], port: int, folder: Path, *, limit: float = 10.0, **more: Any) -> Iterator[None]:
    """A broker's process, from when it listens on `port` until it is gone with all that it started."""
    log = folder / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True, **more
        )
    try:
        until(
            lambda: listening(port) or process.poll() is not None,
            limit=limit,
            what=f"{argv[0]} on {port}: {log.read_text()[-500:]}",
        )
        assert process.poll() is None, log.read_text()[-2000:]
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
                break
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def mosquitto(folder: Path, port: int, *lines: str, listener: str | None = None) -> Iterator[None]:
    config = folder / "mosquitto.conf"
    head = [listener or f"listener {port} 127.0.0.1", *(["user root"] if os.geteuid() == 0 else [])]
    config.write_text("\n".join([*head, "set_tcp_nodelay true", *lines, ""]))
    with program([EmbeddedBroker.find(), "-c", str(config)], port, folder):
        yield


@contextmanager
def plain(folder: Path) -> Iterator[Broker]:
    port = pick_port()
    with mosquitto(folder, port, "allow_anonymous true", "persistence true", f"persistence_location {folder}/"):
        yield Broker(url=f"mqtt://127.0.0.1:{port}")


@contextmanager
def older(folder: Path) -> Iterator[Broker]:
    """It is spoken to in MQTT 3.1.1; where nothing else is said, mosquitto takes 5."""
    with plain(folder) as broker:
        yield replace(broker, protocol="3.1.1")


@contextmanager
def forgetful(folder: Path) -> Iterator[Broker]:
    """It keeps nothing over a restart."""
    port = pick_port()
    with mosquitto(folder, port, "allow_anonymous true", "persistence false"):
        yield Broker(url=f"mqtt://127.0.0.1:{port}")


@contextmanager
def password(folder: Path) -> Iterator[Broker]:
    port = pick_port()
    known = folder / "passwords"
    known.write_text(f"me:{hashed('me', 'secret')}\n")
    known.chmod(0o600)
    with mosquitto(folder, port, "allow_anonymous false", f"password_file {known}"):
        yield Broker(url=f"mqtt://127.0.0.1:{port}", username="me", password="secret")


@contextmanager
def rules(folder: Path) -> Iterator[Broker]:
    """The rules that `broker acl` prints, for the swarm's own host."""
    port = pick_port()
    known, may = folder / "passwords", folder / "acl"
    known.write_text(f"me:{hashed('me', 'secret')}\n")
    known.chmod(0o600)
    may.write_text(acl.mosquitto([("me", acl.grant(SWARM, "swarm"))], acl.grant(SWARM, "guest", guests="none")))
    may.chmod(0o600)
    with mosquitto(folder, port, "allow_anonymous false", f"password_file {known}", f"acl_file {may}"):
        yield Broker(url=f"mqtt://127.0.0.1:{port}", username="me", password="secret")


@contextmanager
def client_certificates(folder: Path) -> Iterator[Broker]:
    made = certificates(folder)
    port = pick_port()
    files = [f"cafile {made}/ca.crt", f"certfile {made}/server.crt", f"keyfile {made}/server.key"]
    with mosquitto(folder, port, *files, "require_certificate true", "use_identity_as_username true"):
        tls = Tls(ca=f"{made}/ca.crt", cert=f"{made}/client.crt", key=f"{made}/client.key")
        yield Broker(url=f"mqtts://127.0.0.1:{port}", tls=tls)


def _with_plain(port: int) -> str:
    """mosquitto 2.0.11 does not start with listeners for WebSockets alone."""
    return f"listener {pick_port()} 127.0.0.1\nlistener {port} 127.0.0.1"


@contextmanager
def websocket(folder: Path) -> Iterator[Broker]:
    port = pick_port()
    with mosquitto(folder, port, "protocol websockets", "allow_anonymous true", listener=_with_plain(port)):
        yield Broker(url=f"ws://127.0.0.1:{port}/mqtt")


@contextmanager
def secure_websocket(folder: Path) -> Iterator[Broker]:
    made = certificates(folder)
    port = pick_port()
    files = [f"certfile {made}/server.crt", f"keyfile {made}/server.key"]
    lines = ["protocol websockets", *files, "allow_anonymous true"]
    with mosquitto(folder, port, *lines, listener=_with_plain(port)):
        yield Broker(url=f"wss://127.0.0.1:{port}/mqtt", tls=Tls(ca=f"{made}/ca.crt"))


@contextmanager
def unix(folder: Path) -> Iterator[Broker]:
    port, path = pick_port(), folder / "b.sock"
    with mosquitto(folder, port, f"listener 0 {path}", "allow_anonymous true"):
        until(path.exists, what="its socket")
        yield Broker(url=f"unix://{path}")


@contextmanager
def aws_profile(folder: Path) -> Iterator[Broker]:
    """The limits of AWS IoT Core; it fails when one was exceeded."""
    port, behind, report = pick_port(), pick_port(), folder / "report.json"
    argv = [sys.executable, "-m", "tests.brokers.strict_proxy", str(port), str(behind), str(report)]
    proxy = folder / "proxy"
    proxy.mkdir()
    with mosquitto(folder, behind, "allow_anonymous true", "max_inflight_messages 0", "max_queued_messages 0"):
        with program(argv, port, proxy):
            yield Broker(url=f"mqtt://127.0.0.1:{port}", profile="aws")
        assert json.loads(report.read_text())["breaches"] == []


AWS = Kind("AWS profile", aws_profile, keeps=False, lacks=frozenset({"retained", "offline queue"}))
MOSQUITTO = [
    Kind("plain", plain),
    Kind("3.1.1", older),
    Kind("without persistence", forgetful),
    Kind("password", password),
    Kind("acl", rules),
    Kind("client certificates", client_certificates),
    Kind("ws", websocket),
    Kind("wss", secure_websocket),
    Kind("unix", unix),
    AWS,
]
