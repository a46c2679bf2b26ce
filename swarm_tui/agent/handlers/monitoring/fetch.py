"""Fetches for probes, with a hard end, and never from where clouds hand out credentials to whoever asks."""

import contextlib
import socket
import threading
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib.request import OpenerDirector


def refuse_link_local(address: str) -> None:
    """Raise ValueError for an address of the local link, where cloud metadata services are."""
    found = ip_address(address.partition("%")[0])
    if (getattr(found, "ipv4_mapped", None) or found).is_link_local:
        raise ValueError(f"{address} is a link-local address: those are not probed")


class Ending:
    """Ends what is on its way at one moment: a page that drips renews each of a socket's own time limits."""

    def __init__(self, timeout: float) -> None:
        self._until = time.monotonic() + timeout
        self._lock = threading.Lock()
        self._held: list[socket.socket] = []
        self._over = False

    def left(self) -> float:
        """Return the seconds that are left. Raises TimeoutError when none are."""
        left = self._until - time.monotonic()
        if self._over or left <= 0:
            raise TimeoutError("it took too long")
        return left

    def hold(self, made: socket.socket) -> None:
        """Have `made` shut down at the end, by a handle of its own: TLS takes the socket's over."""
        with self._lock:
            self.left()
            self._held.append(made.dup())

    def end(self) -> None:
        """Shut down what is open; a thread that reads from it goes on with an error."""
        with self._lock:
            self._over = True
            for handle in self._held:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
                handle.close()
            self._held.clear()


def opener(ending: Ending) -> "OpenerDirector":
    """Return what opens http and https URLs, by no proxy but the environment's.

    `open` raises OSError, ValueError, HTTPException.
    """
    from http.client import HTTPConnection, HTTPSConnection
    from urllib.request import (
        HTTPDefaultErrorHandler,
        HTTPErrorProcessor,
        HTTPHandler,
        HTTPRedirectHandler,
        HTTPSHandler,
        OpenerDirector,
        ProxyHandler,
    )

    class Plain(HTTPHandler):
        def http_open(self, request: Any) -> Any:
            return self.do_open(_guarded(HTTPConnection, ending), request)

    class Safe(HTTPSHandler):
        def https_open(self, request: Any) -> Any:
            return self.do_open(_guarded(HTTPSConnection, ending), request)

    made = OpenerDirector()
    for handler in (ProxyHandler, HTTPDefaultErrorHandler, HTTPRedirectHandler, HTTPErrorProcessor, Plain, Safe):
        made.add_handler(handler())
    return made


def _guarded(kind: Any, ending: Ending) -> Any:
    """Return connections that judge the address they have reached before a byte is sent: a name may mean another."""

    def connect(address: Any, timeout: Any = None, source: Any = None) -> socket.socket:
        made = socket.create_connection(address, ending.left(), source)
        try:
            refuse_link_local(str(made.getpeername()[0]))
            ending.hold(made)
        except (ValueError, OSError):
            made.close()
            raise
        return made

    def make(*args: Any, **options: Any) -> Any:
        connection = kind(*args, **options)
        connection._create_connection = connect
        return connection

    return make
