"""Tasks that come to a CLI in its pane: typed as prompts, told by hooks, ended by them, cancelled, gone on with."""

from tests.unit.interactive.conftest import Desk


def test_a_task_is_typed_does_its_work_and_ends_with_the_turn(desk: Desk) -> None:
    came = desk.task("please [[write a.txt hi]] [[run touch b.txt]] [[say All done.]]")
    assert (came["code"], came["text"]) == ("", "All done."), came
    assert (desk.work / "a.txt").read_text() == "hi"
    assert (desk.work / "b.txt").exists()
    assert [question.title for question in desk.asked] == ["touch b.txt"], "an edit in its folder is free"
    assert came["usage"]["tokens_in"] == 300
    assert came["session"] == desk.screen.session
    assert desk.screen.state == "idle"
