"""The broker that a swarm uses: what is said where its port is taken, and which one is free instead."""

import re
import socket

import pytest

from swarm_tui.config.model import Broker
from swarm_tui.config.ports import free_port_after
from swarm_tui.supervisor.broker_choice import NoBrokerError, choose_broker
from tests.unit.bus.grounds import Listener, http


def test_a_port_that_another_program_has_is_told_with_one_that_is_free() -> None:
    other = Listener(http)
    try:
        with pytest.raises(NoBrokerError) as told:
            choose_broker(Broker(url=f"mqtt://127.0.0.1:{other.port}"))
    finally:
        other.close()
    found = re.search(r"port (\d+) is free: MQTT_BROKER=mqtt://127.0.0.1:(\d+)$", str(told.value))
    assert found is not None, told.value
    assert found[1] == found[2]
    with socket.create_server(("127.0.0.1", int(found[1]))):
        assert free_port_after("127.0.0.1", int(found[1]) - 1) != int(found[1])


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.1"])
def test_of_a_host_that_is_not_this_machine_no_port_is_named(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str, *more: object, **named: object) -> object:
        if name == host and not name[0].isdecimal():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return whole(name, *more, **named)  # type: ignore[arg-type]

    whole = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert free_port_after(host, 1883) is None


def test_no_port_follows_the_last() -> None:
    assert free_port_after("127.0.0.1", 65_535) is None
