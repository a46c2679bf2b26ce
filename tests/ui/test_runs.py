"""The pages of runs: what is typed begins one, and keys act on the one at hand."""

import pytest

from swarm_tui.protocol.run_bodies import RunAct, RunNew
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.acts.runs import run_of
from tests.ui.harness import open_ui
from tests.ui.test_walk import say_a_run


def test_a_typed_line_is_a_run_with_its_inputs() -> None:
    run = run_of("ship service=web 'version=1.2.0 beta'")
    assert (run.workflow["workflow"], run.inputs) == ("ship", {"service": "web", "version": "1.2.0 beta"})
    assert run.run_id.startswith("ship-")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "which workflow?"),
        ("shipp", "did you mean `ship`?"),
        ("ship web", "write an input as key=value"),
        ("ship x=1", "no input `x`"),
        ("ship 'a", "No closing quotation"),
    ],
)
def test_a_line_that_is_no_run_is_told_why(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("?", r"\?")):
        run_of(line)


@pytest.mark.asyncio
async def test_keys_begin_a_run_and_do_one_again() -> None:
    async with open_ui("empty", (80, 24)) as ui:
        say_a_run(ui)
        ui.app.pages.open_runs()
        await ui.pilot.pause()
        await ui.press("B", *"nightly", "enter")
        await ui.press("enter")
        await ui.press("R")
        (begun, again) = [(kind, body) for kind, body, _ in ui.source.acts if kind in (Kind.RUN_NEW, Kind.RUN_RETRY)]
        assert begun[0] is Kind.RUN_NEW
        assert isinstance(begun[1], RunNew)
        assert begun[1].workflow["workflow"] == "nightly"
        assert again == (Kind.RUN_RETRY, RunAct(run_id="r1"))
