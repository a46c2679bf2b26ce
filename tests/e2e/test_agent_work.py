"""Tasks done by agent processes: offered, claimed, cancelled, timed out, cut off."""

import hashlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.config.model import HandlerSpec
from swarm_tui.config.paths import state_dir
from swarm_tui.protocol.bodies import Assigned, Cleared, Halt, Inbox, Task, TaskAct
from swarm_tui.protocol.topics import Kind
from tests.conftest import RealBroker
from tests.e2e.agent_ground import SWARM, Agent, Ear, Ground, alive, ground
from tests.wait import until

NOOP = {"noop": HandlerSpec()}


@pytest.fixture
def land(real_broker: RealBroker, tmp_path: Path) -> Iterator[Ground]:
    workdir = tmp_path / "work"
    workdir.mkdir()
    with ground(real_broker.url, workdir) as made:
        yield made


@pytest.fixture
def ear(land: Ground) -> Ear:
    return land.ear()


def shell(script: str, **options: Any) -> dict[str, HandlerSpec]:
    return {"job": HandlerSpec(command=[script], options={"shell": True, **options})}


def python(code: str, **options: Any) -> dict[str, HandlerSpec]:
    return {"job": HandlerSpec(command=[sys.executable, "-c", code], options=options)}


def pids_in(path: Path, number: int) -> list[int]:
    def read() -> list[int]:
        return [int(word) for word in path.read_text().split()] if path.exists() else []

    until(lambda: len(read()) >= number, what=f"{number} pids in {path}")
    return read()


