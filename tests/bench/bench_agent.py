"""What an agent costs in memory, idle CPU and start, against bare paho: `python -m tests.bench.bench_agent`."""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.config.model import Broker
from tests.bench.bars import bar
from tests.conftest import RealBroker, pick_port
from tests.wait import until

PAIRS = 5
NINE = ["testing", "code-review", "deployment", "security", "docs", "database", "general", "general", "testing"]
IDLE_SECONDS = 30.0
#: What any agent must do at least: import paho, connect, register, and stay.
BARE = """
import sys, time
import paho.mqtt.client as mqtt
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, sys.argv[1])
client.on_connect = lambda c, *_: c.publish("bench/agents/register", '{"agent_id": "%s"}' % sys.argv[1], qos=1)
client.connect("127.0.0.1", int(sys.argv[2]))
client.loop_forever()
"""


class Registered:
    """Counts who has registered."""

    def __init__(self, url: str) -> None:
        self.seen: set[bytes] = set()
        self._up = threading.Event()
        self.bus = MqttBus(Broker(url=url), "bench-ear")
        self.bus.subscribe("bench/agents/register")
        self.bus.start(lambda topic, raw, retained: self.seen.add(raw), lambda link: self._up.set())
        assert self._up.wait(10)


def start_bare(port: int, n: int) -> subprocess.Popen[bytes]:
    """One bare paho process."""
    return subprocess.Popen([sys.executable, "-c", BARE, f"bare-{n}", str(port)], stdout=subprocess.DEVNULL)


def start_agent(port: int, n: int) -> subprocess.Popen[bytes]:
    """One agent, as `swarm-tui up` starts it but for the pane."""
    argv = ["--role", NINE[n], "--agent-id", f"a{n}", "--swarm", "bench", "--broker", f"mqtt://127.0.0.1:{port}"]
    return subprocess.Popen([sys.executable, "-m", "swarm_tui", "agent", *argv], stdout=subprocess.DEVNULL)


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Stop them and wait."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


def nine(listener: Registered, port: int, start: Callable[[int, int], subprocess.Popen[bytes]]) -> float:
    """Seconds from the first start to the ninth registration."""
    listener.seen.clear()
    begun = time.perf_counter()
    processes = [start(port, n) for n in range(9)]
    until(lambda: len(listener.seen) >= 9, 60)
    took = time.perf_counter() - begun
    end(processes)
    return took


def memory(pid: int) -> tuple[int, int]:
    """Resident and proportional set size, in KiB."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:] if ":" in line
    )
    return int(fields["Rss"].split()[0]), int(fields["Pss"].split()[0])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the figures, each with its bar."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = name
        broker = RealBroker(pick_port(), Path(name) / "broker").start()
        listener = Registered(broker.url)
        try:
            measure(listener, broker.port)
        finally:
            listener.bus.close()
            broker.stop()


def measure(listener: Registered, port: int) -> None:
    """All three figures on one broker."""
    nine(listener, port, start_agent)
    pairs = [(nine(listener, port, start_bare), nine(listener, port, start_agent)) for _ in range(PAIRS)]
    bare_s, agent_s = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"nine registered: {agent_s * 1000:.0f} ms, bare {bare_s * 1000:.0f} ms")
    bar("nine agents registered, against nine bare paho", agent_s / bare_s, 2.5)
    listener.seen.clear()
    bare, agent = start_bare(port, 0), start_agent(port, 0)
    try:
        until(lambda: len(listener.seen) >= 2, 30)
        time.sleep(2)
        spent = cpu_seconds(agent.pid)
        time.sleep(IDLE_SECONDS)
        share = 100 * (cpu_seconds(agent.pid) - spent) / IDLE_SECONDS
        (rss, pss), (bare_rss, bare_pss) = memory(agent.pid), memory(bare.pid)
        bar("idle agent, of a core", share, 0.5, "%")
        print(f"memory: RSS {rss / 1024:.1f} MiB, bare {bare_rss / 1024:.1f}")
        bar("memory of an agent, against bare paho", rss / bare_rss, 1.5)
        print(f"        PSS {pss / 1024:.1f} MiB, bare {bare_pss / 1024:.1f}: {pss / bare_pss:.2f}x")
    finally:
        end([bare, agent])


if __name__ == "__main__":
    main()
