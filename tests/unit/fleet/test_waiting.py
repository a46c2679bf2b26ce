"""Whoever hears the swarm knows who could do a type, who of them has room, and when it cannot be said."""

import pytest

from swarm_tui.domain.waiting import Rooms
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind as K
from tests.unit.fleet.swarm import Paper


@pytest.fixture
def paper() -> Paper:
    made = Paper()
    made.birth("a1", capabilities=["testing.run"])
    made.birth("a2", capabilities=["testing.run"])
    return made


def why(paper: Paper, wanted: str | None = None) -> str:
    return Rooms(paper.fleet).why_waiting("testing.run", wanted)


def doubt(paper: Paper, task_type: str = "testing.run", target: str = "") -> str:
    return Rooms(paper.fleet).doubt(task_type, target)


def give(paper: Paper, agent: str) -> None:
    paper.say("tm", K.TASK_ASSIGNED, b.Assigned(task_id=f"t-{agent}", agent_id=agent, attempt=1, epoch=1, lease=30))


def test_all_are_busy_only_when_each_has_no_room(paper: Paper) -> None:
    give(paper, "a1")
    assert (why(paper), why(paper, "a1"), why(paper, "a2")) == ("", "a1, for whom it is meant, is busy", "")
    give(paper, "a2")
    assert why(paper) == "all who do it are busy: a1, a2"
    assert doubt(paper) == "", "its turn comes"
    paper.birth("a2", status="draining", capabilities=["testing.run"])
    assert why(paper) == "a1, who alone does it, is busy"
    paper.birth("a3", capabilities=["testing.run"], capacity=2)
    give(paper, "a3")
    assert why(paper) == "", "a3 has room for one more"


def test_one_that_names_no_type_could_do_any(paper: Paper) -> None:
    give(paper, "a1")
    give(paper, "a2")
    assert doubt(paper, "paint") == "no known agent does paint"
    paper.birth("other")
    assert (why(paper), doubt(paper), doubt(paper, "paint")) == ("", "", "")


def test_doubts_before_it_is_sent(paper: Paper) -> None:
    assert doubt(paper) == ""
    assert doubt(paper, target="a1") == ""
    assert doubt(paper, target="a9") == "no agent a9 is known here"
    assert doubt(paper, "paint", "a1") == "a1 does no paint"
    for name in ("a1", "a2"):
        paper.birth(name, status="offline", capabilities=["testing.run"])
    assert doubt(paper) == "a1, a2, who do it, are away"
    assert doubt(paper, target="a1") == "a1 is away"
    assert Rooms(Paper().fleet).doubt("testing.run", "") == "", "nothing is known yet"
