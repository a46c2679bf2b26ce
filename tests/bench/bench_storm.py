"""The screen in a storm, beside `mosquitto_sub` in the same one: `python -m tests.bench.bench_storm [SECONDS]`.

What is said: progress of 1,000 tasks and heartbeats of 1,000 agents, and of a hundred messages one that makes a task.
In turns each reader hears the same flood, as fast as it can be said; then 20,000 a second while keys are pressed.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.live.connect import open_source
from tests.bench.bars import bar
from tests.bench.bench_size import Keys
from tests.bench.bench_ui import p95
from tests.bench.bench_ui_live import dropped
from tests.bench.size_publishers import connected
from tests.conftest import RealBroker, pick_port

SWARM = "storm"
RATE = 20_000
THINGS, NEW_EVERY = 1_000, 100
ROUNDS = 2


def packets() -> list[bytes]:
    """One turn of what is said, as MQTT has it."""
    numbers = iter(range(1 << 30))
    found = []
    for n in range(THINGS):
        agent, task = f"docs-{n:04d}", f"task_{n:06d}"
        writer = Writer(SWARM, agent, "docs", new_id=lambda: f"m{next(numbers)}", clock=time.time)
        progress = b.Progress(task_id=task, agent_id=agent, attempt=1, progress=float(n % 100), message="at work")
        found.append(writer.message(Kind.TASK_PROGRESS, progress))
        found.append(writer.message(Kind.HEARTBEAT, b.Heartbeat(agent_id=agent, cpu=1.0, memory={"rss": 1 << 24})))
        if n % (NEW_EVERY // 2) == 0:
            found.append(writer.message(Kind.TASK_NEW, b.Task(task_id=f"new_{n:06d}", type="noop")))
    whole = []
    for out in found:
        body = len(out.topic).to_bytes(2, "big") + out.topic.encode() + out.payload
        length, head = len(body), bytearray(b"\x30")
        while length > 0x7F:
            head.append(length & 0x7F | 0x80)
            length >>= 7
        whole.append(bytes(head) + bytes([length]) + body)
    return whole


def storm(port: int, rate: float, seconds: float) -> None:
    """Say it so many times a second at most; print how many."""
    link, turn, said = connected(port, f"storm-{time.monotonic_ns()}"), packets(), 0
    start = time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        due = min(200, int(passed * rate) - said)
        if due > 0:
            at = said % len(turn)
            some = turn[at : at + due]
            link.sendall(b"".join(some))
            said += len(some)
        else:
            time.sleep(0.001)
    link.close()
    print(said)


def stormy(port: int, rate: float, seconds: float) -> subprocess.Popen[str]:
    """The same in another process."""
    argv = [sys.executable, "-m", "tests.bench.bench_storm", "storm", str(port), str(rate), str(seconds)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def reference(port: int, seconds: float) -> float:
    """Messages a second that `mosquitto_sub` reads of a flood without limit."""
    argv = ["mosquitto_sub", "-p", str(port), "-t", f"{SWARM}/#", "-q", "0"]
    with tempfile.TemporaryFile() as out:
        reader = subprocess.Popen(argv, stdout=out)
        time.sleep(1.0)
        start = time.perf_counter()
        stormy(port, 1e9, seconds).communicate()
        took = time.perf_counter() - start
        reader.terminate()
        reader.wait()
        out.seek(0)
        return sum(chunk.count(b"\n") for chunk in iter(lambda: out.read(1 << 20), b"")) / took


async def opened(port: int) -> SwarmApp:
    """A screen that is not shown yet."""
    return SwarmApp(open_source(SWARM, RealBroker(port, Path("/nonexistent")).broker, None, None))


async def read_by_screen(port: int, seconds: float) -> float:
    """Messages a second that the screen reads of the same flood."""
    app = await opened(port)
    async with app.run_test(size=(120, 40)):
        while not app.model.fleet.broker_up:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)
        before, start = app.source.operator.received, time.perf_counter()  # type: ignore[attr-defined]
        process = stormy(port, 1e9, seconds)
        while process.poll() is None:
            await asyncio.sleep(0.05)
        found = (app.source.operator.received - before) / (time.perf_counter() - start)  # type: ignore[attr-defined]
        await asyncio.to_thread(process.communicate)
    return float(found)


async def keys(port: int, seconds: float) -> None:
    """Press keys in 20,000 messages a second; count all."""
    app, me = await opened(port), psutil.Process()
    async with app.run_test(size=(120, 40)):
        while not app.model.fleet.broker_up:
            await asyncio.sleep(0.05)
        lost = await asyncio.to_thread(dropped, port)
        app.updates.drain()
        before, pressed, took = app.model.received, Keys(app), []
        process, used, start = stormy(port, RATE, seconds), sum(me.cpu_times()[:2]), time.perf_counter()
        while process.poll() is None:
            key = "jk"[len(took) % 2]
            took.append(await pressed.press(lambda key=key: app.screen.action_press(key)))  # type: ignore[attr-defined, misc]
        used = (sum(me.cpu_times()[:2]) - used) / (time.perf_counter() - start)
        published = int(process.communicate()[0])
        lost = await asyncio.to_thread(dropped, port) - lost
        for _ in range(100):
            app.updates.drain()
            await asyncio.sleep(0.1)
            if not app.source.waiting() and app.model.received - before + lost >= published:
                break
        received = app.model.received - before
        unlisted = app.model.stream.skipped
        print(
            f"{published / seconds:,.0f} a second: {published:,} published, {received:,} received, {lost:,} dropped, "
            f"{unlisted:,} unlisted; {used * 100:.0f}% of a core"
        )
        bar("messages a second in the storm", published / seconds, RATE * 0.98, "msg/s", at_least=True)
        bar("messages not accounted for", abs(published - received - lost), 0, "msgs")
        progress = app.model.fleet.counts.kinds[Kind.TASK_PROGRESS]
        beats = app.model.fleet.counts.kinds[Kind.HEARTBEAT]
        print(f"of them {progress:,} progress, {beats:,} heartbeats; {len(took)} keys")
        bar(f"a key in {RATE:,} messages a second, p95", p95(took), 100, "ms")


def main(argv: list[str]) -> None:
    """Measure."""
    if argv[:1] == ["storm"]:
        storm(int(argv[1]), float(argv[2]), float(argv[3]))
        return
    seconds = float(argv[0]) if argv else 5.0
    with tempfile.TemporaryDirectory(prefix="bench-storm-") as folder:
        broker = RealBroker(pick_port(), Path(folder)).start()
        try:
            read: dict[str, list[float]] = {"mosquitto_sub": [], "screen": []}
            for _ in range(ROUNDS):
                read["mosquitto_sub"].append(reference(broker.port, seconds))
                read["screen"].append(asyncio.run(read_by_screen(broker.port, seconds)))
            for name, rates in read.items():
                print(f"{name} reads {', '.join(f'{rate:,.0f}' for rate in rates)} a second")
            bar(
                "the screen's reading to mosquitto_sub's",
                max(read["screen"]) / max(read["mosquitto_sub"]),
                0.6,
                at_least=True,
            )
            asyncio.run(keys(broker.port, seconds * 3))
        finally:
            broker.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
