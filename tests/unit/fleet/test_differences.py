"""What is other at one moment than at another: each kind of fact, and nothing of what only one of them remembers."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.differences import ABOUT, differences
from swarm_tui.domain.fleet.snapshot import restored, snapshot
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.ask_bodies import Ask, AskRecorded
from swarm_tui.protocol.envelope import rfc3339
from swarm_tui.protocol.run_bodies import RunEnded, RunNew, RunStarted
from swarm_tui.protocol.topics import Kind as K
from tests.examples import examples
from tests.unit.fleet.swarm import SWARM, Paper
from tests.unit.fleet.test_fleet_properties import MESSAGE, feed


class Two:
    """A moment that is held, while the swarm on paper goes on."""

    def __init__(self, paper: Paper) -> None:
        self.paper, self.at = paper, paper.now
        self.before = restored(snapshot(paper.fleet), kept=500)

    def found(self) -> list[tuple[str, str, str]]:
        return [(each.about, each.id, each.words) for each in differences(self.before, self.at, self.paper.fleet)]


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(MESSAGE, max_size=30), st.lists(MESSAGE, max_size=30))
def test_a_moment_is_no_other_than_itself_and_every_difference_has_a_place_and_words(
    first: list[tuple[str, dict[str, Any], bool, float]], more: list[tuple[str, dict[str, Any], bool, float]]
) -> None:
    fleet = Fleet(SWARM)
    feed(fleet, first)
    held = restored(snapshot(fleet), kept=10_000)
    assert differences(held, 2e9, fleet) == []
    feed(fleet, more)
    found = differences(held, 0.0, fleet)
    assert [ABOUT.index(each.about) for each in found] == sorted(ABOUT.index(each.about) for each in found)
    assert all(each.before != each.after and each.words for each in found)
    back = differences(fleet, 2e9, held)
    for about in ("agents", "asks"):
        there, here = ({each.id for each in some if each.about == about} for some in (found, back))
        assert there == here, "what changed one way changed the other way"


def test_agents_that_come_go_and_are_others() -> None:
    paper = Paper()
    for name in ("a1", "a2"):
        paper.birth(name, pid=1, version="1.0", capabilities=["noop"])
    two = Two(paper)
    paper.birth("a1", "i2", pid=2, version="1.1", capabilities=["noop", "testing.run"], trouble="no disk")
    paper.birth("a3")
    paper.birth("a2", status="offline")
    paper.pass_time(100, beating=("a1", "a3"))
    found = two.found()
    assert ("versions", "a1", "version of the agent: 1.0 → 1.1") in found
    assert ("layout", "a1", "new task types: testing.run") in found
    assert ("agents", "a1", "new trouble: no disk") in found
    assert ("agents", "a3", "new state: online") in found
    assert any(about == "agents" and id_ == "a2" for about, id_, _ in found)
    assert any(words.startswith("process: pid 1 → pid 2, another") for _, _, words in found)


def test_tasks_by_state_agent_and_reason_and_none_that_ended_before() -> None:
    paper = Paper()
    paper.say("op", K.TASK_NEW, b.Task(task_id="old", type="noop"))
    paper.say("a1", K.TASK_COMPLETE, b.Complete(task_id="old", agent_id="a1", attempt=1, result={}))
    paper.say("op", K.TASK_NEW, b.Task(task_id="t1", type="testing.run"))
    two = Two(paper)
    two.before.tasks.pop("old")  # As a keyframe leaves out what ended long ago.
    paper.say("a1", K.TASK_STARTED, b.Started(task_id="t1", agent_id="a1", attempt=1))
    paper.say("op", K.TASK_NEW, b.Task(task_id="t2", type="noop"))
    paper.say("tm", K.TASK_DEAD, b.TaskVerdict(task_id="t2", reason="spent"))
    found = two.found()
    assert ("tasks", "t1", "testing.run: queued → running by a1") in found
    assert [words for _, id_, words in found if id_ == "t2"] == ["new noop: dead (spent)"]
    assert not any(id_ == "old" for _, id_, _ in found)
    assert next(id_ for about, id_, _ in found if about == "tasks") == "t2", "the worst first"


def test_a_deployment_is_a_version() -> None:
    paper = Paper()
    two = Two(paper)
    for task_id, before, live in (("d1", "1.0", "1.1"), ("d2", "1.1", "1.2")):
        paper.say("op", K.TASK_NEW, b.Task(task_id=task_id, type="deployment.deploy"))
        result = {"service": "web", "version": live, "previous_version": before, "live": live}
        paper.say("d", K.TASK_COMPLETE, b.Complete(task_id=task_id, agent_id="d", attempt=1, result=result))
    assert ("versions", "web", "live version: 1.0 → 1.2") in two.found()


def test_the_swarm_its_layout_its_runs_and_asks() -> None:
    paper = Paper()
    paper.say("h", K.HOST_STATUS, b.HostStatus(panes=[b.PaneStatus(agent_id="a1", pid=1)], version="1"), "h1")
    paper.say("a1", K.ASK, Ask(ask_id="ask1", task_id="t", agent_id="a1", tool="shell", title="rm -r build"), "ask1")
    steps = {"x": {"type": "noop"}}
    paper.say("op", K.RUN_NEW, RunNew(run_id="r1", workflow={"workflow": "w", "steps": steps}))
    paper.say("tm", K.RUN_STARTED, RunStarted(run_id="r1", workflow="w", steps={"x": "noop"}))
    two = Two(paper)
    panes = [b.PaneStatus(agent_id=name, pid=pid) for name, pid in (("a1", 1), ("a2", 2))]
    paper.say("h", K.HOST_STATUS, b.HostStatus(panes=panes, version="2"), "h1")
    paper.say("tm", K.ASK_RECORDED, AskRecorded(ask_id="ask1", task_id="t", outcome="allow"), "ask1")
    paper.say("tm", K.RUN_ENDED, RunEnded(run_id="r1", workflow="w", outcome="failed", steps={"x": "failed"}))
    paper.say("op", K.HALT, b.Halt(reason="stop"))
    paper.say("op", K.SCALE, b.Scale(desired=4), "testing")
    paper.say("m", K.ALERT, b.Alert(name="disk", severity="critical", message="full"))
    found = two.found()
    for one in (
        ("swarm", SWARM, "new halt: stop"),
        ("layout", "testing", "new agents wished for: 4"),
        ("layout", "a2", "new pane on host: h1"),
        ("versions", "h1", "version of the host: 1 → 2"),
        ("asks", "ask1", "ask: a1 asks: rm -r build → gone"),
        ("runs", "r1", "run of w: running → failed"),
        ("runs", "r1", "step x: running → failed"),
    ):
        assert one in found or (one[2].startswith("step") and any(w.startswith("step x") for *_, w in found)), (
            one,
            found,
        )
    assert any(about == "swarm" and "full" in words for about, _, words in found)


def test_a_layout_that_changed_is_told_by_entry_and_fact() -> None:
    paper = Paper()

    def run(revision: str, by: str, **entries: dict[str, str]) -> Fleet:
        layout = b.LayoutRevision(revision=revision, at=5.0, by=by, file="s.yml", entries=entries)
        paper.say("host:devbox", K.HOST_STATUS, b.HostStatus(layout=layout), "devbox")
        return restored(snapshot(paper.fleet), kept=10)

    before = run("aa", "ada@h", testing={"agents": "1 to 2", "env": "KEY (11)"}, docs={"agents": "1"})
    since = paper.now
    after = run(
        "bb",
        "bob@h",
        testing={"agents": "1 to 4", "env": "KEY (22)"},
        general={"agents": "3"},
        policy={"approve": "x.*"},
    )
    found = [each for each in differences(before, since, after) if each.about == "layout"]
    assert [(each.id, each.words) for each in found] == [
        ("devbox", f"revision: aa → bb, by bob@h, {rfc3339(5.0)}, s.yml"),
        ("docs", "entry: agents 1 → gone"),
        ("general", "new entry: agents 3"),
        ("policy", "new entry: approve x.*"),
        ("testing", "agents: 1 to 2 → 1 to 4"),
        ("testing", "env: KEY (11) → KEY (22)"),
    ]
    paper.say("host:devbox", K.HOST_STATUS, b.HostStatus(status="offline"), "devbox")
    still = [each for each in differences(after, paper.now, paper.fleet) if each.about == "layout"]
    assert still == [], "its will says nothing of the layout"
