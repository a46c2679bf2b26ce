"""Work that came out badly looks so wherever it shows, and is no success in any count."""

import pytest

from swarm_tui.protocol.bodies import Complete
from swarm_tui.protocol.topics import Kind
from tests.ui import scenes
from tests.ui.harness import open_ui


@pytest.mark.asyncio
async def test_the_header_counts_what_came_out_badly_apart_also_at_80_columns() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        assert ui.has("✓ 12")
        assert not ui.has("bad")
        scenes.task(ui.source, ui.clock, "task_bad000", "testing.run", "testing-01", end="badly")
        await ui.settle()
        assert "✗ 1 bad" in ui.text()[1]
        assert "✓ 12" in ui.text()[1]


@pytest.mark.asyncio
async def test_the_header_has_room_for_it_with_all_else_that_is_wrong() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        scenes.task(ui.source, ui.clock, "task_bad000", "testing.run", "testing-01", end="badly")
        await ui.settle()
        assert "✗ 1 bad" in ui.text()[1]
        assert "‼ 1 dead" in ui.text()[1]
        assert "✓ 12" in ui.text()[1]


@pytest.mark.asyncio
async def test_an_agents_page_counts_it_apart_and_lists_it_as_bad() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        scenes.task(ui.source, ui.clock, "task_bad000", "testing.run", "testing-01", end="badly")
        await ui.settle()
        ui.app.pages.open_agent("testing-01")
        await ui.settle()
        assert ui.has("did     6 done, 1 came out badly, 0 failed")
        await ui.press("G", "g", *["j"] * 16)
        assert ui.has("✗ complete", "task_bad000", "failed: 1 failed, 41")


@pytest.mark.asyncio
async def test_the_stream_tells_the_verdict_not_a_success() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        scenes.task(ui.source, ui.clock, "task_bad000", "testing.run", "testing-01", end="badly", ago=0.1)
        await ui.settle()
        assert ui.has("tasks/complete", "task_bad000 ✗ failed: 1 failed")
        assert not ui.has("tasks/complete", "task_bad000 success")


@pytest.mark.asyncio
async def test_a_page_tells_the_failing_tests_and_why_to_their_ends() -> None:
    why = (
        "AssertionError: the invoice total is 119.00 and should be 99.00, for the discount of ten percent is not taken"
    )
    failures = [{"test": "tests/billing/test_invoices.py::test_the_discount_is_taken", "message": f"{why}\nassert 1"}]
    async with open_ui("calm", (80, 24)) as ui:
        scenes.task(ui.source, ui.clock, "task_bad000", "testing.run", "testing-01", ago=5)
        result = {"verdict": "failed", "failed": 1, "failures": failures}
        body = Complete(task_id="task_bad000", agent_id="testing-01", attempt=1, epoch=3, result=result)
        ui.source.say("testing-01", Kind.TASK_COMPLETE, body)
        await ui.settle()
        ui.app.pages.open_task("task_bad000")
        await ui.settle()
        lines = ui.text()
        above = " ".join(line.strip(" │▐▌") for line in lines[: next(i for i, x in enumerate(lines) if "hops" in x)])
        assert f"test_the_discount_is_taken: {why}" in " ".join(above.split())
