"""Rules for a broker's URL and a host's address, before anything connects."""

import ipaddress
import re
from urllib.parse import urlsplit, urlunsplit

SCHEMES = ("mqtt", "mqtts", "ws", "wss", "unix")
_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_SAME = {"tcp": "mqtt", "ssl": "mqtts", "tls": "mqtts"}
#: The longest path that a Unix socket's address holds, on Linux.
UNIX_MAX = 107
_MEANT = {"http": "ws", "https": "wss"}
#: What ssh may be given: `host`, `user@host`, `ssh://host:port`, an alias. Hosts say theirs over the bus, so nothing in
#: it may read as an option or reach a shell.
_ADDRESS = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9_.:@%/\[\]-]{0,252}")


def check_url(url: str) -> str | None:
    """Why `url` names no broker, in a sentence; None when it does. A bare `host` or `host:port` is mqtt."""
    try:
        parts = urlsplit(_full(url))
        port = parts.port
    except ValueError as error:
        return f"`{shown_url(url)}` is no broker URL: {error}"
    if parts.scheme not in SCHEMES and parts.scheme not in _SAME:
        meant = f"; did you mean `{_MEANT[parts.scheme]}://`?" if parts.scheme in _MEANT else ""
        return f"`{shown_url(url)}` is no broker URL: it begins with one of {', '.join(SCHEMES)}{meant}"
    if parts.scheme == "unix":
        path = parts.netloc + parts.path
        fine = path.startswith("/") and len(path.encode()) <= UNIX_MAX
        return None if fine else f"`{url}` names no socket: write `unix:///path` of at most {UNIX_MAX} bytes"
    if not parts.hostname or any(c.isspace() for c in url):
        return f"`{shown_url(url)}` names no host: write `{parts.scheme}://host:port`"
    if port == 0:
        return f"`{shown_url(url)}`: port 0 is none that a client can use"
    return None


def is_address(text: str) -> bool:
    """Return whether ssh may be told to go to `text`."""
    return _ADDRESS.fullmatch(text) is not None


def _full(url: str) -> str:
    return url if "://" in url or url.startswith("unix:") else f"mqtt://{url}"


def shown_url(url: str) -> str:
    """The URL without its password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.split("@")[-1]
    if "@" not in parts.netloc:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.split(':')[0]}@{host}"))


def same_broker(one: str, other: str) -> bool:
    """Return whether two URLs name one broker: spelt another way, or with other credentials, it is the same.

    All names of this machine's loopback count as one; other names are compared as they are.
    """
    return one == other or (_place(one) is not None and _place(one) == _place(other))


def _place(url: str) -> tuple[str, str, int, str] | None:
    """Return scheme, host, port and path of a broker; None when the URL names none."""
    if check_url(url) is not None:
        return None
    parts = urlsplit(_full(url))
    scheme = _SAME.get(parts.scheme, parts.scheme)
    if scheme == "unix":
        return scheme, "", 0, parts.netloc + parts.path
    host = "localhost" if is_loopback(url) else (parts.hostname or "").rstrip(".")
    return scheme, host, parts.port or _PORTS[scheme], parts.path.rstrip("/") if scheme in ("ws", "wss") else ""


def is_loopback(url: str) -> bool:
    """Return whether the broker is on this machine: loopback, `localhost`, or a socket file."""
    try:
        parts = urlsplit(_full(url))
    except ValueError:
        return False
    if parts.scheme == "unix":
        return True
    host = parts.hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
