"""Agents: incarnations, silences, panes and the disagreement of witnesses."""

import pytest
from msgspec.structs import replace

from swarm_tui.domain.problems import problems
from swarm_tui.domain.states import AgentState as S
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.summary import agent_json
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind as K
from tests.unit.fleet.swarm import Paper


@pytest.fixture
def paper() -> Paper:
    return Paper()


def state(paper: Paper, agent: str = "a1") -> S:
    return paper.fleet.agents[agent].state


def host(paper: Paper, *panes: b.PaneStatus, status: str = "online", name: str = "h") -> None:
    paper.say(name, K.HOST_STATUS, b.HostStatus(status=status, panes=list(panes)), name)


def test_birth_busy_draining_and_farewell(paper: Paper) -> None:
    paper.birth("a1", host="h", pid=7, version="1")
    assert state(paper) is S.ONLINE
    for status in ("busy", "draining"):
        paper.birth("a1", status=status)
        assert str(state(paper)) == status
    paper.say("a1", K.SHUTDOWN, b.Shutdown(agent_id="a1", reason="graceful"))
    agent = paper.fleet.agents["a1"]
    assert (agent.state, agent.reason, list(agent.ends)) == (S.OFFLINE, "left: graceful", ["i1: left: graceful"])
    assert (agent.host, agent.pid, agent.version) == ("h", 7, "1")


def test_one_that_drains_is_drained_once_it_has_nothing_in_hand(paper: Paper) -> None:
    paper.birth("a1", status="draining", active=1)
    agent = paper.fleet.agents["a1"]
    assert (agent.state, agent.word) == (S.DRAINING, "draining")
    paper.birth("a1", status="draining", active=0)
    assert (agent.state, agent.word, agent_json(agent, paper.now)["state"]) == (S.DRAINING, "drained", "draining")
    paper.birth("a1", status="online")
    assert agent.word == "online"


def test_the_death_of_an_older_incarnation_is_ignored(paper: Paper) -> None:
    paper.birth("a1", "i1")
    paper.birth("a1", "i2")
    paper.birth("a1", "i1", status="offline")
    assert state(paper) is S.ONLINE
    paper.birth("a1", "i2", status="offline")
    assert state(paper) is S.OFFLINE
    assert "will" in paper.fleet.agents["a1"].reason


def test_who_vanishes_is_told_from_who_leaves(paper: Paper) -> None:
    paper.birth("a1")
    paper.birth("a2")
    paper.say("a1", K.SHUTDOWN, b.Shutdown(agent_id="a1"))
    paper.birth("a1", status="offline")
    paper.birth("a2", status="offline")
    assert [paper.fleet.agents[agent].vanished for agent in ("a1", "a2")] == [False, True]
    assert [problem.id for problem in problems(paper.fleet, paper.now)] == ["a2"]
    paper.birth("a2", "i2")
    assert not paper.fleet.agents["a2"].vanished


def test_a_seed_agent_is_alive_by_what_it_says(paper: Paper) -> None:
    paper.raw(
        "agents/register", b'{"agent_id":"d1","payload":{"agent_id":"d1","status":"online","capabilities":["x"]}}'
    )
    paper.raw("agents/heartbeat", b'{"agent_id":"d1","payload":{"status":"alive","uptime":60,"memory":{"rss":5}}}')
    agent = paper.fleet.agents["d1"]
    assert (agent.state, agent.memory_rss, agent.capabilities) == (S.ONLINE, 5, ["x"])
    assert agent.started_at == pytest.approx(paper.now - 60)


def test_a_foreign_agent_speaks_in_a_swarm_of_its_own(paper: Paper) -> None:
    paper.raw("_a/sheri-1/agents/register", b'{"agent_id":"x","payload":{"status":"online"}}')
    paper.raw("_a/sheri-1/agents/heartbeat", b'{"agent_id":"x","payload":{"uptime":3,"memory":{"rss":9}}}')
    agent = paper.fleet.agents["sheri-1"]
    assert (agent.state, agent.memory_rss, agent.last_heartbeat) == (S.ONLINE, 9, paper.now)
    paper.raw("_a/sheri-1/agents/shutdown", b'{"payload":{"reason":"graceful"}}')
    assert state(paper, "sheri-1") is S.OFFLINE


