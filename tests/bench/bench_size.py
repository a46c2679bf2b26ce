"""The screen of a swarm of ten thousand agents and a hundred thousand tasks: `python -m tests.bench.bench_size [AGENTS
TASKS]`.

They are simulated, on a real broker; while keys are pressed every agent beats (1,000 messages a second), its host tells
of its panes, and twenty tasks a second end and begin. Each time is from the press, on another thread, to the frame that
shows its effect, so that what the screen does meanwhile counts.
"""

import asyncio
import gc
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.live.connect import open_source
from tests.bench.bars import bar
from tests.bench.bench_ui import p95
from tests.conftest import RealBroker, pick_port

SWARM = "size"
#: Messages a second in which the swarm is told at first.
TOLD = 9_000
MOST, MEMORY = 100.0, 400.0


class Keys:
    """Presses at random moments, each timed until its frame is drawn."""

    def __init__(self, app: SwarmApp) -> None:
        self._app, self._rng = app, random.Random(17)

    async def press(self, act: Callable[[], object]) -> float:
        """Seconds from now to the frame that shows what `act` did; others may hold up the screen before it."""
        await asyncio.sleep(self._rng.uniform(0.02, 0.15))
        loop, took = asyncio.get_running_loop(), asyncio.Event()
        times = [0.0, 0.0]

        def run() -> None:
            act()
            self._app.call_later(shown)

        def shown() -> None:
            self._app.screen._on_timer_update()
            self._app.screen._compositor.render_update(simplify=True)
            times[1] = time.perf_counter()
            took.set()

        def pressed() -> None:
            # On another thread, for the screen may be at work now.
            time.sleep(self._rng.uniform(0.0, 0.1))
            times[0] = time.perf_counter()
            loop.call_soon_threadsafe(run)

        await asyncio.gather(asyncio.to_thread(pressed), took.wait())
        return times[1] - times[0]


async def settled(app: SwarmApp) -> None:
    """Until all that came is taken in."""
    while app.source.waiting():
        await asyncio.sleep(0.05)


async def measured(app: SwarmApp) -> None:
    """Press keys of each sort."""
    keys, main = Keys(app), app.main
    screen = app.main

    async def several(name: str, acts: list[Callable[[], object]], undo: Callable[[], object] | None = None) -> None:
        took = []
        for act in acts:
            took.append(await keys.press(act))
            if undo is not None:
                undo()
                await asyncio.sleep(0.05)
        print(f"{name}: median {sorted(took)[len(took) // 2] * 1000:.0f}, most {max(took) * 1000:.0f} ms")
        bar(f"{name} at {len(app.model.fleet.agents):,} agents, p95", p95(took), MOST, "ms")

    def press(key: str) -> Callable[[], object]:
        return lambda: app.screen.action_press(key)  # type: ignore[attr-defined]

    for panel in ("agents", "tasks"):
        main.focus_panel(panel)
        await several(f"move in {panel}", [press(k) for k in ["j", "k"] * 15 + ["pagedown"] * 10 + ["G", "g"] * 5])
        table = main.agents if panel == "agents" else main.tasks
        texts = ["1", "12", "123", "!1", "", "role:test", "state:busy", "9", "abc", ""] * 3
        await several(
            f"filter {panel}",
            [lambda text=text, table=table: screen._filter_table(table, text) for text in texts],  # type: ignore[misc]
        )
        names = [*table.order.names, ""]
        await several(f"sort {panel}", [lambda: screen.sort() for _ in names] + [press("O")] * 6)
        table.order.choose("")
        table.sort()
        for name in table.GROUPS:
            folds = [
                press("g"),
                press("enter"),
                press("j"),
                press("enter"),
                *([press("J")] * 4),
                press("G"),
                press("g"),
            ]
            by = [lambda name=name: screen.group(name)]  # type: ignore[misc]
            await several(f"group {panel} by {name}, fold", [*by, *folds, lambda: screen.group("none")] * 2)
    main.focus_panel("tasks")
    await several("turn the tasks' tabs", [press("right_square_bracket")] * 14)
    agents, tasks = list(app.model.fleet.agents), list(app.model.fleet.tasks)
    for opens, name in (
        (lambda: app.pages.open_agent(agents[1]), "an agent's"),
        (lambda: app.pages.open_task(tasks[1]), "a task's"),
    ):
        print(f"{name} page for the first time: {await keys.press(opens) * 1000:.0f} ms")
        app.pop_screen()
        await asyncio.sleep(0.2)
    await several("open an agent's page", [lambda n=n: app.pages.open_agent(agents[n * 31]) for n in range(20)],  # type: ignore[misc]
                  lambda: app.pop_screen())  # fmt: skip
    await several("open a task's page", [lambda n=n: app.pages.open_task(tasks[n * 31]) for n in range(20)],  # type: ignore[misc]
                  lambda: app.pop_screen())  # fmt: skip


async def size(agents: int, tasks: int) -> None:
    """One screen, all along."""
    me = psutil.Process()
    with tempfile.TemporaryDirectory(prefix="bench-size-") as folder:
        broker = RealBroker(pick_port(), Path(folder)).start()
        app = SwarmApp(open_source(SWARM, broker.broker, None, None))
        try:
            async with app.run_test(size=(120, 40)):
                while not app.model.fleet.broker_up:
                    await asyncio.sleep(0.05)
                empty = me.memory_info().rss
                argv = [sys.executable, "-m", "tests.bench.size_publishers", str(broker.port), SWARM]
                process = subprocess.Popen(
                    [*argv, str(agents), str(tasks), str(TOLD)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                assert process.stdout is not None
                began = time.perf_counter()
                told = int((await asyncio.to_thread(process.stdout.readline)).split()[1])
                while app.model.fleet.counts.received < told:
                    await asyncio.sleep(0.1)
                print(f"{told:,} messages taken in within {time.perf_counter() - began:.1f} s")
                await settled(app)
                gc.collect()
                gc.freeze()
                await asyncio.sleep(1.0)
                known = app.model.fleet
                bar("agents that the screen knows", len(known.agents), agents, "", at_least=True)
                bar("tasks that the screen lists", len(known.tasks), tasks, "", at_least=True)
                used, start = sum(me.cpu_times()[:2]), time.perf_counter()
                await asyncio.sleep(5.0)
                used = (sum(me.cpu_times()[:2]) - used) / (time.perf_counter() - start)
                print(f"{known.rate:,.0f} messages a second: {used * 100:.0f}% of a core")
                await measured(app)
                rss = me.memory_info().rss
                print(f"{empty >> 20} MB before any was there")
                bar(f"memory with {agents:,} agents and {tasks:,} tasks", rss / 2**20, MEMORY, "MB")
                await asyncio.to_thread(process.communicate)
        finally:
            broker.stop()


def main(argv: list[str]) -> None:
    """Measure."""
    asyncio.run(size(int(argv[0]) if argv else 10_000, int(argv[1]) if argv else 100_000))


if __name__ == "__main__":
    main(sys.argv[1:])
