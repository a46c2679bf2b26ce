"""Bounds on what is read: what is over its sender's rate is dropped before it costs more than a look at its end."""

import time
from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from swarm_tui.identity.keyring import GUEST, SWARM, Keyring
from swarm_tui.identity.kinds import ACTS
from swarm_tui.protocol import proof as proofs
from swarm_tui.protocol.bodies import Query
from swarm_tui.protocol.codec import MAX_BYTES, decode
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.raw import UnprovedError
from swarm_tui.protocol.topics import Kind, parse

#: Messages a second, and at once, of all guests together: who has no key has no name that another could not take.
GUESTS, GUESTS_AT_ONCE = 500.0, 2000.0
#: The same of each identity, once for what it orders and answers, and once for all else that it says.
NAMED, NAMED_AT_ONCE = 1000.0, 4000.0
#: Proofs a second that do not hold and are told as such; with more, proofs are looked at before anything is read.
FORGED, FORGED_AT_ONCE = 50.0, 100.0
#: A question costs as much as so many other messages: its answer may be a page for each hundred tasks.
QUESTION = 50.0
#: Questions whose answer is a row or none: they cost as any message.
_SMALL = frozenset({"echo", "guard", "usage"})
#: Seconds for which they are then.
STRICT = 10.0
MANY_SENDERS = 10_000
#: Why a message was dropped.
OVER_ITS_RATE = "more than a sender may say at a time"
#: Stands for what was dropped; whoever reads it looks no further.
OVER = Rejected(topic="", reason=OVER_ITS_RATE, first="", received=0.0)
_QUERY = Kind.QUERY.value.rpartition("+")[2]
_FIRST = ACTS | {
    Kind.INBOX,
    Kind.DISPATCHER,
    Kind.TASK_STARTED,
    Kind.TASK_DECLINED,
    Kind.TASK_COMPLETE,
    Kind.TASK_FAILED,
}


class Rate(Struct):
    """A budget that grows by `each` a second up to `most`."""

    each: float
    most: float
    left: float
    looked: float = 0.0

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Spend `cost`; False when so much is not left. `now` is monotonic seconds."""
        self.left = min(self.most, self.left + (now - self.looked) * self.each) if self.looked else self.most
        self.looked = now
        if self.left < cost:
            return False
        self.left -= cost
        return True


class Door:
    """Reads a swarm's messages for a party with keys, each sender within its rate; a guest reads all. One thread's."""

    def __init__(self, swarm: str, keys: Keyring, clock: Callable[[], float] = time.monotonic) -> None:
        self._swarm, self._keys, self._clock = swarm, keys, clock
        self.dropped: Counter[str] = Counter()
        """How many messages were not read, by why."""
        self._guests = Rate(GUESTS, GUESTS_AT_ONCE, GUESTS_AT_ONCE)
        self._forged = Rate(FORGED, FORGED_AT_ONCE, FORGED_AT_ONCE)
        self._named: dict[tuple[str, bool], Rate] = {}
        self._strict_until = 0.0

    def read(self, full: str, raw: bytes, retained: bool, received: float) -> Event | Rejected | None:
        """Read one message as `codec.decode` does, judged by our keys; OVER for one that was dropped."""
        keys = self._keys
        if keys is GUEST:
            return decode(self._swarm, full, raw, retained, received, keys.judge)
        now, proof = self._clock(), proofs.split(raw) if len(raw) <= MAX_BYTES else None
        issuer = proofs.claimed(raw) if proof is None else proof.issuer
        if not issuer and raw and not self._guests.take(now, QUESTION if full.endswith(_QUERY) else 1.0):
            return self._drop()
        if issuer and now < self._strict_until and not self._holds(full, proof, issuer, now):
            return self._drop()
        heard = decode(self._swarm, full, raw, retained, received, keys.judge, proof)
        if not issuer:
            return heard
        if isinstance(heard, Rejected):
            if heard.unproved and not self._forged.take(now):
                self._strict_until = now + STRICT
        elif heard is not None and now >= self._strict_until and not self._may(issuer, heard.kind, now, _cost(heard)):
            self._strict_until = now + STRICT
            return self._drop()
        return heard

    def _drop(self) -> Rejected:
        self.dropped[OVER_ITS_RATE] += 1
        return OVER

    def _holds(self, full: str, proof: proofs.Proof | None, issuer: str, now: float) -> bool:
        """Return whether a message's proof holds and its issuer has something left of its rate."""
        address = parse(self._swarm, full)
        if address is None:
            return False
        kind, _, rest = issuer.partition(":")
        try:
            self._keys.judge(address.kind, address.key, full, proof, rest.partition("@")[0] if kind == "agent" else "")
        except UnprovedError:
            return False
        return self._may(issuer, address.kind, now, QUESTION if address.kind is Kind.QUERY else 1.0)

    def _may(self, issuer: str, kind: Kind, now: float, cost: float) -> bool:
        """Spend so much of the issuer's rate, whose proof held; the swarm itself has none."""
        if issuer == SWARM:
            return True
        key = issuer, kind in _FIRST
        rate = self._named.get(key)
        if rate is None:
            if len(self._named) >= MANY_SENDERS:
                self._named.clear()
            rate = self._named[key] = Rate(NAMED, NAMED_AT_ONCE, NAMED_AT_ONCE)
        return rate.take(now, cost)


def _cost(heard: Event) -> float:
    """Return what a message that was read costs its sender."""
    small = isinstance(heard.body, Query) and heard.body.query in _SMALL
    return QUESTION if heard.kind is Kind.QUERY and not small else 1.0
