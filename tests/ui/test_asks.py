"""What an AI agent asks is the loudest thing of the screen, and is answered where it shows."""

import pytest

from swarm_tui.protocol.ask_bodies import Ask, AskAnswer, AskRecorded
from swarm_tui.protocol.topics import Kind
from tests.ui import scenes
from tests.ui.harness import UiDriver, open_ui

TASK = "task_ask001"


def ask(ui: UiDriver, ask_id: str = "q1", title: str = "make deploy") -> None:
    body = Ask(
        ask_id=ask_id, task_id=TASK, agent_id="docs-01", attempt=1, tool="Bash", title=title, rule=f"Bash({title})",
        diff="--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-old\n+new\n", expires_at=ui.clock() + 300,
    )  # fmt: skip
    ui.source.say("docs-01", Kind.ASK, body, ask_id)


async def asked(ui: UiDriver) -> None:
    scenes.task(ui.source, ui.clock, TASK, "code.generate", "docs-01", ago=5, progress=20)
    ask(ui)
    await ui.settle()


@pytest.mark.asyncio
async def test_it_is_the_loudest_and_counted() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        await asked(ui)
        assert "? 1 ask" in ui.text()[1]
        assert "docs-01 ASKS: Bash make deploy" in ui.text()[2]
        assert ui.has(TASK[:8], "? ASKS Bash")


@pytest.mark.asyncio
async def test_a_yes_shows_what_it_allows_and_counts_once_it_is_written_down() -> None:
    async with open_ui("calm", (100, 30)) as ui:
        await asked(ui)
        ui.app.pages.open_task(TASK)
        await ui.settle()
        assert ui.has("ASKS", "Bash make deploy")
        assert ui.has("-old")
        await ui.press("y")
        assert ui.has("Allow docs-01 Bash make deploy?")
        assert ui.has("+new")
        await ui.press("y")
        (act,) = [one for one in ui.source.acts if one[0] is Kind.ASK_ANSWER]
        assert act[1] == AskAnswer(outcome="allow")
        assert act[2] == "q1"
        assert ui.has("ASKS"), "until the dispatcher has written it down it waits"
        recorded = AskRecorded(ask_id="q1", task_id=TASK, agent_id="docs-01", outcome="allow", by="operator:ada@box")
        ui.source.say("task-manager-01", Kind.ASK_RECORDED, recorded, "q1")
        ask(ui)
        await ui.settle()
        assert not ui.has("ASKS")


@pytest.mark.asyncio
async def test_a_no_needs_no_second_key() -> None:
    async with open_ui("calm", (100, 30)) as ui:
        await asked(ui)
        ask(ui, "q2", "make clean")
        await ui.settle()
        ui.app.pages.open_agent("docs-01")
        await ui.settle()
        await ui.press("N")
        assert [(act[1].outcome, act[2]) for act in ui.source.acts if act[0] is Kind.ASK_ANSWER] == [("deny", "q1")]
        assert ui.has("said no to docs-01", "1 more asks")


@pytest.mark.asyncio
async def test_a_yes_is_to_the_ask_that_was_shown_not_to_the_next() -> None:
    async with open_ui("calm", (100, 30)) as ui:
        await asked(ui)
        ui.app.pages.open_task(TASK)
        await ui.settle()
        for key, ask_id in (("y", "q1"), ("A", "q2")):
            ask(ui, f"q{int(ask_id[1]) + 1}", "rm -rf build")
            await ui.settle()
            await ui.press(key)
            shown = ui.app.model.fleet.asks.open[ask_id].title
            assert ui.has(f"Allow docs-01 Bash {shown}")
            recorded = AskRecorded(ask_id=ask_id, task_id=TASK, agent_id="docs-01", outcome="deny", by="operator:ada")
            ui.source.say("task-manager-01", Kind.ASK_RECORDED, recorded, ask_id)
            await ui.settle()
            await ui.press("y")
            assert ui.has("Not any more: that changed")
            assert ui.has(f"Allow docs-01 Bash {shown}")
            await ui.press("n")
        assert not [act for act in ui.source.acts if act[0] is Kind.ASK_ANSWER]


@pytest.mark.asyncio
async def test_however_long_it_is_all_of_it_can_be_read_before_the_answer() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        scenes.task(ui.source, ui.clock, TASK, "code.generate", "docs-01", ago=5, progress=20)
        words = [f"word-{n}" for n in range(200)]
        ask(ui, title=" ".join(words))
        await ui.settle()
        ui.app.pages.open_task(TASK)
        await ui.settle()
        await ui.press("y")
        assert ui.has("Allow docs-01 Bash word-0 ")
        assert ui.has("No (n)", "Yes"), "the answers are in sight"
        assert not ui.has("word-199")
        assert "read on" in ui.footer
        await ui.press("pagedown", "pagedown", "pagedown", "pagedown")
        assert ui.has("word-199")
        assert ui.has("No (n)", "Yes")
        await ui.press("n")
        assert ui.source.acts == []
