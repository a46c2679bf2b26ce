"""How fast the reducer and the recorder take messages, against the least that could be done with the same messages.

`python -m tests.bench.bench_facts`. Ratios of medians of five pairs in one run: a slow machine slows both sides.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from swarm_tui.domain.fleet import Fleet
from swarm_tui.journal.recorder import SqliteRecorder
from swarm_tui.journal.recorder_port import Recorded
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.topics import Kind as K
from tests.bench.bars import bar

PAIRS = 5
AGENTS, TASKS = 1_000, 5_000
SWARM = "bench"
REDUCER_BAR, RECORDER_BAR = 20_000, 2_000
"""Messages a second."""


def messages() -> list[Outgoing]:
    """What a busy swarm says: a thousand agents, and each task from its publishing to its end."""
    count = iter(range(10**9))

    def writer(sender: str) -> Writer:
        return Writer(
            SWARM, sender, "general", new_id=lambda: str(next(count)), clock=lambda: 1.8e9 + next(count) / 1e4
        )

    made, boss = [], writer("tm")
    workers = [(f"agent-{n}", writer(f"agent-{n}")) for n in range(AGENTS)]
    for name, worker in workers:
        made.append(worker.message(K.STATUS, b.Status(status="online", incarnation="i"), name))
    for n in range(TASKS):
        task, (name, worker) = f"task-{n}", workers[n % AGENTS]
        made += [
            boss.message(K.TASK_NEW, b.Task(task_id=task, type="noop", payload={"n": n})),
            boss.message(K.TASK_QUEUED, b.Queued(task_id=task)),
            boss.message(K.TASK_ASSIGNED, b.Assigned(task_id=task, agent_id=name, attempt=1, epoch=1, lease=30)),
            worker.message(K.TASK_STARTED, b.Started(task_id=task, agent_id=name, attempt=1, epoch=1)),
            worker.message(K.TASK_PROGRESS, b.Progress(task_id=task, agent_id=name, attempt=1, progress=50)),
            worker.message(K.HEARTBEAT, b.Heartbeat(agent_id=name, uptime=9, memory={"rss": 2**24}, cpu=1.0)),
            worker.message(K.TASK_COMPLETE, b.Complete(task_id=task, agent_id=name, attempt=1, result={"n": n})),
        ]
    return made


def rate(work: Callable[[], int]) -> float:
    """Messages a second of this process's own time: what else the machine does does not count."""
    began = time.process_time()
    return work() / (time.process_time() - began)


def reduce_all(events: list[Event]) -> int:
    """The fleet takes every message, and ticks each thousand."""
    fleet = Fleet(SWARM)
    fleet.link(True, "", 1.8e9)
    for n, event in enumerate(events):
        fleet.apply(event, event.received)
        if n % 1000 == 0:
            fleet.tick(event.received)
    return len(events)


def parse_all(made: list[Outgoing]) -> int:
    """The least that any reader must do: the standard library's parse."""
    for message in made:
        json.loads(message.payload)
    return len(made)


def record_all(made: list[Outgoing], folder: Path) -> int:
    """The recorder takes every message, until it is on disk."""
    recorder = SqliteRecorder(folder / "r.db")
    for message in made:
        recorder.add(Recorded(time.time(), message.topic, message.payload, "a", "t"))
    recorder.flush()
    assert recorder.stats().dropped == 0
    recorder.close()
    return len(made)


def append_all(made: list[Outgoing], folder: Path) -> int:
    """The least that any record must do: a line each in a file."""
    with (folder / "lines").open("ab") as file:
        for message in made:
            file.write(b"%f %b %b\n" % (time.time(), message.topic.encode(), message.payload))
    return len(made)


def main() -> int:
    """Print the figures; 1 when a bar is missed."""
    made = messages()
    events = [event for m in made if isinstance(event := decode(SWARM, m.topic, m.payload, False, 1.8e9), Event)]
    assert len(events) == len(made)
    figures: dict[str, list[float]] = {"reducer": [], "json.loads": [], "recorder": [], "append": []}
    for _ in range(PAIRS):
        figures["reducer"].append(rate(lambda: reduce_all(events)))
        figures["json.loads"].append(rate(lambda: parse_all(made)))
        with tempfile.TemporaryDirectory() as folder:
            figures["recorder"].append(rate(lambda where=Path(folder): record_all(made, where)))  # type: ignore[misc]
            figures["append"].append(rate(lambda where=Path(folder): append_all(made, where)))  # type: ignore[misc]
    median = {name: statistics.median(rates) for name, rates in figures.items()}
    print(f"{len(made):,} messages, {AGENTS:,} agents, {TASKS:,} tasks; medians of {PAIRS}, messages a second")
    for one, other in (("reducer", "json.loads"), ("recorder", "append")):
        ratio = median[other] / median[one]
        print(f"{one:9} {median[one]:>9,.0f}   {other:10} {median[other]:>9,.0f}   {ratio:.1f} times the cost")
    met = bar("reducer, messages a second", median["reducer"], REDUCER_BAR, "/s", at_least=True)
    met &= bar("recorder, messages a second", median["recorder"], RECORDER_BAR, "/s", at_least=True)
    return int(not met)


if __name__ == "__main__":
    raise SystemExit(main())
