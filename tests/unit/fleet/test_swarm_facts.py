"""The rest of what a swarm says: dispatcher, halt, alerts, scale, counts; and what `status` and `p` make of it all."""

import msgspec
import pytest

from swarm_tui.domain import summary
from swarm_tui.domain.problems import problems
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.rows import TaskRow
from swarm_tui.protocol.topics import Kind as K
from tests.unit.fleet.swarm import Paper, story


@pytest.fixture
def paper() -> Paper:
    return Paper()


def test_an_older_dispatchers_will_says_nothing_of_the_newer(paper: Paper) -> None:
    lead = b.Dispatcher(instance="x", epoch=4, agent_id="tm-1")
    paper.say("tm-1", K.DISPATCHER, lead)
    paper.say("tm-2", K.DISPATCHER, b.Dispatcher(instance="y", epoch=5, agent_id="tm-2"))
    paper.say("tm-1", K.DISPATCHER, b.Dispatcher(instance="x", epoch=4, online=False))
    leader = paper.fleet.dispatcher
    assert leader is not None
    assert (leader.instance, leader.online, leader.agent_id) == ("y", True, "tm-2")
    paper.say("tm-2", K.DISPATCHER, b.Dispatcher(instance="y", epoch=5, online=False))
    assert paper.fleet.dispatcher is not None
    assert (paper.fleet.dispatcher.online, paper.fleet.dispatcher.agent_id) == (False, "tm-2")
    paper.clear(K.DISPATCHER)
    assert paper.fleet.dispatcher is None


def test_halt_stands_until_it_is_cleared(paper: Paper) -> None:
    assert paper.say("o", K.HALT, b.Halt(reason="stop\x1b")).header
    assert paper.fleet.halted == "stop␛"
    paper.clear(K.HALT)
    assert paper.fleet.halted is None


def test_alerts_are_raised_cleared_and_outlived(paper: Paper) -> None:
    paper.say("m", K.ALERT, b.Alert(name="queue", message="old", severity="critical"))
    paper.say("m", K.ALERT, b.Alert(message="unnamed", agent_id="a1"))
    assert [alert.message for alert in paper.fleet.alerts.values()] == ["old", "unnamed"]
    paper.say("m", K.ALERT, b.Alert(name="queue", active=False))
    assert len(paper.fleet.alerts) == 1
    paper.fleet.tick(paper.now)
    paper.fleet.tick(paper.now + 1000)
    assert paper.fleet.alerts == {}


def test_wishes_for_scale(paper: Paper) -> None:
    paper.say("tm", K.SCALE, b.Scale(desired=3, reason="queue"), "testing")
    assert paper.fleet.scale["testing"].desired == 3
    paper.clear(K.SCALE, "testing")
    assert paper.fleet.scale == {}


def test_every_message_is_counted_and_refusals_are_kept(paper: Paper) -> None:
    for _ in range(300):
        paper.raw("tasks/new", b"\xff\x1b")
    paper.raw("no/such/topic", b"{}")
    counts = paper.fleet.counts
    assert (counts.received, counts.refused, counts.kinds[K.OTHER]) == (301, 300, 1)
    assert len(paper.fleet.refusals) == 200
    paper.fleet.tick(paper.now)
    for _ in range(30):
        paper.raw("no/such/topic", b"{}")
    paper.fleet.tick(paper.now + 3)
    assert 5 < paper.fleet.rate <= 11


