"""Identities that a swarm has beside its own host: added, rotated and revoked by `swarm-tui broker`."""

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

IdentityKind = Literal["agent", "host", "operator", "guest"]


class Identity(Struct, frozen=True, kw_only=True):
    """An identity. `added` and `revoked` are seconds since the epoch; `generation` counts its rotations."""

    kind: IdentityKind
    generation: int = 1
    role: str | None = None
    added: float = 0.0
    revoked: float | None = None


class Registry(Struct, frozen=True, kw_only=True):
    """All identities of a swarm by name; `home` is the host that holds the swarm's secret.

    `former`: agents that were running, of a version without keys, when the secret was made. What they say is believed
    without proof until they are restarted, for what they do is the swarm's.
    """

    home: str
    identities: dict[str, Identity] = {}
    former: tuple[str, ...] = ()

    def live(self, kind: IdentityKind, name: str) -> Identity | None:
        """The identity, unless it is unknown, of another kind or revoked. The swarm's own host needs no entry."""
        found = self.identities.get(name)
        if found is None and kind == "host" and name == self.home:
            return Identity(kind="host")
        return found if found is not None and found.kind == kind and found.revoked is None else None

    def hosts(self) -> Mapping[str, int]:
        """Each live host with its generation, the swarm's own first. An agent that was added is a host of its own."""
        own = self.live("host", self.home)
        known = {} if own is None else {self.home: own.generation}
        added = self.identities.items()
        return known | {n: i.generation for n, i in added if i.kind in ("host", "agent") and i.revoked is None}


def add(registry: Registry, name: str, identity: Identity) -> Registry:
    """The registry with one identity more, or with a revoked one anew under its next generation."""
    before = registry.identities.get(name)
    if before is not None:
        identity = msgspec.structs.replace(identity, generation=before.generation + 1)
    return msgspec.structs.replace(registry, identities={**registry.identities, name: identity})


def rotate(registry: Registry, name: str) -> Registry:
    """The registry with the identity's next generation: what it held before is worth nothing. Raises KeyError."""
    before = registry.identities[name]
    after = msgspec.structs.replace(before, generation=before.generation + 1, revoked=None)
    return msgspec.structs.replace(registry, identities={**registry.identities, name: after})


def revoke(registry: Registry, name: str, now: float) -> Registry:
    """The registry without the identity's rights. Raises KeyError."""
    after = msgspec.structs.replace(registry.identities[name], revoked=now)
    return msgspec.structs.replace(registry, identities={**registry.identities, name: after})