def test_three_missed_heartbeats_make_suspect_then_lost_and_a_word_makes_well(paper: Paper) -> None:
    for agent in ("a1", "a2"):
        paper.birth(agent)
        paper.beat(agent)
    paper.pass_time(24, beating=("a2",))
    assert state(paper) is S.ONLINE
    paper.pass_time(4, beating=("a2",))
    assert state(paper) is S.SUSPECT
    changes = paper.pass_time(8, beating=("a2",))
    assert state(paper) is S.LOST
    assert "a1" in changes.agents
    assert state(paper, "a2") is S.ONLINE
    paper.say("a1", K.TASK_PROGRESS, b.Progress(task_id="t", agent_id="a1", progress=1))
    assert state(paper) is S.ONLINE


def test_a_gap_that_all_show_at_once_is_not_theirs(paper: Paper) -> None:
    for agent in ("a1", "a2", "a3"):
        paper.birth(agent)
    paper.pass_time(30, beating=("a1", "a2", "a3"))
    paper.pass_time(100)
    assert {state(paper, agent) for agent in ("a1", "a2", "a3")} == {S.ONLINE}
    assert "all 3 agents fell silent together" in (paper.fleet.common_silence or "")
    paper.beat("a1")
    paper.beat("a2")
    paper.pass_time(2)
    assert paper.fleet.common_silence is None
    assert state(paper, "a3") is S.LOST


def test_nobody_is_charged_with_our_own_absence(paper: Paper) -> None:
    for agent in ("a1", "a2"):
        paper.birth(agent)
    paper.pass_time(3)
    paper.fleet.link(False, "the broker is gone\x1b", paper.now)
    assert paper.fleet.broker_reason == "the broker is gone␛"
    paper.pass_time(200)
    paper.fleet.link(True, "", paper.now)
    paper.beat("a2")
    paper.pass_time(20, beating=("a2",))
    assert state(paper) is S.ONLINE
    paper.now += 500.0
    paper.fleet.tick(paper.now)
    paper.beat("a2")
    paper.pass_time(20, beating=("a2",))
    assert state(paper) is S.ONLINE
    paper.pass_time(20, beating=("a2",))
    assert state(paper) is S.LOST


def test_panes_tell_of_restarts_backoff_and_crash_loops(paper: Paper) -> None:
    host(paper, b.PaneStatus(agent_id="a1", role="testing", pid=5, pane_id="%3", state="running"))
    assert (state(paper), paper.fleet.agents["a1"].pane_id) == (S.STARTING, "%3")
    paper.birth("a1", pid=5, host="h")
    assert state(paper) is S.ONLINE
    paper.birth("a1", status="offline")
    pane = b.PaneStatus(
        agent_id="a1", role="testing", state="backoff", restarts=2, next_start=9.0, exit_status=3,
        reason="exit 3", tail=["boom\x1b"],
    )  # fmt: skip
    host(paper, pane)
    agent = paper.fleet.agents["a1"]
    assert (agent.state, agent.restarts, agent.next_start, agent.exit_status) == (S.BACKOFF, 2, 9.0, 3)
    assert (agent.reason, agent.tail) == ("exit 3", ["boom␛"])
    for word in ("crashloop", "stopped"):
        host(paper, b.PaneStatus(agent_id="a1", state=word))
        assert str(state(paper)) == word
    host(paper)
    assert state(paper) is S.OFFLINE
    assert paper.fleet.agents["a1"].pane_id is None


def test_hung_is_a_pane_that_lives_and_says_nothing(paper: Paper) -> None:
    panes = [b.PaneStatus(agent_id=agent, pid=5, state="running") for agent in ("a1", "a2")]
    host(paper, *panes)
    paper.birth("a1")
    paper.birth("a2")
    paper.pass_time(60, beating=("a2",))
    agent = paper.fleet.agents["a1"]
    assert (agent.state, agent.witness) == (S.HUNG, "hung")
    assert paper.fleet.agents["a2"].witness is None