#: A handler that starts a child and a grandchild, none of which heeds SIGTERM, and writes their pids.
TREE = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
code = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code])
with open("pids.new", "w") as f: f.write(f"{os.getpid()} {child.pid}")
os.rename("pids.new", "pids")
time.sleep(600)
"""


# -- without a dispatcher


def test_three_agents_share_fifty_tasks_and_each_runs_once(land: Ground, ear: Ear) -> None:
    for n in range(3):
        land.start(f"worker-{n}", handlers=NOOP)
    until(lambda: len(ear.all(Kind.REGISTER)) == 3)
    for n in range(50):
        ear.publish("noop", f"t{n}", {"seconds": 0.01})
    until(lambda: len(ear.all(Kind.TASK_COMPLETE)) >= 50, 20, "fifty results")
    starts = Counter(e.payload["task_id"] for e in ear.all(Kind.TASK_STARTED))
    assert starts == Counter(f"t{n}" for n in range(50))
    by_agent = Counter(e.payload["agent_id"] for e in ear.all(Kind.TASK_COMPLETE))
    assert len(by_agent) == 3


def test_a_claim_of_a_stranger_counts(land: Ground, ear: Ear) -> None:
    land.start("worker-1", handlers=NOOP)
    ear.wait(Kind.REGISTER)
    ear.publish("noop", "first", {"seconds": 0.5})
    ear.wait(Kind.TASK_STARTED, task_id="first")
    ear.publish("noop", "theirs")
    ear.say(Kind.TASK_ASSIGNED, Assigned(task_id="theirs", agent_id="seed-agent"))
    ear.publish("noop", "ours")
    ear.wait(Kind.TASK_COMPLETE, task_id="ours")
    assert not ear.all(Kind.TASK_STARTED, task_id="theirs")


def test_it_heeds_assigned_to_and_its_abilities(land: Ground, ear: Ear) -> None:
    land.start("worker-1", handlers=NOOP)
    ear.wait(Kind.REGISTER)
    ear.publish("noop", "elsewhere", assigned_to="worker-2")
    ear.publish("deployment.deploy", "too-hard")
    ear.publish("noop", "mine", assigned_to="worker-1")
    ear.wait(Kind.TASK_COMPLETE, task_id="mine")
    assert {e.payload["task_id"] for e in ear.all(Kind.TASK_ASSIGNED)} == {"mine"}


def test_nobody_claims_while_the_dispatcher_is_coming_back(land: Ground, ear: Ear) -> None:
    ear.lead(online=False)
    land.start("worker-1", handlers=NOOP)
    ear.wait(Kind.REGISTER)
    ear.publish("noop", "t1")
    ear.say(Kind.INBOX, Inbox(command="ping"), "worker-1")
    until(lambda: len(ear.all(Kind.HEARTBEAT)) > 1)
    assert not ear.all(Kind.TASK_ASSIGNED)
    ear.bus.publish(ear.writer.clear(Kind.DISPATCHER))
    until(lambda: any(isinstance(e.body, Cleared) for e in ear.all(Kind.DISPATCHER)))
    until(lambda: "no dispatcher" in land.agents[0].text)
    ear.publish("noop", "t2")
    ear.wait(Kind.TASK_COMPLETE, task_id="t2")


def test_halt_stops_claims_and_work(land: Ground, ear: Ear) -> None:
    land.start("worker-1", handlers=shell("trap 'exit 3' TERM; sleep 60 & wait") | NOOP)
    ear.wait(Kind.REGISTER)
    ear.publish("job", "long")
    ear.wait(Kind.TASK_STARTED, task_id="long")
    ear.say(Kind.HALT, Halt(reason="test"))
    assert ear.wait(Kind.TASK_FAILED, task_id="long").payload["cause"] == "cancelled"
    ear.publish("noop", "later")
    ear.say(Kind.INBOX, Inbox(command="ping"), "worker-1")
    until(lambda: len(ear.all(Kind.HEARTBEAT)) > 1)
    assert not ear.all(Kind.TASK_STARTED, task_id="later")
    ear.bus.publish(ear.writer.clear(Kind.HALT))
    ear.wait(Kind.TASK_COMPLETE, task_id="later")


# -- with a dispatcher


def leading(land: Ground, ear: Ear, **more: Any) -> tuple[Agent, str]:
    """An agent under a dispatcher (the ear), and its incarnation."""
    ear.lead()
    agent = land.start("worker-1", **more)
    ear.wait(Kind.REGISTER)
    return agent, ear.all(Kind.STATUS)[-1].payload["incarnation"]


def test_an_offer_is_run_and_its_result_repeated_until_the_ack(land: Ground, ear: Ear) -> None:
    _, life = leading(land, ear, handlers=NOOP)
    ear.publish("noop", "not-offered")
    ear.offer("worker-1", Task(task_id="t1", type="noop", payload={"echo": 7}), attempt=2, epoch=3, incarnation=life)
    done = ear.wait(Kind.TASK_COMPLETE, task_id="t1")
    assert (done.payload["result"], done.payload["attempt"], done.payload["epoch"]) == ({"echo": 7}, 2, 3)
    until(lambda: len(ear.all(Kind.TASK_COMPLETE, task_id="t1")) == 2, what="a repeat")
    assert ear.all(Kind.TASK_COMPLETE, task_id="t1")[1].id == done.id
    ear.say(Kind.INBOX, Inbox(command="inventory"), "worker-1")
    until(lambda: ear.all(Kind.HEARTBEAT)[-1].payload["finished"])
    assert ear.all(Kind.HEARTBEAT)[-1].payload["finished"] == [{"task_id": "t1", "attempt": 2, "epoch": 3}]
    ear.say(Kind.INBOX, Inbox(command="ack", task_id="t1", attempt=2), "worker-1")
    ear.say(Kind.INBOX, Inbox(command="ping"), "worker-1")
    until(lambda: not ear.all(Kind.HEARTBEAT)[-1].payload["finished"], what="nothing owed")
    assert not ear.all(Kind.TASK_STARTED, task_id="not-offered")


def test_a_result_outlives_the_agent(land: Ground, ear: Ear) -> None:
    agent, life = leading(land, ear, handlers=NOOP)
    ear.offer("worker-1", Task(task_id="t1", type="noop", payload={"echo": 1}), incarnation=life)
    first = ear.wait(Kind.TASK_COMPLETE, task_id="t1")
    agent.kill()
    heard = len(ear.all(Kind.TASK_COMPLETE, task_id="t1"))
    ear.lead(epoch=2)
    land.start("worker-1", handlers=NOOP)
    until(lambda: len(ear.all(Kind.TASK_COMPLETE, task_id="t1")) > heard, what="the result of its earlier life")
    assert ear.all(Kind.TASK_COMPLETE, task_id="t1")[-1].id == first.id


def test_what_it_declines(land: Ground, ear: Ear) -> None:
    _, life = leading(land, ear, handlers=NOOP)

    def declined(task_id: str) -> str:
        return str(ear.wait(Kind.TASK_DECLINED, task_id=task_id).payload["reason"])

    ear.offer("worker-1", Task(task_id="old", type="noop"), incarnation="an-earlier-life")
    assert "incarnation" in declined("old")
    ear.offer("worker-1", Task(task_id="hard", type="database.migrate"), incarnation=life)
    assert declined("hard") == "cannot do database.migrate"
    ear.offer("worker-1", Task(task_id="t1", type="noop", payload={"seconds": 30}), epoch=5, incarnation=life)
    ear.wait(Kind.TASK_STARTED, task_id="t1")
    ear.offer("worker-1", Task(task_id="t2", type="noop"), epoch=5, incarnation=life)
    assert declined("t2") == "busy: 1 of 1"
    ear.offer("worker-1", Task(task_id="t3", type="noop"), epoch=4, incarnation=life)
    assert "epoch 4 is over" in declined("t3")


def test_cancel_ends_the_whole_process_group(land: Ground, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    _, life = leading(land, ear, handlers=python(TREE))
    ear.offer("worker-1", Task(task_id="t1", type="job"), incarnation=life)
    pids = pids_in(land.workdir / "pids", 2)
    ear.say(Kind.INBOX, Inbox(command="cancel", task_id="t1", attempt=1), "worker-1")
    failed = ear.wait(Kind.TASK_FAILED, 20, task_id="t1").payload
    assert (failed["cause"], failed["error"]["code"]) == ("cancelled", "cancelled")
    until(lambda: not any(map(alive, pids)), what=f"the end of {pids}")


def test_a_timeout_ends_the_work(land: Ground, ear: Ear) -> None:
    _, life = leading(land, ear, handlers=shell("exec sleep 60"))
    ear.offer("worker-1", Task(task_id="t1", type="job", timeout=0.5), incarnation=life)
    failed = ear.wait(Kind.TASK_FAILED, task_id="t1").payload
    assert (failed["cause"], failed["retryable"]) == ("timeout", True)


def test_nothing_of_a_killed_agent_works_on(land: Ground, ear: Ear) -> None:
    agent, life = leading(land, ear, handlers=python(TREE))
    ear.offer("worker-1", Task(task_id="t1", type="job"), incarnation=life)
    pids = pids_in(land.workdir / "pids", 2)
    agent.kill()
    until(lambda: not any(map(alive, pids)), what=f"the end of {pids}")


def test_a_successor_ends_what_its_predecessor_left(land: Ground, ear: Ear) -> None:
    agent, life = leading(land, ear, handlers=shell("setpriv --pdeathsig clear sh -c 'echo $$ > pid; exec sleep 600'"))
    ear.offer("worker-1", Task(task_id="t1", type="job"), incarnation=life)
    pid = pids_in(land.workdir / "pid", 1)[0]
    guards = f"{state_dir(SWARM).root} worker-1"
    guardians = until(
        lambda: [other for other in _pids() if guards in _cmdline(other) and "read -r" in _cmdline(other)],
        what="the guardian of the group",
    )
    for guardian in guardians:
        os.kill(guardian, signal.SIGKILL)  # Without its guardian the group lives on.
    agent.kill()
    assert alive(pid)
    land.start("worker-1", handlers=NOOP).says("that a predecessor left")
    until(lambda: not alive(pid), what="its end")


def test_a_handler_gets_its_environment_and_speaks_in_lines(land: Ground, ear: Ear) -> None:
    code = """
