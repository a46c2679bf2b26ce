"""Each way in which a broker cannot be used has its own sentence; each transport works."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm_tui.bus import versions
from swarm_tui.bus.broker_address import parse_url
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import Link
from swarm_tui.bus.probe import BrokerProbe, probe
from swarm_tui.config.model import Broker, Tls
from swarm_tui.protocol.envelope import Outgoing
from tests.conftest import RealBroker, pick_port
from tests.unit.bus.grounds import Listener, certificates, hang_up, http, silence
from tests.wait import until

MakeBroker = Callable[..., RealBroker]


@pytest.fixture
def listen() -> Iterator[Callable[..., int]]:
    made: list[Listener] = []

    def start(answer: Callable[..., None]) -> int:
        made.append(Listener(answer))
        return made[-1].port

    yield start
    for listener in made:
        listener.close()


def both_say(broker: Broker, kind: str, *words: str, timeout: float = 2.0) -> None:
    """The probe and the bus name the same reason."""
    tried = probe(broker, timeout)
    links: list[Link] = []
    bus = MqttBus(broker, "x")
    bus.start(lambda topic, payload, retained: None, links.append)
    until(lambda: bool(links), what="the bus says why")
    bus.close(0.1)
    for reason, said in ((tried.reason, tried.kind), (links[0].reason, links[0].kind)):
        assert said == kind
        assert all(word in reason for word in words), reason
        assert "Traceback" not in reason
    assert not tried.ok
    assert not links[0].up


def test_nothing_listens(free_port: int) -> None:
    both_say(Broker(url=f"mqtt://127.0.0.1:{free_port}"), "refused", "nothing listens", "start the broker")


def test_an_unknown_name() -> None:
    both_say(Broker(url="mqtt://no-such-host.invalid"), "dns", "'no-such-host.invalid' is not known", "check")


def test_a_name_that_cannot_be_one() -> None:
    both_say(Broker(url=f"mqtt://{'x' * 70}.invalid"), "dns", "is not known")


def test_a_url_that_is_none() -> None:
    both_say(Broker(url="http://127.0.0.1"), "url", "begin it with mqtt")


def test_a_web_server_holds_the_port(listen: Callable[..., int]) -> None:
    both_say(Broker(url=f"mqtt://127.0.0.1:{listen(http)}"), "not-mqtt", "is not an MQTT broker", "choose another port")
    both_say(Broker(url=f"ws://127.0.0.1:{listen(http)}"), "not-mqtt", "does not speak MQTT over WebSocket")
    both_say(Broker(url=f"mqtts://127.0.0.1:{listen(http)}"), "tls", "TLS with", "check that this port speaks TLS")


def test_something_hangs_up(listen: Callable[..., int]) -> None:
    tried = probe(Broker(url=f"mqtt://127.0.0.1:{listen(hang_up)}"), 2.0)
    assert (tried.ok, tried.kind) == (False, "not-mqtt")
    assert "the broker starts or stops" in tried.reason
    assert "is not an MQTT broker" not in tried.reason


def test_something_says_nothing(listen: Callable[..., int]) -> None:
    tried = probe(Broker(url=f"mqtt://127.0.0.1:{listen(silence)}"), 0.3)
    assert (tried.ok, tried.kind) == (False, "timeout")
    assert "says nothing" in tried.reason


def test_no_unix_socket(tmp_path: Path) -> None:
    both_say(Broker(url=f"unix://{tmp_path}/none"), "refused", "there is no socket")


def test_certificates_that_are_not_there(free_port: int) -> None:
    broker = Broker(url=f"mqtts://127.0.0.1:{free_port}", tls=Tls(ca="/nowhere/ca.crt"))
    both_say(broker, "url", "/nowhere/ca.crt", "broker.tls")


def carries(broker: Broker, size: int = 100_000) -> BrokerProbe:
    """The broker accepts us, and a message comes back over it."""
    # A broker's second listener opens a moment after its first.
    until(lambda: probe(broker, 5.0).kind != "refused")
    tried = probe(broker, 5.0)
    assert tried.ok, tried
    heard: list[bytes] = []
    bus = MqttBus(broker, "x")
    bus.subscribe("s/#")
    bus.start(lambda topic, payload, retained: heard.append(payload), lambda link: None)
    until(bus.is_up)
    sent = [b"1", b"x" * size, b"3"]
    for payload in sent:
        bus.publish(Outgoing("s/n", payload))
    until(lambda: heard == sent, what="the messages are back")
    bus.close()
    return tried


def test_a_broker_is_accepted(real_broker: RealBroker) -> None:
    assert carries(real_broker.broker).seconds < 5


def test_small_packets_are_sent_at_once(real_broker: RealBroker) -> None:
    """Without TCP_NODELAY a QoS 1 ping-pong takes 83 ms instead of one."""
    bus = MqttBus(real_broker.broker, "x")
    bus.start(lambda *_: None, lambda link: None)
    until(bus.is_up)
    assert bus._client is not None
    assert bus._client.socket().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # type: ignore[union-attr]
    bus.close()


def test_over_ipv6(real_broker: RealBroker) -> None:
    if "::1" not in real_broker.embedded.config_text():
        pytest.skip("this machine has no IPv6 loopback")
    carries(Broker(url=f"mqtt://[::1]:{real_broker.port}"))


def test_over_a_unix_socket(make_broker: MakeBroker, tmp_path: Path) -> None:
    make_broker(extra=f"listener 0 {tmp_path}/m.sock")
    carries(Broker(url=f"unix://{tmp_path}/m.sock"))


def test_over_a_websocket(make_broker: MakeBroker) -> None:
    port = pick_port()
    make_broker(extra=f"listener {port} 127.0.0.1\nprotocol websockets")
    carries(Broker(url=f"ws://127.0.0.1:{port}"), 2_000)


def test_user_and_password(make_broker: MakeBroker, tmp_path: Path) -> None:
    import shutil
    import subprocess

    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed")
    passwords = tmp_path / "passwords"
    passwords.touch(0o600)
    subprocess.run([tool, "-b", str(passwords), "ann", "secret"], check=True, capture_output=True)
    real = make_broker(extra=f"allow_anonymous false\npassword_file {passwords}")
    carries(Broker(url=real.url, username="ann", password="secret"))
    carries(Broker(url=f"mqtt://ann:secret@127.0.0.1:{real.port}"))
    both_say(
        Broker(url=real.url, username="ann", password="wrong"), "password", "refuses the user 'ann'", "MQTT_PASSWORD"
    )
    both_say(real.broker, "password", "refuses a client without a user name")


def test_tls(make_broker: MakeBroker, tmp_path: Path) -> None:
    folder = certificates(tmp_path)
    port, strict, web = pick_port(), pick_port(), pick_port()
    files = f"cafile {folder}/ca.crt\ncertfile {folder}/server.crt\nkeyfile {folder}/server.key\n"
    make_broker(
        extra=f"listener {port} 127.0.0.1\n{files}listener {strict} 127.0.0.1\n{files}require_certificate true\n"
        f"listener {web} 127.0.0.1\nprotocol websockets\n{files}"
    )
    ca = str(folder / "ca.crt")
    carries(Broker(url=f"mqtts://localhost:{port}", tls=Tls(ca=ca)))
    carries(Broker(url=f"wss://localhost:{web}", tls=Tls(ca=ca)), 2_000)
    carries(Broker(url=f"mqtts://127.0.0.1:{port}", tls=Tls(insecure=True)))
    mine = Tls(ca=ca, cert=str(folder / "client.crt"), key=str(folder / "client.key"))
    carries(Broker(url=f"mqtts://localhost:{strict}", tls=mine))
    both_say(Broker(url=f"mqtts://localhost:{port}"), "tls", "certificate that we cannot trust", "tls.ca")


def test_certificates_that_are_refused(make_broker: MakeBroker, tmp_path: Path) -> None:
    folder = certificates(tmp_path)
    ca = str(folder / "ca.crt")
    strict, old, strange = pick_port(), pick_port(), pick_port()
    lines = []
    for port, name in ((strict, "server"), (old, "expired"), (strange, "elsewhere")):
        lines += [f"listener {port} 127.0.0.1", f"cafile {ca}", f"certfile {folder}/{name}.crt"]
        lines += [f"keyfile {folder}/{name}.key", f"require_certificate {'true' if name == 'server' else 'false'}"]
    make_broker(extra="\n".join(lines))
    until(lambda: probe(Broker(url=f"mqtt://127.0.0.1:{strange}")).kind != "refused")
    both_say(Broker(url=f"mqtts://localhost:{old}", tls=Tls(ca=ca)), "tls", "expired", "renewed")
    both_say(Broker(url=f"mqtts://localhost:{strange}", tls=Tls(ca=ca)), "tls", "mismatch", "broker's URL")
    both_say(Broker(url=f"mqtt://localhost:{strict}"), "not-mqtt", "or wants TLS (mqtts)")
    both_say(Broker(url=f"mqtts://localhost:{strict}", tls=Tls(ca=ca)), "tls", "asks us for a certificate", "tls.cert")
    expired = Tls(ca=ca, cert=str(folder / "expired.crt"), key=str(folder / "expired.key"))
    both_say(Broker(url=f"mqtts://localhost:{strict}", tls=expired), "tls", "refuses our certificate", "expired")


class Touchy(Listener):
    """A broker of a kind: it accepts everybody, and hangs up on each message of `poison`; it acknowledges the rest."""

    def __init__(self, poison: bytes) -> None:
        self.taken: list[bytes] = []
        self.poison = poison
        super().__init__(self.serve)

    def serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        with stream, connection:
            while head := stream.read(2):
                length, shift = head[1] & 127, 7
                more = head[1]
                while more & 128:
                    more = stream.read(1)[0]
                    length |= (more & 127) << shift
                    shift += 7
                body = stream.read(length)
                if head[0] >> 4 == 1:
                    connection.sendall(b"\x20\x02\x00\x00")
                elif head[0] >> 4 == 3:
                    if self.poison in body:
                        return
                    at = 2 + int.from_bytes(body[:2], "big")
                    self.taken.append(body[at + 2 :])
                    connection.sendall(b"\x40\x02" + body[at : at + 2])


def test_a_message_that_the_broker_hangs_up_on_does_not_hold_up_the_rest_for_ever() -> None:
    touchy = Touchy(b"poison")
    bus = MqttBus(Broker(url=f"mqtt://127.0.0.1:{touchy.port}"), "x")
    bus.start(lambda *_: None, lambda link: None)
    for payload in (b"before", b"poison", b"after"):
        bus.publish(Outgoing("s/n", payload))
    until(lambda: b"after" in touchy.taken, what="what came after it")
    assert b"before" in touchy.taken
    assert bus.dropped == 1
    assert "closed 5 connections over a message on 's/n'" in bus.last_failure
    bus.close()
    touchy.close()


def test_a_broker_in_whose_place_an_older_one_came_is_reached() -> None:
    """Its port may be another's next time; one that only starts is not taken for an older one at once."""
    older = Touchy(b"poison")
    at = parse_url(f"mqtt://127.0.0.1:{older.port}")
    versions.accepted(at, versions.FIVE)
    bus = MqttBus(Broker(url=f"mqtt://127.0.0.1:{older.port}"), "x")
    bus.start(lambda *_: None, lambda link: None)
    try:
        bus.publish(Outgoing("s/n", b"word"))
        until(lambda: older.taken == [b"word"], 20.0, "the older one to have it")
    finally:
        bus.close()
        older.close()
