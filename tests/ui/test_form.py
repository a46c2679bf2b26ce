"""The publish form: from a template under ten strokes, checked while typing, and true about what became of it."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from swarm_tui.protocol.bodies import Complete
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.model.source import TaskType
from tests.ui import scenes
from tests.ui.harness import open_ui


@pytest.mark.asyncio
async def test_from_a_template_under_ten_strokes() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        strokes = ("n", "ctrl+o", "j", "enter", "ctrl+s")
        await ui.press(*strokes)
        assert len(strokes) < 10
        task, _, _ = ui.source.submitted[0]
        assert (task.type, task.payload) == ("code.review", {"path": ".", "depth": "deep"})


@pytest.mark.asyncio
async def test_it_says_sent_queued_assigned_done_only_as_the_bus_says_so() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n", "ctrl+o", "enter", "ctrl+s")
        task, sent, changed = ui.source.submitted[0]
        assert ui.has("○ sent: waits for the broker → ○ queued → ○ assigned")
        sent.stage = "sent"
        changed()
        await ui.settle()
        assert ui.has("● sent", "○ queued", "○ assigned", "○ done")
        sent.stage = "queued"
        changed()
        await ui.settle()
        assert ui.has("● queued", "○ assigned")
        scenes.task(ui.source, ui.clock, task.task_id, "code.review", "code-review-01", ago=2, progress=10)
        await ui.settle()
        assert ui.has("● assigned to code-review-01", "○ done")
        result = {"verdict": "failed", "summary": "two findings"}
        done = Complete(
            task_id=task.task_id, agent_id="code-review-01", attempt=1, epoch=3, duration=5.0, result=result
        )
        ui.source.say("code-review-01", Kind.TASK_COMPLETE, done)
        await ui.settle()
        assert ui.has(f"{task.task_id}  ✗ complete  failed: two findings")


@pytest.mark.asyncio
async def test_without_a_broker_nothing_is_said_to_be_sent() -> None:
    async with open_ui("lost", (80, 24)) as ui:
        await ui.press("n", "ctrl+o", "enter", "ctrl+s")
        assert ui.has("○ sent: waits for the broker")
        await ui.pass_(20.0)
        assert ui.has("○ sent: waits for the broker")
        assert not ui.has("● sent")


@pytest.mark.asyncio
async def test_what_the_bus_says_of_the_task_counts_before_its_own_acknowledgement() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n", "ctrl+o", "enter", "ctrl+s")
        task, _, _ = ui.source.submitted[0]
        scenes.task(ui.source, ui.clock, task.task_id, "code.review", ago=1)
        await ui.settle()
        assert ui.has("● sent", "● queued", "○ assigned")


@pytest.mark.asyncio
async def test_a_rejection_says_why() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n", "ctrl+o", "enter", "ctrl+s")
        _, sent, changed = ui.source.submitted[0]
        sent.stage, sent.reason = "rejected", "no agent does that"
        changed()
        await ui.settle()
        assert ui.has("rejected: no agent does that")
        sent.reason = " ".join(f"reason-{n}" for n in range(12))
        changed()
        await ui.settle()
        shown = " ".join(line.strip() for line in ui.text())
        assert f"rejected: {sent.reason}" in shown, "in as many lines as it takes"


@pytest.mark.asyncio
async def test_the_type_is_found_by_a_part_and_its_fields_are_checked() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n")
        assert ui.has("testing.coverage")
        await ui.type("revi")
        await ui.press("enter")
        assert ui.has("path*")
        await ui.type("src")
        await ui.press("tab", "tab")
        await ui.type("bad")
        assert ui.has("✗ one of quick, normal, deep")
        await ui.press("ctrl+s")
        assert ui.source.submitted == []
        assert "depth: one of" in ui.footer
        await ui.press("backspace", "backspace", "backspace")
        await ui.type("deep")
        await ui.press("ctrl+s")
        assert ui.source.submitted[0][0].payload == {"path": "src", "depth": "deep"}


@pytest.mark.asyncio
async def test_raw_and_fields_turn_into_each_other_and_the_draft_stays() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n")
        await ui.type("code.review")
        await ui.press("tab")
        await ui.type("lib")
        await ui.press("ctrl+r")
        assert ui.has('"path": "lib"')
        await ui.press("ctrl+r")
        assert ui.has("path*", "lib")
        await ui.press("escape")
        assert ui.app.screen is ui.app.main
        await ui.press("n")
        assert not ui.has("path*"), "new is empty"
        assert ui.has("NEW TASK", "^B takes up the draft: code.review")
        await ui.press("ctrl+b")
        assert ui.has("path*", "lib")
        assert not ui.has("takes up the draft")


@pytest.mark.asyncio
async def test_one_key_empties_the_form_and_what_was_sent_is_no_draft() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n", "ctrl+b")
        assert "there is no draft" in ui.footer
        await ui.type("code.review")
        await ui.press("tab")
        await ui.type("lib")
        await ui.press("ctrl+n")
        assert ui.app.screen.draft.type == ""  # type: ignore[attr-defined]
        assert ui.has("^B takes up the draft: code.review")
        await ui.press("ctrl+b", "ctrl+s")
        assert ui.source.submitted[0][0].payload == {"path": "lib"}
        ui.app.state.drafts.clear()
        await ui.press("ctrl+n")
        assert not ui.has("takes up the draft")
        await ui.press("ctrl+o")
        assert not ui.has(" draft ")


@pytest.mark.asyncio
async def test_drafts_are_offered_in_the_next_screen_too_and_several_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "screen.json"
    async with open_ui("calm", (80, 24), state_path=path) as ui:
        for kind in ("testing.run", "code.review"):
            await ui.press("n")
            await ui.type(kind)
            await ui.press("escape")
        await ui.press("n")
        await ui.type("my.own")
        await ui.pass_(1)
    async with open_ui("calm", (80, 24), state_path=path) as ui:
        await ui.press("n")
        assert ui.app.screen.draft.type == ""  # type: ignore[attr-defined]
        assert ui.has("^B takes up the draft: my.own")
        await ui.press("ctrl+o")
        for kind in ("testing.run", "code.review", "my.own"):
            assert ui.has("draft", kind)


@pytest.mark.asyncio
async def test_a_broken_raw_payload_can_be_left_and_taken_up_again() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n")
        await ui.type("code.review")
        await ui.press("tab", "ctrl+r", "ctrl+end")
        await ui.type("{{{")
        await ui.press("ctrl+r")
        assert "it stays raw; ^R once more leaves it, ^B takes it up" in ui.footer
        await ui.press("ctrl+r")
        assert ui.has("path*")
        await ui.press("ctrl+b")
        assert "{{{" in str(ui.app.screen.draft.raw)  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_the_hint_below_the_type_tells_of_the_list_only_while_that_shows() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n")
        await ui.type("code.rev")
        assert ui.has("enter takes the marked one, ↓ ↑ mark another")
        await ui.press("enter")
        assert not ui.has("enter takes")
        assert ui.has("^U clears it, and lists all types")
        await ui.press("shift+tab", "ctrl+u")
        assert ui.has("↓ chooses, enter takes")
        assert ui.has("testing.coverage")


@pytest.mark.asyncio
async def test_a_task_is_edited_and_sent_again_from_its_page_and_the_list() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        payload = {"path": "lib", "depth": "deep"}
        scenes.task(ui.source, ui.clock, "task_once", "code.review", "docs-01", ago=5, priority="high", payload=payload)
        await ui.settle()
        ui.app.pages.open_task("task_once")
        await ui.press("e")
        assert ui.has("path*", "lib")
        await ui.type("2")
        await ui.press("ctrl+s")
        task = ui.source.submitted[0][0]
        assert (task.type, task.payload, task.priority) == ("code.review", {"path": "lib2", "depth": "deep"}, "high")
        assert task.task_id != "task_once"


@pytest.mark.asyncio
async def test_what_was_sent_can_be_sent_again() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n", "ctrl+o", "enter", "ctrl+s", "ctrl+o")
        assert ui.has("sent", "code.review")


@pytest.mark.asyncio
async def test_enter_takes_nothing_that_nobody_chose() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n", "enter")
        assert "type a part of a task type" in ui.footer
        assert ui.has("testing.coverage")
        assert ui.app.screen.draft.type == ""  # type: ignore[attr-defined]
        await ui.press("down", "enter")
        assert ui.app.screen.draft.type == "code.review"  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_what_was_written_for_an_unknown_type_goes_into_the_fields_of_a_known_one() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n")
        await ui.type("my.own")
        await ui.press("enter")
        await ui.type('{"path": "lib"}')
        assert ui.has('{"path": "lib"}')
        await ui.press("escape", "n", "ctrl+b", "shift+tab")
        for _ in "my.own":
            await ui.press("backspace")
        await ui.type("code.review")
        assert ui.has("path*", "lib")
        # What the fields cannot hold stays as it was written.
        await ui.press("tab", "ctrl+r")
        await ui.press("ctrl+end", "backspace", "backspace")
        await ui.type(', "more": 1}')
        await ui.press("ctrl+r")
        assert "it stays raw" in ui.footer


@pytest.mark.asyncio
async def test_what_is_missing_is_told_when_it_is_to_be_sent() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n")
        await ui.type("code.review")
        assert not ui.has("✗")
        await ui.press("ctrl+s")
        assert ui.has("✗ is needed")
        assert "path: is needed" in ui.footer
        assert ui.source.submitted == []


@pytest.mark.asyncio
async def test_the_draft_is_kept_however_the_screen_ends() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n")
        await ui.type("code.review")
        await ui.press("tab")
        await ui.type("lib")
        kept = ui.app.state.draft
    assert (kept["type"], kept["values"]) == ("code.review", {"path": "lib"})


@pytest.mark.asyncio
async def test_no_payload_is_asked_for_while_a_part_of_a_known_type_is_typed() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n")
        for letter in "testing.covera":
            await ui.type(letter)
            assert not ui.has("payload, as JSON"), letter
            assert ui.has("testing.coverage")
        await ui.type("ge")
        assert ui.has("payload, as JSON"), "it is a known type without a schema"
        await ui.type("2")
        assert ui.has("payload, as JSON"), "it is no part of a known one"


@pytest.mark.asyncio
@pytest.mark.parametrize("on", ["tab", "ctrl+r"])
async def test_a_type_of_another_program_can_be_sent_though_it_is_a_part_of_a_known_one(on: str) -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n")
        await ui.type("testing")
        await ui.press("ctrl+s")
        assert "a part of testing.run and testing.coverage: enter takes, tab keeps it" in ui.footer
        await ui.press(on)
        await ui.type('{"a": 1}')
        assert ui.has('{"a": 1}')
        await ui.press("escape", "n", "ctrl+b")
        assert ui.has('{"a": 1}'), "what was written is not hidden"
        await ui.press("ctrl+s")
        task = ui.source.submitted[0][0]
        assert (task.type, task.payload) == ("testing", {"a": 1})


@pytest.mark.asyncio
async def test_the_task_that_was_sent_is_opened_by_a_key_and_back_is_the_form() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n", "ctrl+g")
        assert "nothing was sent yet" in ui.footer
        await ui.press("ctrl+o", "enter", "ctrl+s")
        task, _, _ = ui.source.submitted[0]
        assert "^G open the task" in ui.footer
        assert "Esc close" in ui.footer
        scenes.task(ui.source, ui.clock, task.task_id, task.type, "code-review-01", ago=2, end="badly")
        await ui.settle()
        assert ui.has(f"{task.task_id}  ✗ complete  failed: 1 failed", "^G opens it")
        selected = ui.app.main.tasks.current()
        await ui.press("ctrl+g")
        assert ui.has("TASK", task.task_id)
        assert ui.app.main.tasks.current() == selected
        await ui.press("escape")
        assert ui.has("NEW TASK")
        assert ui.has(f"{task.task_id}  ✗ complete"), "it still says how far it is"
        await ui.press("ctrl+g", "n")
        assert ui.has("NEW TASK")
        await ui.press("escape")
        assert ui.app.screen is ui.app.main


@pytest.mark.asyncio
async def test_a_type_that_nobody_does_is_doubted_and_sent_all_the_same() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n")
        await ui.type("paint.wall")
        await ui.press("tab")
        assert ui.has("! no known agent does paint.wall; it can be sent all the same")
        await ui.press("ctrl+s")
        assert ui.source.submitted[0][0].type == "paint.wall"
        await ui.press("ctrl+n")
        await ui.type("code.review")
        await ui.press("enter")
        assert not ui.has("no agent")
        await ui.type("src")
        await ui.press("tab", "tab", "tab", "tab")
        await ui.type("nobody-9")
        assert ui.has("! no agent nobody-9 is known here")
        await ui.press(*["backspace"] * 8)
        await ui.type("code-review-01")
        assert not ui.has("no agent")


@pytest.mark.asyncio
async def test_a_mistake_is_read_whole_however_long_it_is() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        choices = [f"choice-number-{n}" for n in range(12)]
        schema = {
            "type": "object",
            "properties": {"pick": {"type": "string", "enum": choices}, "next": {"type": "string"}},
        }
        ui.source.facts = replace(ui.source.facts, types=[TaskType(name="docs.pick", schema=schema)])
        await ui.press("n")
        await ui.type("docs.pick")
        await ui.press("tab")
        await ui.type("x")
        shown = " ".join(line.strip() for line in ui.text())
        assert f"✗ one of {', '.join(choices)}" in shown
        assert ui.has("next"), "what follows has moved down"
        await ui.press("ctrl+r")
        await ui.press(*["ctrl+a"], "delete")
        await ui.type('{"pick": ')
        shown = " ".join(line.strip() for line in ui.text())
        help = str(ui.app.screen.query_one("#rawhelp").render())
        assert " ".join(help.split()) in shown