def test_status_json_has_the_fixed_names(paper: Paper) -> None:
    paper.say("tm", K.DISPATCHER, b.Dispatcher(instance="x", epoch=4, agent_id="tm"))
    paper.birth("a1", pid=3)
    paper.beat("a1")
    for event in story(paper, "t"):
        paper.fleet.apply(event, paper.now)
    paper.say("m", K.ALERT, b.Alert(name="queue", message="old"))
    paper.say("h", K.HOST_STATUS, b.HostStatus(session="opencto"), "h")
    paper.now += 10
    shown = msgspec.json.decode(
        msgspec.json.encode(summary.status_json(paper.fleet, now=paper.now, session="opencto", url="mqtt://x"))
    )
    assert (shown["swarm"], shown["session"]) == ("s", "opencto")
    assert (shown["broker"]["url"], shown["broker"]["connected"]) == ("mqtt://x", True)
    assert (shown["dispatcher"]["agent_id"], shown["dispatcher"]["epoch"]) == ("tm", 4)
    row = shown["agents"][0]
    names = "agent_id role state pid pane_id uptime restarts last_heartbeat_age task_id memory_rss"
    assert {name: row[name] for name in names.split()} == {
        "agent_id": "a1", "role": "testing", "state": "online", "pid": 3, "pane_id": None,
        "uptime": pytest.approx(15.1, abs=0.2), "restarts": 0,
         "last_heartbeat_age": pytest.approx(10.2, abs=0.1), "task_id": None, "memory_rss": 1 << 20,
    }  # fmt: skip
    assert (shown["tasks"]["complete"], shown["tasks"]["queued"], shown["tasks"]["dead"]) == (1, 0, 0)


def test_a_task_as_a_row_and_as_json(paper: Paper) -> None:
    for event in story(paper, "t"):
        paper.fleet.apply(event, paper.now)
    row = summary.task_row(paper.fleet.tasks["t"])
    assert isinstance(row, TaskRow)
    short, whole = summary.task_json(row), summary.task_json(row, hops=True)
    names = "task_id type state priority attempt agent_id created_at updated_at duration progress result error"
    assert " ".join(short) == f"{names} reason cancel_requested_at cancel_within runs_again"
    assert whole["hops"][0]["what"] == "published"
    assert {**whole, **short} == whole


def test_problems_name_who_and_what_to_do_the_worst_first(paper: Paper) -> None:
    paper.birth("a1")
    assert problems(paper.fleet, paper.now) == []
    assert summary.header(paper.fleet, paper.now).worst is None
    paper.say("h", K.HOST_STATUS, b.HostStatus(panes=[b.PaneStatus(agent_id="c1", state="crashloop")]), "h")
    paper.say("h", K.HOST_STATUS, b.HostStatus(status="offline"), "h")
    paper.say("tm", K.DISPATCHER, b.Dispatcher(instance="x", epoch=4, online=False, agent_id="tm"))
    paper.say("tm", K.TASK_HELD, b.TaskVerdict(task_id="t", attempt=1, reason="unknown outcome"))
    paper.say("a1", K.TASK_FAILED, b.Failed(task_id="u", agent_id="a1", error=b.ErrorInfo(message="boom")))
    paper.say("m", K.ALERT, b.Alert(name="n", message="odd", severity="odd"))
    paper.say("o", K.HALT, b.Halt(reason="wait"))
    paper.fleet.link(False, "refused", paper.now)
    found = problems(paper.fleet, paper.now)
    subjects = {(problem.severity, problem.subject, problem.id) for problem in found}
    assert subjects == {
        ("critical", "broker", ""), ("critical", "dispatcher", "tm"), ("critical", "agent", "c1"),
        ("critical", "task", "t"), ("warning", "swarm", ""), ("warning", "host", "h"), ("warning", "alert", "n"),
        ("info", "task", "u"),
    }  # fmt: skip
    assert [p.severity for p in found] == sorted((p.severity for p in found), key=["critical", "warning", "info"].index)
    head = summary.header(paper.fleet, paper.now)
    assert (head.problems, head.worst, head.agents_up, head.agents_total) == (8, found[0].what, 1, 2)
    assert "away" in head.dispatcher
    later = problems(paper.fleet, paper.now + 7200)
    assert "u" not in {problem.id for problem in later}, "an old failure is no longer news"


