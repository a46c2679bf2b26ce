"""A whole interactive agent over a bus in memory: what it says of itself, what it takes, how it leaves."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.console import Console
from swarm_tui.agent.interactive.setup import TYPE
from swarm_tui.agent.runtime import AgentRuntime
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.model import Broker, HandlerSpec, RunSpec
from swarm_tui.processes.descendants import process_info
from swarm_tui.processes.workers import works
from swarm_tui.protocol.bodies import Inbox, Task
from swarm_tui.protocol.topics import Kind
from tests.screen_desk import description
from tests.unit.agent.test_runtime import PumpedBus, World
from tests.wait import until


def spec(folder: Path, **options: Any) -> RunSpec:
    given = {"cli": "mine", "clis": {"mine": description()}, "mode": "edit", **options}
    return RunSpec(
        agent_id="w", role="general", swarm="s", broker=Broker(), workdir=str(folder), state_dir=str(folder / "state"),
        interactive=True, handlers={TYPE: HandlerSpec(options=given)},
    )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("SCREEN_CLI_HOME", str(tmp_path / "home"))
    made = World(tmp_path)
    made.lead()
    yield made
    for agent in made.agents:
        agent.reporter.leave("the test is over", 0)
        agent.close()
    made.pump.close()


def hook(agent: AgentRuntime, event: str, **said: Any) -> str:
    """Call a hook as the CLI does, and return what it prints."""
    assert agent.screen is not None
    given = {"hook_event_name": event, "session_id": "s1", **said}
    done = subprocess.run(
        agent.screen._desk.command, input=json.dumps(given), capture_output=True, text=True, check=True
    )
    return done.stdout


def offer(world: World, task_id: str, prompt: str) -> None:
    task = Task(task_id=task_id, type=TYPE, payload={"prompt": prompt})
    world.say(Kind.INBOX, Inbox(task_id=task_id, attempt=1, epoch=1, lease=30.0, task=task), "w")


def test_a_persons_turn_is_said_as_work_and_a_task_is_the_next_turn(world: World, tmp_path: Path) -> None:
    agent = AgentRuntime(spec(tmp_path), PumpedBus(world.broker, "w", world.pump), Console(silent=True))
    world.agents.append(agent)
    agent.start()
    until(lambda: agent.screen is not None and agent.screen.state == "idle", 10, "its CLI has begun")
    assert agent.screen is not None
    pid = agent.screen._process.pid  # type: ignore[union-attr]
    assert hook(agent, "UserPromptSubmit", prompt="mine") == ""
    busy = world.wait(Kind.HEARTBEAT, state="busy")
    assert (busy["capacity"], busy["active"]) == (0, 0)
    world.wait(Kind.STATUS, status="busy")
    offer(world, "t-1", "[[say no]]")
    assert world.wait(Kind.TASK_DECLINED, task_id="t-1")["reason"] == "busy: a person is at work in mine"
    assert "permissionDecision" not in hook(agent, "PreToolUse", tool_name="Bash", tool_input={"command": "ls"})
    assert hook(agent, "PermissionRequest", tool_name="Bash", tool_input={"command": "ls"}) == ""
    trouble = "mine asks the person in its pane"
    world.wait(Kind.STATUS, trouble=trouble)
    hook(agent, "Stop", last_assistant_message="done")
    until(lambda: world.heard(Kind.HEARTBEAT)[-1].payload["capacity"] == 1, 10, "it may be given a task")
    offer(world, "t-2", "[[write a.txt x]] [[say yes]]")
    assert world.wait(Kind.TASK_COMPLETE, task_id="t-2")["result"]["text"] == "yes"
    assert (tmp_path / "a.txt").exists()
    began = time.monotonic()
    agent.reporter.leave("it is told to", 0)
    agent.close()
    world.agents.clear()
    assert process_info(pid) is None, "its CLI is gone with it"
    assert time.monotonic() - began < 5


def test_who_works_in_its_pane_is_no_person(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = AgentRuntime(spec(tmp_path), PumpedBus(world.broker, "w", world.pump), Console(silent=True))
    assert agent.screen is not None
    given = agent.screen.plan.environment
    assert not works()
    for name in [name for name in given if name.startswith("SWARM_TASK")]:
        monkeypatch.setitem(os.environ, name, given[name])
    assert works(), "what a CLI starts may not answer its own asks"


def test_a_cli_without_hooks_is_a_mistake_of_the_layouts(world: World, tmp_path: Path) -> None:
    bus = PumpedBus(world.broker, "w", world.pump)
    with pytest.raises(ConfigError, match="needs a CLI whose hooks tell what it does"):
        AgentRuntime(spec(tmp_path, cli="gemini"), bus, Console(silent=True))
