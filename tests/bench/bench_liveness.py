"""How soon it is seen that an agent stands still, or is gone: by its supervisor, and by whoever looks at the fleet.

Each is charged with the worst moment: just after it was last heard. Run it with `python -m tests.bench.bench_liveness`.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.states import AgentState
from swarm_tui.protocol.bodies import HostStatus, PaneStatus
from swarm_tui.protocol.topics import Kind
from tests.bench.bars import bar
from tests.bench.bench_supervisor import private_folder
from tests.conftest import RealBroker, pick_port
from tests.e2e.agents import Listener
from tests.e2e.supervised_swarm import LIGHT, Swarm
from tests.wait import until

GONE = (AgentState.LOST, AgentState.OFFLINE)
ATTACH, DETACH, INTERRUPT = 0x4206, 17, 0x4207
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """The process does nothing at all meanwhile. Not by SIGSTOP: tmux wakes a pane's process that was stopped so."""
    threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    for thread in threads:
        for request in (ATTACH, INTERRUPT):
            if _libc.ptrace(request, thread, None, None):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), f"thread {thread}")
    try:
        yield
    finally:
        for thread in threads:
            _libc.ptrace(DETACH, thread, None, None)


class Eyes:
    """What an ear heard, as a fleet and as the supervisor's last rows."""

    def __init__(self, listener: Listener) -> None:
        self.listener, self.fleet, self._seen = listener, Fleet(listener.swarm), 0
        self.fleet.link(True, "", time.time())
        self.rows: dict[str, PaneStatus] = {}

    def look(self) -> None:
        """Take in what came since the last look."""
        new = self.listener.events[self._seen :]
        self._seen += len(new)
        for event in new:
            self.fleet.apply(event, event.received)
            if isinstance(event.body, HostStatus):
                self.rows = {row.agent_id: row for row in event.body.panes}
        self.fleet.tick(time.time())

    def see(self, condition: Callable[[], Any], limit: float, what: str) -> None:
        """Look until `condition` holds."""

        def seen() -> bool:
            self.look()
            return bool(condition())

        until(seen, limit, what)

    def beat(self, agent_id: str) -> None:
        """Wait for the agent's next heartbeat."""

        def beats() -> int:
            return sum(1 for event in self.listener.all(Kind.HEARTBEAT) if event.sender == agent_id)

        number = beats()
        until(lambda: beats() > number, 15, f"a heartbeat of {agent_id}")


def measure(folder: Path) -> dict[str, float]:
    """Seconds until each was seen."""
    broker = RealBroker(pick_port(), folder / "broker").start()
    swarm = Swarm(folder, broker.port, [{"role": "general", "id": name} for name in ("a", "b", "c")])
    listener = Listener(broker.url, swarm.name)
    hand: dict[str, subprocess.Popen[bytes]] = {}
    try:
        swarm.up()
        eyes = Eyes(listener)
        hand["light"] = _by_hand([word.format(agent_id="light", swarm=swarm.name, broker=broker.url) for word in LIGHT])
        own = ["agent", "--agent-id", "own", "--swarm", swarm.name, "--broker", broker.url]
        hand["own"] = _by_hand([sys.executable, "-m", "swarm_tui", *own])
        eyes.see(lambda: {"light", "own"} <= set(eyes.fleet.agents), 20, "those started by hand")
        return {"killed_s": _killed(swarm, eyes), **_foreign(hand, eyes), "hung_s": _hung(swarm, eyes)}
    finally:
        for process in hand.values():
            process.kill()
            process.wait()
        listener.bus.close()
        swarm.close()
        broker.stop()


def _by_hand(argv: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _killed(swarm: Swarm, eyes: Eyes) -> float:
    pid = swarm.pids()["b"]
    began = time.monotonic()
    swarm.kill(pid)
    eyes.see(lambda: eyes.rows["b"].pid != pid or eyes.rows["b"].state != "online", 10, "b's end")
    return time.monotonic() - began


def _foreign(hand: "dict[str, subprocess.Popen[bytes]]", eyes: Eyes) -> dict[str, float]:
    """One whose will the broker says at once, and one that left none."""
    found = {}
    for name in ("own", "light"):
        eyes.beat(name)
        began = time.monotonic()
        hand[name].send_signal(signal.SIGKILL)
        eyes.see(lambda name=name: eyes.fleet.agents[name].state in GONE, 60, f"{name}'s end")  # type: ignore[misc]
        found[f"foreign_{name}_s"] = time.monotonic() - began
    return found


def _hung(swarm: Swarm, eyes: Eyes) -> float:
    pid = swarm.pids()["a"]
    assert pid
    eyes.beat("a")
    began = time.monotonic()
    with standing_still(pid):
        eyes.see(lambda: eyes.rows["a"].state == "hung", 60, "a to be called hung")
        took = time.monotonic() - began
    swarm.await_row("a", lambda row: row.pid not in (None, pid) and row.state == "online", 30)
    return took


def main() -> int:
    """Measure in folders of its own, print the bars."""
    with private_folder() as folder:
        found = measure(folder)
    met = bar("an agent stands still: called hung", found["hung_s"], 36, "s")
    met &= bar("an agent of ours killed: seen on the bus", found["killed_s"], 1, "s")
    met &= bar("a foreign one killed, that left a will: seen", found["foreign_own_s"], 36, "s")
    met &= bar("a foreign one killed, that left none: seen", found["foreign_light_s"], 36, "s")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
