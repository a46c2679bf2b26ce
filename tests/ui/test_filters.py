"""Filters by the names of facts: the same words in every list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.model.filters import read_filter
from tests.ui.fake import START
from tests.ui.harness import open_ui


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("state:fail", True),
        ("state:failed type:testing.*", True),
        ("type:testing", True),
        ("type:test*run", True),
        ("type:test*cov", False),
        ("!state:failed", False),
        ("!state:complete", True),
        ("agent:docs", False),
        ("role:x", False),
        ("since:5m", True),
        ("since:10s", False),
        ("until:10s state:failed", True),
        ("since:5m until:2m", False),
        ("broke", True),
        ("broke since:soon", False),
        ("state:", False),
        ("nothing:here", False),
        ("'two words", False),
    ],
)
def test_filters(text: str, passes: bool) -> None:
    facts = {"state": "failed", "type": "testing.run", "agent": "testing-01", "role": None}
    low = "t1 testing.run broke"
    assert read_filter(text).passes(lambda word: word in low, lambda: facts, START - 60, START) is passes


@given(st.text(max_size=30))
def test_any_text_is_a_filter(text: str) -> None:
    assert read_filter(text).passes(lambda _: True, dict, START, START) in (True, False)


@pytest.mark.asyncio
async def test_the_same_words_narrow_each_list() -> None:
    async with open_ui("start", (160, 45)) as ui:
        for n, kind in enumerate(("testing.run", "code.review")):
            ui.source.say("ada", Kind.TASK_NEW, b.Task(task_id=f"t{n}", type=kind))
            ui.clock.pass_(60)
            error = b.ErrorInfo(message="broke")
            ui.source.say("testing-01", Kind.TASK_FAILED, b.Failed(task_id=f"t{n}", agent_id="testing-01", error=error))
        await ui.settle()

        async def narrow(panel: str, text: str) -> list[str]:
            ui.app.main.focus_panel(panel)
            assert ui.app.main.set_filter(text)
            await ui.settle()
            if panel == "stream":
                return [message.topic.split("/", 1)[1] for message in ui.app.model.stream.shown]
            return (ui.app.main.tasks if panel == "tasks" else ui.app.main.agents).rows.ids()

        assert await narrow("tasks", "state:failed type:testing.*") == ["t0"]
        assert await narrow("tasks", "since:30s") == ["t1"]
        assert await narrow("agents", "role:testing state:online") == ["testing-01"]
        assert await narrow("agents", "type:testing") == []
        assert await narrow("stream", "type:testing.* state:failed") == ["tasks/failed"]
        assert await narrow("stream", "task:t1") == ["tasks/new", "tasks/failed"]
        assert await narrow("stream", "state:failed since:30s") == ["tasks/failed"]
        assert "tasks/failed" not in await narrow("stream", "!agent:testing-01")
