"""TaskFollower a task: its end is told with its reason, in whatever order the two are heard."""

import threading
import time
from collections.abc import Callable
from typing import Any, cast

from swarm_tui.cli.follow import Follower
from swarm_tui.cli.task_follower import TaskFollower
from swarm_tui.domain.fleet import Fleet
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind


class Ear:
    """A follower to whom one more message is told each time it waits."""

    operator: Any = None

    def __init__(self, *said: tuple[Kind, b.Body]) -> None:
        self.lock = threading.Condition()
        self.fleet = Fleet("s")
        self.asked = 0
        self._said = list(said)
        self._writer = Writer("s", "tm", "task-manager", new_id=lambda: f"m{len(self._said)}", clock=time.time)

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        if self._said:
            message = self._writer.message(*self._said.pop(0))
            event = decode("s", message.topic, message.payload, False, time.time())
            assert isinstance(event, Event)
            self.fleet.apply(event, time.time())
        return condition()

    def load_tasks(self, query: str, args: dict[str, object], timeout: float = 3.0) -> None:
        self.asked += 1


def test_the_reason_is_waited_for_when_the_end_is_heard_first() -> None:
    failed = b.Failed(task_id="t", agent_id="tm", attempt=0, error=b.ErrorInfo(message="nobody does it"))
    ear = Ear((Kind.TASK_QUEUED, b.Queued(task_id="t", state="failed")), (Kind.TASK_FAILED, failed))
    view = TaskFollower(cast("Follower", ear), "t", None).wait()
    assert (view.state, view.error) == ("failed", "nobody does it")
    assert ear.asked == 0


def test_a_reason_that_does_not_come_is_asked_for_once() -> None:
    ear = Ear((Kind.TASK_QUEUED, b.Queued(task_id="t", state="failed")))
    assert TaskFollower(cast("Follower", ear), "t", None).wait().state == "failed"
    assert ear.asked == 1
