"""What can be taken back, and what was already taken back by hand."""

import pytest

from swarm_tui.protocol.bodies import HostControl, Status
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.desk.undo import FRESH, KEEP, Undo
from tests.ui.harness import open_ui


class Said:
    """The place where an undo tells what it did."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_the_last_act_is_taken_back_first() -> None:
    undo, said, done = Undo(), Said(), list[str]()
    assert "nothing to undo" in (undo.why_not() or "")
    for what in [*(f"old {n}" for n in range(KEEP)), "drain a", "halt"]:
        undo.push(what, lambda what=what: done.append(what))  # type: ignore[misc]
    undo.pop(said.say)
    undo.pop(said.say)
    assert done == ["halt", "drain a"]
    assert said.lines == ["undone: halt", "undone: drain a"]


def test_what_was_set_right_by_hand_is_not_done_again_by_an_undo() -> None:
    undo, said, done = Undo(), Said(), list[str]()
    undo.push("scale general", lambda: done.append("scaled back"))
    undo.push("drain a", lambda: done.append("undrained"))
    undo.push("undrain a", lambda: done.append("drained again"), reverses="drain a")
    undo.push("halt", lambda: done.append("resumed"))
    undo.forget("halt")
    undo.pop(said.say)
    assert done == ["drained again"]
    undo.pop(said.say)
    assert done == ["drained again", "scaled back"]
    assert undo.why_not() is not None


def test_what_is_old_or_not_the_last_act_is_taken_back_only_after_a_question_that_names_it() -> None:
    now = 0.0
    undo, said = Undo(lambda: now), Said()
    undo.push("drain a", lambda: None)
    assert (undo.label(), undo.question()) == ("undo “drain a”", None)
    now = FRESH
    assert (undo.label(), undo.question()) == (None, "Undo this, of 3 min ago: drain a?")
    undo.push("drain b", lambda: None)
    assert undo.question() is None
    undo.passed()
    assert undo.question() == "Undo this, of 0 s ago: drain b?"
    undo.push("drain c", lambda: None)
    undo.pop(said.say)
    assert undo.question() == "Undo this, of 0 s ago: drain b?"


@pytest.mark.asyncio
async def test_an_undrain_is_undone_by_a_drain_and_never_by_what_was_before_it() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        await ui.press("x", "9", "d")
        body = Status(status="draining", role="testing", incarnation="inc-8", capabilities=["testing.run"])
        ui.source.say("testing-01", Kind.STATUS, body, "testing-01")
        await ui.settle()
        await ui.press("d")
        assert "u undoes it" in ui.footer
        await ui.pass_(10.0)
        assert "u undo “undrain testing-01”" in ui.footer
        await ui.press("u")
        told = [body.command for _, body, _ in ui.source.acts if isinstance(body, HostControl)]
        assert told == ["drain", "undrain", "drain"]
        await ui.press("u")
        assert ui.has("Undo this, of 10 s ago: seen: deployment-01 crashloop")
        await ui.press("n")
        assert "deployment-01 crashloop" not in ui.text()[2]
