"""The title, the bell and the notification: once for each new trouble, and no code of others in them."""

from swarm_tui.bus.port import Link
from swarm_tui.domain.problems import Problem
from swarm_tui.ui.desk.alarms import Alarms
from swarm_tui.ui.model.model import Model
from tests.ui.fake import Clock


def lost(what: str) -> Problem:
    return Problem(severity="critical", subject="agent", id="x-1", what=what, todo="")


def linked() -> Model:
    model = Model("dev", Clock())
    model.feed([Link(True)], 0.0)
    return model


def test_a_new_trouble_rings_once_and_the_title_counts() -> None:
    said: list[str] = []
    alarms = Alarms(linked(), said.append, bell=True)
    alarms.update([])
    assert said == ["\x1b]2;dev - swarm-tui\x07"]
    bad = lost("x-1 lost \x1b]0;owned\x07; gone")
    alarms.update([bad])
    alarms.update([bad])
    assert said[1:] == ["\x1b]2;(1!) dev - swarm-tui\x07", "\x07\x1b]9;dev: x-1 lost ?]0,owned?, gone\x07"]


def test_what_was_wrong_before_the_screen_opened_does_not_ring() -> None:
    said: list[str] = []
    alarms = Alarms(linked(), said.append, bell=True)
    alarms.update([lost("old")])
    assert not any("\x07\x1b]9" in text for text in said)


def test_old_trouble_that_is_told_late_does_not_ring() -> None:
    said: list[str] = []
    model = Model("dev", Clock())
    alarms = Alarms(model, said.append, bell=True)
    alarms.update([])  # Nothing was heard of the broker yet.
    model.feed([Link(True)], 0.0)
    model.pending["tasks"] = "the dispatcher's list of tasks"
    alarms.update([lost("retained")])
    model.pending.clear()
    alarms.update([lost("retained"), Problem(severity="critical", subject="task", id="t", what="of the list", todo="")])
    assert not any("]9;" in text for text in said)
    model.pending["tasks"] = "asked again"
    alarms.update([Problem(severity="critical", subject="broker", id="", what="BROKER LOST", todo="")])
    assert [text for text in said if "]9;" in text] == ["\x07\x1b]9;dev: BROKER LOST\x07"]


def test_trouble_that_grows_worse_rings_again() -> None:
    said: list[str] = []
    alarms = Alarms(linked(), said.append, bell=True)
    alarms.update([])
    for kind in ("backoff", "crashloop", "crashloop"):
        alarms.update([Problem(severity="critical", subject="agent", id="x-1", what=f"x-1 {kind}", todo="", kind=kind)])
    assert [text for text in said if "]9;" in text] == [
        "\x07\x1b]9;dev: x-1 backoff\x07",
        "\x07\x1b]9;dev: x-1 crashloop\x07",
    ]


def test_the_bell_is_off_by_default() -> None:
    said: list[str] = []
    alarms = Alarms(linked(), said.append, bell=False)
    alarms.update([])
    alarms.update([lost("new")])
    assert all(text.startswith("\x1b]2;") for text in said)
