"""The main job, end to end: nine agents up, tasked, watched, read, taken down; nothing is left."""

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from swarm_tui.supervisor import processes
from tests.conftest import listening, pick_port
from tests.e2e.shell import NINE, Shell, nine, watching
from tests.wait import until


def marked(mark: str) -> list[int]:
    """Processes whose environment or command line names `mark`: all that belongs to the test's swarm."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and mark in process.environ().get("TMUX_TMPDIR", ""):
                found.append(process.pid)
    return found


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    socket = f"swarm-test-{uuid.uuid4().hex[:8]}"
    shell = Shell(tmp_path)
    (tmp_path / "nine.yml").write_text(nine("nine", pick_port(), socket, pick_port()))
    yield shell
    shell("down", "nine", "--now")
    subprocess.run(["tmux", "-L", socket, "kill-server"], capture_output=True, check=False)
    for pid in marked(shell.env["TMUX_TMPDIR"]):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_nine_agents_come_up_do_work_and_go_without_a_trace(shell: Shell, tmp_path: Path) -> None:
    said = shell.ok("up", "./nine.yml", "--detach", limit=90)
    assert "9 agents registered" in said
    assert "`swarm-tui` opens the screen" in said, "what to do next"
    status = shell.json("status")
    assert {agent["agent_id"]: agent["state"] for agent in status["agents"]} == {
        f"{role}-01": "online" for role in NINE
    }
    assert status["broker"]["connected"] is True
    assert status["broker"]["embedded"] is True
    assert status["dispatcher"]["agent_id"] == "task-manager-01"
    assert status["session"] == "nine"
    pids = {agent["agent_id"]: agent["pid"] for agent in status["agents"]}
    assert all(processes.is_alive(pid) for pid in pids.values())
    assert all(agent["memory_rss"] > 1e6 and agent["uptime"] >= 0 for agent in status["agents"])

    shell.ok("up", "./nine.yml", "--detach", limit=90)
    assert {agent["agent_id"]: agent["pid"] for agent in shell.json("status")["agents"]} == pids

    _work(shell, tmp_path)
    _run(shell, tmp_path)
    assert "testing.run" in shell.ok("logs", "testing-01")

    port = int(status["broker"]["url"].rpartition(":")[2])
    _attack(shell, port)
    shell.ok("down", limit=90)
    until(lambda: not marked(shell.env["TMUX_TMPDIR"]), limit=5.0, what="every process of the swarm to be gone")
    assert not listening(port)
    assert not any(processes.is_alive(pid) for pid in pids.values())
    assert shell("status").returncode == 3
    assert "no swarm `nine` runs here" in shell("down", "nine").stderr
    assert shell.json("tasks", "t1", "--swarm", "nine")["state"] == "complete", "the record outlives the swarm"


#: Steps that follow from one another: what fails is undone, and the last one is told of all.
#: What `retry` may say of a run: a short one is over when it is looked at.
AGAIN = ("r1: running\n", "r1: complete\n")
WORKFLOW = """
workflow: check
inputs: {items: {type: array, default: [1, 2]}}
steps:
  each: {type: noop, each: "{inputs.items}", payload: {echo: "{item}"}}
  test: {type: testing.run, needs: [each], payload: {path: proj/test_bad.py}}
  ship: {type: noop, needs: [test]}
  undo: {type: noop, needs: [test], on: failure, payload: {echo: "{each.result.echo}"}}
"""


def _run(shell: Shell, tmp_path: Path) -> None:
    """A workflow of one's own: what fails in it is undone, and a retry does that again and no more."""
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "check.yml").write_text(WORKFLOW)
    assert "ok, workflow check, 4 steps" in shell.ok("validate", "check")
    failed = shell("run", "check", "--run-id", "r1", "--wait")
    assert (failed.returncode, failed.stdout) == (1, "r1\n"), failed.stderr
    assert "r1 is failed: test" in failed.stderr
    assert "check.yml:6:3: `test` failed: " in failed.stderr
    states = {step["step"]: step["state"] for step in shell.json("runs", "r1")["steps"]}
    assert states == {"each": "complete", "test": "failed", "ship": "skipped", "undo": "complete"}
    assert shell.json("tasks", "r1.undo")["payload"] == {"echo": [1, 2]}
    (tmp_path / "proj" / "test_bad.py").write_text("def test_c():\n    assert 1\n")
    assert shell.ok("retry", "r1") in AGAIN
    until(lambda: shell.json("runs", "r1")["state"] == "complete", limit=30.0, what="the retried run to be complete")
    ids = {task["task_id"] for task in shell.json("tasks") if task["task_id"].startswith("r1.")}
    assert ids == {"r1.each.0", "r1.each.1", "r1.test", "r1.ship", "r1.undo", "r1.test:2", "r1.ship:2", "r1.undo:2"}
    assert shell.json("status")["runs"] == {"running": 0, "complete": 1, "failed": 0, "cancelled": 0}
    refused = shell("retry", "r1", "--from", "tset")
    assert (refused.returncode, "did you mean `test`?" in refused.stderr) == (1, True), refused.stderr
    assert shell.ok("retry", "r1", "--from", "ship") in AGAIN
    until(lambda: shell.json("runs", "r1")["steps"][2]["task_id"] == "r1.ship:3", limit=30.0, what="ship once more")
    (tmp_path / "workflows" / "check.yml").write_text(WORKFLOW.replace("type: noop, needs", "type: nobody.does, needs"))
    refused = shell("run", "check")
    assert (refused.returncode, "check.yml:7:10: " in refused.stderr) == (2, True), refused.stderr


