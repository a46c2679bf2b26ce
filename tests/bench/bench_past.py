"""A look at an hour ago in a record of 1,000,000 messages: `python -m tests.bench.bench_past [MESSAGES]`."""

import itertools
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from swarm_tui.agent.roles.monitoring.history import answer, args_of
from swarm_tui.agent.roles.monitoring.keyframes import Keyframes, time_reply
from swarm_tui.client.past import Past
from swarm_tui.domain.fleet import Fleet
from swarm_tui.journal.recorder import SqliteRecorder
from swarm_tui.journal.recorder_port import recorded_of
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.bodies import JsonObject, Reply
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Outgoing
from swarm_tui.protocol.topics import Kind as K
from tests.bench.bars import bar

SWARM, AGENTS, START, HOURS = "bench", 9, 1_700_000_000.0, 3.0


def talk(count: int) -> itertools.chain[Outgoing]:
    """The messages of nine agents that work: beats, and tasks from published to complete."""
    ids = itertools.count()
    writers = {
        f"a{n}": Writer(SWARM, f"a{n}", "testing", new_id=lambda: str(next(ids)), clock=lambda: START)
        for n in range(AGENTS)
    }
    tm = Writer(SWARM, "tm", "task-manager", new_id=lambda: str(next(ids)), clock=lambda: START)
    rng = random.Random(7)

    def one(n: int) -> list[Outgoing]:
        agent = f"a{n % AGENTS}"
        writer, task = writers[agent], f"task-{n}"
        return [
            tm.message(K.TASK_NEW, b.Task(task_id=task, type="testing.run", payload={"path": f"tests/{n}"})),
            tm.message(K.TASK_QUEUED, b.Queued(task_id=task)),
            tm.message(K.TASK_ASSIGNED, b.Assigned(task_id=task, agent_id=agent, attempt=1)),
            writer.message(K.TASK_STARTED, b.Started(task_id=task, agent_id=agent, attempt=1)),
            writer.message(K.HEARTBEAT, b.Heartbeat(agent_id=agent, uptime=n, cpu=rng.random(), state="busy")),
            writer.message(K.TASK_PROGRESS, b.Progress(task_id=task, agent_id=agent, attempt=1, progress=50.0)),
            writer.message(K.HEARTBEAT, b.Heartbeat(agent_id=agent, uptime=n, cpu=rng.random(), state="busy")),
            writer.message(K.TASK_COMPLETE, b.Complete(task_id=task, agent_id=agent, attempt=1, result={"n": n})),
        ]

    births = [
        writer.message(K.STATUS, b.Status(agent_id=agent, status="online", incarnation="i"), agent)
        for agent, writer in writers.items()
    ]
    return itertools.chain(births, itertools.chain.from_iterable(one(n) for n in range(count // 8)))


def main() -> None:
    """Print every figure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="bench-past-") as name:
        recorder = SqliteRecorder(Path(name) / "r.db", max_size=4 << 30, clock=lambda: START)
        fleet, keyframes, plain = Fleet(SWARM), Keyframes(), 0
        fleet.link(True, "", START)
        spent = 0.0
        for n, message in enumerate(talk(count)):
            at = START + n * HOURS * 3600 / count
            event = decode(SWARM, message.topic, message.payload, False, at)
            assert event is not None
            recorder.add(recorded_of(event, message.topic, message.payload, at))
            fleet.apply(event, at)
            plain += len(message.payload)
            began = time.perf_counter()
            keyframes.note(fleet, recorder, len(message.payload), at)
            spent += time.perf_counter() - began
            if n % 20_000 == 0:
                recorder.flush()
        recorder.flush()
        end = START + HOURS * 3600
        print(f"{recorder.stats().stored:,} messages of {plain / 1e6:.0f} MB, {recorder.size() / 1e6:.0f} MB on disk")
        print(f"keyframes cost {spent / count * 1e6:.1f} us for each message")

        def ask(query: str, args: JsonObject, timeout: float) -> Reply | None:
            more = {"request": "r", "source": "w"}
            if query == "history":
                pages = list(answer(recorder.history(args_of(args)), None, **more))
            else:
                pages = list(time_reply(query, args, recorder, **more))
            rows = [row for page in pages for row in page.rows]
            return Reply(query=query, rows=rows, error=pages[-1].error)

        took, steps = [], []
        for n in range(9):
            past, at = Past(ask, SWARM, kept=500), end - 3600 + n * 61
            began = time.perf_counter()
            moment = past.moment(at)
            took.append(time.perf_counter() - began)
            assert len(moment.fleet.agents) == AGENTS
            began = time.perf_counter()
            past.moment(at + 5)
            steps.append(time.perf_counter() - began)
        bar(f"an hour ago among {count:,} messages", statistics.median(took) * 1000, 300.0, "ms")
        bar("a step from there", statistics.median(steps) * 1000, 300.0, "ms")
        began = time.perf_counter()
        timeline = Past(ask, SWARM, kept=500).timeline(START, end, 200)
        bar("the line of time", (time.perf_counter() - began) * 1000, 300.0, "ms")
        assert sum(timeline.density) >= count * 0.99
        recorder.close()


if __name__ == "__main__":
    main()
