"""Rules for a broker's URL and a host's address, before anything connects."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

SCHEMES = ("mqtt", "mqtts", "ws", "wss", "unix")
_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_SAME = {"tcp": "mqtt", "ssl": "mqtts", "tls": "mqtts"}
#: The longest path that a Unix socket's address holds, on Linux.
UNIX_MAX = 107
#: Those by which nobody on the way reads along; a socket file has no way.
SECURE_SCHEMES = frozenset({"mqtts", "ssl", "tls", "wss", "unix"})
_MEANT = {"http": "ws", "https": "wss"}
#: What ssh may be given: `host`, `user@host`, `ssh://host:port`, an alias. Hosts say theirs over the bus, so nothing in
#: it may read as an option or reach a shell.
_ADDRESS = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9_.:@%/\[\]-]{0,252}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
#: Characters that end a URL's host, so that a password with one of them would be read as a path.
_ENDS = re.compile(r"[/?#]")


class SplitUrl(Struct, frozen=True):
    """A broker URL in parts: `place` is the URL without its user; `user` and `password` are as written, still encoded.

    `host` is without brackets, an IPv6 zone decoded.
    """

    place: SplitResult
    host: str
    port: int | None
    user: str | None
    password: str | None


def split_url(url: str) -> SplitUrl:
    """Split a broker URL, the user and password being all up to the last `@`; a bare `host` or `host:port` is mqtt.

    Raises ValueError with a reason that holds nothing of the password.
    """
    scheme, rest = _scheme(url)
    if _is_path(scheme, rest):
        # A file may have any name: nothing in it is a query or a fragment.
        return SplitUrl(SplitResult(scheme, "", rest, "", ""), "", None, None, None)
    user, at, place = rest.rpartition("@")
    if _ENDS.search(user):
        raise ValueError(
            "what stands before its last `@` has a `/`, `#` or `?`: write them in a password as `%2F`, `%23`, `%3F` "
            "(an `@` in a path as `%40`), or give the password by MQTT_PASSWORD"
        )
    parts = urlsplit(f"{scheme or 'mqtt'}://{place}")
    name, colon, password = user.partition(":")
    host = (parts.hostname or "").replace("%25", "%", 1)
    return SplitUrl(parts, host, parts.port, name if at else None, password if colon else None)


def _scheme(url: str) -> tuple[str, str]:
    """Return the scheme, empty where none is written, and what follows it."""
    text = url.strip()
    if text.startswith("unix:") and not text.startswith("unix://"):
        return "unix", text[5:]
    scheme, mark, rest = text.partition("://")
    return (scheme.lower(), rest) if mark and _SCHEME.fullmatch(scheme) else ("", text)


def _is_path(scheme: str, rest: str) -> bool:
    return scheme == "unix" and rest.startswith("/")


def check_url(url: str) -> str | None:
    """Why `url` names no broker, in a sentence; None when it does. A bare `host` or `host:port` is mqtt."""
    try:
        found = split_url(url)
    except ValueError as error:
        return f"`{shown_url(url)}` is no broker URL: {error}"
    parts = found.place
    if parts.scheme not in SCHEMES and parts.scheme not in _SAME:
        meant = f"; did you mean `{_MEANT[parts.scheme]}://`?" if parts.scheme in _MEANT else ""
        return f"`{shown_url(url)}` is no broker URL: it begins with one of {', '.join(SCHEMES)}{meant}"
    if parts.scheme == "unix":
        path = parts.netloc + parts.path
        fine = path.startswith("/") and len(path.encode()) <= UNIX_MAX
        return None if fine else f"`{shown_url(url)}` names no socket: write `unix:///path` of at most {UNIX_MAX} bytes"
    if not found.host or any(c.isspace() for c in url):
        return f"`{shown_url(url)}` names no host: write `{parts.scheme}://host:port`"
    if found.port == 0:
        return f"`{shown_url(url)}`: port 0 is none that a client can use"
    return None


def is_address(text: str) -> bool:
    """Return whether ssh may be told to go to `text`."""
    return _ADDRESS.fullmatch(text) is not None


def shown_url(url: str) -> str:
    """Return the URL without its secrets: its password, and each value of a query, where a WebSocket's has tokens."""
    return url if _is_path(*_scheme(url)) else hidden_query(without_password(url))


def without_password(url: str) -> str:
    """Return the URL with all up to the last `@` hidden, but for a plain user's name."""
    scheme, rest = _scheme(url)
    user, at, place = rest.rpartition("@")
    if not at or _is_path(scheme, rest):
        return url
    name = "***" if _ENDS.search(user) else user.partition(":")[0]
    return f"{scheme}{'://' if scheme else ''}{name}@{place}"


def hidden_query(text: str) -> str:
    """Return a URL or a path with `***` for each value of its query."""
    before, mark, query = text.partition("?")
    if not mark:
        return text
    names = [part.partition("=")[::2] for part in query.split("&")]
    return f"{before}?{'&'.join(f'{name}=***' if value else '***' for name, value in names)}"


def same_broker(one: str, other: str) -> bool:
    """Return whether two URLs name one broker: spelt another way, or with other credentials, it is the same.

    All names of this machine's loopback count as one; other names are compared as they are.
    """
    return one == other or (_place(one) is not None and _place(one) == _place(other))


def _place(url: str) -> tuple[str, str, int, str] | None:
    """Return scheme, host, port and path of a broker; None when the URL names none."""
    if check_url(url) is not None:
        return None
    found = split_url(url)
    parts = found.place
    scheme = _SAME.get(parts.scheme, parts.scheme)
    if scheme == "unix":
        return scheme, "", 0, parts.netloc + parts.path
    host = "localhost" if is_loopback(url) else found.host.rstrip(".")
    return scheme, host, found.port or _PORTS[scheme], parts.path.rstrip("/") if scheme in ("ws", "wss") else ""


def broker_port(url: str) -> int | None:
    """Return the TCP port that a broker's URL names; None for a socket file and for what names none."""
    place = _place(url)
    return place[2] if place is not None and place[0] != "unix" else None


def is_loopback(url: str) -> bool:
    """Return whether the broker is on this machine: loopback, `localhost`, or a socket file."""
    try:
        found = split_url(url)
        return found.place.scheme == "unix" or found.host == "localhost" or ipaddress.ip_address(found.host).is_loopback
    except ValueError:
        return False
