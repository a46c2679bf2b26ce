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
from tests.e2e.agents import SWARM, Agent, Agents, Listener, alive, ground
from tests.wait import until

NOOP = {"noop": HandlerSpec()}


@pytest.fixture
def land(real_broker: RealBroker, tmp_path: Path) -> Iterator[Agents]:
    workdir = tmp_path / "work"
    workdir.mkdir()
    with ground(real_broker.url, workdir) as made:
        yield made


@pytest.fixture
def listener(land: Agents) -> Listener:
    return land.listener()


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


def test_three_agents_share_fifty_tasks_and_each_runs_once(land: Agents, listener: Listener) -> None:
    for n in range(3):
        land.start(f"worker-{n}", handlers=NOOP)
    until(lambda: len(listener.all(Kind.REGISTER)) == 3)
    for n in range(50):
        listener.publish("noop", f"t{n}", {"seconds": 0.01})
    until(lambda: len(listener.all(Kind.TASK_COMPLETE)) >= 50, 20, "fifty results")
    starts = Counter(e.payload["task_id"] for e in listener.all(Kind.TASK_STARTED))
    assert starts == Counter(f"t{n}" for n in range(50))
    by_agent = Counter(e.payload["agent_id"] for e in listener.all(Kind.TASK_COMPLETE))
    assert len(by_agent) == 3


def test_a_claim_of_a_stranger_counts(land: Agents, listener: Listener) -> None:
    land.start("worker-1", handlers=NOOP)
    listener.wait(Kind.REGISTER)
    listener.publish("noop", "first", {"seconds": 0.5})
    listener.wait(Kind.TASK_STARTED, task_id="first")
    listener.publish("noop", "theirs")
    listener.say(Kind.TASK_ASSIGNED, Assigned(task_id="theirs", agent_id="seed-agent"))
    listener.publish("noop", "ours")
    listener.wait(Kind.TASK_COMPLETE, task_id="ours")
    assert not listener.all(Kind.TASK_STARTED, task_id="theirs")


def test_it_heeds_assigned_to_and_its_abilities(land: Agents, listener: Listener) -> None:
    land.start("worker-1", handlers=NOOP)
    listener.wait(Kind.REGISTER)
    listener.publish("noop", "elsewhere", assigned_to="worker-2")
    listener.publish("deployment.deploy", "too-hard")
    listener.publish("noop", "mine", assigned_to="worker-1")
    listener.wait(Kind.TASK_COMPLETE, task_id="mine")
    assert {e.payload["task_id"] for e in listener.all(Kind.TASK_ASSIGNED)} == {"mine"}


def test_nobody_claims_while_the_dispatcher_is_coming_back(land: Agents, listener: Listener) -> None:
    listener.lead(online=False)
    land.start("worker-1", handlers=NOOP)
    listener.wait(Kind.REGISTER)
    listener.publish("noop", "t1")
    listener.say(Kind.INBOX, Inbox(command="ping"), "worker-1")
    until(lambda: len(listener.all(Kind.HEARTBEAT)) > 1)
    assert not listener.all(Kind.TASK_ASSIGNED)
    listener.bus.publish(listener.writer.clear(Kind.DISPATCHER))
    until(lambda: any(isinstance(e.body, Cleared) for e in listener.all(Kind.DISPATCHER)))
    until(lambda: "no dispatcher" in land.agents[0].text)
    listener.publish("noop", "t2")
    listener.wait(Kind.TASK_COMPLETE, task_id="t2")


def test_halt_stops_claims_and_work(land: Agents, listener: Listener) -> None:
    land.start("worker-1", handlers=shell("trap 'exit 3' TERM; sleep 60 & wait") | NOOP)
    listener.wait(Kind.REGISTER)
    listener.publish("job", "long")
    listener.wait(Kind.TASK_STARTED, task_id="long")
    listener.say(Kind.HALT, Halt(reason="test"))
    assert listener.wait(Kind.TASK_FAILED, task_id="long").payload["cause"] == "cancelled"
    listener.publish("noop", "later")
    listener.say(Kind.INBOX, Inbox(command="ping"), "worker-1")
    until(lambda: len(listener.all(Kind.HEARTBEAT)) > 1)
    assert not listener.all(Kind.TASK_STARTED, task_id="later")
    listener.bus.publish(listener.writer.clear(Kind.HALT))
    listener.wait(Kind.TASK_COMPLETE, task_id="later")


# -- with a dispatcher


def leading(land: Agents, listener: Listener, **more: Any) -> tuple[Agent, str]:
    """An agent under a dispatcher (the ear), and its incarnation."""
    listener.lead()
    agent = land.start("worker-1", **more)
    listener.wait(Kind.REGISTER)
    return agent, listener.all(Kind.STATUS)[-1].payload["incarnation"]