def _attack(shell: Shell, port: int) -> None:
    """A stranger on the broker orders everybody about with the tools that everybody has; nothing comes of it."""
    before = shell.json("status")
    task = {"task_id": "evil", "type": "noop", "payload": {}}
    orders: dict[str, object] = {
        "agents/testing-01/inbox": {"task_id": "evil", "attempt": 1, "epoch": 1, "lease": 30, "task": task},
        "agents/docs-01/inbox": {"command": "drain"},
        "tasks/cancel": {"task_id": "t1"},
        "hosts/" + before["hosts"][0]["host"] + "/control": {"command": "stop", "agent_id": "docs-01"},
        "halt": {"reason": "evil"},
        "dispatcher": {"instance": "evil/1", "epoch": 2**40, "online": True},
        # The broker keeps the others from everybody; these a guest may say, and they count for nothing.
        "tasks/failed": {"task_id": "t1", "agent_id": "testing-01", "error": {"message": "evil"}},
        "agents/docs-01/status": {"agent_id": "docs-01", "status": "offline"},
    }
    for name, payload in orders.items():
        retain = ["-r"] if name in ("halt", "dispatcher") else []
        text = json.dumps({"id": uuid.uuid4().hex, "agent_id": "evil", "payload": payload})
        line = ["mosquitto_pub", "-p", str(port), "-q", "1", *retain, "-t", f"nine/{name}", "-m", text]
        subprocess.run(line, check=True, timeout=10)
    done = shell.ok("publish", "noop", "--task-id", "after", "--wait", limit=30)
    assert "after" in done
    after = until(
        lambda: (s := shell.json("status"))["halted"] is None and s["dispatcher"] is not None and s,
        limit=15.0,
        what="what is retained to be true again",
    )
    assert {a["agent_id"]: a["state"] for a in after["agents"]} == {a["agent_id"]: a["state"] for a in before["agents"]}
    assert after["dispatcher"]["instance"] == before["dispatcher"]["instance"]
    assert after["refused"]["an agent's word without its proof"] >= 2
    assert "an order without proof" not in after["refused"], "the broker lets none through"
    assert after["guests"] == "work"
    assert shell("tasks", "evil").returncode == 4
    shell.env["SWARM_TASK_ID"] = "t1"
    inside = shell("approve", "t1")
    del shell.env["SWARM_TASK_ID"]
    assert (inside.returncode, "who works does not order" in inside.stderr) == (1, True), inside.stderr


def _work(shell: Shell, tmp_path: Path) -> None:
    project = tmp_path / "proj"
    project.mkdir()
    (project / "test_good.py").write_text("def test_a():\n    assert 1\n\ndef test_b():\n    assert 2\n")
    (project / "test_bad.py").write_text("def test_c():\n    assert 1 == 2\n")
    recording = tmp_path / "rec.jsonl"
    with watching(shell, "--record", str(recording), "--filter", "tasks/#") as watch:
        good = shell("publish", "testing.run", "-p", "path=proj/test_good.py", "--task-id", "t1", "--wait")
        assert good.returncode == 0, good.stderr
        assert good.stdout.startswith("t1\n")
        assert "complete on testing-01" in good.stderr
        bad = shell("publish", "testing.run", "-p", "path=proj/test_bad.py", "--wait", "--json")
        assert bad.returncode == 1
        assert '"verdict":"failed"' in bad.stdout
        bad_id = json.loads(bad.stdout)["task_id"]
        assert "its verdict is failed: 1 failed" in bad.stderr
        assert "failed: 1 failed" in shell.ok("tasks")
        watch.send_signal(signal.SIGINT)
        out, err = watch.communicate(timeout=10)
    assert "Traceback" not in err
    assert out.startswith("nine/tasks/new {")

    url = shell.json("status")["broker"]["url"]
    printed = shell.ok("logs", "--task", "t1", "--broker", url)
    assert "2 passed" in printed, "asked over the bus, as from another host"
    one = shell.json("tasks", "t1")
    assert (one["state"], one["agent_id"], one["result"]["passed"]) == ("complete", "testing-01", 2)
    steps = [hop["what"] for hop in one["hops"]]
    assert [step for step in steps if step in ("published", "queued", "assigned", "started", "complete")] == [
        "published", "queued", "assigned", "started", "complete",
    ]  # fmt: skip
    assert [hop["at"] for hop in one["hops"]] == sorted(hop["at"] for hop in one["hops"])
    assert shell.json("tasks", bad_id[:12])["task_id"] == bad_id, "the beginning of an id is enough"
    nobody = shell("publish", "no.such-type")
    assert nobody.returncode == 1
    assert "neither the layout nor any live agent can do no.such-type" in nobody.stderr
    listed = shell.json("tasks", "--type", "testing.run")
    assert {row["task_id"] for row in listed} >= {"t1"}
    assert "hops" not in listed[0]
    again = shell("publish", "testing.run", "-p", "path=proj/test_good.py", "--task-id", "t1", "--wait")
    assert again.returncode == 0, "the same task again is the same task"
    assert shell.json("tasks", "t1")["hops"][-1]["at"] == one["hops"][-1]["at"]

    summary = shell.json("replay", str(recording), "--summary")
    assert summary["tasks"]["complete"] == 2
    for words, code in (
        (("tasks", "nope"), 4),
        (("logs", "nobody"), 4),
        (("cancel", "nope"), 4),
        (("cancel", "t1"), 1),
        (("publish", "no.such.type", "--wait"), 1),
    ):
        done = shell(*words)
        assert (done.returncode, done.stderr.count("Traceback")) == (code, 0), (words, done.stderr)
    shell.ok("halt", "enough")
    assert shell.json("status")["halted"] == "enough"
    assert "goes on" in shell.ok("resume")
    assert "not halted" in shell.ok("resume")
