"""A person attached to an agent's pane: types to its conversation, answers it there, interrupts it, in a real tmux."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conversation_swarm import Pane, sessions, talker
from tests.e2e.supervised_swarm import Swarm, own
from tests.wait import until

Make = Callable[..., Swarm]


@pytest.fixture
def swarm(make: Make, free_port: int, tmp_path: Path) -> Swarm:
    work = tmp_path / "work"
    work.mkdir()
    made = make(free_port, [own("tm", "task-manager"), talker("a1", tmp_path / "home")], workdir=str(work))
    made.up()
    return made


def task(swarm: Swarm, prompt: str) -> str:
    done = swarm.run("publish", "agent-cli", "-p", f"prompt={json.dumps(prompt)}", "--swarm", swarm.name)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def state(swarm: Swarm, task_id: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(swarm.run("tasks", task_id, "--json", "--swarm", swarm.name).stdout)
    return found


def test_a_person_types_answers_and_interrupts_in_the_pane(swarm: Swarm, tmp_path: Path) -> None:
    pane = Pane(swarm, "a1")
    first = task(swarm, "[[plan look; write]] [[write ../asked.txt hi]] [[slow 30]] [[say All done.]]")
    pane.shows("type y, n REASON or a (always)")
    assert "┊+hi" in pane.text()
    pane.types("n not outside")
    pane.shows("refused by operator:")
    pane.shows("not outside")
    assert not (tmp_path / "asked.txt").exists()
    pane.types("do this [[write b.txt there]]")
    pane.shows("it has that, in this turn")
    pane.presses("C-c")
    pane.shows("⏸ interrupted: type what it shall do")
    pane.types("rather [[run echo two > c.txt]] [[say Fine.]]")
    pane.shows("asks: Bash echo two > c.txt")
    pane.types("y")
    pane.shows(f"✅ {first}")
    assert (tmp_path / "work" / "c.txt").read_text() == "two\n"
    assert "\x1b[32m" in pane.coloured(), "what is added is green"
    (said,) = sessions(tmp_path / "home").values()
    assert [words.partition(" ")[0] for words in said] == ["[[plan", "do", "rather"]
    # Nothing talks now: a line is told so, and Ctrl-C leaves, in order.
    pane.types("anybody?")
    pane.shows("nobody hears that")
    pid = swarm.pids()["a1"]
    pane.presses("C-c")
    until(lambda: swarm.pids().get("a1") != pid, 20, "the agent leaves and is started anew")


def test_a_second_interrupt_leaves(swarm: Swarm) -> None:
    pane = Pane(swarm, "a1")
    task(swarm, "[[plan look]] [[slow 30]]")
    pane.shows("· look")
    pid = swarm.pids()["a1"]
    pane.presses("C-c")
    pane.shows("Ctrl-C again leaves")
    pane.presses("C-c")
    pane.shows("Shutting down gracefully")
    until(lambda: swarm.pids().get("a1") != pid, 20, "the agent leaves")
