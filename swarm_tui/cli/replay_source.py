"""A recording as the source of the screen: its messages come when their time has come."""

import time
from collections.abc import Callable
from typing import Any

from swarm_tui.bus.port import BusError, Link
from swarm_tui.cli.recording import Line
from swarm_tui.config.user import read_user_config
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import Body, Reply, Task
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.acts import ALL
from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.live.live_source import NoPanes
from swarm_tui.ui.look.theme import NAMES
from swarm_tui.ui.model.source import MOST, Facts, Item, Panes, Sent


class ReplayClock:
    """The time of the recording, which runs at `speed` from its first message on."""

    def __init__(self, start: float, speed: float) -> None:
        self._start = start
        self._speed = speed
        self._began = time.monotonic()

    def __call__(self) -> float:
        return self._start + (time.monotonic() - self._began) * self._speed


class ReplaySource:
    """Reads only: what would act on the swarm says that this is a recording."""

    def __init__(self, facts: Facts, lines: list[Line], clock: Callable[[], float]) -> None:
        self.facts = facts
        self.panes: Panes = NoPanes("this is a recording", only=True)
        self._lines = lines
        self._clock = clock
        self._at = 0
        self._items: list[Item] = []

    def start(self) -> None:
        self._items.append(Link(True))

    def close(self) -> None:
        """Nothing to close."""

    def take(self) -> list[Item]:
        items, self._items = self._items, []
        now = self._clock()
        while self._due(now) and len(items) < MOST:
            line = self._lines[self._at]
            self._at += 1
            event = codec.decode(self.facts.swarm, line.topic, line.payload, line.retained, line.at)
            if event is not None:
                items.append(event)
        if self._at == len(self._lines) and self._lines:
            self._lines = []
            items.append(Link(False, "the recording is over"))
        return items

    def waiting(self) -> bool:
        return self._due(self._clock())

    def _due(self, now: float) -> bool:
        return self._at < len(self._lines) and self._lines[self._at].at <= now

    def act(self, kind: Kind, body: Body, key: str = "") -> None:
        raise BusError("this is a recording: nothing can be done to it")

    def clear(self, kind: Kind, key: str = "") -> None:
        raise BusError("this is a recording: nothing can be done to it")

    def submit(self, task: Task, on_change: Callable[[], None]) -> Sent:
        raise BusError("this is a recording: no task can be given to it")

    def query(self, query: str, args: dict[str, Any]) -> Reply | None:
        return None

    def output(self, task_id: str, lines: int, hosts: int) -> list[str]:
        return []

    def pane_at(self, agent_id: str, lines: int, at: float) -> list[str] | None:
        return None

    def log(self, agent_id: str, lines: int) -> list[str] | None:
        return None


def replay_on_screen(swarm: str, lines: list[Line], speed: float, name: str) -> int:
    """Show the recording on the screen until the person leaves; the exit code."""
    clock = ReplayClock(lines[0].at, speed or 1e9)
    source = ReplaySource(Facts(swarm=swarm, broker=f"recording {name}", recording=True), lines, clock)
    config, mistakes = read_user_config(actions=[action.name for action in ALL], themes=list(NAMES))
    app = SwarmApp(source, config=config, notes=mistakes, read_only=True, clock=clock)
    return app.run(mouse=config.mouse) or app.return_code or 0
