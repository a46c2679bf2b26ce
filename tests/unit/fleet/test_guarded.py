"""What the screen and the commands believe where words are proved: who may not say it, changes nothing of it."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.doubts import NO_WORD, NOT_THEIRS
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind as K
from swarm_tui.protocol.topics import topic

_ids = itertools.count()
TASK = b.Task(task_id="t", type="work", payload={})
GIVEN = b.Assigned(task_id="t", agent_id="guest", attempt=1, epoch=1)
WORDS: dict[str, tuple[K, b.Body]] = {
    "started": (K.TASK_STARTED, b.Started(task_id="t", agent_id="guest", attempt=1, epoch=1)),
    "progress": (K.TASK_PROGRESS, b.Progress(task_id="t", agent_id="guest", attempt=1, epoch=1, progress=40.0)),
    "complete": (K.TASK_COMPLETE, b.Complete(task_id="t", agent_id="guest", attempt=1, epoch=1, result="r")),
}


class Watch:
    """A fleet, and who says what to it."""

    def __init__(self, *, guarded: bool = True) -> None:
        self.fleet, self.now = Fleet("s"), 1_700_000_000.0
        if guarded:
            self.say(K.DISPATCHER, b.Dispatcher(instance="h/1", epoch=1, online=True), "boss", "swarm")

    def say(self, kind: K, body: b.Body, sender: str, by: str = "", key: str = "") -> Any:
        self.now += 0.001
        writer = Writer("s", sender, "general", new_id=lambda: f"i{next(_ids)}", clock=lambda: self.now)
        message = writer.message(kind, body, key)
        event = decode("s", message.topic, message.payload, False, self.now, lambda *_: by)
        assert isinstance(event, Event), event
        return self.fleet.apply(event, self.now)

    def clear(self, kind: K, key: str) -> Any:
        event = decode("s", topic("s", kind, key), b"", False, self.now)
        assert isinstance(event, Event), event
        return self.fleet.apply(event, self.now)

    def tell(self, word: str, by: str = "") -> Any:
        kind, body = WORDS[word]
        return self.say(kind, body, "guest", by)

    def result(self) -> tuple[str, object, float | None]:
        task = self.fleet.tasks["t"]
        return task.state.value, task.result, task.progress


@given(st.permutations(["given", *WORDS]))
def test_a_guests_words_count_once_the_task_is_its_own_whatever_came_first(order: list[str]) -> None:
    watch = Watch()
    watch.say(K.TASK_NEW, TASK, "someone")
    had = False
    for word in order:
        if word == "given":
            watch.say(K.TASK_ASSIGNED, GIVEN, "boss", "swarm")
            had = True
            continue
        changes = watch.tell(word)
        assert (changes.refused is None) is had
        if not had:
            assert watch.result() == ("queued", None, None)
            assert changes.refused.reason == NOT_THEIRS
            assert watch.fleet.refusals[-1] is changes.refused
    assert watch.result() == ("complete", "r", 100.0)


def test_of_a_task_that_another_has_a_guest_tells_nothing() -> None:
    watch = Watch()
    watch.say(K.TASK_NEW, TASK, "someone")
    watch.say(K.TASK_ASSIGNED, b.Assigned(task_id="t", agent_id="w", attempt=1, epoch=1), "boss", "swarm")
    for word in WORDS:
        watch.tell(word)
    assert watch.result() == ("assigned", None, None)
    watch.say(K.TASK_COMPLETE, b.Complete(task_id="t", agent_id="w", attempt=1, epoch=1, result=7), "w", "agent:w@h")
    assert watch.result()[:2] == ("complete", 7)


def test_where_nothing_is_proved_all_is_believed_as_it_comes() -> None:
    watch = Watch(guarded=False)
    watch.say(K.DISPATCHER, b.Dispatcher(instance="h/1", epoch=1, online=True), "boss")
    watch.say(K.TASK_NEW, TASK, "someone")
    watch.tell("complete")
    assert watch.result()[:2] == ("complete", "r")


def test_what_strangers_say_of_tasks_is_kept_for_a_while_only() -> None:
    watch = Watch()
    for n in range(1000):
        body = b.Complete(task_id=f"x{n}", agent_id="guest", attempt=1, epoch=1)
        watch.say(K.TASK_COMPLETE, body, "guest")
    assert watch.fleet.tasks == {}
    assert watch.fleet.counts.refused == 1000
    watch.say(K.TASK_ASSIGNED, b.Assigned(task_id="x0", agent_id="guest", attempt=1, epoch=1), "boss", "swarm")
    assert watch.fleet.tasks["x0"].state == "assigned"


def test_an_alert_is_replaced_and_ended_by_who_raised_it_and_by_the_swarm() -> None:
    watch = Watch()
    raised = b.Alert(severity="critical", name="fire", message="it burns")
    watch.say(K.ALERT, raised, "mon", "agent:mon@h")
    watch.say(K.ALERT, b.Alert(name="fire", active=False), "w", "agent:w@h")
    watch.say(K.ALERT, b.Alert(name="fire", severity="info", message="all is well"), "w", "agent:w@h")
    assert watch.fleet.alerts["fire"].message == "it burns"
    assert watch.fleet.alerts["w: fire"].message == "all is well"
    watch.say(K.ALERT, b.Alert(name="fire", active=False), "boss", "swarm")
    assert list(watch.fleet.alerts) == ["w: fire"]


@pytest.mark.parametrize("kind", [K.HALT, K.DISPATCHER, K.SCALE, K.STATUS])
def test_an_empty_message_takes_away_nothing_that_stands(kind: K) -> None:
    watch = Watch()
    born = b.Status(status="online", incarnation="i", role="general")
    watch.say(K.STATUS, born, "w", "agent:w@h", "w")
    watch.say(K.HALT, b.Halt(reason="bad release"), "boss", "swarm")
    watch.say(K.SCALE, b.Scale(desired=3), "boss", "swarm", "general")
    key = {K.SCALE: "general", K.STATUS: "w"}.get(kind, "")
    changes = watch.clear(kind, key)
    assert changes.refused.reason == NO_WORD
    fleet = watch.fleet
    assert (fleet.halted, fleet.dispatcher is not None, list(fleet.scale), list(fleet.agents)) == (
        "bad release", True, ["general"], ["w"],
    )  # fmt: skip


def test_what_has_left_is_taken_away_by_an_empty_message() -> None:
    watch = Watch()
    watch.say(K.STATUS, b.Status(status="online", incarnation="i"), "w", "agent:w@h", "w")
    watch.say(K.STATUS, b.Status(status="offline", incarnation="i"), "w", "agent:w@h", "w")
    watch.say(K.DISPATCHER, b.Dispatcher(instance="h/1", epoch=1, online=False), "boss", "swarm")
    for kind, key in ((K.STATUS, "w"), (K.DISPATCHER, "")):
        assert watch.clear(kind, key).refused is None
    assert (watch.fleet.dispatcher, dict(watch.fleet.agents)) == (None, {})