import json, os, sys
task = json.load(sys.stdin); same = json.load(open(os.environ["SWARM_TASK_FILE"]))
assert oct(os.stat(os.environ["SWARM_TASK_FILE"]).st_mode)[-3:] == "600"
print(json.dumps({"progress": 50, "message": "half"})); print("plain line"); print("{not json")
names = [n for n in os.environ if n.startswith("SWARM_") or n in ("TRACEPARENT", "MQTT_PASSWORD")]
print(json.dumps({"result": {"names": sorted(names), "task": task["task_id"], "same": same["payload"],
    "fence": os.environ["SWARM_FENCE"], "key": os.environ["SWARM_IDEMPOTENCY_KEY"], "secret": "sesame-sesame"}}))
"""
    ear.lead()
    agent = land.run("--spec", str(land.spec("worker-1", handlers=python(code))), MY_TOKEN="sesame-sesame")
    ear.wait(Kind.REGISTER)
    ear.offer("worker-1", Task(task_id="t1", type="job", payload={"a": 1}, idempotency_key="k"), attempt=2, epoch=7)
    result = ear.wait(Kind.TASK_COMPLETE, task_id="t1").payload["result"]
    assert result == {
        "names": [
            *("SWARM_AGENT_ID", "SWARM_ATTEMPT", "SWARM_FENCE", "SWARM_IDEMPOTENCY_KEY", "SWARM_NAME"),
            *("SWARM_TASK_FILE", "SWARM_TASK_ID", "SWARM_TASK_MARK", "SWARM_TASK_TYPE", "TRACEPARENT"),
        ],
        "task": "t1",
        "same": {"a": 1},
        "fence": "2.7",
        "key": "k",
        "secret": "***",
    }
    assert ear.wait(Kind.TASK_PROGRESS, task_id="t1").payload["message"] == "half"
    agent.says("plain line")
    assert not list((state_dir(SWARM).root / "work").glob("*.task.json"))


def test_a_failing_command_says_why(land: Ground, ear: Ear) -> None:
    _, life = leading(land, ear, handlers=shell("echo 'no such thing' >&2; exit 4"))
    ear.offer("worker-1", Task(task_id="t1", type="job"), incarnation=life)
    failed = ear.wait(Kind.TASK_FAILED, task_id="t1").payload
    assert "exit status 4" in failed["error"]["message"]
    assert "no such thing" in failed["error"]["message"]
    assert failed["retryable"] is True


def test_a_large_result_is_kept_in_a_file(land: Ground, ear: Ear) -> None:
    code = "import json; print(json.dumps({'result': {'verdict': 'passed', 'text': 'x' * 300_000}}))"
    _, life = leading(land, ear, handlers=python(code))
    ear.offer("worker-1", Task(task_id="t1", type="job"), incarnation=life)
    result = ear.wait(Kind.TASK_COMPLETE, task_id="t1").payload["result"]
    data = Path(result["file"]).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (result["size"], result["sha256"])
    assert result["verdict"] == "passed"
    assert len(json.loads(data)["text"]) == 300_000
    assert Path(result["file"]).stat().st_mode & 0o777 == 0o600


def test_leaving_interrupts_what_runs(land: Ground, ear: Ear) -> None:
    agent, life = leading(land, ear, handlers=shell("exec sleep 60"))
    ear.offer("worker-1", Task(task_id="t1", type="job"), incarnation=life)
    ear.wait(Kind.TASK_STARTED, task_id="t1")
    assert agent.stop() == 0
    failed = ear.wait(Kind.TASK_FAILED, task_id="t1").payload
    assert (failed["cause"], failed["retryable"]) == ("interrupted", True)
    ear.wait(Kind.SHUTDOWN)


def test_a_cancel_without_a_dispatcher(land: Ground, ear: Ear) -> None:
    land.start("worker-1", handlers=shell("exec sleep 60"))
    ear.wait(Kind.REGISTER)
    ear.publish("job", "t1")
    ear.wait(Kind.TASK_STARTED, task_id="t1")
    ear.say(Kind.TASK_CANCEL, TaskAct(task_id="t1"))
    assert ear.wait(Kind.TASK_FAILED, task_id="t1").payload["cause"] == "cancelled"


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _cmdline(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read().replace("\0", " ")
    except OSError:
        return ""
