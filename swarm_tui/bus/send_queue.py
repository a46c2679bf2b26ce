"""Messages that wait to be sent over one connection, and what the broker has not acknowledged yet."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from swarm_tui.bus.bulk_client import INFLIGHT, BulkClient
from swarm_tui.bus.port import LARGEST, MakeLate, OnAck, unsendable
from swarm_tui.bus.side_connections import is_order
from swarm_tui.protocol.envelope import Outgoing

#: Messages kept while the link is down; beyond it the oldest goes, counted in `dropped`.
OUTBOX_MAX = 100_000
#: Seconds that a message which may, or nothing but acknowledgements, wait to be written with the next; how many do.
LINGER, ACK_LINGER, MOST_LINGER = 0.004, 0.03, 8
#: Times in a row that acknowledgements waited and nothing came to go with them: from then on they wait less, for the
#: broker may be one that says nothing more before it has them.
IN_VAIN = 3
#: Bytes of a packet beside its topic and payload, at most.
ROOM = 600
#: After so many connections that ended before anything was acknowledged, the oldest message is to blame.
STUCK = 5


class Pace:
    """A broker's limit of messages in a second, which is kept by waiting: no message is dropped for it."""

    def __init__(self, most: int, seconds: float) -> None:
        self._sent: deque[float] = deque(maxlen=most)
        self._seconds = seconds

    def wait(self, now: float) -> float:
        """Return the seconds until another message may be sent."""
        if len(self._sent) < (self._sent.maxlen or 0):
            return 0.0
        return max(0.0, self._sent[0] + self._seconds - now)

    def sent(self, now: float) -> None:
        """Count a message."""
        self._sent.append(now)


