"""Broker URLs: which transport, host, port and path they name."""

from contextlib import suppress
from urllib.parse import unquote

from msgspec import Struct

from swarm_tui.bus.port import BusError
from swarm_tui.config.model import Broker
from swarm_tui.config.urls import UNIX_MAX, hidden_query, shown_url, split_url

#: What a scheme means, and its port.
_SCHEMES = {
    "mqtt": ("mqtt", 1883),
    "tcp": ("mqtt", 1883),
    "mqtts": ("mqtts", 8883),
    "ssl": ("mqtts", 8883),
    "tls": ("mqtts", 8883),
    "ws": ("ws", 80),
    "wss": ("wss", 443),
    "unix": ("unix", 0),
}
_LOOPBACK = frozenset({"localhost", "::1", "ip6-localhost"})


class BrokerAddress(Struct, frozen=True):
    """A broker's place. `scheme` is mqtt, mqtts, ws, wss or unix; `path` of a WebSocket or of a Unix socket."""

    scheme: str
    host: str
    port: int
    path: str = ""
    username: str | None = None
    password: str | None = None

    @property
    def tls(self) -> bool:
        return self.scheme in ("mqtts", "wss")

    @property
    def loopback(self) -> bool:
        """Return whether only this machine can be meant."""
        return self.scheme == "unix" or self.host in _LOOPBACK or self.host.startswith("127.")

    @property
    def aws(self) -> bool:
        """Return whether it is an endpoint of AWS IoT Core."""
        return ".iot." in self.host and self.host.endswith((".amazonaws.com", ".amazonaws.com.cn"))

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host.replace('%', '%25')}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{hidden_query(self.path) if self.scheme in ('ws', 'wss') else ''}"


def parse_url(url: str) -> BrokerAddress:
    """Understand a broker URL; a bare `host` or `host:port` is mqtt. Raises BusError with what to write instead."""
    try:
        found = split_url(url)
    except ValueError as error:
        raise BusError(f"{shown_url(url)!r} is no broker URL ({error}): write mqtt://host:1883") from None
    parts, host, port = found.place, found.host, found.port
    if parts.scheme not in _SCHEMES:
        raise BusError(f"{shown_url(url)!r} is no broker URL: begin it with mqtt, mqtts, ws, wss or unix")
    scheme, default = _SCHEMES[parts.scheme]
    if scheme == "unix":
        return _unix(parts.netloc + parts.path, url)
    if not host or any(c.isspace() or not c.isprintable() for c in host) or port == 0:
        raise BusError(f"{shown_url(url)!r} names no host and port: write {parts.scheme}://host:{default}")
    path = (parts.path if parts.path not in ("", "/") else "/mqtt") if scheme in ("ws", "wss") else ""
    if path and parts.query:
        path = f"{path}?{parts.query}"
    return BrokerAddress(
        scheme,
        host,
        port or default,
        path,
        unquote(found.user) if found.user else None,
        unquote(found.password) if found.password is not None else None,
    )


def credentials(broker: Broker, at: BrokerAddress) -> tuple[str | None, str | None]:
    """User and password: of the layout, else of the URL."""
    if broker.username is not None:
        return broker.username, broker.password
    return at.username, broker.password if broker.password is not None else at.password


def _unix(path: str, url: str) -> BrokerAddress:
    if not path.startswith("/") or len(path.encode()) > UNIX_MAX:
        raise BusError(f"{shown_url(url)!r} is no Unix socket: write unix:///path of at most {UNIX_MAX} bytes")
    return BrokerAddress("unix", "", 0, path)


def keeps_aws_limits(broker: Broker) -> bool:
    """Return whether the limits of AWS IoT Core are to be kept: messages in a second, above all."""
    if broker.profile != "auto":
        return broker.profile == "aws"
    with suppress(BusError):
        return parse_url(broker.url).aws
    return False
