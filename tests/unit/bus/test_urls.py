"""Broker URLs: what they mean, and what is said of those that mean nothing."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.bus.broker_address import BrokerAddress, parse_url, safe_url
from swarm_tui.bus.port import BusError


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mqtt://localhost", "mqtt://localhost:1883"),
        ("mqtt://localhost:1884", "mqtt://localhost:1884"),
        ("tcp://h", "mqtt://h:1883"),
        ("localhost", "mqtt://localhost:1883"),
        ("10.0.0.1:1999", "mqtt://10.0.0.1:1999"),
        ("mqtts://h", "mqtts://h:8883"),
        ("ssl://h:8884", "mqtts://h:8884"),
        ("mqtt://[::1]:1883", "mqtt://[::1]:1883"),
        ("ws://h", "ws://h:80/mqtt"),
        ("ws://h:9001/", "ws://h:9001/mqtt"),
        ("wss://x.iot.us-east-1.amazonaws.com/mqtt?X-Amz=1", "wss://x.iot.us-east-1.amazonaws.com:443/mqtt?X-Amz=1"),
        ("wss://h/broker", "wss://h:443/broker"),
        ("unix:///run/m.sock", "unix:///run/m.sock"),
        ("unix:/run/m.sock", "unix:///run/m.sock"),
    ],
)
def test_it_reads(url: str, shown: str) -> None:
    assert str(parse_url(url)) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mqtt://",
        "http://h",
        "mqtt://h:0",
        "mqtt://h:70000",
        "mqtt://h:x",
        "mqtt://[::1",
        "mqtt://a b",
        "unix://relative",
        "unix:///" + "x" * 200,
    ],
)
def test_it_refuses_in_a_sentence(url: str) -> None:
    with pytest.raises(BusError, match=r"write|begin"):
        parse_url(url)


def test_user_and_password_are_read_and_never_shown() -> None:
    at = parse_url("mqtts://ann:p%40ss@h:8883")
    assert (at.username, at.password) == ("ann", "p@ss")
    assert "p@ss" not in str(at)
    assert safe_url("mqtt://ann:secret@h:1/x@y") == "mqtt://h:1/x@y"
    with pytest.raises(BusError) as caught:
        parse_url("http://ann:secret@h")
    assert "secret" not in str(caught.value)


def test_what_is_near_and_what_is_aws() -> None:
    assert all(parse_url(url).loopback for url in ("mqtt://127.0.0.2", "mqtt://[::1]", "localhost", "unix:///x"))
    assert not parse_url("mqtt://127.example.org.").tls
    assert parse_url("mqtts://a-ats.iot.eu-west-1.amazonaws.com:443").aws
    assert not parse_url("mqtts://iot.example.org").aws


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_bus_error(text: str) -> None:
    with suppress(BusError):
        assert isinstance(parse_url(text), BrokerAddress)
