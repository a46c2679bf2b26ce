"""The embedded broker: its files, its limits, and what survives its death."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_tui.broker.mosquitto import BrokerMissingError, EmbeddedBroker
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.protocol.envelope import Outgoing
from tests.conftest import RealBroker, listening
from tests.wait import until


class Listener:
    def __init__(self, real: RealBroker, name: str, *patterns: str, clean: bool = True) -> None:
        self.heard: list[bytes] = []
        self.bus = MqttBus(real.broker, name, clean=clean)
        for pattern in patterns:
            self.bus.subscribe(pattern)
        self.bus.start(lambda topic, payload, retained: self.heard.append(payload), lambda link: None)
        until(self.bus.is_up)

    def say(self, *messages: Outgoing) -> None:
        acked: list[int] = []
        for number, message in enumerate(messages):
            self.bus.publish(message, lambda number=number: acked.append(number))  # type: ignore[misc]
        until(lambda: len(acked) == len(messages))


def test_nothing_of_it_is_readable_by_others(real_broker: RealBroker) -> None:
    folder = real_broker.embedded.folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    Listener(real_broker, "x").bus.close()
    real_broker.stop()
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_it_listens_on_the_loopback_alone(real_broker: RealBroker) -> None:
    listeners = [
        line.split() for line in real_broker.embedded.config_text().splitlines() if line.startswith("listener")
    ]
    assert {host for _, _, host in listeners} <= {"127.0.0.1", "::1"}


def test_it_knows_its_own_process(real_broker: RealBroker) -> None:
    assert real_broker.process is not None
    pid = until(real_broker.embedded.pid)
    assert pid == real_broker.process.pid
    assert real_broker.embedded.is_ours(pid)
    assert not real_broker.embedded.is_ours(os.getpid())
    assert not EmbeddedBroker(real_broker.port, Path("/elsewhere")).is_ours(pid)
    real_broker.kill()
    assert real_broker.embedded.pid() is None


def test_a_killed_broker_keeps_what_was_retained_and_queued_a_second_before(real_broker: RealBroker) -> None:
    away = Listener(real_broker, "away", "s/#", clean=False)
    away.bus.close()
    sender = Listener(real_broker, "sender")
    sender.say(Outgoing("s/halt", b"halt", retain=True), Outgoing("s/task", b"task"))
    saved = real_broker.embedded.folder / "mosquitto.db"
    seen = saved.stat().st_mtime_ns if saved.exists() else 0
    until(lambda: saved.exists() and saved.stat().st_mtime_ns > seen, limit=5, what="the autosave")
    real_broker.kill()
    sender.bus.close(0.0)
    real_broker.start()
    back = Listener(real_broker, "away", "s/#", clean=False)
    until(lambda: {b"halt", b"task"} <= set(back.heard), what="both came back")
    back.bus.close()


def test_three_thousand_messages_wait_for_one_who_is_away(real_broker: RealBroker) -> None:
    """mosquitto's own default keeps a thousand of them, and none of QoS 0."""
    away = Listener(real_broker, "away", "s/#", clean=False)
    away.bus.close()
    sender = Listener(real_broker, "sender")
    sender.say(*(Outgoing("s/n", str(n).encode(), qos=n % 2) for n in range(3000)))
    back = Listener(real_broker, "away", "s/#", clean=False)
    until(lambda: len(back.heard) >= 3000, what="all 3,000")
    assert back.heard == [str(n).encode() for n in range(3000)]
    back.bus.close()
    sender.bus.close()


def test_a_message_over_the_limit_reaches_nobody_and_harms_nobody(real_broker: RealBroker) -> None:
    listener, sender = Listener(real_broker, "ear", "s/#"), Listener(real_broker, "sender")
    sender.bus.publish(Outgoing("s/n", b"x" * 10_000_000))
    sender.bus.publish(Outgoing("s/n", b"after"))
    until(lambda: bool(listener.heard))
    assert listener.heard == [b"after"]
    listener.bus.close()
    sender.bus.close()


def test_mosquitto_is_found_where_path_does_not_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = EmbeddedBroker.find()
    monkeypatch.setenv("PATH", str(tmp_path))
    if Path(found).parent in {Path("/usr/sbin"), Path("/usr/local/sbin")}:
        assert EmbeddedBroker.find() == found
    monkeypatch.setattr("swarm_tui.broker.mosquitto._SBIN", (str(tmp_path),))
    with pytest.raises(BrokerMissingError, match="apt-get install mosquitto"):
        EmbeddedBroker.find()


def test_a_swarms_broker_is_reached_again_after_it_hung(make_broker: Callable[..., RealBroker]) -> None:
    """A stopped broker accepts connections that nobody answers; the bus comes back when it goes on."""
    import signal

    real = make_broker()
    bus = MqttBus(real.broker, "x", keepalive=1)
    downs: list[str] = []
    bus.start(lambda *_: None, lambda link: None if link.up else downs.append(link.kind))
    until(bus.is_up)
    real.signal(signal.SIGSTOP)
    until(lambda: not bus.is_up(), what="the silence is noticed")
    assert downs[0] == "timeout"
    real.signal(signal.SIGCONT)
    until(bus.is_up, limit=15, what="the bus is back")
    bus.close()
    assert listening(real.port)
