"""A swarm that lives in this process: the real dispatcher and the real workers, over a broker in memory."""

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from time import time
from typing import Any, Self

from swarm_tui.agent.console import Console
from swarm_tui.agent.handlers import registry
from swarm_tui.agent.handlers.base import Handler
from swarm_tui.agent.roles.task_manager.role import TaskManager
from swarm_tui.agent.runtime import AgentRuntime
from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.bus.port import OnAck, OnLink, OnMessage
from swarm_tui.client.operator import Operator
from swarm_tui.config.load import Loaded
from swarm_tui.config.model import AgentEntry, Defaults, HandlerSpec, Layout, RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.config.resolve import run_specs
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.states import ENDED
from swarm_tui.journal.task_output import read_output
from swarm_tui.protocol.bodies import Complete, Failed, Progress, Task, TaskAct
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected
from swarm_tui.protocol.topics import Kind
from swarm_tui.testing.attempt import Done

_NAME = "test"


class Swarm:
    """Tasks go in by `publish` and are done by your handlers, as in a swarm that `up` started.

    `handlers` maps task types to classes; `specs` may hold what a layout would say of a type (options, attempts,
    timeouts). `workers` agents do all types. To be used with `with`; it takes a second or so to begin.
    """

    def __init__(
        self,
        handlers: Mapping[str, type[Handler]],
        *,
        specs: Mapping[str, HandlerSpec] | None = None,
        workers: int = 1,
        workdir: Path | None = None,
    ) -> None:
        self.events: list[Event] = []
        """All that was said, in order."""
        self._handlers = {_use(task_type): kind for task_type, kind in handlers.items()}
        self._workdir, self._workers = workdir, workers
        given = dict(specs or {})
        self._layout = Layout(
            swarm=_NAME,
            defaults=Defaults(timeout=60.0),
            agents=[
                AgentEntry(role="task-manager", id="tm"),
                AgentEntry(
                    role="worker",
                    count=workers,
                    handlers={name: _with_use(given.get(name, HandlerSpec()), name) for name in handlers},
                ),
            ],
        )
        self._stack = ExitStack()
        self._changed = threading.Condition()
        self._fleet = Fleet(_NAME)
        self.state = StateDir(Path("."))

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def publish(self, task_type: str, payload: Mapping[str, Any] | None = None, **task: Any) -> str:
        """Publish a task; `task` are further fields of it (`task_id`, `priority`, `max_attempts`). Returns its id."""
        made = Task(
            **{"task_id": self._operator.new_task_id(), "type": task_type, "payload": dict(payload or {}), **task}
        )
        self._operator.submit(made)
        return made.task_id

    def cancel(self, task_id: str) -> None:
        """Cancel a task, as an operator does."""
        self._operator.act(Kind.TASK_CANCEL, TaskAct(task_id=task_id))

    def wait(self, task_id: str, timeout: float = 20.0) -> Done:
        """Wait until the task has ended for good, at most `timeout` seconds, and return how. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.state_of(task_id) in ENDED, timeout):
                raise TimeoutError(f"{task_id} has not ended within {timeout:g} s: it is {self.state_of(task_id)}")
            return self._done(task_id)

    def run(
        self, task_type: str, payload: Mapping[str, Any] | None = None, *, timeout: float = 20.0, **task: Any
    ) -> Done:
        """Publish a task and wait for its end."""
        return self.wait(self.publish(task_type, payload, **task), timeout)

    def state_of(self, task_id: str) -> str:
        """Return the state of a task, as the screen would show it; `unknown` for one that nobody spoke of."""
        task = self._fleet.tasks.get(task_id)
        return task.state if task is not None else "unknown"

    def _begin(self) -> None:
        folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="swarm-test-", ignore_cleanup_errors=True)))
        workdir = self._workdir or folder / "work"
        workdir.mkdir(exist_ok=True)
        self.state = StateDir(folder / "state").create()
        self._stack.enter_context(registry.provided(self._handlers))
        broker, delivery = MemoryBroker(), _Delivery()
        self._stack.callback(delivery.close)
        self._operator = Operator(_QueuedBus(broker, "operator", delivery), _NAME, user="test", host="here")
        self._operator.on_event(self._heard)
        self._operator.start()
        self._stack.callback(self._operator.close, 0.0)
        loaded = Loaded(layout=self._layout, path=folder / "layout.yml", workdir=workdir)
        for spec in run_specs(loaded, state=self.state, host="here"):
            self._start(spec, broker, delivery)
        with self._changed:
            ready = self._changed.wait_for(lambda: self._registered() == self._workers + 1 and self._led(), 20.0)
        if not ready:
            raise TimeoutError("the swarm in memory did not begin within 20 s")

    def _start(self, spec: RunSpec, broker: MemoryBroker, delivery: "_Delivery") -> None:
        agent = AgentRuntime(
            spec,
            _QueuedBus(broker, spec.agent_id, delivery),
            Console(silent=True),
            service=None
            if spec.role != "task-manager"
            else lambda spec, link: TaskManager(
                spec, link, lambda name, clean: _QueuedBus(broker, name, delivery, clean=clean)
            ),
        )
        agent.start()

        def leave() -> None:
            agent.reporter.leave("the test is over", 0)
            agent.close()

        self._stack.callback(leave)

    def _registered(self) -> int:
        return len({event.sender for event in self.events if event.kind is Kind.REGISTER})

    def _led(self) -> bool:
        return any(event.kind is Kind.DISPATCHER for event in self.events)

    def _heard(self, event: Event | Rejected) -> None:
        with self._changed:
            self._fleet.apply(event, time())
            if isinstance(event, Event):
                self.events.append(event)
            self._changed.notify_all()

    def _done(self, task_id: str) -> Done:
        bodies = [event.body for event in self.events if getattr(event.body, "task_id", None) == task_id]
        ends = [body for body in bodies if isinstance(body, Complete | Failed)]
        output = read_output(self.state.tasks(), task_id, limit=1 << 21)
        done = Done(
            output=output.text if output is not None else "",
            progress=[(body.progress or 0.0, body.message) for body in bodies if isinstance(body, Progress)],
        )
        if not ends:
            done.error = self._fleet.tasks[task_id].reason or self.state_of(task_id)
            return done
        last = ends[-1]
        done.result = last.result
        if isinstance(last, Failed):
            done.error, done.code, done.cause = last.error.message, last.error.code, last.cause
            done.retryable = bool(last.retryable)
        else:
            done.tokens, done.cost = last.usage.get("tokens", 0), last.usage.get("cost", 0.0)
        return done


class _Delivery:
    """Delivers all that is said on one thread, as a broker does: a memory broker answers in its caller's."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="memory-broker", daemon=True)
        self._thread.start()

    def put(self, call: Callable[[], object]) -> None:
        self._calls.put(call)

    def settle(self) -> None:
        """Wait until what was put before has been delivered."""
        done = threading.Event()
        self._calls.put(done.set)
        done.wait(10)

    def close(self) -> None:
        self._calls.put(None)
        self._thread.join(10)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


class _QueuedBus(MemoryBus):
    """A bus in memory whose messages are delivered by the one thread."""

    def __init__(self, broker: MemoryBroker, client_id: str, delivery: _Delivery, *, clean: bool = True) -> None:
        super().__init__(broker, client_id, clean=clean)
        self._delivery = delivery

    def publish(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        self._delivery.put(lambda: MemoryBus.publish(self, message, on_ack))

    def subscribe(self, pattern: str, qos: int = 1, *, own: bool = True) -> None:
        self._delivery.put(lambda: MemoryBus.subscribe(self, pattern, qos))

    def unsubscribe(self, pattern: str) -> None:
        self._delivery.put(lambda: MemoryBus.unsubscribe(self, pattern))

    def start(self, on_message: OnMessage, on_link: OnLink) -> None:
        self._delivery.put(lambda: MemoryBus.start(self, on_message, on_link))

    def close(self, wait: float = 2.0) -> None:
        self._delivery.settle()
        super().close(wait)


def _use(task_type: str) -> str:
    return f"test:{task_type}"


def _with_use(spec: HandlerSpec, task_type: str) -> HandlerSpec:
    from msgspec.structs import replace

    return replace(spec, use=_use(task_type))
