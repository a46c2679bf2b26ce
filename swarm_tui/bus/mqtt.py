"""The bus over MQTT: one thread reads and reconnects; while it waits, whoever publishes writes by itself."""

import logging
import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from swarm_tui.bus.broker_address import BrokerAddress, credentials, keeps_aws_limits, parse_url
from swarm_tui.bus.bulk_client import BulkClient, make_client
from swarm_tui.bus.port import BusError, Link, MakeLate, OnAck, OnLink, OnMessage, OnTurn
from swarm_tui.bus.reasons import URL, BrokerWords, Reason, explain, lost, no_connack
from swarm_tui.bus.send_queue import Pace, SendQueue
from swarm_tui.bus.side_connections import SideConnections, is_order
from swarm_tui.bus.subscriptions import Subscriptions
from swarm_tui.bus.versions import FIVE, accepted, choose, falls_back, patience
from swarm_tui.bus.wakeup import Backoff, Lulls, Turns, Wakeup
from swarm_tui.config.model import Broker
from swarm_tui.protocol.client_ids import side_id
from swarm_tui.protocol.envelope import Outgoing

CONNACK_WAIT = 10.0
#: Messages in so many seconds that are sent to AWS IoT, which drops what is over 100 a second of a connection. What was
#: sent evenly comes in bunches, so some room is left.
AWS_RATE = (80, 1.1)
#: Seconds between two looks whether the keepalive asks for a PINGREQ.
MISC_EVERY = 0.5
_log = logging.getLogger("swarm_tui.bus")


