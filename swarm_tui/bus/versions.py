"""MQTT 3.1.1 and 5: in which of the two a broker is spoken to, and what only the newer one can say."""

import math
import time
from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from swarm_tui.bus.broker_address import BrokerAddress, keeps_aws_limits
from swarm_tui.bus.reasons import own_words
from swarm_tui.config.model import Broker
from swarm_tui.protocol.envelope import Outgoing

#: The versions by their number in a CONNECT, which is paho's too.
THREE, FIVE = 4, 5
#: A session lasts until it is ended, as one of 3.1.1 does.
_FOR_EVER = 0xFFFFFFFF
_EXPIRY, _USER_PROPERTY = b"\x02", b"\x26"
_NONE = b"\0"
#: Seconds for the answer to the first CONNECT of MQTT 5.
_FIRST_WAIT = 4.0
#: Version that each broker took, and whether it has accepted somebody in it.
_known: dict[str, tuple[int, bool]] = {}


def choose(broker: Broker, at: BrokerAddress) -> int:
    """Return the version in which to try next."""
    if broker.protocol != "auto":
        return FIVE if broker.protocol == "5" else THREE
    if is_three(broker, at):
        return THREE
    return _known.get(str(at), (FIVE, False))[0]


def is_three(broker: Broker, at: BrokerAddress) -> bool:
    """Return whether 3.1.1 is the better one, whatever the broker speaks.

    AWS has limits of its own for 5, which nobody here keeps. A Unix socket is our own broker's: a task's way is a
    little shorter in 3.1.1, and its rules, which are ours, refuse nobody.
    """
    return at.scheme == "unix" or keeps_aws_limits(broker)


def accepted(at: BrokerAddress, version: int) -> None:
    """Remember, for as long as this process lives, that the broker speaks that version."""
    _known[str(at)] = version, True


def falls_back(broker: Broker, at: BrokerAddress, version: int, *, unsupported: bool) -> bool:
    """Return whether to try at once in the other version: the broker said nothing to ours, or that it knows it not.

    Where neither is answered the next try is in the newer one again: the broker may only have been starting.
    """
    if choose(broker, at) != version or broker.protocol != "auto" or is_three(broker, at):
        return False
    known, sure = _known.get(str(at), (FIVE, False))
    if version == FIVE and (unsupported or not sure):
        _known[str(at)] = THREE, False
        return True
    if version == FIVE:
        # It may only be starting; answers it nothing once more, another may have come in its place.
        _known[str(at)] = FIVE, False
    if known == THREE and not sure:
        del _known[str(at)]
    return False


def patience(broker: Broker, at: BrokerAddress, version: int, most: float) -> float:
    """Return the seconds, at most so many, in which the broker must answer our CONNECT.

    They are fewer for the first of MQTT 5: one that knows only 3.1.1 may take its will for bytes still to come.
    """
    unsure = version == FIVE and broker.protocol == "auto" and not _known.get(str(at), (FIVE, False))[1]
    return min(most, _FIRST_WAIT) if unsure else most


def connect_properties(clean_session: bool) -> Any:
    """Return what a CONNECT of MQTT 5 says of its session; None for one that ends with its connection."""
    if clean_session:
        return None
    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = _FOR_EVER
    return properties


def publish_properties(message: Outgoing) -> bytes:
    """Return a PUBLISH's properties with their length: for how long it counts, and of which trace it is."""
    if message.expires_at is None and not message.traceparent:
        return _NONE
    found = b""
    if message.expires_at is not None:
        # What has expired already is its reader's to refuse, who tells of it.
        left = max(1, min(math.ceil(message.expires_at - time.time()), _FOR_EVER))
        found = _EXPIRY + left.to_bytes(4, "big")
    if message.traceparent:
        found += b"".join((_USER_PROPERTY, _text("traceparent"), _text(message.traceparent)))
    return _length(len(found)) + found


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")[:200]
    return len(raw).to_bytes(2, "big") + raw


def _length(length: int) -> bytes:
    head = bytearray()
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head)


def read_length(data: bytes, at: int) -> tuple[int, int] | None:
    """Return a length of up to four bytes that begins at `at`, and where it ends; None when it is not here whole."""
    length = 0
    for shift in (0, 7, 14, 21):
        if at >= len(data):
            return None
        length |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return length, at
    return None


def puback_words(body: bytes) -> str:
    """Return why a PUBACK, whose bytes after its packet id `body` are, says no; empty when it does not."""
    if not body or body[0] < 0x80:
        return ""
    properties: Any = None
    if len(body) > 1:
        properties = Properties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call]
        try:
            properties.unpack(body[1:])
        except Exception:  # noqa: BLE001 - whatever paho raises of bytes that are none
            properties = None
    said, own = _PUBACK.get(body[0], f"code {body[0]}"), own_words(properties)
    return f"{said} ({own!r})" if own else said


_PUBACK = {
    0x80: "for no reason that it tells",
    0x83: "for a reason of its own",
    0x87: "its access rules must allow it",
    0x90: "it takes no such topic",
    0x97: "more than its quota",
    0x99: "the payload is not what it takes",
}
