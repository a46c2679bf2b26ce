"""docs/ARCHITECTURE.md shows the house as it is: its rooms, threads, and the ways between states."""

import ast
import re
from collections.abc import Callable

import pytest

from swarm_tui.domain.states import TASK_TRANSITIONS, AgentState, TaskState
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from tests.unit.fleet.swarm import Paper
from tests.unit.house.pages import ROOT, fences, read, rows, section

PAGE = read("ARCHITECTURE.md")
Edge = tuple[str, str, str]


def diagram(heading: str) -> tuple[list[Edge], dict[str, set[str]]]:
    """Return a diagram's edges (from, to, label), and the states that stand in each of its groups."""
    ((_, text),) = fences(section(PAGE, heading), "mermaid")
    edges: list[Edge] = []
    groups: dict[str, set[str]] = {}
    group = ""
    for line in map(str.strip, text.split("\n")):
        if found := re.fullmatch(r"state (\w+) \{", line):
            group = found[1]
            groups[group] = set()
        elif line == "}":
            group = ""
        elif found := re.fullmatch(r"(\S+) --> (\S+?)(?:: (.*))?", line):
            edges.append((found[1], found[2], found[3] or ""))
            if group:
                groups[group].add(found[1])
    return edges, groups


def test_every_room_has_a_row_and_every_row_a_room() -> None:
    told = [cells[0].strip("`") for cells in rows(section(PAGE, "## The rooms"))]
    rooms = {path.parent.name for path in (ROOT / "swarm_tui").glob("*/__init__.py")}
    assert {room.removeprefix("swarm_tui/") for room in told} == rooms


def threads() -> set[str]:
    """Return the names of all threads that the code starts; of one that is made, its beginning."""
    found = set()
    for path in (ROOT / "swarm_tui").rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "threading.Thread(" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "threading.Thread":
                (name,) = (word.value for word in node.keywords if word.arg == "name")
                first = name.values[0] if isinstance(name, ast.JoinedStr) else name
                assert isinstance(first, ast.Constant)
                found.add(str(first.value))
    return found


def test_every_thread_has_a_row() -> None:
    told = re.findall(r"`([\w-]+)", " ".join(cells[0] for cells in rows(section(PAGE, "## Threads"))))
    assert set(told) == threads()


def test_the_diagram_of_a_task_is_the_table_of_its_transitions() -> None:
    edges, groups = diagram("## States of a task")
    groups["waiting"].add("queued")
    groups["given"].add("running")
    ways = {
        (before.replace("_", "-"), after.replace("_", "-"))
        for left, after, _ in edges
        for before in groups.get(left, {left})
        if "[*]" not in (before, after)
    }
    assert ways == {
        (before.value, after.value) for before, all_after in TASK_TRANSITIONS.items() for after in all_after
    } - {(state.value, state.value) for state in TaskState}


AGENT_EDGES, _ = diagram("## States of an agent")


class Life:
    """One agent, and another that is always well, so that a silence is the first one's own."""

    def __init__(self) -> None:
        self.paper = Paper()
        self.paper.birth("other")
        self.pid = 0

    @property
    def state(self) -> str:
        return self.paper.fleet.agents["a"].state.value

    def say(self, status: str) -> None:
        """Let its process say a status; another pid is another incarnation."""
        self.paper.birth("a", f"i{self.pid}", status=status)

    def host(self, state: str = "", *, runs: bool = True) -> None:
        """Let the supervisor say the state of its pane; without one, that it has no pane."""
        panes = [b.PaneStatus(agent_id="other", pid=2)]
        if state:
            panes.append(b.PaneStatus(agent_id="a", state=state, pid=self.pid if runs else None))
        self.paper.say("h", Kind.HOST_STATUS, b.HostStatus(panes=panes), "h")

    def begin(self) -> None:
        self.pid += 1
        self.host("starting")

    def be_born(self) -> None:
        self.say("online")
        if self.pid:
            self.host("running")

    def end(self, state: str) -> None:
        self.say("offline")
        self.host(state, runs=False)

    def be_silent(self, seconds: float) -> None:
        self.paper.pass_time(self.paper.fleet.agents["a"].heard() + seconds + 2 - self.paper.now, beating=("other",))

    def be_silent_without_pane(self, seconds: float) -> None:
        self.host()
        self.be_silent(seconds)


ACTS: dict[str, Callable[[Life], None]] = {
    "its pane begins": Life.begin,
    "birth": Life.be_born,
    "birth, by hand": Life.be_born,
    "says busy": lambda life: life.say("busy"),
    "says online": lambda life: life.say("online"),
    "says draining": lambda life: life.say("draining"),
    "any word": lambda life: life.paper.beat("a", f"i{life.pid}"),
    "25 s of silence": lambda life: life.be_silent(25),
    "35 s of silence, and its pane lives": lambda life: life.be_silent(35),
    "35 s of silence, and it has no pane": lambda life: life.be_silent_without_pane(35),
    "will, or farewell": lambda life: life.say("offline"),
    "its process ended": lambda life: life.end("backoff"),
    "it ended too often": lambda life: life.end("crashloop"),
    "it was stopped": lambda life: life.end("stopped"),
}


def path_to(state: str) -> list[str]:
    """Return the labels of a way to a state in the diagram, through a pane."""
    ways: dict[str, list[str]] = {"[*]": []}
    while state not in ways:
        known = len(ways)
        for before, after, label in AGENT_EDGES:
            if before in ways and after not in ways and label != "birth, by hand":
                ways[after] = [*ways[before], label]
        assert len(ways) > known, f"no way leads to {state}"
    return ways[state]


@pytest.mark.parametrize(("before", "after", "label"), AGENT_EDGES, ids=lambda word: word.replace(" ", "-"))
def test_an_agent_goes_each_way_of_its_diagram(before: str, after: str, label: str) -> None:
    life = Life()
    for step in path_to(before):
        ACTS[step](life)
    assert before == "[*]" or life.state == before
    ACTS[label](life)
    assert life.state == after


def test_the_diagram_has_every_state_of_an_agent() -> None:
    drawn = {state for before, after, _ in AGENT_EDGES for state in (before, after)} - {"[*]"}
    assert drawn == {state.value for state in AgentState}
