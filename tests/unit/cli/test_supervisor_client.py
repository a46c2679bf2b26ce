"""Commands that need a supervisor: one that does nothing is named at once, with what to do."""

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from swarm_tui.cli import supervisor_client
from swarm_tui.cli.common import Failure, Target
from swarm_tui.cli.supervisor_client import control_agents
from swarm_tui.config.model import Broker
from swarm_tui.config.paths import state_dir
from swarm_tui.config.running import Running, save_running
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import HostStatus, PaneStatus
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor import processes, state_file
from swarm_tui.supervisor.state_file import Saved


class FakeOperator:
    """Hears what the hosts retain, and keeps what it is told to say."""

    def __init__(self, said: list[Event]) -> None:
        self.said, self.acts = said, []  # type: ignore[var-annotated]
        self.bus = SimpleNamespace(subscribe=lambda _: None)
        self._hear: Callable[[Event | Rejected], None] = lambda _: None

    def on_event(self, hear: Callable[[Event | Rejected], None]) -> None:
        self._hear = hear

    def look_round(self) -> None:
        for event in self.said:
            self._hear(event)

    def act(self, *told: Any) -> None:
        self.acts.append(told)

    def close(self) -> None:
        """Nothing is open."""


def status(host: str, agent_id: str) -> Event:
    writer = codec.Writer("s", f"supervisor:{host}", "supervisor", new_id=lambda: host, clock=lambda: 1.0)
    row = PaneStatus(agent_id=agent_id, role="docs", pid=7, state="online")
    out = writer.message(Kind.HOST_STATUS, HostStatus(status="online", panes=[row]), host)
    event = codec.decode("s", out.topic, out.payload, True, 1.0)
    assert isinstance(event, Event)
    return event


def restart(pid: int, monkeypatch: pytest.MonkeyPatch, *heard: Event) -> tuple[Failure, FakeOperator]:
    broker = Broker(url="mqtt://127.0.0.1:1")
    running = Running(
        swarm="s", session="s", socket="x", layout_path="", broker=broker, host="h", version="", started_at=0.0
    )
    state = state_dir("s").create()
    save_running(running)
    state_file.save(state, Saved(pid=pid, start_time=processes.start_time(pid), boot=state_file.boot_id()))
    operator = FakeOperator(list(heard))
    monkeypatch.setattr(supervisor_client, "connect", lambda _: operator)
    found = Target(swarm="s", broker=broker, state=state, running=running)
    with pytest.raises(Failure) as failed:
        control_agents(found, ("docs-01",), "restart", lambda _, __: False, word="restarted", limit=0.1)
    return failed.value, operator


def test_a_supervisor_that_stands_still_is_named_before_it_is_asked(
    frozen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure, operator = restart(frozen, monkeypatch, status("h", "docs-01"))
    assert f"kill -CONT {frozen}" in failure.reason
    assert operator.acts == []


def test_nobody_was_started_by_hand_whose_supervisor_stands_still(frozen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some seconds the broker has said that it is away, and nothing tells any more whose the agents are."""
    failure, _ = restart(frozen, monkeypatch)
    assert f"kill -CONT {frozen}" in failure.reason


def test_an_agent_of_another_host_is_asked_for_all_the_same(frozen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    failure, operator = restart(frozen, monkeypatch, status("h", "a"), status("far", "docs-01"))
    assert "not restarted within 0.1 s: docs-01 is online" in failure.reason
    assert [told[2] for told in operator.acts] == ["far"]


def test_one_that_works_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    failure, operator = restart(os.getpid(), monkeypatch, status("h", "docs-01"))
    assert "not restarted within" in failure.reason
    assert [told[2] for told in operator.acts] == ["h"]
