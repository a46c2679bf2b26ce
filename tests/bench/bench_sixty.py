"""Sixty light agents on this machine: all that works with nine works with them, and a restart takes no longer.

"No longer" is within a quarter, which two medians of five differ by on a busy machine.

Run it with `python -m tests.bench.bench_sixty`.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

from swarm_tui.domain.liveness import BEAT
from tests.bench.bars import bar
from tests.bench.bench_supervisor import idle_cpu, private_folder, restart
from tests.conftest import RealBroker, pick_port
from tests.e2e.supervised_swarm import Swarm, light

MANY, FEW, RESTARTS = 60, 9, 5


def timed(swarm: Swarm, *argv: str) -> tuple[float, str]:
    """Seconds that a command took, and what it said; it must not fail."""
    began = time.monotonic()
    done = swarm.run(*argv, limit=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - began, done.stdout


def measure(folder: Path, number: int) -> dict[str, float]:
    """`up`, `status`, restarts after a kill, the idle supervisor, `restart` by command, `down`: seconds, percent."""
    broker = RealBroker(pick_port(), folder / f"broker-{number}").start()
    swarm = Swarm(folder, broker.port, [light(f"light-{n:02d}") for n in range(number)])
    try:
        up, _ = timed(swarm, "up", str(swarm.path), "--detach", "--wait", "100")
        status, said = timed(swarm, "status", swarm.name, "--json")
        states = [agent["state"] for agent in json.loads(said)["agents"]]
        assert states == ["online"] * number, states
        kills = [restart(swarm, "light-05") for _ in range(RESTARTS)]
        command, _ = timed(swarm, "restart", "--swarm", swarm.name, "light-03")
        cpu = idle_cpu(swarm.supervisor(), 10.0)
        down, _ = timed(swarm, "down", swarm.name)
        assert swarm.processes() == []
    finally:
        swarm.close()
        broker.stop()
    return {
        "up_s": up,
        "status_s": status,
        "new_pid_ms": statistics.median(born for born, _ in kills) * 1000,
        "registered_s": statistics.median(back for _, back in kills),
        "restart_command_s": command,
        "idle_percent": cpu,
        "down_s": down,
    }


def main() -> int:
    """Measure in folders of its own, print the bars."""
    os.environ["LIGHT_AGENT_BEAT"] = str(BEAT)
    with private_folder() as folder:
        few, many = measure(folder, FEW), measure(folder, MANY)
    for name in few:
        print(f"{name:<20}{few[name]:10.2f}{many[name]:10.2f}")
    met = bar(
        f"a killed one of {MANY} registered again, against one of {FEW}",
        many["registered_s"] / few["registered_s"],
        1.25,
    )
    met &= bar(f"new process of a killed one of {MANY}", many["new_pid_ms"], 100, "ms")
    met &= bar(f"supervisor of {MANY}, idle, of a core", many["idle_percent"], 2.0, "%")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
