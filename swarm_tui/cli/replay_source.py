"""A recording as the source of the screen: its messages come when their time has come."""

import time
import zlib
from collections.abc import Callable
from math import nextafter
from typing import Any

from swarm_tui.agent.roles.monitoring.history import answer as history_reply
from swarm_tui.agent.roles.monitoring.history import args_of
from swarm_tui.agent.roles.monitoring.keyframes import QUERIES, Keyframes, time_reply
from swarm_tui.bus.port import BusError, Link
from swarm_tui.cli.recording import Line
from swarm_tui.cli.span_file import Printed
from swarm_tui.config.saved_filters import SavedFilters, filters_path
from swarm_tui.config.user import read_user_config
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.snapshot import restored, snapshot
from swarm_tui.journal.recorder_port import Keyframe, MemoryRecorder, recorded_of
from swarm_tui.protocol.bodies import Body, Reply, Task
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.acts import ALL
from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.live.live_source import NoPanes
from swarm_tui.ui.look.theme import NAMES
from swarm_tui.ui.model.here import Here
from swarm_tui.ui.model.model import ENDED_KEPT
from swarm_tui.ui.model.source import MOST, Arrived, Facts, Item, Neighbours, Panes, Sent
from swarm_tui.worktrees.change import Change


class ReplayClock:
    """The time of the recording: at `speed` from its first message to its last, then as any other clock's.

    Played as fast as it can be, its last moment would else be years ago at once, and no notice would stay.
    """

    def __init__(self, start: float, end: float, speed: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._start, self._end, self._speed, self._clock = start, end, speed, clock
        self._began = clock()

    def __call__(self) -> float:
        passed = self._clock() - self._began
        played = (self._end - self._start) / self._speed
        return self._start + passed * self._speed if passed < played else self._end + (passed - played)


class ReplaySource:
    """Reads only: what would act on the swarm says that this is a recording."""

    def __init__(
        self,
        facts: Facts,
        lines: list[Line],
        clock: Callable[[], float],
        *,
        known: bytes = b"",
        panes: dict[str, Printed] | None = None,
    ) -> None:
        self.facts = facts
        self._record = _Record(facts.swarm, lines, known)
        self._printed = panes or {}
        self.neighbours: Neighbours | None = None
        self.panes: Panes = NoPanes("this is a recording", only=True)
        self._lines = lines
        self._clock = clock
        self._at = 0
        self._items: list[Item] = []

    def start(self) -> None:
        self._items.append(Link(True))

    def close(self) -> None:
        """Nothing to close."""

    def on_arrival(self, call: Arrived) -> bool:
        """Tell nothing: what is due is looked for."""
        return False

    def take(self) -> list[Item]:
        items, self._items = self._items, []
        now = self._clock()
        while self._due(now) and len(items) < MOST:
            line = self._lines[self._at]
            self._at += 1
            event = line.heard(self.facts.swarm)
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

    def look_here(self) -> Here:
        return Here()

    def act(self, kind: Kind, body: Body, key: str = "") -> None:
        raise BusError("this is a recording: nothing can be done to it")

    def clear(self, kind: Kind, key: str = "") -> None:
        raise BusError("this is a recording: nothing can be done to it")

    def submit(self, task: Task, on_change: Callable[[], None]) -> Sent:
        raise BusError("this is a recording: no task can be given to it")

    def query(self, query: str, args: dict[str, Any]) -> Reply | None:
        return self._record.answer(query, args)

    def change(self, task_id: str, hosts: int) -> Change | None:
        """Return None: no recording has worktrees."""
        return None

    def output(self, task_id: str, lines: int, hosts: int) -> list[str]:
        return []

    def pane_at(self, agent_id: str, lines: int, at: float) -> list[str] | None:
        text = "".join(piece for moment, piece in self._printed.get(agent_id, []) if moment <= at)
        return [line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n")][-lines:] if text else None

    def log(self, agent_id: str, lines: int) -> list[str] | None:
        return None


class _Record:
    """A recording asked as the record is: `known` is a snapshot of what was known when it begins."""

    def __init__(self, swarm: str, lines: list[Line], known: bytes) -> None:
        self._swarm = swarm
        self._lines = lines
        self._known = known
        self._recorder: MemoryRecorder | None = None

    def answer(self, query: str, args: dict[str, Any]) -> Reply | None:
        """Return the answer to a question about the past; None to any other."""
        if query == "history":
            pages = list(history_reply(self._made().history(args_of(args)), None, request="", source="recording"))
        elif query in QUERIES:
            pages = list(time_reply(query, args, self._made(), request="", source="recording"))
        else:
            return None
        return Reply(query=query, rows=[row for page in pages for row in page.rows], error=pages[-1].error)

    def _made(self) -> MemoryRecorder:
        """Return the lines as a record with keyframes, made when it is first asked."""
        if self._recorder is None:
            recorder, keyframes = MemoryRecorder(len(self._lines)), Keyframes()
            fleet = restored(self._known, kept=ENDED_KEPT) if self._known else Fleet(self._swarm, kept=ENDED_KEPT)
            fleet.link(True, "", self._lines[0].at)  # Whoever wrote it down heard the broker.
            recorder.add_keyframe(Keyframe(nextafter(self._lines[0].at, 0.0), zlib.compress(snapshot(fleet), 1)))
            for line in self._lines:
                event = line.heard(self._swarm)
                if event is not None:
                    recorder.add(recorded_of(event, line.topic, line.payload, line.at))
                    fleet.apply(event, line.at)
                    keyframes.note(fleet, recorder, len(line.payload), line.at)
            self._recorder = recorder
        return self._recorder


def replay_on_screen(
    known: Fleet, lines: list[Line], speed: float, name: str, *, panes: dict[str, Printed] | None = None
) -> int:
    """Show the recording on the screen until the person leaves; the exit code. `known` is so when it begins."""
    clock = ReplayClock(lines[0].at, lines[-1].at, speed or 1e9)
    facts = Facts(
        swarm=known.swarm, broker=f"recording {name}", recording=True, recorded=(lines[0].at, lines[-1].at),
        printed=bool(panes),
    )  # fmt: skip
    source = ReplaySource(facts, lines, clock, known=snapshot(known), panes=panes)
    config, mistakes = read_user_config(actions=[action.name for action in ALL], themes=list(NAMES))
    filters = SavedFilters(filters_path())
    app = SwarmApp(
        source, config=config, notes=mistakes, filters=filters, read_only=True, clock=clock, known=known
    )  # fmt: skip
    return app.run(mouse=config.mouse) or app.return_code or 0
