"""The sockets of the door: clients look up `localhost` as ::1 or as 127.0.0.1, so it is open on both."""

import errno
import socket

LOOPBACKS = ("127.0.0.1", "::1")
#: What a machine without IPv6, or with IPv6 and no ::1, says.
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


def listen(host: str, port: int) -> tuple[list[socket.socket], list[str]]:
    """Sockets that listen, and a sentence for each loopback that another program has.

    `localhost` is every loopback that the machine has, any other host its first address. Raises OSError when there is
    no socket at all.
    """
    if host.lower() != "localhost":
        return [_listening(host, port)], []
    opened: list[socket.socket] = []
    taken: list[str] = []
    failed: OSError | None = None
    for address in LOOPBACKS:
        try:
            opened.append(_listening(address, port))
        except OSError as error:
            if error.errno in _NO_IPV6 or isinstance(error, socket.gaierror):
                continue
            failed = failed or error
            taken.append(f"the door is not open on {address} port {port}: {why_not(error)}")
    if not opened:
        raise failed or OSError(errno.EADDRNOTAVAIL, "this machine has no loopback")
    return opened, taken


def why_not(error: OSError) -> str:
    """Why a port cannot be had."""
    return "another program has it" if error.errno == errno.EADDRINUSE else error.strerror or str(error)


def _listening(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
