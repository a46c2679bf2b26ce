"""What can be taken back, and what was already taken back by hand."""

from typing import Any, cast

from swarm_tui.ui.undo import KEEP, Undo


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
    undo.pop(cast(Any, said))
    undo.pop(cast(Any, said))
    assert done == ["halt", "drain a"]
    assert said.lines == ["undone: halt", "undone: drain a"]


def test_what_was_set_right_by_hand_is_not_done_again_by_an_undo() -> None:
    undo, said, done = Undo(), Said(), list[str]()
    undo.push("scale general", lambda: done.append("scaled back"))
    undo.push("drain a", lambda: done.append("undrained"))
    undo.push("undrain a", lambda: done.append("drained again"), reverses="drain a")
    undo.push("halt", lambda: done.append("resumed"))
    undo.forget("halt")
    undo.pop(cast(Any, said))
    assert done == ["scaled back"]
    assert undo.why_not() is not None
