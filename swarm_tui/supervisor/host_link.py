"""Connect the supervisor to the bus: post what the swarm says to its loop, say what it reports of its host."""

import os
import time
from collections.abc import Callable
from functools import partial

from swarm_tui.bus import reasons
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import Bus, Link
from swarm_tui.client.ids import new_id
from swarm_tui.config.urls import shown_url
from swarm_tui.identity.door import Door
from swarm_tui.identity.keyring import GUEST, Keyring, SwarmKeyring, is_remote_operator
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import HostStatus
from swarm_tui.protocol.client_ids import Client, client_id_of
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected
from swarm_tui.protocol.topics import Kind, topic
from swarm_tui.supervisor.loop import Loop
from swarm_tui.supervisor.plan import Plan

#: Agents that know only another dialect live under here, each with a swarm of its own.
OTHER_DIALECTS = "_a"
#: A broker brings our own status back within milliseconds; one that has not by then does not, seconds.
ECHO_WITHIN = 6.0
#: A connection that is closed within so many seconds was of no use; so many in a row are no accident.
SHORT_LINK, SHORT_LINKS = 1.0, 6
#: The word of a link that is up while the broker refuses a subscription.
FORBIDDEN = "forbidden"
#: Why a link is down, where waiting mends nothing.
_LASTING = frozenset({reasons.PASSWORD, reasons.TLS, reasons.URL, reasons.IDENTITY, reasons.NOT_MQTT})
#: How often the host's status is said even when nothing changed: it is also how we know that the bus carries us.
REPEAT = 10.0

_HEARD = (
    Kind.REGISTER,
    Kind.HEARTBEAT,
    Kind.SHUTDOWN,
    Kind.STATUS,
    Kind.HOST_STATUS,
    Kind.SCALE,
    Kind.QUERY,
)


class OrdersOnce:
    """The ids of what a host was ordered, each for as long as the order could be carried out; wall time, seconds."""

    def __init__(self) -> None:
        self.until: dict[str, float] = {}

    def is_first(self, event: Event) -> bool:
        """Return whether the order is heard for the first time, and remember it."""
        if event.id in self.until:
            return False
        now = event.received
        self.until = {name: until for name, until in self.until.items() if until > now}
        self.until[event.id] = max(now, event.expires_at or 0.0) + codec.COMMAND_LIFE
        return True


