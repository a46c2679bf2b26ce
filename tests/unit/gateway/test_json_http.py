"""What is posted is read alike by every route that reads a body."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.roles.api_gateway.openapi import document
from tests.unit.gateway.conftest import Dispatcher, Visitor

PATHS = ["/tasks", "/runs", "/runs/r1/cancel", "/runs/r1/retry", "/asks/q1", "/messages"]


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_no_json_or_not_what_its_headers_say_is_the_visitor_s_mistake(
    open_door: Callable[..., Any], visitor: Visitor, dispatcher: Dispatcher, tmp_path: Path, path: str
) -> None:
    open_door()
    visitor.get("/healthz")
    token = (tmp_path / "state" / "gateway.token").read_text().strip()

    def post(body: bytes, **headers: str) -> tuple[int, str]:
        told = visitor.ask("POST", path, body, Authorization=f"Bearer {token}", **headers)
        return told.status, told.json["error"]

    assert post(b"{}", Content_Type="text/plain") == (415, "send Content-Type: application/json")
    status, why = post(b"no gzip", Content_Encoding="gzip")
    assert (status, "not what its headers say" in why) == (400, True), why
    assert _half_deflated(visitor, path, token).startswith(b"HTTP/1.1 415 ")
    assert post(b"{")[0] == post(b'{"a": "\xff"}')[0] == 422
    assert post(b'{"text": "%s"}' % (b"x" * 125_000))[0] == 413


def _half_deflated(visitor: Visitor, path: str, token: str) -> bytes:
    """Post the headers of a body that is still to come; return the answer."""
    with socket.create_connection((visitor.host, visitor.port), timeout=5) as sock:
        sock.sendall(
            f"POST {path} HTTP/1.1\r\nHost: {visitor.host}:{visitor.port}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Encoding: deflate\r\nContent-Length: 2\r\n\r\n".encode()
        )
        return sock.recv(4096)


def test_what_every_body_can_be_refused_for_is_told_to_machines() -> None:
    paths = document({}, {}, {}, {}, {})["paths"]
    reading = {
        path: set(ways["post"]["responses"]) for path, ways in paths.items() if "requestBody" in ways.get("post", {})
    }
    assert len(reading) == len(PATHS)
    assert all({"400", "408", "413", "415", "422"} <= statuses for statuses in reading.values()), reading