def test_an_offer_is_run_and_its_result_repeated_until_the_ack(land: Agents, listener: Listener) -> None:
    _, life = leading(land, listener, handlers=NOOP)
    listener.publish("noop", "not-offered")
    listener.offer(
        "worker-1", Task(task_id="t1", type="noop", payload={"echo": 7}), attempt=2, epoch=3, incarnation=life
    )
    done = listener.wait(Kind.TASK_COMPLETE, task_id="t1")
    assert (done.payload["result"], done.payload["attempt"], done.payload["epoch"]) == ({"echo": 7}, 2, 3)
    until(lambda: len(listener.all(Kind.TASK_COMPLETE, task_id="t1")) == 2, what="a repeat")
    assert listener.all(Kind.TASK_COMPLETE, task_id="t1")[1].id == done.id
    listener.say(Kind.INBOX, Inbox(command="inventory"), "worker-1")
    until(lambda: listener.all(Kind.HEARTBEAT)[-1].payload["finished"])
    assert listener.all(Kind.HEARTBEAT)[-1].payload["finished"] == [{"task_id": "t1", "attempt": 2, "epoch": 3}]
    listener.say(Kind.INBOX, Inbox(command="ack", task_id="t1", attempt=2), "worker-1")
    listener.say(Kind.INBOX, Inbox(command="ping"), "worker-1")
    until(lambda: not listener.all(Kind.HEARTBEAT)[-1].payload["finished"], what="nothing owed")
    assert not listener.all(Kind.TASK_STARTED, task_id="not-offered")


def test_a_result_outlives_the_agent(land: Agents, listener: Listener) -> None:
    agent, life = leading(land, listener, handlers=NOOP)
    listener.offer("worker-1", Task(task_id="t1", type="noop", payload={"echo": 1}), incarnation=life)
    first = listener.wait(Kind.TASK_COMPLETE, task_id="t1")
    agent.kill()
    heard = len(listener.all(Kind.TASK_COMPLETE, task_id="t1"))
    listener.lead(epoch=2)
    land.start("worker-1", handlers=NOOP)
    until(lambda: len(listener.all(Kind.TASK_COMPLETE, task_id="t1")) > heard, what="the result of its earlier life")
    assert listener.all(Kind.TASK_COMPLETE, task_id="t1")[-1].id == first.id


def test_what_it_declines(land: Agents, listener: Listener) -> None:
    _, life = leading(land, listener, handlers=NOOP)

    def declined(task_id: str) -> str:
        return str(listener.wait(Kind.TASK_DECLINED, task_id=task_id).payload["reason"])

    listener.offer("worker-1", Task(task_id="old", type="noop"), incarnation="an-earlier-life")
    assert "incarnation" in declined("old")
    listener.offer("worker-1", Task(task_id="hard", type="database.migrate"), incarnation=life)
    assert declined("hard") == "cannot do database.migrate"
    listener.offer("worker-1", Task(task_id="t1", type="noop", payload={"seconds": 30}), epoch=5, incarnation=life)
    listener.wait(Kind.TASK_STARTED, task_id="t1")
    listener.offer("worker-1", Task(task_id="t2", type="noop"), epoch=5, incarnation=life)
    assert declined("t2") == "busy: 1 of 1"
    listener.offer("worker-1", Task(task_id="t3", type="noop"), epoch=4, incarnation=life)
    assert "epoch 4 is over" in declined("t3")