class MqttBus:
    """A connection to a broker, kept up for ever; see `bus.port.Bus`.

    QoS 1 messages published while the link is down wait in memory, QoS 0 ones are dropped and counted in `dropped`.
    `failures` counts exceptions of callbacks and messages that could not be sent; `last_failure` says the last one.
    """

    def __init__(
        self, broker: Broker, client_id: str, *, clean: bool = True, keepalive: int = 15, side: bool = False
    ) -> None:
        """`side`: it speaks for another connection, and has none of its own to help it."""
        self.broker = broker
        self.client_id = client_id
        self.failures = 0
        self.last_failure = ""
        self.received = 0
        self._clean = clean
        self._keepalive = keepalive
        self._client: BulkClient | None = None
        self._address: BrokerAddress | None = None
        self._will: Outgoing | None = None
        self._subscriptions = Subscriptions()
        paced = keeps_aws_limits(broker)
        self._outbox = SendQueue(self._failed, self._guard, Pace(*AWS_RATE) if paced else None, self._forbidden)
        self.backlog = self._outbox.backlog
        self._sides: SideConnections | None = None
        if paced and not side:
            self._sides = SideConnections(
                lambda number: MqttBus(broker, side_id(client_id, number), side=True), lambda: self._wakeup.ring()
            )
        self._blocked = False
        """The socket takes no more for now."""
        self._turns = Turns(self._failed)
        """While one runs, the bus's thread holds the connection and paho is not at work."""
        self._misc_by = 0.0
        self._up = False
        self._words = BrokerWords()
        self._reason: Reason | None = None
        self._backoff = Backoff()
        self._close_by: float | None = None
        self._on_message: OnMessage = lambda topic, payload, retained: None
        self._on_link: OnLink = lambda link: None
        self._wakeup = Wakeup()
        self.lulls = Lulls(self._wakeup)
        self._turn = threading.Lock()
        """Who holds it may use paho: the bus's thread, but while it waits for the broker or has a message read."""
        self._thread = threading.Thread(target=self._run, name=f"bus-{client_id}", daemon=True)

    # What other threads call.

    def start(self, on_message: OnMessage, on_link: OnLink) -> None:
        """Begin to connect, and return at once."""
        self._on_message, self._on_link = on_message, on_link
        self._thread.start()

    def subscribe(self, pattern: str, qos: int = 1, *, own: bool = True) -> None:
        """Listen to a filter, now and after each reconnect; not `own`: where the broker can, not to what we say."""
        self._subscriptions.add(pattern, qos, own=own)
        self._wakeup.ring(unless=self._thread)

    def unsubscribe(self, pattern: str) -> None:
        """Listen to that filter no more."""
        if self._subscriptions.remove(pattern):
            self._wakeup.ring(unless=self._thread)

    def publish(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        """Send, or keep in memory while the link is down; thread-safe, never blocks."""
        if self._post(message, on_ack):
            self._push()

    def publish_late(self, make: MakeLate) -> None:
        """Send what `make` gives with the next message, or in some milliseconds when none comes."""
        if self._close_by is None:
            self._outbox.post_late(make)
            self._push(at_once=False)

    def publish_all(self, messages: Sequence[tuple[Outgoing, OnAck | None]]) -> None:
        """Publish them in order, with one write."""
        if not sum([self._post(message, on_ack) for message, on_ack in messages]):
            return
        self._push()
        client = self._client
        mine = self._turns.running and self._thread is threading.current_thread()
        if mine and client is not None and not self._blocked:
            # Others wait for it, and what else the turn does can go on meanwhile.
            self._send(client, ours=True)
            self._blocked = not client.written()

    def _post(self, message: Outgoing, on_ack: OnAck | None) -> bool:
        if self._close_by is not None:
            self._outbox.dropped += 1
            return False
        self.lulls.spoke()
        if self._sides is not None and message.qos and not is_order(message) and self._outbox.is_full():
            self._sides.publish(message, on_ack)
            return False
        return self._outbox.post(message, on_ack, up=self._up)

    @property
    def dropped(self) -> int:
        """Messages that were not kept and will not be sent."""
        return self._outbox.dropped

    def on_turn(self, call: OnTurn | None) -> bool:
        """Have `call` run on the bus's thread after all that was read, while the link is up."""
        self._turns.call, self._turns.due = call, True
        self._wakeup.ring(unless=self._thread)
        return True

    def set_will(self, will: Outgoing) -> None:
        """Set the broker's word for when we vanish; from the next connect on."""
        self._will = will

    def is_up(self) -> bool:
        """Return whether the broker accepted us and we have not lost it since."""
        return self._up

    def close(self, wait: float = 2.0) -> None:
        """Send what is pending, for at most `wait` seconds, and disconnect in order (no will)."""
        if self._close_by is None:
            self._close_by = time.monotonic() + wait
            self._wakeup.ring(unless=self._thread)
        if self._thread.ident is None:
            self._wakeup.close()
        elif self._thread is not threading.current_thread():
            self._thread.join(wait + 1.0)
        if self._sides is not None:
            self._sides.close(wait)

    def _push(self, *, at_once: bool = True) -> None:
        """Write what waits: a thread that must first be woken for it costs more than the message."""
        if at_once:
            self._outbox.hurry()
        # What is said on the bus's own thread is sent before it waits again.
        if self._thread is threading.current_thread():
            return
        written = False
        if at_once and self._up and self._turn.acquire(blocking=False):
            try:
                written = self._write_here()
            finally:
                self._turn.release()
        if not written or self.lulls.now:
            self._wakeup.ring()

    def _write_here(self) -> bool:
        """Send from the caller's thread; False when the bus's thread must see to the rest."""
        client = self._client
        if not self._up or client is None or client.socket() is None or self._blocked:
            return False
        self._send(client, ours=False)
        self._blocked = not client.written()
        return not self._blocked and self._outbox.is_sent()

    # The bus's own thread.

    def _run(self) -> None:
        try:
            while not self._done():
                try:
                    if self._connect_and_serve():
                        continue
                except Exception as error:  # noqa: BLE001 - nothing may end this thread but close()
                    self._failed("the bus's loop", error)
                    self._reason = self._reason or ("failure", f"the connection failed: {error}")
                self._went_down()
                self._backoff.wait(self._wakeup, self._done, closing=self._close_by is not None)
        finally:
            self._wakeup.close()

    def _done(self) -> bool:
        if self._close_by is None:
            return False
        said = self._outbox.is_empty() and (self._sides is None or self._sides.is_empty())
        return said or time.monotonic() >= self._close_by

    def _connect_and_serve(self) -> bool:
        """Carry one connection from its begin to its end; whether to try at once in the other version of MQTT."""
        self._reason, self._words = None, BrokerWords()
        try:
            client = self._made()
            if (will := self._will) is not None:
                client.will_set(will.topic, will.payload, will.qos, will.retain)
            client.reconnect()
        except BusError as error:
            self._reason = (URL, str(error))
        except (OSError, ValueError) as error:
            assert self._address is not None
            self._reason = explain(error, self._address)
        else:
            with self._turn, client.gathered():
                self._serve(client)
            assert self._address is not None
            if not self._words.answered and self._close_by is None:
                no = self._words.answered is False
                return falls_back(self.broker, self._address, client.version, unsupported=no)
        return False

    def _made(self) -> BulkClient:
        """Return the client, made anew when the broker is to be spoken to in the other version."""
        known, at = self._client, self._address
        if known is not None and at is not None and known.version == choose(self.broker, at):
            return known

        def message_came(client: Any, userdata: Any, message: Any) -> None:
            taken = True
            try:
                taken = self._take(message.topic, bytes(message.payload), message.retain)
            finally:
                # One whose topic cannot be read is done with too.
                if taken:
                    client.ack(message.mid, message.qos)

        def subscribed(client: Any, userdata: Any, mid: int, codes: Any, properties: Any) -> None:
            if refused := self._subscriptions.refused(mid, codes):
                self._forbidden("subscribing", self._words.filters(refused, properties))

        self._address = parse_url(self.broker.url)
        client = make_client(self.broker, self._address, self.client_id, clean=self._clean, keepalive=self._keepalive)
        client.on_connect = self._connected
        client.on_message = message_came
        client.take = self._take
        client.acked = self._outbox.acked
        client.refused = self._outbox.refused
        client.on_subscribe = subscribed
        client.on_disconnect = lambda client, userdata, *told: self._words.disconnected(*told)
        self._client = client
        return client

    def _serve(self, client: BulkClient) -> None:
        """Carry traffic until the link is lost or closed; sets why in `_reason`."""
        assert self._address is not None
        poller = select.poll()
        poller.register(self._wakeup, select.POLLIN)
        answer_by = time.monotonic() + patience(self.broker, self._address, client.version, CONNACK_WAIT)
        code = 0
        while client.socket() is not None and code == 0:
            if not self._up and (time.monotonic() > answer_by or self._done()):
                break
            if self._up:
                self._turns.give()
            waits = self._up and not self._blocked and not self._subscriptions.pending and not self.lulls.read_by
            if not (waits and self._outbox.may_linger(client)) and self._write(client):
                break
            if (sock := client.socket()) is None:
                break
            poller.register(sock, select.POLLIN | (select.POLLOUT if self._blocked else 0))
            code = self._step(client, sock, self._wait(poller))
            if client.socket() is not sock:
                # A socket that is gone leaves its number behind, which the next one may get.
                poller = select.poll()
                poller.register(self._wakeup, select.POLLIN)
        if self._reason is None:
            silent = client.socket() is not None
            refused = no_connack(self._address, silent, client.spoke, client.broke)
            self._reason = lost(self._words.fell_silent, self._address, self._words.parting) if self._up else refused
        if client.socket() is not None:
            # Without a DISCONNECT, so that our will speaks.
            client._sock_close()

    def _write(self, client: BulkClient) -> bool:
        """Write what waits, with the acknowledgements; whether that was the end of the connection."""
        if self._up:
            self._send(client, ours=True)
        leaving = self._up and self._done()
        if leaving:
            client.disconnect()
        code = client.flush()
        self._blocked = client.want_write()
        return leaving or bool(code) or client.socket() is None

    def _wait(self, poller: select.poll) -> set[int]:
        """Return which of the wakeup and the socket have something for us; meanwhile others may use paho."""
        # Milliseconds until the keepalive, the close, a turn or what lingers must be looked at.
        limit = 1000.0 if self._close_by is None else 20.0
        outbox, turn_by = self._outbox, self._turns.by if self._up else float("inf")
        by = min(turn_by, outbox.write_by or turn_by, outbox.paced_by or turn_by)
        timeout = min(limit, max(0.0, by - time.monotonic()) * 1000)
        self._turn.release()
        try:
            return self.lulls.poll(poller, timeout)
        finally:
            self._turn.acquire()

    def _step(self, client: BulkClient, sock: Any, ready: set[int]) -> int:
        if self._wakeup.fileno() in ready:
            self._wakeup.quiet()
            self._turns.due = True
            for on_ack in self._sides.acked() if self._sides is not None else ():
                self._guard("an acknowledgement", on_ack)
        if sock.fileno() in ready:
            before = self.received
            code = client.loop_read()
            while not code and getattr(sock, "pending", int)() and client.socket() is sock:
                code = client.loop_read()
            self.lulls.read(self.received - before, time.monotonic())
            if code:
                return int(code)
        if (now := time.monotonic()) < self._misc_by:
            return 0
        self._misc_by = now + MISC_EVERY
        return int(client.loop_misc())

    def _send(self, client: BulkClient, *, ours: bool) -> None:
        """Hand to paho what waits; not `ours`: on a caller's thread."""
        self._outbox.settle()
        self._subscriptions.send_changes(client)
        self._outbox.send(client, ours=ours)

    def _went_down(self) -> None:
        was_up, self._up = self._up, False
        if self._close_by is None and (reason := self._reason) is not None:
            self._guard("a link callback", lambda: self._on_link(Link(False, reason[1], kind=reason[0])))
        self._backoff.ended(time.monotonic())
        if was_up:
            self._outbox.lost(silent=self._words.fell_silent)

    # What paho calls, on the bus's thread.

    def _connected(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        assert self._address is not None
        user, five = credentials(self.broker, self._address)[0], client.version == FIVE
        self._reason = self._words.connack(code, properties, self._address, user, five=five)
        if self._reason is not None:
            return
        accepted(self._address, client.version)
        self._outbox.limits(properties)
        self._subscriptions.send_all(client)
        self._outbox.repeat(client)
        # Who is told that we are up may have somebody speak to us at once. Not `flush`: what finds the connection lost
        # calls back, and paho would wait for ever for the end of the callback it is in.
        client.written()
        self._up = self._turns.due = True
        self._outbox.hurry()
        self._backoff.began(time.monotonic())
        self._guard("a link callback", lambda: self._on_link(Link(True, resumed=bool(flags.session_present))))

    def _take(self, topic: str, payload: bytes, retained: bool) -> bool:
        if self._close_by is not None:
            # Whom it was for handles nothing any more.
            return False
        self.received += 1
        self._turns.due = True
        # Whoever hears it may wait for a disk, and a heartbeat may not wait with it.
        self._turn.release()
        try:
            self._on_message(topic, payload, retained)
        except Exception as error:  # noqa: BLE001 - it would end paho's loop and say nothing
            self._failed("a message callback", error)
        finally:
            self._turn.acquire()
        return True

    def _forbidden(self, what: str, reason: str) -> None:
        """Tell whoever listens that the link is up and the broker does not let us do all that we must."""
        self.failures, self.last_failure = self.failures + 1, f"{what}: {reason}"
        self._guard("a link callback", lambda: self._on_link(Link(self._up, reason, kind="forbidden")))

    def _guard(self, what: str, call: Callable[[], None]) -> None:
        """Run a callback of ours; an exception that reached paho would kill the thread and say nothing."""
        try:
            call()
        except Exception as error:  # noqa: BLE001
            self._failed(what, error)

    def _failed(self, what: str, error: BaseException) -> None:
        self.failures += 1
        self.last_failure = f"{what}: {type(error).__name__}: {error}"
        _log.error("%s", self.last_failure, exc_info=error)