def test_hung_also_when_the_broker_said_its_will(paper: Paper) -> None:
    host(paper, b.PaneStatus(agent_id="a1", pid=5, state="running"))
    paper.birth("a1")
    paper.pass_time(22)
    paper.birth("a1", status="offline")
    assert state(paper) is S.OFFLINE
    paper.pass_time(40)
    assert state(paper) is S.HUNG


def test_foreign_stray_and_split_are_named(paper: Paper) -> None:
    paper.birth("a1")
    paper.pass_time(20, beating=("a1",))
    assert paper.fleet.agents["a1"].witness is None, "without a supervisor nobody is foreign"
    host(paper, b.PaneStatus(agent_id="s1", pid=5, state="stray"))
    paper.birth("s1")
    paper.pass_time(12, beating=("a1", "s1"))
    assert paper.fleet.agents["a1"].witness == "foreign"
    assert paper.fleet.agents["s1"].witness == "stray"
    paper.beat("s1", "i1")
    paper.beat("s1", "i2")
    assert paper.fleet.agents["s1"].witness == "stray", "one after the other is a restart"
    paper.beat("s1", "i1")
    assert paper.fleet.agents["s1"].witness == "split"


def test_what_the_supervisor_sees_is_believed(paper: Paper) -> None:
    host(
        paper,
        b.PaneStatus(agent_id="mute", pid=4, state="starting"),
        b.PaneStatus(agent_id="waits", state="starting"),
        b.PaneStatus(agent_id="seed", pid=5, state="busy"),
        b.PaneStatus(agent_id="x", pid=6, state="online", witness="foreign"),
        b.PaneStatus(agent_id="y", pid=7, state="online", witness="split"),
    )
    for agent in ("x", "y"):
        paper.birth(agent)
    paper.pass_time(100, beating=("x", "y"))
    assert {name: str(state(paper, name)) for name in ("mute", "waits", "seed")} == {
        "mute": "starting", "waits": "starting", "seed": "busy",
    }, "a program that never spoke need not speak"  # fmt: skip
    assert [paper.fleet.agents[name].witness for name in ("x", "y")] == ["foreign", "split"]
    host(paper, b.PaneStatus(agent_id="x", pid=6, state="online", pane_id="%1"))
    assert [paper.fleet.agents[name].witness for name in ("x", "y")] == [None, "foreign"]


def test_beats_out_of_the_record_fill_the_strip_and_wake_nobody(paper: Paper) -> None:
    paper.birth("a1")
    paper.beat("a1")
    last = paper.now
    for agent, ago in (("a1", 30.0), ("a1", 50.0), ("a1", 30.0), ("gone", 600.0)):
        body = b.Heartbeat(agent_id=agent)
        event = paper.read(paper.writer(agent).message(K.HEARTBEAT, body))
        paper.fleet.apply(replace(event, received=last - ago), last - ago)
    agent = paper.fleet.agents["a1"]
    assert list(agent.beats) == [last - 50.0, last - 30.0, last]
    assert (agent.last_heartbeat, agent.last_seen) == (last, last)
    assert "gone" not in paper.fleet.agents


def test_a_supervisor_that_goes_takes_no_agent_with_it(paper: Paper) -> None:
    host(paper, b.PaneStatus(agent_id="a1", pid=5, state="running", pane_id="%1"))
    paper.birth("a1")
    host(paper, status="offline")
    assert not paper.fleet.hosts["h"].online
    assert (state(paper), paper.fleet.agents["a1"].pane_id) == (S.ONLINE, "%1")
    paper.clear(K.HOST_STATUS, "h")
    assert paper.fleet.hosts == {}


def test_a_heartbeat_on_its_way_brings_nobody_back(paper: Paper) -> None:
    paper.birth("a1")
    paper.birth("a1", status="offline")
    paper.beat("a1")
    assert state(paper) is S.OFFLINE
    paper.now += 5
    paper.beat("a1")
    assert state(paper) is S.ONLINE