@pytest.mark.drill
def test_cancel_ends_the_whole_process_group(land: Agents, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    _, life = leading(land, listener, handlers=python(TREE))
    listener.offer("worker-1", Task(task_id="t1", type="job"), incarnation=life)
    pids = pids_in(land.workdir / "pids", 2)
    listener.say(Kind.INBOX, Inbox(command="cancel", task_id="t1", attempt=1), "worker-1")
    failed = listener.wait(Kind.TASK_FAILED, 20, task_id="t1").payload
    assert (failed["cause"], failed["error"]["code"]) == ("cancelled", "cancelled")
    until(lambda: not any(map(alive, pids)), what=f"the end of {pids}")


def test_a_timeout_ends_the_work(land: Agents, listener: Listener) -> None:
    _, life = leading(land, listener, handlers=shell("exec sleep 60"))
    listener.offer("worker-1", Task(task_id="t1", type="job", timeout=0.5), incarnation=life)
    failed = listener.wait(Kind.TASK_FAILED, task_id="t1").payload
    assert (failed["cause"], failed["retryable"]) == ("timeout", True)


def test_nothing_of_a_killed_agent_works_on(land: Agents, listener: Listener) -> None:
    agent, life = leading(land, listener, handlers=python(TREE))
    listener.offer("worker-1", Task(task_id="t1", type="job"), incarnation=life)
    pids = pids_in(land.workdir / "pids", 2)
    agent.kill()
    until(lambda: not any(map(alive, pids)), what=f"the end of {pids}")


def test_a_successor_ends_what_its_predecessor_left(land: Agents, listener: Listener) -> None:
    agent, life = leading(
        land, listener, handlers=shell("setpriv --pdeathsig clear sh -c 'echo $$ > pid; exec sleep 600'")
    )
    listener.offer("worker-1", Task(task_id="t1", type="job"), incarnation=life)
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


def test_a_handler_gets_its_environment_and_speaks_in_lines(land: Agents, listener: Listener) -> None:
    code = """
import json, os, sys
task = json.load(sys.stdin); same = json.load(open(os.environ["SWARM_TASK_FILE"]))
assert oct(os.stat(os.environ["SWARM_TASK_FILE"]).st_mode)[-3:] == "600"
print(json.dumps({"progress": 50, "message": "half"})); print("plain line"); print("{not json")
names = [n for n in os.environ if n.startswith("SWARM_") or n in ("TRACEPARENT", "MQTT_PASSWORD")]
print(json.dumps({"result": {"names": sorted(names), "task": task["task_id"], "same": same["payload"],
    "fence": os.environ["SWARM_FENCE"], "key": os.environ["SWARM_IDEMPOTENCY_KEY"], "secret": "sesame-sesame"}}))
"""
    listener.lead()
    agent = land.run("--spec", str(land.spec("worker-1", handlers=python(code))), MY_TOKEN="sesame-sesame")
    listener.wait(Kind.REGISTER)
    listener.offer(
        "worker-1", Task(task_id="t1", type="job", payload={"a": 1}, idempotency_key="k"), attempt=2, epoch=7
    )
    result = listener.wait(Kind.TASK_COMPLETE, task_id="t1").payload["result"]
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
    assert listener.wait(Kind.TASK_PROGRESS, task_id="t1").payload["message"] == "half"
    agent.says("plain line")
    assert not list((state_dir(SWARM).root / "work").glob("*.task.json"))


def test_a_failing_command_says_why(land: Agents, listener: Listener) -> None:
    _, life = leading(land, listener, handlers=shell("echo 'no such thing' >&2; exit 4"))
    listener.offer("worker-1", Task(task_id="t1", type="job"), incarnation=life)
    failed = listener.wait(Kind.TASK_FAILED, task_id="t1").payload
    assert "exit status 4" in failed["error"]["message"]
    assert "no such thing" in failed["error"]["message"]
    assert failed["retryable"] is True


def test_a_large_result_is_kept_in_a_file(land: Agents, listener: Listener) -> None:
    code = "import json; print(json.dumps({'result': {'verdict': 'passed', 'text': 'x' * 300_000}}))"
    _, life = leading(land, listener, handlers=python(code))
    listener.offer("worker-1", Task(task_id="t1", type="job"), incarnation=life)
    result = listener.wait(Kind.TASK_COMPLETE, task_id="t1").payload["result"]
    data = Path(result["file"]).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (result["size"], result["sha256"])
    assert result["verdict"] == "passed"
    assert len(json.loads(data)["text"]) == 300_000
    assert Path(result["file"]).stat().st_mode & 0o777 == 0o600


def test_leaving_interrupts_what_runs(land: Agents, listener: Listener) -> None:
    agent, life = leading(land, listener, handlers=shell("exec sleep 60"))
    listener.offer("worker-1", Task(task_id="t1", type="job"), incarnation=life)
    listener.wait(Kind.TASK_STARTED, task_id="t1")
    assert agent.stop() == 0
    failed = listener.wait(Kind.TASK_FAILED, task_id="t1").payload
    assert (failed["cause"], failed["retryable"]) == ("interrupted", True)
    listener.wait(Kind.SHUTDOWN)


def test_a_cancel_without_a_dispatcher(land: Agents, listener: Listener) -> None:
    land.start("worker-1", handlers=shell("exec sleep 60"))
    listener.wait(Kind.REGISTER)
    listener.publish("job", "t1")
    listener.wait(Kind.TASK_STARTED, task_id="t1")
    listener.say(Kind.TASK_CANCEL, TaskAct(task_id="t1"))
    assert listener.wait(Kind.TASK_FAILED, task_id="t1").payload["cause"] == "cancelled"


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _cmdline(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read().replace("\0", " ")
    except OSError:
        return ""
