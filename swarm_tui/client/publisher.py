"""The thread that repeats publications until they are accepted; `client.publication_policy` decides."""

import logging
import random
import threading
import time
from collections.abc import Callable

from swarm_tui.bus.port import Bus
from swarm_tui.client import publication_policy
from swarm_tui.client.publication import Publication
from swarm_tui.client.publication_policy import Record
from swarm_tui.protocol.bodies import Body, Dispatcher, Status, Task
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.envelope import Outgoing
from swarm_tui.protocol.names import canonical_role
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

#: Beyond it the oldest accepted ones are no longer followed.
FOLLOWED = 20_000
MOST_TROUBLES = 16
_log = logging.getLogger("swarm_tui.client")


class Publisher:
    """Sends tasks and follows them; every repeat has the same message id and body."""

    def __init__(
        self,
        bus: Bus,
        writer: Writer,
        new_id: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self._bus = bus
        self.writer = writer
        self._new_id = new_id
        self._monotonic = monotonic
        self._chance = chance or random.Random().random
        self._lock = threading.Condition()
        self._sent: dict[str, tuple[Publication, Outgoing]] = {}
        self._waiting: dict[str, Publication] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        self._led = False
        self._troubles: dict[str, str] = {}
        """Why a task-manager accepts nothing, by its id, as it says itself."""
        self.trouble = ""
        """Why nobody accepts anything, where that is known."""
        self.forbidden = ""
        """What the broker does not let us do, since the link came up."""
        self._leader = ""

    def submit(self, task: Task, accept_timeout: float) -> Publication:
        """Begin to publish; returns at once. The same task id again follows what is already on its way."""
        message_id = self._new_id()
        message = self.writer.message(Kind.TASK_NEW, task, message_id=message_id)
        record = publication_policy.begin(task.task_id, self._monotonic(), accept_timeout)
        publication = Publication(task, message_id, record)
        with self._lock:
            known = self._sent.get(task.task_id)
            if known is not None and known[0].task == task and known[0].stage not in publication_policy.SETTLED:
                return known[0]
            self._sent[task.task_id] = (publication, message)
            self._waiting[task.task_id] = publication
            self._forget_oldest()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._thread.start()
        self._turn(publication, message)
        with self._lock:
            self._lock.notify()
        return publication

    def heard(self, kind: Kind, body: Body, key: str = "") -> None:
        """Take a message of the swarm, `key` from its topic: it may answer one of ours, or say why nobody does."""
        if isinstance(body, Status) and canonical_role(body.role or "") == "task-manager":
            self._troubles.pop(key, None)
            if body.trouble and body.status != "offline" and len(self._troubles) < MOST_TROUBLES:
                self._troubles[key] = f"{key}: {clean(body.trouble, 300)}"
        if kind is Kind.DISPATCHER:
            # A dispatcher that left for good cleared its topic; one that a broker forgot did not.
            self._led = isinstance(body, Dispatcher)
            self._leader = (body.agent_id or "") if isinstance(body, Dispatcher) and body.online else ""
        task_id = getattr(body, "task_id", None)
        known = self._sent.get(task_id) if isinstance(task_id, str) else None
        if known is not None:
            self._change(known[0], lambda record: publication_policy.answered(record, body, led=self._led))

    def link_is_up(self) -> None:
        """Take in that the link is back: what nobody accepted is repeated soon."""
        now = self._monotonic()
        for publication in list(self._waiting.values()):
            self._change(publication, lambda record: publication_policy.returned(record, now, self._chance()))
        with self._lock:
            self._lock.notify()

    def close(self) -> None:
        """Repeat nothing any more; stages stay as they are."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(2.0)

    def _turn(self, publication: Publication, message: Outgoing) -> None:
        sending = False

        def step(record: Record) -> Record:
            nonlocal sending
            # Of one that stands by while another leads it is no reason.
            trouble = self._troubles.get(self._leader, "") if self._leader else next(iter(self._troubles.values()), "")
            trouble = self.forbidden or trouble or ("" if self._leader else self.trouble)
            record, sending = publication_policy.turn(
                record, self._monotonic(), self._bus.is_up(), self._chance(), trouble
            )
            return record

        self._change(publication, step)
        if sending:
            self._bus.publish(message, lambda: self._change(publication, publication_policy.acknowledged))

    def _change(self, publication: Publication, decide: Callable[[Record], Record]) -> None:
        with self._lock:
            record = decide(publication._record)
            tell = publication._update(record)
            if record.stage not in publication_policy.UNACCEPTED:
                self._waiting.pop(publication.task_id, None)
            if (
                record.stage in publication_policy.SETTLED
                and self._sent.get(publication.task_id, (None,))[0] is publication
            ):
                del self._sent[publication.task_id]
        for callback in tell:
            try:
                callback(publication)
            except Exception:  # noqa: BLE001 - a listener's mistake must not stop the repeats
                _log.exception("a publication's listener failed")

    def _forget_oldest(self) -> None:
        if len(self._sent) > FOLLOWED:
            for task_id in [name for name in self._sent if name not in self._waiting][: FOLLOWED // 10]:
                del self._sent[task_id]

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closed:
                    return
                up, now = self._bus.is_up(), self._monotonic()
                times = [publication_policy.due(publication._record, up) for publication in self._waiting.values()]
                nearest = min((at for at in times if at is not None), default=None)
                # The link's return notifies; its loss is seen within a second.
                self._lock.wait(None if nearest is None else max(0.0, min(nearest - now, 1.0)))
                ready = [self._sent[task_id] for task_id in self._waiting if task_id in self._sent]
            for publication, message in ready:
                self._turn(publication, message)
