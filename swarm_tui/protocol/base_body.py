"""The base of all payloads, and the two that stand for none."""

from typing import Any

from msgspec import Struct

JsonObject = dict[str, Any]


class Body(Struct, frozen=True, kw_only=True):
    """Base of all payloads; on the wire a field that is None is left out."""


class Cleared(Body, frozen=True, kw_only=True):
    """An empty retained message: what was retained there is no more."""


class Unknown(Body, frozen=True, kw_only=True):
    """A topic of the swarm that the contract does not name; the payload is kept as it came."""
