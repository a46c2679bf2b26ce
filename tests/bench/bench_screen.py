"""The screen as a person has it, in a real tmux over a real swarm: `python -m tests.bench.bench_screen [SECONDS]`.

What is counted is CPU time of the screen's process and of its children, as the kernel says it.
"""

import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from swarm_tui.config.own_process import own_argv
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.server import Tmux
from tests.bench.bars import bar
from tests.bench.bench_supervisor import private_folder
from tests.conftest import pick_port
from tests.e2e.supervised_swarm import Swarm, own
from tests.faults.producer import Producer
from tests.wait import until

SIZES = ((80, 24), (120, 40), (200, 50))
RATE = 5
"""Tasks a second."""
SETTLED = 17.0
"""Seconds after which the screen has done what it does once."""


class Terminal:
    """A tmux server of its own, which shows the screen of a swarm."""

    def __init__(self, swarm: Swarm, size: tuple[int, int]) -> None:
        self._tmux, (wide, tall) = Tmux(f"swarm-look-{uuid.uuid4().hex[:8]}"), size
        argv = own_argv("swarm_tui", "screen", swarm.name)
        self._tmux.run("new-session", "-d", "-x", str(wide), "-y", str(tall), "--", *argv)
        self._tmux.run("set-option", "-g", "status", "off")
        self._tmux.run("resize-window", "-x", str(wide), "-y", str(tall))
        until(lambda: f"AGENTS {NINE}" in self.text(), 30, "the screen")
        self.process = psutil.Process(int(self._tmux.run("display-message", "-p", "#{pane_pid}")[0]))
        self.server = psutil.Process(int(self._tmux.run("display-message", "-p", "#{pid}")[0]))

    def text(self) -> str:
        """What it shows."""
        return "\n".join(self._tmux.run("capture-pane", "-p"))

    def press(self, *keys: str) -> None:
        """Press keys."""
        self._tmux.run("send-keys", *keys)

    def used(self) -> float:
        """CPU seconds of the screen so far, its children's too."""
        total = 0.0
        for process in (self.process, *self.process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:2])
        return total + sum(self.process.cpu_times()[2:4])

    def rss(self) -> int:
        """Bytes of memory of the screen."""
        return int(self.process.memory_info().rss)

    def close(self) -> None:
        """End it."""
        with suppress(TmuxError):
            self._tmux.run("kill-server")
        with suppress(psutil.Error):
            self.process.wait(10)


@contextmanager
def nine(folder: Path) -> Iterator[tuple[Swarm, Producer]]:
    """A dispatcher, monitoring, and seven that do `noop`, with a broker of their own."""
    agents = [own("task-manager-01", "task-manager"), own("monitoring-01", "monitoring")]
    agents += [own(f"general-{n:02d}", handlers={"noop": {}}) for n in range(1, NINE - 1)]
    swarm = Swarm(folder, pick_port(), agents)
    swarm.up(wait="60")
    producer = Producer(f"mqtt://127.0.0.1:{swarm.port}", swarm.name, swarm.state.dispatch)
    try:
        until(lambda: producer.led, 30, "the dispatcher to lead")
        yield swarm, producer
    finally:
        producer.leave()
        swarm.run("down", swarm.name, "--now")
        swarm.close()


NINE = 9


def tasks(producer: Producer, name: str, seconds: float) -> int:
    """Publish at the rate for so long; how many."""
    start, done = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < seconds:
        if done < passed * RATE:
            producer.publish(f"{name}_{done:04d}", 0.6)
            done += 1
        else:
            time.sleep(0.01)
    return done


def share(terminal: Terminal, work: float, began: float) -> float:
    """Percent of a core since."""
    return 100 * (terminal.used() - work) / (time.perf_counter() - began)


def main(argv: list[str]) -> int:
    """Measure at each size, idle and at work."""
    seconds, met = float(argv[0]) if argv else 60.0, True
    with private_folder() as folder, nine(folder) as (swarm, producer):
        for size in SIZES:
            where, terminal = f"{size[0]}x{size[1]}", Terminal(swarm, size)
            try:
                time.sleep(SETTLED)
                used, began = terminal.used(), time.perf_counter()
                time.sleep(seconds)
                idle = share(terminal, used, began)
                tasks(producer, f"warm{size[0]}", 5.0)
                used, began, rss = terminal.used(), time.perf_counter(), terminal.rss()
                sent = tasks(producer, f"work{size[0]}", seconds)
                busy = share(terminal, used, began)
                until(lambda sent=sent: len(producer.started) >= sent * 0.95, 30, "the tasks to be worked on")
                producer.started.clear()
                print(f"{where}: {sent} tasks; {rss >> 20} MB, {terminal.rss() >> 20} MB at the end")
                met &= bar(f"the real screen at {where}, nine agents idle, of a core", idle, 1.0, "%")
                met &= bar(f"the real screen at {where}, five tasks a second, of a core", busy, 6.0, "%")
            finally:
                terminal.close()
    return int(not met)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
