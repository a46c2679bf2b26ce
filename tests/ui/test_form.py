"""The publish form: from a template under ten strokes, checked while typing, and true about what became of it."""

import pytest

from swarm_tui.protocol.bodies import Complete
from swarm_tui.protocol.topics import Kind
from tests.ui import scenes
from tests.ui.harness import seated


@pytest.mark.asyncio
async def test_from_a_template_under_ten_strokes() -> None:
    async with seated("calm", (80, 24)) as seat:
        strokes = ("n", "ctrl+o", "j", "enter", "ctrl+s")
        await seat.press(*strokes)
        assert len(strokes) < 10
        task, _, _ = seat.source.submitted[0]
        assert (task.type, task.payload) == ("code.review", {"path": ".", "depth": "deep"})


@pytest.mark.asyncio
async def test_it_says_sent_queued_assigned_done_only_as_the_bus_says_so() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n", "ctrl+o", "enter", "ctrl+s")
        task, sent, changed = seat.source.submitted[0]
        assert seat.has("○ sent: waits for the broker → ○ queued → ○ assigned")
        sent.stage = "sent"
        changed()
        await seat.settle()
        assert seat.has("● sent", "○ queued", "○ assigned", "○ done")
        sent.stage = "queued"
        changed()
        await seat.settle()
        assert seat.has("● queued", "○ assigned")
        scenes.task(seat.source, seat.clock, task.task_id, "code.review", "code-review-01", ago=2, progress=10)
        await seat.settle()
        assert seat.has("● assigned to code-review-01", "○ done")
        result = {"verdict": "failed", "summary": "two findings"}
        done = Complete(
            task_id=task.task_id, agent_id="code-review-01", attempt=1, epoch=3, duration=5.0, result=result
        )
        seat.source.say("code-review-01", Kind.TASK_COMPLETE, done)
        await seat.settle()
        assert seat.has(f"{task.task_id}  ✗ complete  failed: two findings")


@pytest.mark.asyncio
async def test_without_a_broker_nothing_is_said_to_be_sent() -> None:
    async with seated("lost", (80, 24)) as seat:
        await seat.press("n", "ctrl+o", "enter", "ctrl+s")
        assert seat.has("○ sent: waits for the broker")
        await seat.pass_(20.0)
        assert seat.has("○ sent: waits for the broker")
        assert not seat.has("● sent")


@pytest.mark.asyncio
async def test_what_the_bus_says_of_the_task_counts_before_its_own_acknowledgement() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n", "ctrl+o", "enter", "ctrl+s")
        task, _, _ = seat.source.submitted[0]
        scenes.task(seat.source, seat.clock, task.task_id, "code.review", ago=1)
        await seat.settle()
        assert seat.has("● sent", "● queued", "○ assigned")


@pytest.mark.asyncio
async def test_a_rejection_says_why() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n", "ctrl+o", "enter", "ctrl+s")
        _, sent, changed = seat.source.submitted[0]
        sent.stage, sent.reason = "rejected", "no agent does that"
        changed()
        await seat.settle()
        assert seat.has("rejected: no agent does that")


@pytest.mark.asyncio
async def test_the_type_is_found_by_a_part_and_its_fields_are_checked() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n")
        assert seat.has("testing.coverage")
        await seat.type("revi")
        await seat.press("enter")
        assert seat.has("path*")
        await seat.type("src")
        await seat.press("tab", "tab")
        await seat.type("bad")
        assert seat.has("✗ one of quick, normal, deep")
        await seat.press("ctrl+s")
        assert seat.source.submitted == []
        assert "depth: one of" in seat.footer
        await seat.press("backspace", "backspace", "backspace")
        await seat.type("deep")
        await seat.press("ctrl+s")
        assert seat.source.submitted[0][0].payload == {"path": "src", "depth": "deep"}


@pytest.mark.asyncio
async def test_raw_and_fields_turn_into_each_other_and_the_draft_stays() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n")
        await seat.type("code.review")
        await seat.press("tab")
        await seat.type("lib")
        await seat.press("ctrl+r")
        assert seat.has('"path": "lib"')
        await seat.press("ctrl+r")
        assert seat.has("path*", "lib")
        await seat.press("escape")
        assert seat.app.screen is seat.app.main
        await seat.press("n")
        assert seat.has("path*", "lib")


