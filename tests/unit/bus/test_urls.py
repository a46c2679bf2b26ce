"""Broker URLs: what they mean, and what is said of those that mean nothing."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarm_tui.bus.broker_address import BrokerAddress, parse_url
from swarm_tui.bus.port import BusError
from swarm_tui.config.load import override
from swarm_tui.config.model import Broker, Layout
from swarm_tui.config.urls import check_url, is_loopback, shown_url


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
        ("wss://x.iot.us-east-1.amazonaws.com/mqtt?X-Amz=1", "wss://x.iot.us-east-1.amazonaws.com:443/mqtt?X-Amz=***"),
        ("wss://h/broker", "wss://h:443/broker"),
        ("unix:///run/m.sock", "unix:///run/m.sock"),
        ("unix:/run/m.sock", "unix:///run/m.sock"),
        ("unix:///run/C#/a?b;c%20d@e.sock", "unix:///run/C#/a?b;c%20d@e.sock"),
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
    assert shown_url("mqtt://ann:secret@h:1/x") == "mqtt://ann@h:1/x"
    assert "secret" not in shown_url("mqtt://ann:secret@h:1/x@y")
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


_SECRET = st.text(st.sampled_from("abcXYZ0189/#?@:[]%&\\ é~+"), max_size=12).map(lambda text: f"q{text}Zq7")
_FORMS = (
    "mqtt://{}@h", "ws://{}@h:9001/mqtt", "{}@h:1883", "mqtts://{}@h:x", "http://{}@h", "unix://{}@h", "mqtt:/{}@h",
    " mqtt://{}@[::1", "mqtt://{}@", "mqtt://{}@h:0", "mqtt://{}@a b", "mqtt:///{}@h", "mqtt://{}@h/x#y?z",
)  # fmt: skip


@given(st.sampled_from(_FORMS), _SECRET)
@example("mqtt://{}@host", "12/34")
@example("mqtt://{}@host", "12#34")
@example("mqtt://{}@host", "a[b℀")
@example("{}@host", "a://b")
def test_no_message_holds_a_password(form: str, secret: str) -> None:
    url = form.format(f"alice:{secret}")
    said = [shown_url(url), check_url(url) or ""]
    try:
        said.append(str(parse_url(url)))
    except BusError as error:
        said.append(str(error))
    changed = override(Layout(swarm="s", broker=Broker(url=url)), {"MQTT_BROKER": "mqtt://b"})
    said += [*changed.notes, *(reason for _, reason in override(Layout(swarm="s"), {"MQTT_BROKER": url}).mistakes)]
    assert not any(secret in text for text in said), said


@pytest.mark.parametrize("secret", ["12/34", "12#34", "12?34", "a/b@c"])
def test_a_password_that_ends_the_host_is_refused_with_what_to_do(secret: str) -> None:
    url = f"mqtt://alice:{secret}@host"
    reason = check_url(url)
    assert reason is not None
    assert "%2F" in reason
    assert "MQTT_PASSWORD" in reason
    assert "alice" not in reason
    with pytest.raises(BusError, match="MQTT_PASSWORD"):
        parse_url(url)
    assert not is_loopback(url)


def test_a_zone_of_ipv6_is_decoded() -> None:
    at = parse_url("mqtt://[fe80::1%25eth0]:1884")
    assert (at.host, at.port, str(at)) == ("fe80::1%eth0", 1884, "mqtt://[fe80::1%25eth0]:1884")


def test_a_password_with_brackets_is_no_address() -> None:
    at = parse_url("mqtt://ann:a[b]c@h")
    assert (at.password, at.host) == ("a[b]c", "h")
