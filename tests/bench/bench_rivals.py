"""A restart by the supervisors that people use today, beside ours: the same nine agents under each.

Those that are not installed are left out: `pip install '.[bench]'` brings supervisord and circus, npm mprocs.
Run it with `python -m tests.bench.bench_rivals`.
"""

import fcntl
import os
import pty
import shutil
import signal
import statistics
import struct
import sys
import termios
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paho.mqtt.client as mqtt
import yaml

from tests.bench.bars import bar
from tests.conftest import RealBroker
from tests.e2e.supervised_swarm import Swarm
from tests.wait import until

NAMES = [f"rival-{uuid.uuid4().hex[:8]}" for _ in range(9)]
KILLS = 3
#: supervisord and circus take a child that ends sooner for one that failed to start, seconds.
SETTLED = 1.2
BESIDE = str(Path(sys.executable).parent)


def argv(name: str, url: str) -> list[str]:
    """The agent's command line: the same program under each."""
    names = ["--role", "general", "--agent-id", name, "--swarm", "rivals", "--broker", url]
    return [sys.executable, "-m", "swarm_tui", "agent", *names]


def pid_of(name: str, besides: frozenset[int] = frozenset()) -> int:
    """The agent of that name, found by its command line; 0 when there is none."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) not in besides:
            with suppress(OSError):
                words = Path(entry.path, "cmdline").read_bytes().split(b"\0")
                if words[1:4] == [b"-m", b"swarm_tui", b"agent"] and name.encode() in words:
                    return int(entry.name)
    return 0


def all_pids() -> frozenset[int]:
    return frozenset(int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())


def one_kill(name: str, port: int, swarm: str) -> tuple[float, float]:
    """Seconds from a SIGKILL to the new process, and to its registration."""
    listening, registered = threading.Event(), threading.Event()
    listener = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    listener.on_connect = lambda client, *more: client.subscribe(f"{swarm}/agents/register")
    listener.on_subscribe = lambda *more: listening.set()
    listener.on_message = lambda _, __, said: registered.set() if name.encode() in said.payload else None
    listener.connect("127.0.0.1", port)
    listener.loop_start()
    try:
        assert listening.wait(10)
        victim, before = pid_of(name), all_pids()
        began = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        until(lambda: pid_of(name, before), 30, f"{name} again")
        born = time.monotonic() - began
        assert registered.wait(30)
        return born, time.monotonic() - began
    finally:
        listener.disconnect()
        listener.loop_stop()


def kills(port: int, swarm: str) -> tuple[float, float]:
    """Medians of several."""
    until(lambda: all(pid_of(name) for name in NAMES), 30, "nine children")
    found = []
    for number in range(KILLS):
        time.sleep(SETTLED)
        found.append(one_kill(NAMES[number], port, swarm))
    return statistics.median(a for a, _ in found), statistics.median(b for _, b in found)


@contextmanager
def daemon(line: list[str], folder: Path) -> Iterator[None]:
    """A program in a terminal of its own for as long as the `with` lasts."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvp(line[0], line)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    threading.Thread(target=_drain, args=(terminal,), daemon=True).start()
    try:
        yield
    finally:
        os.kill(pid, signal.SIGTERM)
        with suppress(AssertionError):
            until(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, 10, line[0])
        for name in NAMES:
            while left := pid_of(name):
                os.kill(left, signal.SIGKILL)
                time.sleep(0.01)
        os.close(terminal)


def _drain(terminal: int) -> None:
    with suppress(OSError):
        while os.read(terminal, 65536):
            pass


def supervisord(folder: Path, url: str) -> list[str]:
    parts = [f"[supervisord]\nlogfile={folder}/log\npidfile={folder}/pid\nchildlogdir={folder}"]
    parts += [f"[program:{name}]\ncommand={' '.join(argv(name, url))}\nautorestart=true" for name in NAMES]
    (folder / "supervisord.conf").write_text("\n".join(parts))
    return ["supervisord", "-n", "-c", str(folder / "supervisord.conf")]


def circus(folder: Path, url: str) -> list[str]:
    parts = [f"[circus]\nendpoint = ipc://{folder}/a\npubsub_endpoint = ipc://{folder}/b"]
    parts += [f"[watcher:{name}]\ncmd = {' '.join(argv(name, url))}" for name in NAMES]
    (folder / "circus.ini").write_text("\n".join(parts))
    return ["circusd", str(folder / "circus.ini")]


def mprocs(folder: Path, url: str) -> list[str]:
    procs = {name: {"cmd": argv(name, url), "autorestart": True} for name in NAMES}
    (folder / "mprocs.yaml").write_text(yaml.safe_dump({"procs": procs}))
    return ["mprocs", "--config", str(folder / "mprocs.yaml")]


RIVALS: dict[str, Callable[[Path, str], list[str]]] = {"supervisord": supervisord, "circus": circus, "mprocs": mprocs}


def measure(folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds to (new process, registration) by each that is here, ours first."""
    from tests.conftest import pick_port

    broker = RealBroker(pick_port(), folder / "broker").start()
    swarm = Swarm(folder, broker.port, [{"role": "general", "id": name} for name in NAMES])
    found = {}
    try:
        swarm.up()
        found["swarm-tui"] = kills(broker.port, swarm.name)
        swarm.down("--now")
        for name, configure in RIVALS.items():
            own = folder / name
            own.mkdir()
            line = configure(own, broker.url)
            # Beside this Python first: its environment need not be the caller's.
            program = shutil.which(line[0], path=BESIDE) or shutil.which(line[0])
            if program is None:
                print(f"{name} is not here", file=sys.stderr)
                continue
            with daemon([program, *line[1:]], own):
                found[name] = kills(broker.port, "rivals")
    finally:
        swarm.close()
        broker.stop()
    return found


def bars(found: dict[str, tuple[float, float]]) -> bool:
    """Ahead of supervisord and circus, within twice of mprocs."""
    ours = found["swarm-tui"][1]
    limits = {"supervisord": 1.0, "circus": 1.0, "mprocs": 2.0}
    met = True
    for name in (name for name in RIVALS if name in found):
        met &= bar(f"restart, against {name}", ours / found[name][1], limits[name])
    return met


def main() -> int:
    """Measure in folders of its own, print a table."""
    from tests.bench.bench_supervisor import private_folder

    with private_folder() as folder:
        found = measure(folder)
    print("            new pid ms  registered ms")
    for name, (born, registered) in found.items():
        print(f"{name:<12}{born * 1000:10.0f}{registered * 1000:15.0f}")
    return int(not bars(found))


if __name__ == "__main__":
    sys.exit(main())
