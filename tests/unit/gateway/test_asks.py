"""Asks over HTTP: seen by all who may look, answered with the token alone, once."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from swarm_tui.agent.roles.api_gateway.asks import PersonsVoice
from swarm_tui.agent.roles.api_gateway.role import ApiGateway
from swarm_tui.bus.memory import MemoryBroker
from swarm_tui.protocol.ask_bodies import Ask, AskAnswer
from swarm_tui.protocol.topics import Kind as K
from tests.unit.gateway.conftest import Answer, Dispatcher, Visitor, Voice
from tests.wait import until

Opener = Callable[..., ApiGateway]


class Asking:
    """A door, an agent that asks, and a person who holds the token."""

    def __init__(self, visitor: Visitor, broker: MemoryBroker, token: Path) -> None:
        self.visitor, self._token = visitor, token
        self._agent = Voice(broker, "a1")
        self._agent.bus.start(lambda *_: None, lambda _: None)
        assert visitor.get("/asks").json == []

    def ask(self, ask_id: str, **more: Any) -> None:
        body = Ask(ask_id=ask_id, task_id="t1", agent_id="a1", attempt=1, tool="Bash", title="make", rule="Bash(make)",
                   expires_at=time.time() + 60, **more)  # fmt: skip
        self._agent.say(K.ASK, body, ask_id)
        until(lambda: any(row["ask_id"] == ask_id for row in self.visitor.get("/asks").json), what="it is listed")

    def answer(self, ask_id: str, token: str | None = None, **body: Any) -> Answer:
        right = self._token.read_text().strip()
        given = {"Authorization": f"Bearer {right if token is None else token}"} if token != "" else {}
        return self.visitor.ask("POST", f"/asks/{ask_id}", {"outcome": "allow", **body}, **given)

    def close(self) -> None:
        self._agent.bus.close()


@pytest.fixture
def asking(open_door: Opener, visitor: Visitor, dispatcher: Dispatcher, broker: MemoryBroker, tmp_path: Path) -> Any:
    open_door()
    made = Asking(visitor, broker, tmp_path / "state" / "gateway.token")
    yield made
    made.close()


def test_what_waits_is_listed_with_its_diff_and_an_answer_counts(asking: Asking, dispatcher: Dispatcher) -> None:
    asking.ask("q1", diff="+hi\n")
    (row,) = asking.visitor.get("/asks").json
    assert (row["tool"], row["title"], row["agent_id"], row["diff"]) == ("Bash", "make", "a1", "+hi\n")
    assert asking.visitor.get("/asks/q1").json == row
    answer = asking.answer("q1", outcome="deny", reason="not now", by="ann")
    assert (answer.status, answer.json["outcome"]) == (200, "deny")
    kept = dispatcher.answered["q1"]
    assert (kept.outcome, kept.reason, kept.by) == ("deny", "not now", "operator:web@here (ann)")
    assert asking.visitor.get("/asks").json == []
    late = asking.answer("q1", by="bob")
    assert late.status == 409
    assert late.json["error"] == "it was denied already by operator:web@here (ann): not now"
    assert asking.visitor.get("/asks/q1").status == 404
    assert asking.answer("q9").status == 404


@pytest.mark.parametrize("name", ["", "ann"])
def test_of_two_who_press_at_once_one_counts_and_the_other_is_told(asking: Asking, name: str) -> None:
    asking.ask("q1")
    with ThreadPoolExecutor(2) as pool:
        came = list(pool.map(lambda outcome: asking.answer("q1", outcome=outcome, by=name), ["allow", "deny"] * 3))
    assert sorted(one.status for one in came) == [200, 409, 409, 409, 409, 409]
    (counted,) = (one.json for one in came if one.status == 200)
    word = "denied" if counted["outcome"] == "deny" else "allowed"
    assert all(
        one.json["error"].startswith(f"it was {word} already by operator:web") for one in came if one.status != 200
    )


@pytest.mark.parametrize("name", ["web", "here", "a\tb", "x" * 150, "(ann)", "ann (b)"])
def test_whoever_answers_is_told_that_it_counts_whatever_they_are_called(asking: Asking, name: str) -> None:
    """The record leaves out a name that the operator's own has already, and cleans and cuts it."""
    asking.ask("q1")
    assert asking.answer("q1", by=name).status == 200
    assert asking.answer("q1", by=name).status == 409


def test_another_operators_answer_counts_when_it_was_first(asking: Asking, broker: MemoryBroker) -> None:
    asking.ask("q1")
    other = Voice(broker, "operator:bob@box")
    other.bus.start(lambda *_: None, lambda _: None)
    other.say(K.ASK_ANSWER, AskAnswer(outcome="allow"), "q1")
    answer = asking.answer("q1")
    assert answer.status == 409
    assert answer.json["by"] == "operator:bob@box"
    other.bus.close()


def test_who_comes_over_loopback_may_look_but_answers_with_the_token_alone(
    asking: Asking, dispatcher: Dispatcher
) -> None:
    asking.ask("q1")
    for token in ("", "wrong"):
        refused = asking.answer("q1", token=token)
        assert refused.status == 401
        assert "to speak for a person" in refused.json["error"]
    assert not dispatcher.answered


@pytest.mark.parametrize(
    ("body", "status"),
    [({"outcome": "maybe"}, 422), ({"outcome": "allow", "x": 1}, 422), ({"reason": "x" * 9000}, 413), ({"by": 7}, 422)],
)
def test_a_body_that_is_no_answer_is_refused(asking: Asking, body: dict[str, Any], status: int) -> None:
    asking.ask("q1")
    assert asking.answer("q1", **body).status == status


def test_an_answer_that_nobody_writes_down_is_said_so(
    asking: Asking, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm_tui.agent.roles.api_gateway.asks._PATIENCE", 0.2)
    asking.ask("q1")
    dispatcher.silent = True
    assert asking.answer("q1").status == 504


def test_two_who_speak_first_at_once_have_one_connection() -> None:
    both = threading.Barrier(2)

    def make() -> Any:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.3)
        up = SimpleNamespace(up=True)
        return SimpleNamespace(on_event=lambda call: None, start=lambda: None, wait_link=lambda wait: up)

    voice = PersonsVoice(make)
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(lambda _: voice.operator(), range(2))
    assert one is other
