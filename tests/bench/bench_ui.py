"""How fast the screen answers, with a crowd and at a rate: `python -m tests.bench.bench_ui`."""

import asyncio
import gc
import time
from collections.abc import Callable

import psutil

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.app import SwarmApp
from tests.bench.bars import bar
from tests.ui import scenes
from tests.ui.fake import Clock, FakeSource
from tests.ui.harness import UiDriver

AGENTS, TASKS = 1_000, 10_000


def p95(samples: list[float]) -> float:
    """The 95th percentile, in milliseconds."""
    return sorted(samples)[int(len(samples) * 0.95)] * 1000


def crowd(source: FakeSource) -> None:
    """Very many agents and tasks."""
    source.link(True)
    for n in range(AGENTS):
        name = f"testing-{n:04d}"
        source.say(name, Kind.STATUS, b.Status(status="online", role="testing", incarnation="i", started_at=1.0), name)
        source.say(name, Kind.HEARTBEAT, b.Heartbeat(agent_id=name, cpu=1.0, memory={"rss": 1 << 24}, incarnation="i"))
    for n in range(TASKS):
        source.say("x", Kind.TASK_NEW, b.Task(task_id=f"task_{n:06d}", type="testing.run"))


async def one(app: SwarmApp, key: str) -> float:
    """Seconds from a key to the frame that shows its effect."""
    began = time.perf_counter()
    app.screen.action_press(key)  # type: ignore[attr-defined]
    app.screen._on_timer_update()
    app.screen._compositor.render_update(simplify=True)
    return time.perf_counter() - began


async def opened(ui: UiDriver, opens: Callable[[str], None], subject: str) -> float:
    """Seconds until what opens shows its subject."""
    began = time.perf_counter()
    opens(subject)
    shown = False
    while not shown:
        await ui.pilot.pause(0)
        took = time.perf_counter() - began
        shown = ui.has(subject)  # Draws all once more, which is not the screen's to answer for.
    ui.app.pop_screen()
    await ui.settle()
    return took


async def crowded() -> None:
    """Open, move and filter with a crowd."""
    clock = Clock()
    source = FakeSource(clock)
    app = SwarmApp(source, clock=clock, timers=False)
    async with app.run_test(size=(120, 40)) as pilot:
        ui = UiDriver(app, pilot, source, clock)
        crowd(source)
        began = time.perf_counter()
        while source.waiting():
            app.updates.drain()
        print(f"take in {AGENTS + AGENTS + TASKS:,} messages: {time.perf_counter() - began:.2f} s")
        await ui.settle()
        gc.freeze()  # As the app does by itself when its timers run.
        for panel in ("agents", "tasks"):
            app.main.focus_panel(panel)
            await ui.settle()
            moves = [await one(app, key) for key in ["j"] * 60 + ["pagedown"] * 20 + ["G", "g"] * 10]
            bar(f"move in {panel}, p95", p95(moves), 100, "ms")
            filters = []
            for text in ("1", "12", "123", "!1", "", "9", "99", "", "abc", ""):
                table = app.main.lines
                began = time.perf_counter()
                app.main._filter_table(table, text)  # type: ignore[arg-type]
                app.screen._on_timer_update()
                filters.append(time.perf_counter() - began)
            bar(f"filter {panel}, p95", p95(filters), 100, "ms")
        fleet = app.model.fleet
        for name, opens, subjects in (
            ("a task's page", app.pages.open_task, list(fleet.tasks)),
            ("an agent's page", app.pages.open_agent, list(fleet.agents)),
        ):
            took = [await opened(ui, opens, subject) for subject in subjects[:41]]
            bar(f"open {name} for the first time", took[0] * 1000, 300, "ms")
            bar(f"open {name}, p95", p95(took[1:]), 70, "ms")
        took = [await opened(ui, lambda _: app.pages.open_form(), "NEW TASK") for _ in range(21)]
        bar("open the form, p95", p95(took[1:]), 100, "ms")
        ticks = []
        for _ in range(10):
            clock.pass_(1.0)
            began = time.perf_counter()
            app.updates.tick()
            ticks.append(time.perf_counter() - began)
        print(f"a tick: p95 {p95(ticks):.1f} ms")


async def rate(per_second: int, seconds: int) -> None:
    """Messages at a rate, keys pressed meanwhile."""
    clock = Clock(time.time())
    source = FakeSource(clock)
    app = SwarmApp(source, clock=time.time, timers=True)
    me = psutil.Process()
    async with app.run_test(size=(120, 40)):
        scenes.calm(source, clock)
        for n in range(per_second // 10):
            source.say("docs-01", Kind.TASK_PROGRESS, b.Progress(task_id=f"task_{n % 50}", progress=float(n % 100)))
        batch = list(source.items)[-per_second // 10 :]
        lags, sent, start = [], 0, time.perf_counter()
        before = sum(me.cpu_times()[:2])
        while time.perf_counter() - start < seconds:
            source.items.extend(batch)
            sent += len(batch)
            began = time.perf_counter()
            await asyncio.sleep(0)
            await one(app, "j" if sent % 2 else "k")
            lags.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, sent / per_second - (time.perf_counter() - start)))
        used = (sum(me.cpu_times()[:2]) - before) / (time.perf_counter() - start)
        app.updates.drain()
        bar(f"a key at {per_second:,} messages/s, p95", p95(lags), 100 if per_second <= 2_000 else 200, "ms")
        print(
            f"{per_second:,}/s for {seconds} s: {used * 100:.0f}% of a core, "
            f"listed {len(app.model.stream.all):,}, "
            f"skipped {app.model.stream.skipped:,}, RSS {me.memory_info().rss >> 20} MB"
        )


def main() -> None:
    """Run all."""
    asyncio.run(crowded())
    asyncio.run(rate(2_000, 10))
    asyncio.run(rate(5_000, 10))
    from tests.bench import bench_ui_live

    bench_ui_live.main([])


if __name__ == "__main__":
    main()
