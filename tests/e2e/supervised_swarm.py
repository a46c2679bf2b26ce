"""A swarm of its own for a test: its layout, its tmux server, the commands on it, and the end of all of it."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from swarm_tui.broker.mosquitto import EmbeddedBroker
from swarm_tui.bus.session import clear_retained
from swarm_tui.config.model import Broker
from swarm_tui.config.own_process import own_argv
from swarm_tui.config.paths import broker_dir, state_dir
from swarm_tui.protocol.bodies import PaneStatus
from swarm_tui.supervisor import processes, state_file
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import Tmux
from tests.wait import until

LIGHT = [sys.executable, str(Path(__file__).with_name("supervisor_agent.py")), "{agent_id}", "{swarm}", "{broker}"]


def light(agent_id: str, **more: Any) -> dict[str, Any]:
    """A layout's entry for a light agent."""
    return {"role": "general", "id": agent_id, "command": LIGHT, **more}


def own(agent_id: str, role: str = "general", **more: Any) -> dict[str, Any]:
    """A layout's entry for an agent of ours."""
    return {"role": role, "id": agent_id, **more}


def sleeper(agent_id: str, **more: Any) -> dict[str, Any]:
    """A layout's entry for a program that knows no MQTT."""
    return {"role": "general", "id": agent_id, "command": ["sleep", "100000"], **more}


class Swarm:
    """One swarm under test. `close` ends everything of it, whatever state it is in."""

    def __init__(self, folder: Path, port: int, agents: list[dict[str, Any]], **layout: Any) -> None:
        self.name = layout.pop("swarm", f"test-{uuid.uuid4().hex[:6]}")
        self.socket = layout.pop("socket", f"swarm-test-{uuid.uuid4().hex[:8]}")
        self.folder = folder
        self.port = port
        self.path = folder / f"{self.name}.yml"
        self.document: dict[str, Any] = {
            "swarm": self.name,
            "session": self.name,
            "broker": {"url": f"mqtt://127.0.0.1:{port}"},
            "tmux": {"socket": self.socket},
            "agents": agents,
            **layout,
        }
        self.write()
        self.tmux = Tmux(self.socket)
        self.state = state_dir(self.name)

    def write(self, **changes: Any) -> None:
        """Write the layout, changed."""
        self.document.update(changes)
        self.path.write_text(yaml.safe_dump(self.document))

    def run(self, *argv: str, limit: float = 60.0) -> "subprocess.CompletedProcess[str]":
        """One command, to its end."""
        return subprocess.run(
            own_argv("swarm_tui", *argv),
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
        )

    def up(self, *more: str, fails: bool = False, wait: str = "30") -> str:
        """`up --detach`; what it said."""
        done = self.run("up", str(self.path), "--detach", "--wait", wait, *more)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def down(self, *more: str) -> str:
        """`down`; what it said."""
        done = self.run("down", self.name, *more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    # What is.

    def saved(self) -> state_file.Saved:
        return state_file.load(self.state) or state_file.Saved()

    def rows(self) -> dict[str, PaneStatus]:
        return {row.agent_id: row for row in self.saved().rows}

    def pids(self) -> dict[str, int | None]:
        return {name: row.pid for name, row in self.rows().items()}

    def panes(self) -> dict[str, Pane]:
        return {pane.agent: pane for pane in self.tmux.panes() if pane.swarm == self.name and pane.agent}

    def events(self, what: str) -> list[dict[str, object]]:
        return [event for event in self.saved().events if event["what"] == what]

    def log(self, agent_id: str) -> str:
        try:
            return self.state.log(agent_id).read_text(errors="replace")
        except OSError:
            return ""

    def supervisor(self) -> int:
        """The pid of a supervisor that lives."""

        def alive() -> int:
            saved = self.saved()
            return saved.pid if processes.is_alive(saved.pid, saved.start_time) else 0

        return until(alive, what="a supervisor")

    def await_row(self, agent_id: str, condition: Callable[[PaneStatus], bool], limit: float = 15.0) -> PaneStatus:
        """The agent's row, once the condition holds of it."""

        def found() -> PaneStatus | None:
            row = self.rows().get(agent_id)
            return row if row is not None and condition(row) else None

        return until(found, limit, f"{agent_id}: {self.rows().get(agent_id)} {list(self.saved().events)[-4:]}")  # type: ignore[return-value]

    def kill(self, pid: int | None, number: signal.Signals = signal.SIGKILL) -> None:
        assert pid
        os.kill(pid, number)

    def processes(self) -> list[psutil.Process]:
        """Every process that names this swarm or its tmux server in its command line."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                line = process.cmdline()
                mine = any(self.name in word or self.socket in word for word in line)
                if mine and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def close(self) -> None:
        """End what is left, the harder way."""
        with suppress(psutil.Error):
            saved = self.saved()
            processes.signal_one(saved.pid, saved.start_time, signal.SIGKILL)
        with suppress(TmuxError):
            self.tmux.run("kill-server")
        end = time.monotonic() + 5
        while (left := self.processes()) and time.monotonic() < end:
            for process in left:
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGCONT)
                    process.kill()
            time.sleep(0.02)
        broker = EmbeddedBroker(self.port, broker_dir(self.port)).pid()
        if broker is not None:
            os.kill(broker, signal.SIGTERM)
            until(lambda: not processes.is_alive(broker), what="the broker to end")


def retained(port: int, prefix: str) -> list[str]:
    """The topics under `prefix` that the broker retains something on."""
    found: set[str] = set()

    def everything(topic: str) -> bool:
        found.add(topic)
        return True

    clear_retained(Broker(url=f"mqtt://127.0.0.1:{port}"), [f"{prefix}/#"], keep=everything)
    return sorted(found)
