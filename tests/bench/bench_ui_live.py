"""The screen on a real broker, bus and decoding included: `python -m tests.bench.bench_ui_live [SECONDS]`.

`python -m tests.bench.bench_ui_live day` has it see a whole day in fast motion.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import paho.mqtt.client as mqtt
import psutil
from textual.app import App

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol import codec
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.live.connect import open_source
from tests.bench.bars import bar
from tests.bench.bench_ui import one, p95
from tests.conftest import RealBroker, pick_port
from tests.ui import scenes
from tests.ui.fake import Clock

SWARM = "bench"
SIZES = ((80, 24), (120, 40), (200, 50))


def _client(port: int) -> mqtt.Client:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def storm(port: int, per_second: int, seconds: float) -> None:
    """Publish at a rate, as another process does; print how many."""
    client = _client(port)
    writer = codec.Writer(SWARM, "docs-01", "docs", new_id=lambda: "x", clock=time.time)
    outs = [
        writer.message(Kind.TASK_PROGRESS, b.Progress(task_id=f"task_{n}", agent_id="docs-01", progress=float(n)))
        for n in range(50)
    ]
    start, sent = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < seconds:
        for _ in range(max(0, int(passed * per_second) - sent)):
            out = outs[sent % 50]
            client.publish(out.topic, out.payload, qos=0).wait_for_publish(10.0)
            sent += 1
        time.sleep(0.005)
    print(sent)
    client.disconnect()
    client.loop_stop()


def lives(port: int, per_second: float, seconds: float) -> None:
    """Publish the whole lives of tasks at a rate, twelve messages each, as a swarm does; print how many tasks."""
    client = _client(port)
    ids = (f"m{n}" for n in count())
    says = {
        name: codec.Writer(SWARM, name, role, new_id=lambda: next(ids), clock=time.time)
        for name, role in (("ada", "operator"), ("boss", "task-manager"), *scenes.AGENTS)
    }

    def say(who: str, kind: Kind, body: b.Body, key: str = "") -> None:
        out = says[who].message(kind, body, key)
        client.publish(out.topic, out.payload, qos=1)

    start, done, turn = time.perf_counter(), 0, 0
    while (passed := time.perf_counter() - start) < seconds:
        if done >= passed * per_second:
            time.sleep(0.01)
            continue
        turn = (turn + 1) % len(scenes.AGENTS)
        task, (agent, role), done = f"life_{done}", scenes.AGENTS[turn], done + 1
        say("ada", Kind.TASK_NEW, b.Task(task_id=task, type="testing.run", payload={"path": "."}))
        say("boss", Kind.TASK_QUEUED, b.Queued(task_id=task, attempt=1))
        say("boss", Kind.TASK_ASSIGNED, b.Assigned(task_id=task, agent_id=agent, attempt=1, epoch=1, lease=30.0))
        say("boss", Kind.INBOX, b.Inbox(task_id=task, attempt=1, epoch=1, lease=30.0), agent)
        say(agent, Kind.TASK_STARTED, b.Started(task_id=task, agent_id=agent, attempt=1, epoch=1))
        say(agent, Kind.STATUS, b.Status(status="busy", role=role), agent)
        for progress in (30.0, 60.0, 90.0):
            say(agent, Kind.TASK_PROGRESS, b.Progress(task_id=task, agent_id=agent, progress=progress))
        say(agent, Kind.TASK_COMPLETE, b.Complete(task_id=task, agent_id=agent, attempt=1, status="success"))
        say("boss", Kind.INBOX, b.Inbox(task_id=task, command="ack"), agent)
        say(agent, Kind.STATUS, b.Status(status="online", role=role), agent)
    print(done)
    client.disconnect()
    client.loop_stop()


async def worked(broker: RealBroker, seconds: float, size: tuple[int, int]) -> None:
    """Five tasks a second, and nobody presses a key."""
    app, me = SwarmApp(open_source(SWARM, broker.broker, None, None)), psutil.Process()
    async with app.run_test(size=size):
        while not app.model.fleet.broker_up:
            await asyncio.sleep(0.05)
        argv = [sys.executable, "-m", "tests.bench.bench_ui_live", "lives", str(broker.port), "5", str(seconds + 6.0)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        await asyncio.sleep(4.0)
        used, start, before = sum(me.cpu_times()[:2]), time.perf_counter(), app.model.received
        await asyncio.sleep(seconds)
        used = (sum(me.cpu_times()[:2]) - used) / (time.perf_counter() - start)
        heard = (app.model.received - before) / (time.perf_counter() - start)
        await asyncio.to_thread(process.communicate)
    where = f"{size[0]}x{size[1]}"
    bar(f"five tasks a second at {where}: messages heard", heard, 50, "msg/s", at_least=True)
    bar(f"five tasks a second at {where}, of a core", used * 100, 6, "%")


def dropped(port: int) -> int:
    """What the broker says that it dropped, once it has said so anew."""
    said: list[int] = []
    client = _client(port)
    client.on_message = lambda _c, _u, message: said.append(int(message.payload))
    client.subscribe("$SYS/broker/publish/messages/dropped")
    time.sleep(7.0)
    client.disconnect()
    client.loop_stop()
    return said[-1] if said else 0


async def rate(broker: RealBroker, per_second: int, seconds: float, limit: float) -> None:
    """A storm from another process, keys pressed meanwhile."""
    app = SwarmApp(open_source(SWARM, broker.broker, None, None))
    me = psutil.Process()
    async with app.run_test(size=(120, 40)):
        while not app.model.fleet.broker_up:
            await asyncio.sleep(0.05)
        lost = await asyncio.to_thread(dropped, broker.port)
        app.updates.drain()  # What the screen itself asked for when the link came up.
        before, used = app.model.received, sum(me.cpu_times()[:2])
        argv = [sys.executable, "-m", "tests.bench.bench_ui_live", "storm", str(broker.port)]
        process = subprocess.Popen([*argv, str(per_second), str(seconds)], stdout=subprocess.PIPE, text=True)
        lags, sizes, start = [], [], time.perf_counter()
        while process.poll() is None:
            began = time.perf_counter()
            await asyncio.sleep(0)
            await one(app, "j" if len(lags) % 2 else "k")
            lags.append(time.perf_counter() - began)
            sizes.append(me.memory_info().rss)
            await asyncio.sleep(0.05)
        used = (sum(me.cpu_times()[:2]) - used) / (time.perf_counter() - start)
        published = int(process.communicate()[0])
        lost = await asyncio.to_thread(dropped, broker.port) - lost
        while app.source.waiting():
            app.updates.drain()
        received = app.model.received - before
        print(
            f"{published:,} published, {received:,} received, {lost:,} dropped, {app.model.stream.skipped:,} unlisted"
        )
        bar(f"{per_second:,}/s: messages not accounted for", abs(published - received - lost), 0, "msgs")
        bar(f"{per_second:,}/s: a key answered, p95", p95(lags), limit, "ms")
        bar(f"{per_second:,}/s: of a core", used * 100, 100, "%")
        grown = statistics.median(sizes[-20:]) / statistics.median(sizes[len(sizes) // 3 :][:20])
        bar(f"{per_second:,}/s: memory at the end to that at a third", grown, 1.1)


async def seen(broker: RealBroker, tries: int = 20) -> None:
    """From a publish elsewhere to the frame that shows it."""
    app = SwarmApp(open_source(SWARM, broker.broker, None, None))
    client, lags = _client(broker.port), []
    async with app.run_test(size=(120, 40)):
        while not app.model.fleet.broker_up:
            await asyncio.sleep(0.05)
        writer = codec.Writer(SWARM, "ada", "operator", new_id=lambda: "x", clock=time.time)
        for n in range(tries):
            out = writer.message(Kind.TASK_NEW, b.Task(task_id=f"seen_{n:02d}", type="testing.run"))
            began = time.perf_counter()
            client.publish(out.topic, out.payload, qos=1)
            while not any(f"seen_{n:02d}" in strip.text for strip in app.screen._compositor.render_strips()):
                await asyncio.sleep(0.01)
            lags.append(time.perf_counter() - began)
    client.disconnect()
    client.loop_stop()
    bar("a published task on the screen, median", statistics.median(lags) * 1000, 300, "ms")


async def idle(size: tuple[int, int], seconds: float = 8.0) -> None:
    """Nine agents that only beat."""
    clock = Clock(time.time())
    source = scenes.build(clock)
    app, me = SwarmApp(source, clock=time.time), psutil.Process()
    async with app.run_test(size=size):
        scenes.start(source, clock)
        await asyncio.sleep(2.0)
        used, start = sum(me.cpu_times()[:2]), time.perf_counter()
        await asyncio.sleep(seconds)
        used = (sum(me.cpu_times()[:2]) - used) / (time.perf_counter() - start)
    bar(f"idle with nine agents at {size[0]}x{size[1]}, of a core", used * 100, 1, "%")


async def hours(count: int = 4) -> None:
    """Hours of traffic in fast motion: nine agents beat, five tasks come and end each second."""
    clock = Clock()
    source = scenes.build(clock)
    app, me, sizes = SwarmApp(source, clock=clock, timers=False), psutil.Process(), []
    async with app.run_test(size=(120, 40)):
        scenes.calm(source, clock)
        for hour in range(count):
            for step in range(360):
                clock.pass_(10.0)
                scenes.beat(source, clock, clock())
                for task in range(50):
                    name = f"task_{hour}_{step}_{task}"
                    scenes.task(source, clock, name, "testing.run", "testing-01", ago=8, end="complete")
                app.updates.drain()
                app.updates.tick()
                await asyncio.sleep(0)
            sizes.append(me.memory_info().rss)
    print("MB after each hour:", ", ".join(str(size >> 20) for size in sizes))
    bar(f"memory after {count} hours at five tasks a second, to that after the first", sizes[-1] / sizes[0], 1.04)


FIRST = "import time; began = time.perf_counter()\n{}\nasync def go():\n    async with app.run_test(size=(120, 40)):\n"
FIRST += "        print(time.perf_counter() - began)\nimport asyncio; asyncio.run(go())"
OURS = "from tests.ui import scenes; from tests.ui.fake import Clock; from swarm_tui.ui.app import SwarmApp\n"
OURS += "app = SwarmApp(scenes.build(Clock()), timers=False)"


def first_frame(pairs: int = 7) -> None:
    """A process of ours to its first frame, beside an empty Textual app's; each compiled before, as when installed."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def took(code: str) -> float:
        argv = [sys.executable, "-c", FIRST.format(code)]
        return float(subprocess.run(argv, capture_output=True, text=True, env=environ).stdout)

    empty = f"from textual.app import {App.__name__}; app = App()"
    took(OURS)
    more = [took(OURS) - took(empty) for _ in range(pairs)]
    bar("first frame, beyond an empty app's, median", statistics.median(more) * 1000, 250, "ms")


def main(argv: list[str]) -> None:
    """Run all."""
    if argv[:1] == ["storm"]:
        storm(int(argv[1]), int(argv[2]), float(argv[3]))
        return
    if argv[:1] == ["lives"]:
        lives(int(argv[1]), float(argv[2]), float(argv[3]))
        return
    if argv[:1] == ["day"]:
        asyncio.run(hours(24))
        return
    seconds = float(argv[0]) if argv else 60.0
    first_frame()
    for size in SIZES:
        asyncio.run(idle(size))
    asyncio.run(hours())
    with tempfile.TemporaryDirectory() as folder:
        broker = RealBroker(pick_port(), Path(folder) / "broker").start()
        try:
            for size in ((120, 40), (200, 50)):
                asyncio.run(worked(broker, seconds / 2, size))
            asyncio.run(seen(broker))
            asyncio.run(rate(broker, 2_000, seconds, 100))
            asyncio.run(rate(broker, 5_000, seconds, 200))
        finally:
            broker.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