class HostLink:
    """Keeps one connection for one host's supervisor. Callbacks run on the loop's thread.

    `up_since` and `echo` are monotonic: since when the link is up, and when we last heard ourselves.
    """

    def __init__(
        self,
        plan: Plan,
        loop: Loop,
        *,
        on_event: Callable[[Event], None],
        on_foreign: Callable[[str], None],
        on_link: Callable[[Link], None],
        make_bus: Callable[[], Bus] | None = None,
        keys: Keyring = GUEST,
    ) -> None:
        self.swarm, self.host = plan.swarm, plan.host
        self.up_since: float | None = None
        self.echo: float | None = None
        self.reason = "connecting"
        self.kind = ""
        """Why the link is down or half of use, as a word of `bus.reasons`; empty when it is up and whole."""
        self.on_raw: Callable[[str], None] | None = None
        """Hears each topic that came retained."""
        self.on_late: Callable[[str], None] = lambda reason: None
        """Hears why an order to this host came too late."""
        self._loop = loop
        self._on_event, self._on_foreign, self._on_link = on_event, on_foreign, on_link
        self._broker = broker = plan.layout.broker
        self._make = make_bus or (lambda: MqttBus(broker, client_id_of(Client.SUPERVISOR, plan.swarm, plan.host)))
        self._bus: Bus | None = None
        self._began: float | None = None
        self._short = 0
        """How many connections in a row were closed as soon as they were there."""
        self.writer = codec.Writer(
            self.swarm,
            f"supervisor:{self.host}",
            "supervisor",
            new_id=new_id,
            clock=time.time,
            prove=keys.prove,
        )
        self.door = Door(self.swarm, keys)
        self.orders = OrdersOnce()
        self._scales: dict[str, float] = {}
        """Topic of a scale to the time of the newest one."""
        self._relays = isinstance(keys, SwarmKeyring)
        """It holds the swarm's secret: what an operator elsewhere orders another host is passed on with our proof."""

    @property
    def is_up(self) -> bool:
        return self.up_since is not None

    def cause(self, now: float) -> str:
        """Return why the broker is of no use to the swarm before a person mends that; empty while it may be of use."""
        holds = self._began is not None and now - self._began > SHORT_LINK
        if self._short >= SHORT_LINKS and not holds:
            return (
                f"{shown_url(self._broker.url)} takes the connection and closes it at once, again and again: allow "
                f"`{self.swarm}/#` to {self._who()} in the broker's ACL, and see that no other client has our id"
            )
        if self.up_since is None:
            return self.reason if self.kind in _LASTING else ""
        if self.kind == FORBIDDEN:
            return f"{self.reason}: allow `{self.swarm}/#` to {self._who()} in the broker's ACL"
        silent = self.echo is None or self.echo < self.up_since
        if silent and now - self.up_since > ECHO_WITHIN:
            return (
                f"{shown_url(self._broker.url)} takes what we say and brings nothing of it back: "
                f"allow `{self.swarm}/#` to {self._who()} in the broker's ACL"
            )
        return ""

    def _who(self) -> str:
        name = self._broker.username
        return f"the user {name!r}" if name else "clients without a user name"

    def start(self, offline: HostStatus) -> None:
        """Begin to connect; `offline` is what the broker says of this host when we vanish."""
        self._bus = bus = self._make()
        bus.set_will(self.writer.message(Kind.HOST_STATUS, offline, self.host))
        for kind in _HEARD:
            bus.subscribe(topic(self.swarm, kind, "+"))
        bus.subscribe(topic(self.swarm, Kind.DISPATCHER))
        bus.subscribe(topic(self.swarm, Kind.HOST_CONTROL, "+" if self._relays else self.host))
        bus.subscribe(f"{self.swarm}/{OTHER_DIALECTS}/#")
        bus.start(self._message, lambda link: self._loop.post(partial(self._link, link)))

    def publish(self, message: Outgoing) -> None:
        """Say it, now or when the link is back."""
        if self._bus is not None:
            self._bus.publish(message)

    def subscribe(self, pattern: str) -> None:
        """Listen to one more filter."""
        if self._bus is not None:
            self._bus.subscribe(pattern)

    def close(self, wait: float = 2.0) -> None:
        if self._bus is not None:
            self._bus.close(wait)
            self._bus = None

    def stood_still(self) -> None:
        """The machine slept: silence until now proves nothing."""
        if self.up_since is not None:
            self.up_since = time.monotonic()

    def _message(self, full: str, payload: bytes, retained: bool) -> None:
        """On the bus's thread."""
        if retained and payload and (heard := self.on_raw) is not None:
            self._loop.post(partial(heard, full))
        if full.startswith(f"{self.swarm}/{OTHER_DIALECTS}/"):
            agent_id = full[len(self.swarm) + len(OTHER_DIALECTS) + 2 :].partition("/")[0]
            if not retained:
                self._loop.post(partial(self._on_foreign, agent_id))
            return
        event = self.door.read(full, payload, retained, time.time())
        if isinstance(event, Rejected):
            if event.late and event.topic == topic(self.swarm, Kind.HOST_CONTROL, self.host):
                self._loop.post(partial(self.on_late, event.reason))
        elif event is not None:
            self._loop.post(partial(self._event, event))

    def _event(self, event: Event) -> None:
        if isinstance(event.body, HostStatus) and event.key == self.host and event.body.pid == os.getpid():
            self.echo = time.monotonic()
        if event.kind is Kind.HOST_CONTROL:
            relayed = event.key != self.host
            if (relayed and not is_remote_operator(event.proved_by)) or not self.orders.is_first(event):
                return
            if relayed:
                # Under the same id: whoever repeats what it heard has it carried out no second time.
                self.publish(self.writer.message(event.kind, event.body, event.key, message_id=event.id))
                return
        elif event.kind is Kind.SCALE and event.proved_by:
            if event.at < self._scales.get(event.key, 0.0):
                return
            self._scales[event.key] = event.at
        self._on_event(event)

    def _link(self, link: Link) -> None:
        now = time.monotonic()
        if not link.up and self._began is not None:
            self._short = self._short + 1 if now - self._began < SHORT_LINK else 0
        self._began = (now if self._began is None else self._began) if link.up else None
        self.up_since = now if link.up else None
        self.reason, self.kind = link.reason, link.kind
        self._on_link(link)
