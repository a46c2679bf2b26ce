"""What every test gets: folders of its own, free ports, a real broker, and a check that no process is left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm_tui.broker.mosquitto import EmbeddedBroker
from swarm_tui.bus.probe import probe
from swarm_tui.config.model import Broker
from swarm_tui.config.paths import broker_dir
from swarm_tui.processes.descendants import descendants, signal_process
from swarm_tui.supervisor import processes
from tests import examples as examples  # The profile of `make quick` is known before a test is.
from tests.wait import until

#: Workers of a whole run for each processor, and at most: half of the tests' time is spent waiting for other processes.
WORKERS_A_CORE, MOST_WORKERS = 2, 8
#: A machine that is told to keep no bytecode would compile our modules anew in each of the hundreds of processes that
#: the tests start.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
_OURS = ("MQTT_BROKER", "OPENCTO_SWARM", "MQTT_USERNAME", "MQTT_PASSWORD", "NO_COLOR", "TMUX", "TMUX_PANE")


def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers `-n auto` starts."""
    return min(MOST_WORKERS, WORKERS_A_CORE * len(os.sched_getaffinity(0)))


@pytest.fixture(autouse=True)
def private_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State, config and tmux sockets of this test alone; none of the caller's settings reach it."""
    # A numbered one would be searched for among all before it.
    base = Path(tempfile.mkdtemp(prefix="x", dir=tmp_path_factory.getbasetemp()))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "TMUX_TMPDIR"):
        folder = base / name.lower()
        folder.mkdir(mode=0o700)
        monkeypatch.setenv(name, str(folder))
    for name in _OURS:
        monkeypatch.delenv(name, raising=False)
    return base


@pytest.fixture(scope="session", autouse=True)
def no_process_left() -> Iterator[None]:
    """After the last test nothing that the tests started is alive: what is, is ended and the run fails."""
    before = {child.key for child in descendants(os.getpid())}
    yield
    names = []
    for child in descendants(os.getpid()):
        if child.key not in before and not child.zombie:
            names.append(f"{child.pid} {child.command[:120]}")
            signal_process(child, signal.SIGKILL)
    assert not names, f"processes left behind by tests: {names}"


def pick_port() -> int:
    """A TCP port that is free on both loopbacks now."""
    for _ in range(50):
        with socket.socket() as four, socket.socket(socket.AF_INET6) as six:
            four.bind(("127.0.0.1", 0))
            port = int(four.getsockname()[1])
            with contextlib.suppress(OSError):
                six.bind(("::1", port))
                return port
    raise AssertionError("no port is free on both loopbacks")


@pytest.fixture
def free_port() -> int:
    """A port on which nothing listens."""
    return pick_port()


def listening(port: int) -> bool:
    """Whether something accepts connections on the loopback's `port`."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class RealBroker:
    """A mosquitto of the test's own; it can be killed and started again on the same port and files."""

    def __init__(self, port: int, folder: Path, extra: str = "", *, guarded: bool = False) -> None:
        self.port = port
        self.embedded = EmbeddedBroker(port, folder, guarded=guarded)
        self.extra = extra
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def broker(self) -> Broker:
        """The layout's `broker` that reaches it."""
        return Broker(url=self.url)

    def start(self) -> "RealBroker":
        self.embedded.prepare()
        if self.extra:
            with self.embedded.config.open("a") as file:
                file.write(self.extra + "\n")
        self.process = subprocess.Popen(
            self.embedded.argv(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: listening(self.port), what=f"mosquitto on {self.port}: {self.embedded.log}")
        if self.embedded.guarded:
            # It listens before it heeds signals: until it answers, the one that tells of new rules would end it.
            until(self.embedded.pid, what="its pid file")
            until(lambda: probe(self.broker, 1.0).kind not in ("refused", "timeout"), what="an answer")
        return self

    def signal(self, number: int) -> None:
        if self.process is not None:
            os.kill(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and wait until it is gone."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait(5)


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., RealBroker]]:
    """Starts real brokers: `make_broker()`, or `make_broker(extra="max_connections 5")`.

    With `guarded=PORT` it has the rules and the place of the embedded one on that port.
    """
    made: list[RealBroker] = []

    def make(port: int | None = None, extra: str = "", guarded: int | None = None) -> RealBroker:
        folder = tmp_path / f"broker-{len(made)}" if guarded is None else broker_dir(guarded)
        broker = RealBroker(guarded or port or pick_port(), folder, extra, guarded=guarded is not None)
        made.append(broker)
        return broker.start()

    yield make
    for broker in made:
        broker.signal(signal.SIGCONT)
        broker.stop()


@pytest.fixture
def real_broker(make_broker: Callable[..., RealBroker]) -> RealBroker:
    """A mosquitto on a free port, configured as the embedded one."""
    return make_broker()


@pytest.fixture
def frozen() -> Iterator[int]:
    """A process that a signal stopped."""
    process = subprocess.Popen(["sleep", "1000"])
    process.send_signal(signal.SIGSTOP)
    until(lambda: processes.is_stopped(process.pid), what="it stands still")
    yield process.pid
    process.kill()
    process.wait()
