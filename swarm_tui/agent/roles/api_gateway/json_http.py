"""JSON over HTTP, as all routes speak it: a body that was posted is read, an answer or a refusal is written."""

import asyncio
from typing import TypeVar

import msgspec
from aiohttp import web

#: Bytes that any body has at most, and seconds that it may take to come.
MAX_BODY, BODY_TIMEOUT = 120 * 1024, 15.0
_ENCODINGS = frozenset({"", "identity", "gzip"})
_T = TypeVar("_T")


class UnfitError(Exception):
    """The reason why a request is refused; `status` is HTTP's."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def require_json(request: web.Request) -> None:
    """Raise UnfitError unless the body is said to be JSON."""
    # A page of another site may post texts and forms unasked; before it posts JSON its browser asks us.
    if request.content_type != "application/json":
        raise UnfitError(415, "send Content-Type: application/json")


async def read_body(request: web.Request) -> bytes:
    """Return the body of a request. Raises UnfitError, or aiohttp's HTTPException for one that is too large."""
    require_json(request)
    # aiohttp waits for ever for the end of a body that is `deflate` and is cut.
    if request.headers.get("Content-Encoding", "").strip().lower() not in _ENCODINGS:
        raise UnfitError(415, "send the body as it is, or as gzip")
    try:
        return await asyncio.wait_for(request.read(), BODY_TIMEOUT)
    except TimeoutError:
        raise UnfitError(408, f"the body took longer than {BODY_TIMEOUT:g} s") from None
    except web.RequestPayloadError as error:
        words = " ".join(str(error).split())
        raise UnfitError(400, f"the body is not what its headers say: {words}") from None


def read_as(body: bytes, kind: type[_T], what: str, most: int = MAX_BODY) -> _T:
    """Return what a body of at most `most` bytes means; `what` names it in a refusal. Raises UnfitError."""
    if len(body) > most:
        raise UnfitError(413, f"{what} has at most {most} bytes")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnfitError(422, f"not {what}: {error}") from None


def answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return the answer that says `value`."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json", headers=headers
    )
