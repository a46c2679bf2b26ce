"""What two people must approve waits for two identities, whether they say so in a command or on the screen."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.shell import Shell
from tests.e2e.supervised_swarm import Swarm, own
from tests.e2e.test_cli_screen import Terminal
from tests.wait import until

Make = Callable[..., Swarm]
SAYS = {"command": ["sh", "-c", "echo '{\"deployed\": true}'"]}


def told(swarm: Swarm, task_id: str) -> Any:
    done = swarm.run("tasks", task_id, "--json", "--swarm", swarm.name)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def acts(swarm: Swarm, verb: str, task_id: str, *more: str) -> tuple[int, str]:
    done = swarm.run(verb, task_id, "--swarm", swarm.name, *more)
    return done.returncode, done.stdout + done.stderr


def identity(swarm: Swarm, name: str, kind: str = "operator") -> tuple[str, str]:
    done = swarm.run("broker", "add", name, "--as", kind, "--swarm", swarm.name)
    assert done.returncode == 0, done.stderr
    return "--identity", next(line.strip() for line in done.stdout.splitlines() if line.strip().endswith(".join"))


def approvers(swarm: Swarm, task_id: str) -> list[str]:
    return [hop["by"] for hop in told(swarm, task_id)["hops"] if hop["what"] == "approve"]


def approve_on_screen(swarm: Swarm, task_id: str, *words: str) -> None:
    """Approve it as a person does who sits at the screen, opened with these words."""
    terminal = Terminal(Shell(Path(swarm.folder)), "screen", "--swarm", swarm.name, *words)
    try:
        terminal.read_until(b"approve?")
        os.write(terminal.leader, b"\t")
        terminal.read_until(b"deny")
        os.write(terminal.leader, b"y")
        terminal.read_until(f"Approve {task_id}".encode())
        os.write(terminal.leader, b"y")
        terminal.read_until(f"asked to approve {task_id}".encode())
        until(lambda: len(approvers(swarm, task_id)) == 1, what="the dispatcher to hear it")
    finally:
        terminal.close()


def test_two_identities_approve_and_one_that_does_it_twice_is_one(
    make: Make, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    swarm = make(
        free_port,
        [own("boss", "task-manager"), own("w", handlers={"deploy.it": SAYS})],
        policy={"approve": ["deploy.it"], "approve_by": 2},
    )
    swarm.up()
    ann, bob, host = identity(swarm, "ann"), identity(swarm, "bob"), identity(swarm, "helper", "host")
    for task_id in ("by-command", "by-screen"):
        assert swarm.run("publish", "deploy.it", "--task-id", task_id, "--swarm", swarm.name).returncode == 0
    assert "needs the approval of 2 persons" in told(swarm, "by-command")["reason"]

    # By commands: ann, ann once more, whoever sits here (also by another name), and a key that is no person's.
    assert acts(swarm, "approve", "by-command", *ann) == (
        0, "by-command: approved by operator:ann; 1 more person must\n",
    )  # fmt: skip
    code, said = acts(swarm, "approve", "by-command", *ann)
    assert (code, "operator:ann approved it already: another person must" in said) == (1, True), said
    code, said = acts(swarm, "approve", "by-command", *host)
    assert (code, "is the identity of the host helper: an operator's is needed" in said) == (1, True), said
    assert told(swarm, "by-command")["state"] == "awaiting-approval"
    assert acts(swarm, "approve", "by-command", *bob)[0] == 0
    until(lambda: told(swarm, "by-command")["state"] == "complete", what="it to be done")
    assert approvers(swarm, "by-command") == ["operator:ann", "operator:bob"]

    # By the screen of an identity: it is that one's, not of who sits here.
    approve_on_screen(swarm, "by-screen", *ann)
    assert approvers(swarm, "by-screen") == ["operator:ann"]
    assert acts(swarm, "approve", "by-screen", *ann)[0] == 1
    assert told(swarm, "by-screen")["state"] == "awaiting-approval"
    assert acts(swarm, "approve", "by-screen")[0] == 0
    until(lambda: told(swarm, "by-screen")["state"] == "complete", what="it to be done")

    # Who sits at the swarm's own host is one person, by whatever name.
    assert swarm.run("publish", "deploy.it", "--task-id", "alone", "--swarm", swarm.name).returncode == 0
    assert acts(swarm, "approve", "alone")[0] == 0
    for variable in ("USER", "LOGNAME"):
        monkeypatch.setenv(variable, "somebody-else")
    code, said = acts(swarm, "approve", "alone")
    assert (code, "approved it already" in said) == (1, True), said
    assert told(swarm, "alone")["state"] == "awaiting-approval"
