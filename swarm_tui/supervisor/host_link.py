"""Connect the supervisor to the bus: post what the swarm says to its loop, say what it reports of its host."""

import time
from collections.abc import Callable
from functools import partial

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import Bus, Link
from swarm_tui.client.ids import new_id
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import HostStatus
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected
from swarm_tui.protocol.names import swarm_hash
from swarm_tui.protocol.topics import Kind, topic
from swarm_tui.supervisor.loop import Loop
from swarm_tui.supervisor.plan import Plan

#: Agents that know only another dialect live under here, each with a swarm of its own.
OTHER_DIALECTS = "_a"
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
    ) -> None:
        self.swarm, self.host = plan.swarm, plan.host
        self.up_since: float | None = None
        self.echo: float | None = None
        self.reason = "connecting"
        self.on_raw: Callable[[str], None] | None = None
        """Hears each topic that came retained."""
        self._loop = loop
        self._on_event, self._on_foreign, self._on_link = on_event, on_foreign, on_link
        broker = plan.layout.broker
        self._make = make_bus or (lambda: MqttBus(broker, f"{swarm_hash(plan.swarm)}.supervisor.{plan.host}"))
        self._bus: Bus | None = None
        self.writer = codec.Writer(self.swarm, f"supervisor:{self.host}", "supervisor", new_id=new_id, clock=time.time)

    @property
    def is_up(self) -> bool:
        return self.up_since is not None

    def start(self, offline: HostStatus) -> None:
        """Begin to connect; `offline` is what the broker says of this host when we vanish."""
        self._bus = bus = self._make()
        bus.set_will(self.writer.message(Kind.HOST_STATUS, offline, self.host))
        for kind in _HEARD:
            bus.subscribe(topic(self.swarm, kind, "+"))
        bus.subscribe(topic(self.swarm, Kind.HOST_CONTROL, self.host))
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
        event = codec.decode(self.swarm, full, payload, retained, time.time())
        if event is not None and not isinstance(event, Rejected):
            self._loop.post(partial(self._event, event))

    def _event(self, event: Event) -> None:
        if event.kind is Kind.HOST_STATUS and event.key == self.host:
            self.echo = time.monotonic()
        self._on_event(event)

    def _link(self, link: Link) -> None:
        self.up_since = time.monotonic() if link.up else None
        self.reason = link.reason
        self._on_link(link)
