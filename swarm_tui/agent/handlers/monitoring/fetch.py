"""Fetches for probes: what a task names must not reach where clouds hand out credentials to whoever asks."""

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib.request import OpenerDirector


def refuse_link_local(address: str) -> None:
    """Raises ValueError for an address of the local link, where cloud metadata services are."""
    found = ip_address(address.partition("%")[0])
    if (getattr(found, "ipv4_mapped", None) or found).is_link_local:
        raise ValueError(f"{address} is a link-local address: those are not probed")


def opener() -> "OpenerDirector":
    """Opens http and https URLs, by no proxy but the environment's. `open` raises OSError, ValueError."""
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
            return self.do_open(_guarded(HTTPConnection), request)

    class Safe(HTTPSHandler):
        def https_open(self, request: Any) -> Any:
            return self.do_open(_guarded(HTTPSConnection), request)

    made = OpenerDirector()
    for handler in (ProxyHandler, HTTPDefaultErrorHandler, HTTPRedirectHandler, HTTPErrorProcessor, Plain, Safe):
        made.add_handler(handler())
    return made


def _guarded(kind: Any) -> Any:
    """Connections that judge the address they have reached, before a byte is sent: a name may mean another by then."""

    def connect(*args: Any, **options: Any) -> socket.socket:
        made = socket.create_connection(*args, **options)
        try:
            refuse_link_local(str(made.getpeername()[0]))
        except ValueError:
            made.close()
            raise
        return made

    def make(*args: Any, **options: Any) -> Any:
        connection = kind(*args, **options)
        connection._create_connection = connect
        return connection

    return make
