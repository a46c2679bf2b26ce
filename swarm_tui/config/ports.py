"""Finds a port of this machine that nobody has, to be named where one is taken."""

import errno
import socket

#: How many ports after the taken one are tried.
_TRIED = 100
#: What the kernel says of a port that cannot be had; anything else is said of an address.
_TAKEN = (errno.EADDRINUSE, errno.EACCES)


def free_port_after(host: str, port: int) -> int | None:
    """Return the first port after `port` that can be listened on at `host` now; None where there is none near."""
    return next((one for one in range(port + 1, min(port + 1 + _TRIED, 65_536)) if _is_free(host, one)), None)


def _is_free(host: str, port: int) -> bool:
    had = False
    for family, kind, protocol, _, address in _addresses(host, port):
        try:
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(address)
                had = True
        except OSError as error:
            # Of two loopbacks a machine may lack one.
            if error.errno in _TAKEN:
                return False
    return had


def _addresses(host: str, port: int) -> list[tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)  # type: ignore[return-value]
    except (OSError, UnicodeError):
        return []