def test_an_agent_that_was_killed_and_is_back_is_news_for_a_while(paper: Paper) -> None:
    def pane(pid: int, **more: object) -> None:
        row = b.PaneStatus(agent_id="a1", role="testing", pid=pid, pane_id="%1", state="running", **more)  # type: ignore[arg-type]
        paper.say("sup", K.HOST_STATUS, b.HostStatus(status="online", panes=[row]), "h")

    pane(5)
    paper.birth("a1", pid=5, host="h")
    assert problems(paper.fleet, paper.now) == []
    pane(6, restarts=1, exit_signal=9, reason="killed by SIGKILL")
    paper.birth("a1", "i2", pid=6, host="h", started_at=paper.now)
    found = problems(paper.fleet, paper.now)
    assert [(problem.what, problem.severity, problem.kind) for problem in found] == [
        ("a1 was killed by SIGKILL and was started again", "info", "died")
    ]
    assert problems(paper.fleet, paper.now + 700) == []
    pane(7, restarts=2, exit_status=0)
    paper.birth("a1", "i3", pid=7, host="h", started_at=paper.now)
    assert problems(paper.fleet, paper.now) == []


def test_work_that_came_out_badly_is_trouble_though_it_is_complete(paper: Paper) -> None:
    for name, verdict in (("good", "passed"), ("bad", "failed")):
        result = {"verdict": verdict, "passed": 2, "failed": int(name == "bad")}
        paper.say("a1", K.TASK_COMPLETE, b.Complete(task_id=name, agent_id="a1", attempt=1, result=result))
    found = problems(paper.fleet, paper.now)
    assert [(problem.id, problem.what) for problem in found] == [("bad", "bad came out failed: 1 failed, 2 passed")]
    assert problems(paper.fleet, paper.now + 4000) == []


def test_a_task_that_only_draining_agents_could_do_is_a_problem_of_its_own(paper: Paper) -> None:
    def barred() -> list[tuple[str, str, str]]:
        found = problems(paper.fleet, paper.now)
        assert {problem.kind for problem in found} <= {"barred"}, "the alert says no more than the tasks"
        return [(problem.id, problem.what, problem.todo) for problem in found]

    paper.birth("a1", capabilities=["testing.run"])
    paper.birth("a2", capabilities=["docs.write"])
    for name, more in (("t1", {}), ("t2", {"assigned_to": "a1"}), ("t3", {"type": "docs.write"})):
        paper.say("o", K.TASK_NEW, b.Task(**{"task_id": name, "type": "testing.run", **more}))
        paper.say("tm", K.TASK_QUEUED, b.Queued(task_id=name, attempt=1))
    assert barred() == []
    paper.birth("a1", status="draining", capabilities=["testing.run"])
    paper.say("tm", K.ALERT, b.Alert(name="nobody:testing.run", message="nobody who does it is there"))
    assert barred() == [
        (
            "t1",
            "t1 waits: a1 drains, and no other does testing.run",
            "undrain a1, or start another that does testing.run",
        ),
        ("t2", "t2 waits: a1, for whom it is meant, drains", "undrain a1"),
    ]
    paper.birth("a3", capabilities=["testing.run"])
    paper.say("tm", K.ALERT, b.Alert(name="nobody:testing.run", active=False))
    assert [task for task, _, _ in barred()] == ["t2"]


def test_a_task_that_waits_for_one_who_drains_says_whom_to_ask(paper: Paper) -> None:
    paper.birth("a1", status="draining", capabilities=["testing.run"])
    for task_type, todo in (("testing.run", "a1 drains"), ("docs.write", "start an agent that does this")):
        alert = b.Alert(name=f"nobody:{task_type}", message=f"{task_type} waits: nobody who does it is there")
        paper.say("tm", K.ALERT, alert)
        found = next(p for p in problems(paper.fleet, paper.now) if task_type in p.what)
        assert found.todo.startswith(todo)
