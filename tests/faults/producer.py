"""Someone who publishes over a broker, whatever befalls it, remembers what was accepted, and reads the records."""

import contextlib
import sqlite3
import time
import uuid
from collections import Counter
from pathlib import Path

import msgspec

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.client.operator import Operator
from swarm_tui.client.publication import Publication
from swarm_tui.config.model import Broker
from swarm_tui.domain.dispatch import Job
from swarm_tui.protocol.bodies import Alert, Dispatcher, Queued, Started, Task
from swarm_tui.protocol.envelope import Event, Rejected
from tests.wait import until


class Producer:
    """`dispatch` is the dispatcher's journal, `task_type` that of all it publishes."""

    def __init__(self, url: str, swarm: str, dispatch: Path, task_type: str = "noop") -> None:
        self.dispatch = dispatch
        self.task_type = task_type
        self.kills: Counter[str] = Counter()
        self.started: set[tuple[str, int | None, int | None]] = set()
        self.publications: list[Publication] = []
        self.led = False
        self.alerts: list[str] = []
        self.queued: set[str] = set()
        """What the dispatcher promised. While a broker that was killed has forgotten that there is one, agents claim
        tasks by themselves: those are accepted too, but nothing is promised of them."""
        self.operator = Operator(
            MqttBus(Broker(url=url), f"producer-{uuid.uuid4().hex[:6]}"), swarm, user="producer", host="box"
        )
        self.operator.on_event(self._hear)
        self.operator.start()

    def _hear(self, event: Event | Rejected) -> None:
        if isinstance(event, Event) and isinstance(event.body, Queued):
            self.queued.add(event.body.task_id)
        elif isinstance(event, Event) and isinstance(event.body, Alert):
            self.alerts.append(event.body.message)
        elif isinstance(event, Event) and isinstance(event.body, Dispatcher):
            self.led = self.led or event.body.online
        elif isinstance(event, Event) and isinstance(event.body, Started):
            self.started.add((event.body.task_id, event.body.attempt, event.body.epoch))

    def publish(self, task_id: str, seconds: float, accept_timeout: float = 300.0, **payload: object) -> None:
        task = Task(task_id=task_id, type=self.task_type, payload={"seconds": seconds, **payload})
        self.publications.append(self.operator.submit(task, accept_timeout=accept_timeout))

    def jobs(self) -> dict[str, Job]:
        """The records, read beside the dispatcher."""
        db = sqlite3.connect(f"file:{self.dispatch}?mode=ro", uri=True, timeout=5)
        try:
            rows = db.execute("SELECT body FROM task").fetchall()
        finally:
            db.close()
        jobs = [msgspec.msgpack.decode(body, type=Job) for (body,) in rows]
        return {job.task_id: job for job in jobs}

    def look(self) -> None:
        """Called again and again while it waits for the end."""

    def settle(self, limit: float) -> dict[str, Job]:
        """Wait until all that was accepted has ended; the records."""

        def over() -> bool:
            self.look()
            if not all(publication.accepted for publication in self.publications):
                return False
            jobs = self.jobs()
            return self.queued <= set(jobs) and all(job.ended for job in jobs.values())

        try:
            until(over, limit, "all that was accepted to end")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from None
        return self.jobs()

    def story(self) -> str:
        """What has not ended."""
        jobs = self.jobs()
        missing = sorted(self.queued - set(jobs))
        still = [f"{job.task_id} {job.state} {job.attempt} {job.agent_id}" for job in jobs.values() if not job.ended]
        return "\n".join([f"not journaled: {missing}", *still])

    def figures(self, jobs: dict[str, Job]) -> str:
        states = Counter(job.state.value for job in jobs.values())
        second = len(self.started) - len({task_id for task_id, _, _ in self.started})
        claimed = len({p.task_id for p in self.publications} - set(jobs))
        return (
            f"{len(jobs)} accepted, {dict(states)}, kills {dict(self.kills)}, {second} second runs, "
            f"{claimed} claimed while the dispatcher was forgotten"
        )

    def leave(self) -> None:
        """Close the connection, whatever happened."""
        with contextlib.suppress(Exception):
            self.operator.close()


def pause(seconds: float) -> None:
    """Let the swarm work: it is the load that counts here, not a condition."""
    time.sleep(seconds)
