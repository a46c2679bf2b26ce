"""Choose the broker that a swarm uses: the one that is there, or one of our own."""

import socket
from contextlib import suppress

from msgspec import Struct

from swarm_tui.broker.mosquitto import BrokerMissingError, EmbeddedBroker
from swarm_tui.bus.broker_address import BrokerAddress, parse_url
from swarm_tui.bus.port import BusError
from swarm_tui.bus.probe import probe
from swarm_tui.bus.reasons import CLOSED, NOT_MQTT, REFUSED, TIMEOUT
from swarm_tui.config.model import Broker
from swarm_tui.config.paths import broker_dir
from swarm_tui.config.ports import free_port_after
from swarm_tui.config.urls import is_loopback

#: A broker on this machine that has not answered by then does not, seconds.
LOCAL_WAIT = 2.0


class NoBrokerError(Exception):
    """The swarm can use no broker; the text is one sentence. `unreachable`: it is elsewhere, and does not answer."""

    def __init__(self, reason: str, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


class Choice(Struct, frozen=True, kw_only=True):
    """`embedded_port` is set when the broker is ours to run; `note` names one that is there and not ours."""

    embedded_port: int | None = None
    note: str = ""


def choose_broker(broker: Broker, timeout: float = 5.0, *, join: bool = False) -> Choice:
    """Try the layout's broker, and decide; who joins runs none of its own. Raises NoBrokerError, and starts nothing."""
    try:
        at = parse_url(broker.url)
    except BusError as error:
        raise NoBrokerError(str(error)) from None
    here = is_loopback(broker.url) or (broker.secure and _is_here(at.host))
    may_embed = broker.embedded != "never" and at.scheme == ("mqtts" if broker.secure else "mqtt") and here and not join
    ours = EmbeddedBroker(at.port, broker_dir(at.port)) if may_embed else None
    if ours is not None and ours.pid() is not None:
        return Choice(embedded_port=at.port)
    tried = probe(broker, min(timeout, LOCAL_WAIT) if is_loopback(broker.url) else timeout)
    if tried.ok:
        if ours is None:
            return Choice()
        if broker.embedded == "always":
            raise NoBrokerError(
                f"another broker listens on port {at.port}, and the layout says `embedded: always`: "
                f"stop it, or choose another port{_free(at)}"
            )
        return Choice(note=f"a broker that is not ours listens on port {at.port}; it is used as it is, untuned")
    if ours is None or tried.kind != REFUSED:
        instead = _free(at) if ours is not None and tried.kind in (NOT_MQTT, CLOSED, TIMEOUT) else ""
        raise NoBrokerError(tried.reason + instead, unreachable=True)
    try:
        ours.find()
    except BrokerMissingError as error:
        raise NoBrokerError(str(error)) from None
    return Choice(embedded_port=at.port)


def _free(at: BrokerAddress) -> str:
    """Return a URL for the broker that we could start on a port that nobody has, as the end of a sentence."""
    free = free_port_after(at.host, at.port)
    return "" if free is None else f"; port {free} is free: MQTT_BROKER={at.scheme}://{at.host}:{free}"


def _is_here(host: str) -> bool:
    """Return whether the name is one of this machine's."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    for family, kind, protocol, _, address in found:
        with suppress(OSError), socket.socket(family, kind, protocol) as probe_socket:
            probe_socket.bind(address)
            return True
    return False
