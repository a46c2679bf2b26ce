"""A task's own program, in a real swarm without a sandbox, tries every command by which people order; none works."""

import json
import sys
from collections.abc import Callable

from swarm_tui.cli.common import ORDERS
from tests.e2e.supervised_swarm import Swarm, own
from tests.wait import until

Make = Callable[..., Swarm]

#: What each order is called with.
WORDS: dict[str, list[str]] = {
    "approve": ["held"], "deny": ["held"], "cancel": ["held"], "retry": ["held"], "answer": ["x", "yes"],
    "start": ["worker"], "stop": ["worker"], "restart": ["worker"], "drain": ["worker"], "undrain": ["worker"],
    "forget": ["worker"], "scale": ["general", "1"], "broker": ["add", "mallory", "--as", "operator"],
    "merge": ["held"], "discard": ["held"],
}  # fmt: skip
#: Says each order in three ways, then one by its own client and one by the MCP server; writes down what came of each.
PROGRAM = """
import json, os, subprocess, sys
from pathlib import Path
orders, swarm = json.loads(sys.argv[1]), sys.argv[2]
me = [sys.executable, "-m", "swarm_tui"]
keep = {n: v for n, v in os.environ.items() if n.startswith(("XDG_", "PYTHON", "PATH", "HOME", "TMUX_"))}
said = {}

def run(env, *words):
    done = subprocess.run([*me, *words], env=env, capture_output=True, text=True, start_new_session=True)
    return done.returncode, done.stderr[-300:]

for name, words in orders.items():
    where = ["--swarm", swarm] if name not in ("up",) else []
    for way, env in (("plain", dict(os.environ)), ("bare", keep)):
        said[f"{name} {way}"] = run(env, name, *words, *where)
said["publish"] = run(keep, "publish", "work", "--task-id", "mine", "--swarm", swarm)
os.environ.clear()
os.environ.update(keep)
from swarm_tui.cli.common import connect, target
from swarm_tui.protocol.bodies import Halt, TaskAct
from swarm_tui.protocol.topics import Kind
operator = connect(target(swarm))
row = operator.query("task", {"task_id": "held"}).rows[0]
operator.act(Kind.TASK_APPROVE, TaskAct(task_id="held", payload_hash=row["payload_hash"]))
operator.act(Kind.HALT, Halt(reason="evil"))
operator.query("task", {"task_id": "held"})
operator.close()
Path(sys.argv[3]).write_text(json.dumps(said))
"""


def test_who_works_does_not_order(make: Make, free_port: int) -> None:
    plain = {"command": [sys.executable, "-c", "print('{}')"]}
    orders = {name: WORDS.get(name, []) for name in sorted(ORDERS)}
    evil = {"command": [sys.executable, "-c", PROGRAM, json.dumps(orders), "", ""], "timeout": 300}
    swarm = make(
        free_port,
        [
            own("boss", "task-manager"),
            own("worker", handlers={"evil": evil, "work": plain, "careful": plain}, capacity=2),
        ],
        policy={"approve": ["careful"], "guests": "none"},
    )
    told_to = swarm.folder / "said.json"
    evil["command"][-2:] = swarm.name, str(told_to)
    swarm.write()
    swarm.up()
    at = ("--swarm", swarm.name)
    assert swarm.run("publish", "careful", "--task-id", "held", *at).returncode == 0
    done = swarm.run("publish", "evil", "--task-id", "evil", "--wait", *at, limit=300)
    assert done.returncode == 0, done.stdout + done.stderr + swarm.log("worker")

    def row(task_id: str) -> dict[str, object]:
        told: dict[str, object] = json.loads(swarm.run("tasks", task_id, "--json", *at).stdout)
        return told

    said = json.loads(told_to.read_text())
    assert said.pop("publish")[0] == 0
    assert len(said) == 2 * len(ORDERS)
    for order, (code, told) in said.items():
        assert (code, f"may not `{order.split()[0]}`: who works does not order" in told) == (1, True), (
            order,
            code,
            told,
        )
    assert row("held")["state"] == "awaiting-approval"
    until(lambda: row("mine")["state"] == "complete", what="the task that it published")
    mine = row("mine")
    assert [hop["by"] for hop in mine["hops"] if hop["what"] == "published"] == ["worker"]  # type: ignore[attr-defined]
    status = json.loads(swarm.run("status", "--json", *at).stdout)
    assert status["halted"] is None
    assert {agent["agent_id"]: agent["state"] for agent in status["agents"]} == {"boss": "online", "worker": "online"}
    shown = swarm.run("broker", "show", *at).stdout
    assert "mallory" not in shown