class SendQueue:
    """`post` is thread-safe; whoever calls the rest has the connection to himself.

    `failed(what, error)` counts what could not be sent, `guard(what, call)` runs a callback of somebody else's.
    """

    def __init__(
        self,
        failed: Callable[[str, BaseException], None],
        guard: Callable[[str, Callable[[], None]], None],
        pace: Pace | None = None,
        forbidden: Callable[[str, str], None] = lambda what, why: None,
    ) -> None:
        """`forbidden(what, why)` gets a sentence on each topic that the broker takes nothing on from us."""
        self.dropped = 0
        self.paced_by: float | None = None
        """When more may be sent to a broker that limits how many, in monotonic seconds."""
        self._pace = pace
        self.write_by: float | None = None
        """When what lingers is written at the latest, in monotonic seconds."""
        self._failed = failed
        self._guard = guard
        self._forbidden = forbidden
        self._waiting: deque[tuple[Outgoing | MakeLate, OnAck | None]] = deque()
        self._orders: deque[tuple[Outgoing | MakeLate, OnAck | None]] = deque()
        """What goes ahead of the rest where a pace is kept."""
        self._unacked: dict[int, tuple[Outgoing, OnAck | None]] = {}
        self._window, self._largest = INFLIGHT, LARGEST
        self._told: set[str] = set()
        self._hurry = False
        self._in_vain = 0
        self._progress = False
        self._stuck = 0

    def post(self, message: Outgoing, on_ack: OnAck | None, *, up: bool) -> bool:
        """Take a message; False when it cannot be sent, or not now and it is not worth keeping."""
        if message.qos == 0 and not up:
            self.dropped += 1
            return False
        if reason := unsendable(message):
            self._failed("publishing", ValueError(reason))
            self.dropped += 1
            return False
        if len(self._waiting) >= OUTBOX_MAX:
            self._waiting.popleft()
            self.dropped += 1
        if self._pace is not None and is_order(message):
            self._orders.append((message, on_ack))
        else:
            self._waiting.append((message, on_ack))
        return True

    def post_late(self, make: MakeLate) -> None:
        """Take who makes a message once it is about to be sent."""
        self._waiting.append((make, None))

    def hurry(self) -> None:
        """Note that something waits that may not linger; to be called after it was posted."""
        self._hurry = True

    def may_linger(self, client: BulkClient) -> bool:
        """Return whether what there is to write, acknowledgements above all, may wait on for company."""
        if self._hurry or not 0 < self.backlog() + client.unwritten() <= MOST_LINGER:
            return False
        now = time.monotonic()
        by = now + (LINGER if self._waiting or self._in_vain >= IN_VAIN else ACK_LINGER)
        self.write_by = by if self.write_by is None else min(self.write_by, by)
        return self.write_by > now

    def settle(self) -> None:
        """All that lingers is about to be written. What is posted from now on hurries anew."""
        if self._waiting:
            self._in_vain = 0
        elif self.write_by is not None:
            self._in_vain += 1
        self._hurry, self.write_by = False, None

    def send(self, client: BulkClient, *, ours: bool) -> None:
        """Write what waits; not `ours`: on a caller's thread, where no callback may run."""
        self.paced_by = None
        while (waiting := self._orders or self._waiting) and len(self._unacked) < self._window:
            message, on_ack = waiting[0]
            if on_ack is not None and not ours and isinstance(message, Outgoing) and message.qos == 0:
                return
            if self._pace is not None and self._must_wait(self._pace):
                return
            waiting.popleft()
            if not isinstance(message, Outgoing):
                made = self._made(message)
                if made is None:
                    continue
                message = made
            if len(message.payload) + len(message.topic) + ROOM > self._largest:
                size = f"{len(message.payload):,} bytes on {message.topic!r}"
                self._failed("publishing", ValueError(f"{size}: this broker takes {self._largest:,} at most"))
                self.dropped += 1
                continue
            if message.qos:
                mid = client.free_id(self._unacked)
                self._unacked[mid] = message, on_ack
                client.say(message, mid)
                continue
            client.say(message)
            if on_ack is not None:
                self._guard("an acknowledgement", on_ack)

    def backlog(self) -> int:
        """Return how many messages wait to be said."""
        return len(self._waiting) + len(self._orders)

    def is_full(self) -> bool:
        """Return whether a message more would have to wait for the pace."""
        return self._pace is not None and (self.backlog() > 0 or self._pace.wait(time.monotonic()) > 0)

    def _made(self, make: MakeLate) -> Outgoing | None:
        try:
            message = make()
        except Exception as error:  # noqa: BLE001 - it is somebody else's, and others wait behind it
            self._failed("publishing", error)
            return None
        if message is not None and (reason := unsendable(message)):
            self._failed("publishing", ValueError(reason))
            self.dropped += 1
            return None
        return message

    def _must_wait(self, pace: Pace) -> bool:
        now = time.monotonic()
        if (wait := pace.wait(now)) > 0:
            self.paced_by = now + wait
            return True
        pace.sent(now)
        return False

    def repeat(self, client: BulkClient) -> None:
        """Say again, on a new connection, what the broker did not acknowledge on the last one."""
        if self._pace is not None:
            self._waiting.extendleft(reversed(self._unacked.values()))
            self._unacked.clear()
            return
        for mid, (message, _) in self._unacked.items():
            client.say(message, mid, again=True)

    def limits(self, properties: Any) -> None:
        """Keep the limits that a broker of MQTT 5 told as it accepted us: what is over them ends the connection."""
        self._window = min(INFLIGHT, getattr(properties, "ReceiveMaximum", INFLIGHT))
        self._largest = getattr(properties, "MaximumPacketSize", None) or LARGEST
        self._told.clear()

    def refused(self, mid: int, why: str) -> None:
        """Tell, once of each topic and connection, that the broker takes nothing on it from us."""
        topic = found[0].topic if (found := self._unacked.get(mid)) is not None else ""
        if topic not in self._told:
            self._told.add(topic)
            self._forbidden("publishing", f"the broker does not take what we say on `{topic}`: {why}")

    def acked(self, mid: int) -> None:
        """Note that the broker has the message of that packet id."""
        found = self._unacked.pop(mid, None)
        if found is None:
            return
        self._progress = True
        if (on_ack := found[1]) is not None:
            self._guard("an acknowledgement", on_ack)

    def is_empty(self) -> bool:
        """Return whether all was sent and acknowledged."""
        return not (self._waiting or self._orders or self._unacked)

    def is_sent(self) -> bool:
        """Return whether nothing more can be sent now."""
        return not self.backlog() or len(self._unacked) >= self._window or self.paced_by is not None

    def lost(self, *, silent: bool) -> None:
        """Note that the connection ended, `silent` when the broker just said no more."""
        # Past, it would keep the next connection from waiting for its CONNACK in peace.
        self.write_by = None
        if self._unacked and not silent:
            self._stuck = 0 if self._progress else self._stuck + 1
            if self._stuck >= STUCK:
                self._drop_poison()
        self._progress = False

    def _drop_poison(self) -> None:
        """Give up the oldest message: a broker that closes the connection over it never takes it, nor what follows."""
        self._stuck = 0
        message, _ = self._unacked.pop(next(iter(self._unacked)))
        topic = message.topic
        self.dropped += 1
        self._failed("publishing", ValueError(f"the broker closed {STUCK} connections over a message on {topic!r}"))