@pytest.mark.asyncio
async def test_what_was_sent_can_be_sent_again() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n", "ctrl+o", "enter", "ctrl+s", "ctrl+o")
        assert seat.has("sent", "code.review")


@pytest.mark.asyncio
async def test_enter_takes_nothing_that_nobody_chose() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n", "enter")
        assert "type a part of a task type" in seat.footer
        assert seat.has("testing.coverage")
        assert seat.app.screen.draft.type == ""  # type: ignore[attr-defined]
        await seat.press("down", "enter")
        assert seat.app.screen.draft.type == "code.review"  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_what_was_written_for_an_unknown_type_goes_into_the_fields_of_a_known_one() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n")
        await seat.type("my.own")
        await seat.press("enter")
        await seat.type('{"path": "lib"}')
        assert seat.has('{"path": "lib"}')
        await seat.press("escape", "n")
        for _ in "my.own":
            await seat.press("backspace")
        await seat.type("code.review")
        assert seat.has("path*", "lib")
        # What the fields cannot hold stays as it was written.
        await seat.press("tab", "ctrl+r")
        await seat.press("ctrl+end", "backspace", "backspace")
        await seat.type(', "more": 1}')
        await seat.press("ctrl+r")
        assert "it stays raw" in seat.footer


@pytest.mark.asyncio
async def test_what_is_missing_is_told_when_it_is_to_be_sent() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n")
        await seat.type("code.review")
        assert not seat.has("✗")
        await seat.press("ctrl+s")
        assert seat.has("✗ is needed")
        assert "path: is needed" in seat.footer
        assert seat.source.submitted == []


@pytest.mark.asyncio
async def test_the_draft_is_kept_however_the_screen_ends() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n")
        await seat.type("code.review")
        await seat.press("tab")
        await seat.type("lib")
        kept = seat.app.state.draft
    assert (kept["type"], kept["values"]) == ("code.review", {"path": "lib"})


@pytest.mark.asyncio
async def test_no_payload_is_asked_for_while_a_part_of_a_known_type_is_typed() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n")
        for letter in "testing.covera":
            await seat.type(letter)
            assert not seat.has("payload, as JSON"), letter
            assert seat.has("testing.coverage")
        await seat.type("ge")
        assert seat.has("payload, as JSON"), "it is a known type without a schema"
        await seat.type("2")
        assert seat.has("payload, as JSON"), "it is no part of a known one"


@pytest.mark.asyncio
@pytest.mark.parametrize("on", ["tab", "ctrl+r"])
async def test_a_type_of_another_program_can_be_sent_though_it_is_a_part_of_a_known_one(on: str) -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n")
        await seat.type("testing")
        await seat.press("ctrl+s")
        assert "a part of testing.run and testing.coverage: enter takes, tab keeps it" in seat.footer
        await seat.press(on)
        await seat.type('{"a": 1}')
        assert seat.has('{"a": 1}')
        await seat.press("escape", "n")
        assert seat.has('{"a": 1}'), "what was written is not hidden"
        await seat.press("ctrl+s")
        task = seat.source.submitted[0][0]
        assert (task.type, task.payload) == ("testing", {"a": 1})


@pytest.mark.asyncio
async def test_the_task_that_was_sent_is_opened_by_a_key_and_back_is_the_form() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n", "ctrl+g")
        assert "nothing was sent yet" in seat.footer
        await seat.press("ctrl+o", "enter", "ctrl+s")
        task, _, _ = seat.source.submitted[0]
        assert "^G open the task" in seat.footer
        assert "Esc close" in seat.footer
        scenes.task(seat.source, seat.clock, task.task_id, task.type, "code-review-01", ago=2, end="badly")
        await seat.settle()
        assert seat.has(f"{task.task_id}  ✗ complete  failed: 1 failed", "^G opens it")
        selected = seat.app.main.tasks.current()
        await seat.press("ctrl+g")
        assert seat.has("TASK", task.task_id)
        assert seat.app.main.tasks.current() == selected
        await seat.press("escape")
        assert seat.has("NEW TASK")
        assert seat.has(f"{task.task_id}  ✗ complete"), "it still says how far it is"
        await seat.press("ctrl+g", "n")
        assert seat.has("NEW TASK")
        await seat.press("escape")
        assert seat.app.screen is seat.app.main