def test_who_is_offline_is_forgotten_after_a_day_and_ids_are_bounded(
    paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper.birth("a1")
    paper.birth("a1", status="offline")
    paper.now += 24 * 3600 - 10
    paper.fleet.tick(paper.now)
    assert "a1" in paper.fleet.agents
    paper.now += 20
    assert "a1" in paper.fleet.tick(paper.now).agents
    assert "a1" not in paper.fleet.agents
    monkeypatch.setattr("swarm_tui.domain.fleet.agents.MAX_AGENTS", 3)
    for number in range(9):
        paper.birth(f"b{number}", status="offline" if number < 2 else "online")
    assert set(paper.fleet.agents) == {"b2", "b3", "b4"}


def test_a_cleared_status_forgets_an_agent_that_left(paper: Paper) -> None:
    paper.birth("a1", ephemeral=True)
    paper.clear(K.STATUS, "a1")
    paper.clear(K.STATUS, "nobody")
    assert paper.fleet.agents == {}


def test_what_an_agent_lacks_is_a_problem_while_it_lives(paper: Paper) -> None:
    paper.birth("a1", trouble="no door on 8080: another program has it")
    assert [(p.id, p.what, p.kind) for p in problems(paper.fleet, paper.now)] == [
        ("a1", "a1: no door on 8080: another program has it", "service")
    ]
    paper.birth("a1", trouble="claude asks the person in its pane")
    assert [p.todo for p in problems(paper.fleet, paper.now)] == ["attach to it, and answer there"]
    paper.birth("a1")
    assert problems(paper.fleet, paper.now) == []


def test_who_was_taken_away_goes_with_its_pane(paper: Paper) -> None:
    pane = b.PaneStatus(agent_id="a1", role="testing", pid=7, pane_id="%1", incarnation="i1")
    for again in (False, True):
        paper.birth("a1", host="h", pid=7)
        host(paper, pane)
        paper.birth("a1", status="offline")
        paper.clear(K.STATUS, "a1")
        assert state(paper) is not S.ONLINE
        if again:
            paper.birth("a1", "i2", host="h", pid=8)
        host(paper)
        assert ("a1" in paper.fleet.agents) == again


def test_a_task_is_an_agents_while_it_is_there_and_works_at_it(paper: Paper) -> None:
    def shown() -> tuple[object, object]:
        row = agent_json(paper.fleet.agents["a1"], paper.now)
        return row["task_id"], row["active"]

    paper.birth("a1", active=0)
    busy = b.Heartbeat(agent_id="a1", incarnation="i1", state="busy", task_id="t", active=1)
    paper.say("a1", K.HEARTBEAT, busy)
    assert shown() == ("t", 1)
    older = paper.event("a1", K.HEARTBEAT, busy)
    paper.birth("a1", active=0)
    assert shown() == (None, 0)
    paper.fleet.apply(older, paper.now)
    assert (*shown(), state(paper)) == (None, 0, S.ONLINE), "it said so before it had nothing to do"
    paper.say("a1", K.HEARTBEAT, busy)
    assert shown() == ("t", 1)
    paper.birth("a1", status="offline")
    assert shown() == (None, 0)


def test_agents_hold_what_they_were_given(paper: Paper) -> None:
    paper.birth("a1")
    paper.say("tm", K.TASK_ASSIGNED, b.Assigned(task_id="t", agent_id="a1", attempt=1, epoch=1))
    agent = paper.fleet.agents["a1"]
    assert (agent.tasks, agent.task_id, agent.active) == ({"t"}, "t", 1)
    changes = paper.say("tm", K.TASK_RETRYING, b.TaskVerdict(task_id="t", attempt=1, state="queued"))
    assert changes.agents == {"a1"}
    assert (agent.tasks, agent.task_id, agent.active) == (set(), None, 0)
    assert paper.fleet.tasks["t"].state is TaskState.QUEUED
