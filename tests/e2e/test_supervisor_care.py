"""A real swarm under a person's hands: order, orders, scale, hosts, witnesses, and files that are damaged."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from swarm_tui import __version__
from swarm_tui.supervisor import processes
from swarm_tui.supervisor.plan import plan_path
from swarm_tui.supervisor.state_file import store_path
from swarm_tui.tmux.commands import agent_tags, tags
from tests.conftest import RealBroker
from tests.e2e.supervised_swarm import LIGHT, Swarm, light, own, retained, sleeper
from tests.wait import until

Make = Callable[..., Swarm]


def facts(swarm: Swarm) -> dict[str, Any]:
    """What `status --json` says."""
    done = swarm.run("status", swarm.name, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def agent(swarm: Swarm, agent_id: str) -> dict[str, Any]:
    return next((row for row in facts(swarm)["agents"] if row["agent_id"] == agent_id), {})


@contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Kills the process at the end, whatever happened."""
    try:
        yield
    finally:
        process.kill()


@contextmanager
def far_away(swarm: Swarm) -> Iterator[None]:
    """On a host of its own, as far as files go."""
    home = os.environ["XDG_STATE_HOME"]
    os.environ["XDG_STATE_HOME"] = home + "-far"
    swarm.state = type(swarm.state)(Path(home + "-far") / "swarm-tui" / swarm.name)
    try:
        yield
    finally:
        os.environ["XDG_STATE_HOME"] = home


def test_the_order_of_start_and_stop_and_who_holds_it_up(make: Make, real_broker: RealBroker) -> None:
    deaf = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(1e6)"]
    agents = [
        light("last", depends_on={"middle": "registered", "deaf": "started"}),
        light("middle", depends_on={"first": "registered"}),
        light("first"),
        {"role": "general", "id": "deaf", "command": deaf},
        own("boss", "task-manager"),
    ]
    swarm = make(real_broker.port, agents, supervisor={"term_wait": 0.4})
    swarm.up(fails=True, wait="0")
    swarm.await_row("last", lambda row: row.state == "online")
    begun = [str(event["agent_id"]) for event in swarm.events("start")]
    assert begun == ["boss", "first", "deaf", "middle", "last"]
    waited = [line.removeprefix("waiting for ") for line in swarm.down().splitlines() if line.startswith("waiting")]
    ends = [set(line.split(", ")) for line in waited]
    assert all("last" not in left for left in ends if "middle" not in left)
    assert {"deaf", "boss"} in ends or {"deaf"} in ends
    assert ends[-1] == {"boss"}


@pytest.mark.drill
def test_a_restart_waits_for_work_and_a_drained_agent_takes_none(make: Make, real_broker: RealBroker) -> None:
    job = {"slow.job": {"command": ["sleep", "0.7"]}}
    swarm = make(real_broker.port, [own("boss", "task-manager"), own("a", "testing", handlers=job)])
    swarm.up()
    before = swarm.pids()["a"]
    swarm.run("publish", "slow.job", "--swarm", swarm.name, "--task-id", "one")
    swarm.await_row("a", lambda row: row.state == "busy")
    assert swarm.run("restart", "--swarm", swarm.name, "a", "--when-idle").returncode == 0
    assert swarm.pids()["a"] != before
    task = json.loads(swarm.run("tasks", "one", "--swarm", swarm.name, "--json").stdout)
    assert (task["state"], task["attempt"]) == ("complete", 1)
    swarm.run("drain", "--swarm", swarm.name, "a")
    swarm.await_row("a", lambda row: row.state == "draining")
    swarm.run("publish", "slow.job", "--swarm", swarm.name, "--task-id", "two")
    for asked in (("tasks", "two"), ("tasks", "--limit", "1")):
        shown = json.loads(swarm.run(*asked, "--swarm", swarm.name, "--json").stdout)
        task = shown if isinstance(shown, dict) else shown[0]
        assert (task["state"], task["reason"]) == ("queued", "a drains, and nobody else who does it is there")
    swarm.run("undrain", "--swarm", swarm.name, "a")
    swarm.await_row("a", lambda row: row.state == "busy")


