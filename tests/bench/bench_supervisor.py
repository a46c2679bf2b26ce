"""What supervision costs: a swarm's start beside bare processes, and a restart beside starting that agent alone.

Ratios of one run, medians of five pairs. Run it with `python -m tests.bench.bench_supervisor`.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from swarm_tui.broker.mosquitto import EmbeddedBroker
from swarm_tui.supervisor import processes
from tests.bench.bars import bar
from tests.conftest import pick_port
from tests.e2e.supervised_swarm import Swarm
from tests.wait import until

PAIRS = 5
ROLES = ["task-manager", "code-review", "deployment", "testing", "security", "docs", "database", "general", "general"]
BARE = """
import sys, threading
import paho.mqtt.client as mqtt
done = threading.Event()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=sys.argv[2])
client.on_connect = lambda *a: client.publish("bare/agents/register", b'{"payload":{}}', qos=1)
client.on_publish = lambda *a: done.set()
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
done.wait(30)
print("registered", flush=True)
"""


def bare(port: int, number: int) -> float:
    """Seconds until `number` processes that only import paho have registered."""
    began = time.monotonic()
    running = [
        subprocess.Popen([sys.executable, "-c", BARE, str(port), f"bare-{n}"], stdout=subprocess.PIPE)
        for n in range(number)
    ]
    for process in running:
        with process:
            assert process.stdout is not None
            process.stdout.readline()
    return time.monotonic() - began


def entries() -> list[dict[str, Any]]:
    return [{"role": role, "id": f"{role}-{n}"} for n, role in enumerate(ROLES)]


def up(swarm: Swarm) -> float:
    """Seconds of `up --detach`, from the command to the prompt."""
    began = time.monotonic()
    swarm.up()
    return time.monotonic() - began


def restart(swarm: Swarm, agent_id: str) -> tuple[float, float]:
    """Seconds from a SIGKILL to the new pid, and to its registration."""
    before = swarm.rows()[agent_id]
    began = time.monotonic()
    swarm.kill(before.pid)
    until(lambda: swarm.panes()[agent_id].pid != before.pid and not swarm.panes()[agent_id].dead, what="a new pid")
    born = time.monotonic() - began
    swarm.await_row(agent_id, lambda row: row.pid not in (None, before.pid) and row.state == "online")
    return born, time.monotonic() - began


def alone(swarm: Swarm, port: int) -> float:
    """Seconds until one agent, started by hand, has registered."""
    line = [sys.executable, "-m", "swarm_tui", "agent", "--role", "docs", "--agent-id", f"alone-{os.urandom(3).hex()}"]
    line += ["--swarm", f"{swarm.name}-alone", "--broker", f"mqtt://127.0.0.1:{port}"]
    listen = ["mosquitto_sub", "-p", str(port), "-t", f"{swarm.name}-alone/agents/register", "-C", "1", "-W", "30"]
    with subprocess.Popen(listen, stdout=subprocess.DEVNULL) as listener:
        time.sleep(0.2)
        began = time.monotonic()
        with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as agent:
            listener.wait()
            took = time.monotonic() - began
            agent.terminate()
    return took


def idle_cpu(pid: int, seconds: float = 5.0) -> float:
    """Percent of a core that the process uses."""
    import psutil

    return float(psutil.Process(pid).cpu_percent(interval=seconds))


def measure(folder: Path) -> dict[str, float]:
    """All figures; the keys that end in `_ratio` are what the bars speak of."""
    port = pick_port()
    broker = EmbeddedBroker(port, folder / "broker", guarded=False)
    broker.prepare()
    mosquitto = subprocess.Popen(broker.argv(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    swarm = Swarm(folder, port, entries())
    try:
        until(lambda: processes.is_alive(broker.pid()), what="mosquitto")
        starts = []
        for _ in range(PAIRS):
            starts.append((up(swarm), bare(port, len(ROLES))))
            if len(starts) < PAIRS:
                swarm.down("--now")
        restarts = [(*restart(swarm, "docs-5"), alone(swarm, port)) for _ in range(PAIRS)]
        cpu = idle_cpu(swarm.supervisor())
        began = time.monotonic()
        swarm.down()
        down = time.monotonic() - began
    finally:
        swarm.close()
        mosquitto.terminate()
        mosquitto.wait()
    middle = statistics.median
    return {
        "up_nine_s": middle(a for a, _ in starts),
        "bare_nine_s": middle(b for _, b in starts),
        "up_ratio": middle(a / b for a, b in starts),
        "new_pid_ms": middle(a for a, _, _ in restarts) * 1000,
        "registered_s": middle(b for _, b, _ in restarts),
        "alone_s": middle(c for _, _, c in restarts),
        "restart_ratio": middle(b / c for _, b, c in restarts),
        "supervisor_idle_percent": cpu,
        "down_s": down,
    }


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that holds all that a measurement leaves, state and sockets too."""
    folder = Path(tempfile.mkdtemp(prefix="swarm-bench-"))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "TMUX_TMPDIR"):
        os.environ[name] = str(folder / name.lower())
        (folder / name.lower()).mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Measure in folders of its own, print JSON."""
    with private_folder() as folder:
        figures = {name: round(value, 3) for name, value in measure(folder).items()}
    print(msgspec.json.format(msgspec.json.encode(figures), indent=2).decode())
    met = bar("up --detach to nine registered, against nine bare paho", figures["up_ratio"], 2.5)
    met &= bar("a killed agent registered again, against starting it alone", figures["restart_ratio"], 1.5)
    met &= bar("a killed agent's new process", figures["new_pid_ms"], 100, "ms")
    met &= bar("supervisor, idle, of a core", figures["supervisor_idle_percent"], 2.0, "%")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
