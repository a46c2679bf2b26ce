"""An operator's end of the bus: hear the swarm, publish tasks, give commands, ask what is past."""

import logging
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Container

from swarm_tui.bus.port import Bus, BusError, Link
from swarm_tui.client.ids import new_id as fresh_id
from swarm_tui.client.pending_queries import Queries
from swarm_tui.client.publication import Publication
from swarm_tui.client.publisher import Publisher
from swarm_tui.identity.keyring import GUEST, SWARM, Keyring, SwarmKeyring
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import Body, Halt, JsonObject, Query, Reply, Task
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.mail_bodies import MessageNew, PathsClaim
from swarm_tui.protocol.names import check_agent_id, check_task_id, check_task_type
from swarm_tui.protocol.run_bodies import RunNew
from swarm_tui.protocol.topics import QOS_0, Kind, everything
from swarm_tui.protocol.topics import topic as topic_of

ACCEPT_TIMEOUT = 30.0
#: Queries that only the dispatcher answers.
DISPATCHERS = frozenset({"tasks", "task", "runs", "run", "messages", "asks", "usage", "schedules", "guard"})
_log = logging.getLogger("swarm_tui.client")


class Operator:
    """A client of the swarm over `bus`, which it starts and closes; thread-safe but for `query` on the bus's thread.

    `received` and `refused` count messages; `failures` exceptions of callbacks. `client` is its name in the topics
    `operators/<client>/…`, `sender` what its messages say.
    """

    def __init__(
        self,
        bus: Bus,
        swarm: str,
        *,
        user: str,
        host: str,
        new_id: Callable[[], str] | None = None,
        clock: Callable[[], float] = time.time,
        qos: int = 1,
        keys: Keyring = GUEST,
    ) -> None:
        self.bus = bus
        self.swarm = swarm
        self.sender = sender(user, host)
        self.client = f"{_word(user)[:24]}-{_word(host)[:24]}-{os.urandom(4).hex()}"
        self.link = Link(False, "connecting")
        self.received = 0
        self.refused = 0
        self.looked = False
        """What `look_round` asks has come back: what the broker retains came before it."""
        self.kept = False
        """Something came that the broker retained."""
        self.failures = 0
        self.last_failure = ""
        self._was_forbidden = False
        self._new_id = new_id or fresh_id
        self._clock = clock
        self._qos = qos
        self.writer = codec.Writer(swarm, self.sender, "operator", new_id=self._new_id, clock=clock, prove=keys.prove)
        self.judge, self._proved = keys.judge, isinstance(keys, SwarmKeyring)
        self._publisher = Publisher(bus, self.writer, self._new_id)
        self._claim = topic_of(swarm, Kind.DISPATCHER)
        self._queries = Queries()
        self._on_event: list[Callable[[Event | Rejected], None]] = []
        self._on_message: list[Callable[[str, bytes, bool], None]] = []
        self._on_link: list[Callable[[Link], None]] = []
        self._sieve: Callable[[tuple[Kind, str, bytes, float]], None] | None = None
        self._sifted = {topic_of(swarm, kind): kind for kind in QOS_0}
        self._linked = threading.Condition()
        self._telling: int | None = None

    def start(self) -> None:
        """Listen to the whole swarm, and connect; returns at once. Raises InvalidNameError for an illegal swarm."""
        self.bus.subscribe(everything(self.swarm), self._qos)
        self.bus.start(self._message, self._linked_or_lost)

    def close(self, wait: float = 2.0) -> None:
        """Send what is pending, for at most `wait` seconds, and leave."""
        self._publisher.close()
        self.bus.close(wait)

    def on_event(self, callback: Callable[[Event | Rejected], None]) -> None:
        """Call back for each message of the swarm, on the bus's thread: it must not block."""
        self._on_event.append(callback)

    def on_message(self, callback: Callable[[str, bytes, bool], None]) -> None:
        """Call back for each message as it came, with topic, payload and retain flag; else as `on_event`."""
        self._on_message.append(callback)

    def sift(self, sieve: Callable[[tuple[Kind, str, bytes, float]], None]) -> None:
        """Hand progress and heartbeats over unread, as kind, topic, payload and time of receipt: `read` reads them.

        Where words are proved here all is read as it comes: nobody's forged word is to take the place of a good one.
        """
        if not self._proved:
            self._sieve = sieve

    def read(self, topic: str, payload: bytes, received: float) -> Event | Rejected | None:
        """Read what was handed over unread."""
        event = codec.decode(self.swarm, topic, payload, False, received, self.judge)
        self.refused += isinstance(event, Rejected)
        return event

    def on_link(self, callback: Callable[[Link], None]) -> None:
        """Call back when the link comes and goes, on the bus's thread; at once with what is known."""
        self._on_link.append(callback)
        callback(self.link)

    def wait_link(self, timeout: float, through: Container[str] = ()) -> Link:
        """Wait until the broker has accepted us, or said why not; return the link as it is then.

        A reason of a kind in `through` is waited out, for at most `timeout` seconds in all.
        """

        def settled() -> bool:
            return self.link.up or bool(self.link.kind and self.link.kind not in through)

        with self._linked:
            self._linked.wait_for(settled, timeout)
            return self.link

    def submit(self, task: Task, *, accept_timeout: float = ACCEPT_TIMEOUT) -> Publication:
        """Publish a task, again and again until it is accepted, for `accept_timeout` seconds; returns at once.

        Raises InvalidNameError for an illegal id or type.
        """
        check_task_id(task.task_id)
        check_task_type(task.type)
        if task.assigned_to is not None:
            check_agent_id(task.assigned_to)
        return self._publisher.submit(task, accept_timeout)

    def act(self, kind: Kind, body: Body, key: str = "") -> str:
        """Give a command, as `kind` says; `key` fills its topic's `+`. Returns its message id."""
        message_id = self._new_id()
        self.bus.publish(self.writer.message(kind, body, key, message_id=message_id))
        return message_id

    def speak_by(self, writer: codec.Writer) -> None:
        """Say all from now on as whoever the writer speaks for."""
        self.sender, self.writer = writer.sender, writer
        self._publisher.writer = writer

    def run(self, body: RunNew) -> Callable[[], None]:
        """Ask for a run, once; what is returned asks again, byte for byte, until somebody answers for it."""
        return self._again(Kind.RUN_NEW, body)

    def send(self, body: MessageNew) -> Callable[[], None]:
        """Send mail, once; what is returned sends it again, byte for byte, until the dispatcher answers for it."""
        return self._again(Kind.MESSAGE_NEW, body)

    def claim(self, body: PathsClaim) -> Callable[[], None]:
        """Claim paths for an agent's task, once; what is returned does it again, until the dispatcher answers."""
        return self._again(Kind.PATHS_CLAIM, body)

    def _again(self, kind: Kind, body: Body) -> Callable[[], None]:
        message = self.writer.message(kind, body)
        self.bus.publish(message)
        return lambda: self.bus.publish(message)

    def clear(self, kind: Kind, key: str = "") -> None:
        """Clear what `kind` retains (`halt`, a status, a wish for scale)."""
        if kind is Kind.HALT:
            # The empty message names nobody: this one says who lifts the halt, and by what right.
            self.bus.publish(self.writer.message(Kind.HALT, Halt(lifted=True)))
        self.bus.publish(self.writer.clear(kind, key))

    def query(self, query: str, args: JsonObject | None = None, timeout: float = 3.0) -> Reply | None:
        """Ask, and wait for the first one who answers with all of its pages, put together; None when nobody did.

        It waits up to `timeout` seconds; an answer cut off by that comes with `more` set. Raises BusError on the bus's
        own thread.
        """
        replies = self.query_all(query, args, timeout, enough=1)
        return replies[0] if replies else None

    def query_all(
        self, query: str, args: JsonObject | None = None, timeout: float = 3.0, *, enough: int | None = None
    ) -> list[Reply]:
        """Ask everybody (each host's supervisor): one Reply a source, after `enough` whole ones or `timeout` s."""
        if threading.get_ident() == self._telling:
            raise BusError("a query waits for its answer: ask it on another thread than the bus's")
        message_id = self._new_id()
        pending = self._queries.open(message_id)
        try:
            self.bus.publish(
                self.writer.message(Kind.QUERY, Query(query=query, args=args or {}), self.client, message_id=message_id)
            )
            return pending.wait(timeout, enough)
        finally:
            self._queries.close(message_id)

    def look_round(self) -> None:
        """Hear who is there: ask for it, if the broker has brought nothing retained before our own word comes back."""
        self.act(Kind.QUERY, Query(query="echo"), self.client)

    def new_task_id(self) -> str:
        """Return a fresh task id, `task_` and 12 hex digits."""
        return f"task_{uuid.uuid4().hex[:12]}"

    # What the bus calls, on its own thread.

    def _message(self, topic: str, payload: bytes, retained: bool) -> None:
        for tap in self._on_message:
            self._tell(tap, topic, payload, retained)
        if self._sieve is not None and self._is_sifted(topic, payload, retained):
            return
        event = codec.decode(self.swarm, topic, payload, retained, self._clock(), self.judge)
        if event is None:
            return
        self.received += 1
        if isinstance(event, Rejected):
            self.refused += 1
            if event.hint and event.topic == self._claim:
                self._publisher.trouble = event.hint
        elif event.kind is Kind.REPLY and event.key == self.client and isinstance(event.body, Reply):
            if self._may_answer(event, event.body):
                self._queries.heard(event, event.body)
        else:
            self.kept = self.kept or event.retained
            if event.kind is Kind.QUERY and event.key == self.client and isinstance(event.body, Query):
                self._asked(event.body)
            if event.proved_by or not self._proved:
                # Whoever may say anything could else end the repeats of a task that nobody has.
                self._publisher.heard(event.kind, event.body, event.key)
        for callback in list(self._on_event):
            self._tell(callback, event)

    def _asked(self, own: Query) -> None:
        """Hear a question of ours: that for an echo brings word of what was retained."""
        self.looked = self.looked or own.query == "echo"
        if own.query == "echo" and not self.kept:
            self.act(Kind.QUERY, Query(query="who"), self.client)

    def _is_sifted(self, topic: str, payload: bytes, retained: bool) -> bool:
        """Hand it over unread, where it is such a message; tell whether it was."""
        kind = None if retained else self._sifted.get(topic)
        if kind is None or self._sieve is None:
            return False
        self.received += 1
        self._sieve((kind, topic, payload, self._clock()))
        return True

    @property
    def forbidden(self) -> str:
        """The broker's last word on what it does not let us say; empty for none."""
        return self._publisher.forbidden

    def _may_answer(self, event: Event, reply: Reply) -> bool:
        """Return whether it may: what the dispatcher knows is told by the swarm itself, where words are proved here."""
        return not self._proved or reply.query not in DISPATCHERS or event.proved_by == SWARM

    def _linked_or_lost(self, link: Link) -> None:
        with self._linked:
            self.link = link
            self._linked.notify_all()
        if link.kind == "forbidden":
            self._publisher.forbidden, self._was_forbidden = link.reason, True
        elif link.up:
            # Brokers close a connection over what they forbid, and the next one is no more allowed.
            self._publisher.forbidden = self._publisher.forbidden if self._was_forbidden else ""
            self._was_forbidden = False
            self._publisher.link_is_up()
        for callback in list(self._on_link):
            self._tell(callback, link)

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        self._telling = threading.get_ident()
        try:
            callback(*arguments)
        except Exception as error:  # noqa: BLE001 - one listener's mistake must not cost the others their message
            self.failures += 1
            self.last_failure = f"{type(error).__name__}: {error}"
            _log.exception("a listener failed")
        finally:
            self._telling = None


def sender(user: str, host: str) -> str:
    """Return the name under which an operator's messages are sent."""
    return f"operator:{_word(user)}@{_word(host)}"


def _word(text: str) -> str:
    """`text` with what a topic or a sender may not hold replaced."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)[:64] or "unknown"
