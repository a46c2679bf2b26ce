"""Mail in a real swarm: people and tasks' programs write, read and answer by the commands, each as itself."""

import json
import sys
import threading
from collections.abc import Callable
from typing import Any

from tests.e2e.supervised_swarm import Swarm, own
from tests.wait import until

Make = Callable[..., Swarm]

#: Reads the mail of the agent for which it works, answers what wants it, writes to another, and reads again.
PROGRAM = """
import json, subprocess, sys
me = [sys.executable, "-m", "swarm_tui"]
def run(*words):
    done = subprocess.run([*me, *words], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr
first = json.loads(run("messages", "--read", "--json")[1])
for message in first:
    if message.get("expects_answer"):
        run("send", message["from"], "the answer", "--reply-to", message["message_id"])
sent = run("send", "alice", "from a program", "--json")
again = json.loads(run("messages", "--read", "--json")[1])
forged = run("send", "alice", "x", "--message-id", "forged")
print(json.dumps({"result": {"read": [m["text"] for m in first], "again": again, "sent": json.loads(sent[1])}}))
"""


def test_people_and_programs_write_and_each_message_is_read_once(make: Make, free_port: int) -> None:
    work = {"command": [sys.executable, "-c", PROGRAM], "timeout": 120}
    agents = [own("boss", "task-manager"), own("alice"), own("bob", handlers={"read": work})]
    swarm = make(free_port, agents, policy={"guests": "none"})
    swarm.write()
    swarm.up()
    at = ("--swarm", swarm.name)

    def shown(*words: str) -> Any:
        done = swarm.run(*words, "--json", *at)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    nobody = swarm.run("send", "nobody", "hi", *at)
    assert (nobody.returncode, "no agent and no role 'nobody'" in nobody.stderr) == (4, True)
    sent = shown("send", "bob", "hello")["message_id"]
    until(lambda: shown("messages", sent)["receipts"][0]["state"] == "delivered", 15, "bob to have it")

    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(shown("send", "bob", "ready?", "--ask", "--wait", "--within", "60"))
    )
    asking.start()
    until(lambda: len(shown("messages", "--agent", "bob")) == 2, 20, "the question to be accepted")
    until(
        lambda: all(r["state"] == "delivered" for m in shown("messages") for r in m["receipts"]), 15, "bob to have both"
    )
    done = swarm.run("publish", "read", "--task-id", "t1", "--to", "bob", "--wait", "--json", *at, limit=120)
    assert done.returncode == 0, done.stderr
    asking.join(60)
    result = shown("tasks", "t1")["result"]
    assert (result["read"], result["again"]) == (["hello", "ready?"], [])
    assert (answers[0]["answer"], answers[0]["answered_by"], answers[0]["state"]) == ("the answer", "bob", "answered")

    told = {message["message_id"]: message for message in shown("messages")}
    by_program = told[result["sent"]["message_id"]]
    assert (by_program["from"], by_program["to"], by_program["task_id"]) == ("bob", "alice", "t1")
    assert [message["text"] for message in shown("messages", "--task", "t1") if message["to"] == "alice"] == [
        "x", "from a program",
    ]  # fmt: skip
    until(lambda: shown("messages", sent)["receipts"][0]["state"] == "read", 20, "the reading to be known")
    outside = swarm.run("messages", "--read", *at)
    assert (outside.returncode, "only an agent has a mailbox" in outside.stderr) == (1, True)
