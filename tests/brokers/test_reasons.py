"""Every no of a broker is said: why it does not let us in, and which filter it does not let us listen to."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import Link
from swarm_tui.bus.probe import probe
from swarm_tui.cli.group import run
from swarm_tui.config.model import Broker
from tests.brokers.kinds import mosquitto
from tests.conftest import pick_port
from tests.unit.bus.grounds import Listener
from tests.wait import until

WELCOME = b"\x20\x02\x00\x00"


@contextmanager
def saying(*answers: bytes) -> Iterator[Broker]:
    """A listener that answers each packet that comes, one after another, with these bytes."""

    def answer(connection: socket.socket) -> None:
        for one in answers:
            if not connection.recv(65536):
                return
            connection.sendall(one)

    listener = Listener(answer)
    try:
        yield Broker(url=f"mqtt://127.0.0.1:{listener.port}", username="ann")
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (1, "not-mqtt", "does not speak MQTT 3.1.1: use a newer broker"),
        (2, "identity", "refuses our client id: use shorter names"),
        (3, "busy", "says it is unavailable"),
        (4, "password", "refuses the user 'ann': check MQTT_USERNAME"),
        (5, "password", "refuses the user 'ann': check MQTT_USERNAME"),
        (97, "refused", "refuses the connection"),
    ],
)
def test_each_connack_has_its_sentence(code: int, kind: str, says: str) -> None:
    with saying(bytes((0x20, 2, 0, code))) as broker:
        tried = probe(broker, 3.0)
    assert (tried.ok, tried.kind) == (False, kind), tried
    assert says in tried.reason


def test_whose_join_file_counts_no_more_is_told_to_copy_the_new_one() -> None:
    with saying(bytes((0x20, 2, 0, 5))) as broker:
        tried = probe(replace(broker, username="host.helper@two"), 3.0)
    assert "refuses the user 'host.helper@two': it was revoked or has another key: copy its join" in tried.reason


def test_a_filter_that_is_refused_is_named() -> None:
    links: list[Link] = []
    # Packet ids begin with 1: that is the SUBSCRIBE of both filters, of which the second is refused.
    with saying(WELCOME, b"\x90\x04\x00\x01\x01\x80") as broker:
        bus = MqttBus(broker, "x")
        for pattern in ("s/tasks/new", "s/agents/+/status"):
            bus.subscribe(pattern)
        bus.start(lambda *_: None, links.append)
        until(lambda: any(link.kind == "forbidden" for link in links), what=f"{links}")
        bus.close(0.0)
    said = next(link for link in links if link.kind == "forbidden")
    assert said.up
    assert "`s/agents/+/status`" in said.reason
    assert "s/tasks/new" not in said.reason


def test_status_says_of_a_broker_that_hides_all_what_its_rules_lack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """mosquitto grants a filter whatever its rules say, and then brings nothing."""
    port, rules = pick_port(), tmp_path / "acl"
    rules.write_text("topic write s/#\n")
    rules.chmod(0o600)
    with mosquitto(tmp_path, port, "allow_anonymous true", f"acl_file {rules}"):
        assert run(["status", "--swarm", "s", "--broker", f"mqtt://127.0.0.1:{port}"]) == 4
    assert "brings nothing of what we say back: its access rules must let us read `s/#`" in capsys.readouterr().err


def test_publish_and_status_say_what_the_broker_takes_nothing_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port, rules = pick_port(), tmp_path / "acl"
    rules.write_text("topic read s/#\n")
    rules.chmod(0o600)
    where = ["--swarm", "s", "--broker", f"mqtt://127.0.0.1:{port}"]
    with mosquitto(tmp_path, port, "allow_anonymous true", f"acl_file {rules}"):
        assert run(["publish", "noop", "--accept-timeout", "1", *where]) == 1
        said = capsys.readouterr().err
        assert run(["status", *where]) == 4
    no = "the broker does not take what we say on `s/tasks/new`: its access rules must allow it"
    assert f"{no}; trying on" in said
    assert f"nobody accepted it within 1 s: {no}" in said
    told = capsys.readouterr().err
    assert "the broker does not take what we say on `s/operators/" in told, told
