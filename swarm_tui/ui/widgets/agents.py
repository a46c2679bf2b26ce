"""The agents panel: who is alive, what each does, and how its heart beats."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from functools import lru_cache
from itertools import groupby

from rich.segment import Segment

from swarm_tui.domain.liveness import BEAT
from swarm_tui.domain.states import LIVE, AgentState
from swarm_tui.domain.views import AgentView
from swarm_tui.ui.look import glyphs
from swarm_tui.ui.look.text import Parts, ago, amount, bar, beats, fit, fit_id, flat, heard_parts, spark
from swarm_tui.ui.model.row_lines import Group
from swarm_tui.ui.model.sorted_rows import Key
from swarm_tui.ui.widgets.cells import CellTable
from swarm_tui.ui.widgets.columns import Column, Scene, id_cell, text_cell

_DIGITS = re.compile(r"(\d+)")


@lru_cache(1 << 15)
def natural(text: str) -> Key:
    """Return an order in which `a-2` comes before `a-10`."""
    return tuple((int(p), "") if p.isdecimal() else (-1, p) for p in _DIGITS.split(text))


def _state(agent: AgentView, scene: Scene, width: int) -> Parts:
    glyph, style = glyphs.AGENT[agent.state]
    word = agent.word if agent.witness in (None, "foreign") else agent.witness
    return text_cell(f"{glyph} {flat(word, 12)}", style, scene, width)


def _id(agent: AgentView, scene: Scene, width: int) -> Parts:
    return id_cell(agent.agent_id, "id", scene, width)


def _role(agent: AgentView, scene: Scene, width: int) -> Parts:
    return text_cell(flat(agent.role), "quiet", scene, width)


def _beats(agent: AgentView, scene: Scene, width: int) -> Parts:
    text = beats(agent.beats, scene.now, width, scene.outages) if agent.state not in QUIET else " " * width
    look = scene.look
    style = {"•": look["ok"], "◦": look["warn"], "×": look["bad"], " ": look["plain"]}
    return [Segment("".join(alike), style[c]) for c, alike in groupby(text)]


def _age(agent: AgentView, scene: Scene, width: int) -> Parts:
    if agent.last_heartbeat is None or agent.state in QUIET:
        return text_cell("-", "quiet", scene, width, True)
    silent = heard_parts(agent.last_heartbeat, scene.now, scene.outages)[-1]
    style = "bad" if silent > 3 * BEAT else "warn" if silent > 1.5 * BEAT else "quiet"
    return text_cell(ago(scene.now - agent.last_heartbeat), style, scene, width, True)


def fresh(agent: AgentView, now: float, style: str = "plain") -> str:
    """Return the style of what its heartbeats say of it: it fades as the last of them grows old."""
    age = now - (agent.last_heartbeat or 0.0)
    return "old" if age > 3.5 * BEAT else "quiet" if age > 1.5 * BEAT else style


def _uptime(agent: AgentView, scene: Scene, width: int) -> Parts:
    up = scene.now - agent.started_at if agent.started_at and agent.state not in QUIET else None
    return text_cell(ago(up), fresh(agent, scene.now), scene, width, True)


def _memory(agent: AgentView, scene: Scene, width: int) -> Parts:
    text = amount(agent.memory_rss) if agent.state not in QUIET else "-"
    return text_cell(text, fresh(agent, scene.now), scene, width, True)


def _cpu(agent: AgentView, scene: Scene, width: int) -> Parts:
    text = "-" if agent.cpu is None or agent.state in QUIET else f"{agent.cpu:.0f}%"
    style = "warn" if (agent.cpu or 0) > 90 else "plain"
    return text_cell(text, fresh(agent, scene.now, style), scene, width, True)


def _restarts(agent: AgentView, scene: Scene, width: int) -> Parts:
    return text_cell(
        str(agent.restarts) if agent.restarts else "·", "warn" if agent.restarts else "quiet", scene, width, True
    )


def _cpu_trail(agent: AgentView, scene: Scene, width: int) -> Parts:
    text = spark(list(agent.cpu_trail), width, 100.0) if agent.state not in QUIET else ""
    return text_cell(text, fresh(agent, scene.now, "busy"), scene, width)


def _memory_trail(agent: AgentView, scene: Scene, width: int) -> Parts:
    text = spark(list(agent.memory_trail), width) if agent.state not in QUIET else ""
    return text_cell(text, fresh(agent, scene.now, "wait"), scene, width)


#: How near to the top each state's group stands: what calls for a person first.
_WORST = {
    AgentState.CRASHLOOP: 0, AgentState.HUNG: 1, AgentState.LOST: 2, AgentState.BACKOFF: 3, AgentState.SUSPECT: 4,
    AgentState.DRAINING: 5, AgentState.STARTING: 6, AgentState.BUSY: 7, AgentState.ONLINE: 8,
}  # fmt: skip
QUIET = frozenset({"offline", "stopped", "crashloop", "backoff"})
"""States of an agent that has no process, so that nothing is measured of it."""


def columns() -> list[Column[AgentView]]:
    """Return the columns, in the order they stand."""
    return [
        Column("STATE", 11, 11, 0, _state, sort=lambda a: a.state),
        Column("AGENT", 12, 24, 0, _id, sort=lambda a: natural(a.agent_id)),
        Column("ROLE", 12, 13, 8, _role, False, 112, sort=lambda a: a.role),
        Column("DOES", 14, 60, 1, does, sort=lambda a: a.task_id),
        Column("BEATS", 8, 12, 2, _beats),
        Column("SEEN", 4, 4, 1, _age, True, sort=lambda a: a.last_heartbeat),
        Column("UP", 4, 4, 4, _uptime, True, sort=lambda a: a.started_at, most_first=True),
        Column("MEM", 4, 4, 5, _memory, True, sort=lambda a: a.memory_rss, most_first=True),
        Column("", 8, 10, 10, _memory_trail, False, 112),
        Column("CPU", 4, 4, 6, _cpu, True, sort=lambda a: a.cpu, most_first=True),
        Column(" ", 8, 10, 9, _cpu_trail, False, 112),
        Column("↻", 3, 3, 3, _restarts, True, sort=lambda a: a.restarts, most_first=True),
    ]


def does(agent: AgentView, scene: Scene, width: int) -> Parts:
    """Return what it asks; its task with a bar; or why it has none."""
    if asked := scene.asked_by(agent):
        return text_cell(f"? {flat(asked)}", "alarm", scene, width)
    if agent.reason and agent.state not in LIVE:
        return text_cell(flat(agent.reason), glyphs.AGENT[agent.state][1], scene, width)
    if not agent.task_id or agent.state in QUIET:
        lacks = flat(agent.trouble) if agent.state in LIVE else ""
        if not lacks and agent.witness == "foreign":
            return text_cell("started by hand", "quiet", scene, width)
        return text_cell(lacks, "warn" if lacks else "plain", scene, width)
    task = scene.tasks.get(agent.task_id)
    busy = scene.look["busy"]
    if task is None:
        return id_cell(agent.task_id, "busy", scene, width)
    percent = "" if task.progress is None else f"{task.progress:4.0f}%"
    type_, room = flat(task.type), width - len(percent)
    # The type and the id whole before the bar: the percentage says the same.
    gauge = min(12, width // 3, room - len(type_) - len(agent.task_id) - 2) if percent and width >= 24 else 0
    gauge = gauge if gauge >= 3 else 0
    room -= gauge + 1 if gauge else 0
    left = room - len(type_) - 1
    if left < 8:
        name = [Segment(fit(type_, room), busy)]
    else:
        name = [Segment(type_, busy), Segment(" " + fit_id(flat(agent.task_id), left), scene.look["quiet"])]
    drawn = [Segment(" "), Segment(bar(task.progress, gauge), scene.look["bar"] + scene.look["head"])] if gauge else []
    return [*name, *drawn, Segment(percent, busy)]


class AgentTable(CellTable[AgentView]):
    """Every agent of the swarm, in the order of their ids, so that none moves under the hand."""

    NOUN = "agents"
    COLUMNS = columns()
    GROUPS: Mapping[str, Callable[[AgentView], Group]] = {
        "role": lambda agent: (0, agent.role),
        "host": lambda agent: (0, agent.host) if agent.host else (1, "no host"),
        "state": lambda agent: (_WORST.get(agent.state, 9), agent.state.value),
    }

    def source(self) -> Mapping[str, AgentView]:
        return self.model.fleet.agents

    def key(self, row: AgentView) -> Key:
        return natural(row.agent_id)

    def has(self, word: str, *, of_all: bool) -> Callable[[AgentView], bool]:
        def has(row: AgentView) -> bool:
            told = (row.agent_id, row.role, row.state, row.word, row.witness, row.task_id, row.host)
            return word in " ".join([text or "" for text in told]).lower()

        return has

    def facts(self) -> Mapping[str, Callable[[AgentView], str | None]]:
        return {
            "agent": lambda row: row.agent_id,
            "role": lambda row: row.role,
            "state": lambda row: f"{row.state} {row.word}",
            "task": lambda row: row.task_id,
            "host": lambda row: row.host,
        }

    def heard(self, row: AgentView) -> float | None:
        return row.last_seen

    def in_trouble(self, row: AgentView) -> bool:
        return row.agent_id in self.model.wrong("agents")

    def limits(self) -> dict[str, int]:
        longest = max((len(name) for name in self.source()), default=12)
        return {"AGENT": min(longest, 16 if self.size.width < 100 else 28)}

    def redraw_those_with(self, tasks: Set[str]) -> None:
        """Draw the agents again whose tasks these are."""
        agents = self.source()
        showing = range(self.top, min(self.top + self.room, self.count()))
        self.redraw_lines(
            index
            for index in showing
            if (agent := agents.get(self.row_lines.name(index) or "")) is not None and agent.task_id in tasks
        )

    def title(self) -> list[tuple[str, str]]:
        shown, total = len(self.rows), len(self.source())
        count = f" {shown}" if shown == total or self.problems else f" {shown}/{total}"
        return [("AGENTS", "title"), (count, "strong"), *([(" map", "accent")] if self.mapped else [])]

    def cell_look(self, row: AgentView) -> tuple[str, str]:
        return glyphs.AGENT[row.state]

    def told_of(self, row: AgentView, width: int) -> Parts:
        scene = self.scene()
        glyph, style = glyphs.AGENT[row.state]
        state = f" {glyph} {flat(row.word, 12)}  "
        name = min(len(row.agent_id), max(8, width - len(state)))
        told = [*id_cell(row.agent_id, "strong", scene, name), Segment(state, self.look[style])]
        rest = width - name - len(state)
        return [*told, *does(row, scene, rest)] if rest > 8 else told

    def group_parts(self, label: str, ids: Sequence[str], width: int) -> Parts:
        """Return how many of a group are in each state, the worst first."""
        return self._states(ids) if self.grouping != "state" else []

    def legend(self, words: bool) -> Parts:
        return self._states([self.rows[n] for n in range(len(self.rows))], words=words)

    def _states(self, ids: Sequence[str], *, words: bool = True) -> Parts:
        rows = self.source()
        states = Counter(rows[name].state for name in ids if name in rows)
        parts: Parts = []
        for state in sorted(states, key=lambda state: (_WORST.get(state, 9), state)):
            glyph, style = glyphs.AGENT[state]
            said = f"   {glyph} {states[state]:,} {state.value}" if words else f"  {glyph} {states[state]:,}"
            parts.append(Segment(said, self.look[style]))
        return parts

    def scene(self) -> Scene:
        asks = self.model.fleet.asks
        return replace(
            super().scene(), outages=self.model.outages, asked_by=lambda agent: asks.told_of(agent_id=agent.agent_id)
        )

    def faded(self, row: AgentView, scene: Scene) -> bool:
        return scene.stale or row.state.value in ("offline", "stopped")

    def nothing(self) -> list[str]:
        if self.pattern:
            return [
                "No agent in trouble matches" if self.problems else "No agent matches",
                f"{self.told('clear')} clears the filter",
            ]
        if self.problems:
            when = "was in trouble when the broker was lost" if self.model.stale else "is in trouble"
            return [f"No agent {when}", f"{self.told('clear')} shows all"]
        return ["No agent yet", "swarm-tui up LAYOUT starts some; they show here when they register"]