@pytest.mark.drill
def test_a_role_grows_with_its_queue_and_shrinks_when_that_is_empty(
    make: Make, real_broker: RealBroker, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = {"slow.job": {"command": ["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done"]}}
    policy = {"scale_every": 0.2, "scale_down_after": 0.4, "scale_down_every": 0.1, "max_agents": 4}
    crew = {"role": "testing", "min": 1, "max": 4, "handlers": job}
    swarm = make(real_broker.port, [own("boss", "task-manager"), crew], policy=policy)
    swarm.up()
    jobs = [json.dumps({"task_id": f"j{number}", "type": "slow.job", "payload": {}}) for number in range(9)]
    line = ["mosquitto_pub", "-p", str(real_broker.port), "-t", f"{swarm.name}/tasks/new", "-q", "1", "-l"]
    subprocess.run(line, input="\n".join(jobs), text=True, check=True)
    until(lambda: len(swarm.panes()) == 4, what="three agents and the dispatcher")
    until(lambda: "cap allows 0 more of 1" in str(swarm.events("scale")), what="the fleet's cap to be said")
    gate.touch()
    until(lambda: set(swarm.panes()) == {"testing-01", "boss"}, 15, what="all but one to be let go")
    said = swarm.run("status", swarm.name).stdout
    assert "scale testing: up by 2 to 3; 3 wished" in said
    assert "down to 1; 1 wished" in said


@pytest.mark.drill
def test_hosts_share_a_role_and_start_no_id_that_runs_on_another(make: Make, real_broker: RealBroker) -> None:
    near = make(real_broker.port, [light("a"), {**light(""), "role": "testing", "id": "n", "min": 1, "max": 2}])
    near.write(host="near")
    far = make(real_broker.port, [], swarm=near.name, session="far", host="far")
    far.path = far.path.with_name("far.yml")
    near.write()
    far.write(agents=[light("a"), light("z"), {**light(""), "role": "testing", "id": "f", "min": 1, "max": 2}])
    near.up()
    file = near.run("broker", "add", "far", "--as", "host", "--swarm", near.name).stdout.strip()
    person = near.run("broker", "add", "ada", "--as", "operator", "--swarm", near.name).stdout.strip()
    with far_away(far):
        said = far.up("--join", file, fails=True, wait="1.5")
        assert "a: starting: it runs on the host near" in said
        assert far.run("scale", "--swarm", far.name, "testing", "3", "--identity", person).returncode == 0
        until(lambda: sorted(far.panes()) == ["f-01", "f-02", "z"], what="what comes first in the alphabet to grow")
    until(lambda: sorted(near.panes()) == ["a", "n-01"], what="the other host to do only the rest")
    said = near.run("status", near.name).stdout
    assert "hosts: far, near" in said
    assert "elsewhere a it runs on the host near" in said
    near.run("stop", "--swarm", near.name, "a")
    until(lambda: "a" in far.panes(), what="the one that waited to start")
    with far_away(far):
        far.down("--now")


def test_a_pane_that_nobody_named_is_stray_and_can_be_stopped(make: Make, real_broker: RealBroker) -> None:
    swarm = make(real_broker.port, [light("a")])
    swarm.up()
    pane = swarm.panes()["a"]
    todo = [["split-window", "-t", pane.pane_id, "--", "sleep", "100000"]]
    swarm.tmux.run_list([*todo, *tags(None, agent_tags(swarm.name, "old-one", "docs", 7))])
    # A second pane under the id of one that lives is none at all.
    swarm.tmux.run_list([*todo, *tags(None, agent_tags(swarm.name, "a", "general", 8))])
    swarm.await_row("old-one", lambda row: row.witness == "stray")
    until(lambda: swarm.events("double"), what="the second one to be closed")
    assert swarm.panes()["a"].pid == pane.pid
    assert any("old-one stray" in p["what"] and "add it to the layout" in p["todo"] for p in facts(swarm)["problems"])
    assert swarm.run("stop", "--swarm", swarm.name, "old-one").returncode == 0
    assert swarm.run("forget", "--swarm", swarm.name, "old-one").returncode == 0
    until(lambda: set(swarm.panes()) == {"a"}, what="its pane to go")
    swarm.down()
    assert swarm.processes() == []


def test_one_that_joins_by_itself_is_foreign_and_is_forgotten_once_it_is_gone(
    make: Make, real_broker: RealBroker, tmp_path: Path
) -> None:
    swarm = make(real_broker.port, [light("a")], host="near")
    swarm.up()
    said = tmp_path / "said.json"
    said.write_text(json.dumps({"host": "near", "role": "docs"}))
    line = [*LIGHT[:2], "stranger", swarm.name, real_broker.url]
    with subprocess.Popen(line, env={**os.environ, "LIGHT_AGENT_STATUS": str(said)}) as process, ended(process):
        assert swarm.await_row("stranger", lambda row: row.witness == "foreign").pid == process.pid
        until(lambda: agent(swarm, "stranger").get("witness") == "foreign", what="its witness in `status`")
        assert "started by hand" in agent(swarm, "stranger")["reason"]
        refused = swarm.run("forget", "--swarm", swarm.name, "stranger")
        assert (refused.returncode, "still speaks" in refused.stderr) == (1, True)
    bye = json.dumps({"agent_id": "stranger", "payload": {"agent_id": "stranger", "status": "offline"}})
    topic = f"{swarm.name}/agents/stranger/status"
    subprocess.run(["mosquitto_pub", "-p", str(real_broker.port), "-t", topic, "-r", "-m", bye], check=True)
    assert swarm.run("forget", "--swarm", swarm.name, "stranger").returncode == 0
    assert topic not in retained(real_broker.port, swarm.name)
    assert swarm.run("forget", "--swarm", swarm.name, "stranger").returncode == 4


def test_up_restarts_agents_of_another_version_one_by_one_where_that_is_wished(
    make: Make, real_broker: RealBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said.json"
    monkeypatch.setenv("LIGHT_AGENT_STATUS", str(said))
    said.write_text(json.dumps({"version": "0.0.1"}))
    swarm = make(real_broker.port, [light("a"), light("b")])
    swarm.up()
    until(lambda: all(unit.version == "0.0.1" for unit in swarm.saved().units.values()), what="their versions")
    before = swarm.pids()
    heard = swarm.up()
    assert "a (0.0.1), b (0.0.1)" in heard
    assert "--renew" in heard
    assert swarm.pids() == before
    said.write_text(json.dumps({"version": __version__}))
    assert f"2 agents are of {__version__} now" in swarm.up("--renew")
    assert not set(before.values()) & set(swarm.pids().values())
    kinds = [event["what"] for event in swarm.saved().events if event["what"] in ("start", "stop")][-4:]
    assert kinds == ["stop", "start"] * 2


WRONG_TYPES = b'{"swarm": 3, "units": [1], "pid": "x"}'


@pytest.mark.parametrize(
    ("damage", "watched"),
    [
        (WRONG_TYPES, True),
        (b"\xff\x00{", False),
        pytest.param(b"", True, marks=pytest.mark.drill),
        pytest.param(b"", False, marks=pytest.mark.drill),
        pytest.param(b"\xff\x00{", True, marks=pytest.mark.drill),
        pytest.param(WRONG_TYPES, False, marks=pytest.mark.drill),
    ],
)
def test_down_ends_a_swarm_whose_files_are_damaged(make: Make, free_port: int, damage: bytes, watched: bool) -> None:
    swarm = make(free_port, [light("a"), sleeper("b")])
    swarm.up(fails=True, wait="0")
    pids = [swarm.await_row(name, lambda row: row.pid is not None).pid for name in ("a", "b")]
    swarm.await_row("a", lambda row: row.state == "online")
    pids += [pane.pid for pane in swarm.tmux.panes() if pane.role == "broker"]
    if not watched:
        swarm.kill(swarm.supervisor(), signal.SIGKILL)
    for path in [plan_path(swarm.state), store_path(swarm.state), swarm.state.root / "swarm.json"]:
        path.write_bytes(damage)
    for path in (swarm.state.root / "agents").iterdir():
        path.write_bytes(damage)
    said = swarm.down("--now")
    assert "plan.json cannot be read" in said
    assert "what it retained there stays" in said
    assert [pid for pid in pids if processes.is_alive(pid)] == []
    assert swarm.processes() == []
    assert not plan_path(swarm.state).exists()
