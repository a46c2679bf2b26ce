"""What a task wrote, on its page: the change by file with the checks' verdicts, and what becomes of it."""

from typing import Any

import pytest

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.merge_bodies import MergeAct, MergeState
from swarm_tui.protocol.topics import Kind
from swarm_tui.worktrees.change import Change, FileDiff, Overlap
from tests.ui import scenes
from tests.ui.harness import UiDriver, open_ui

CHANGE = Change(
    task_id="task_code", repo="/r", folder="/state/worktrees/task_code", branch="swarm/task_code", target="main",
    base="0" * 40, head="1" * 40, uncommitted=1, behind=2, added=3, removed=1,
    files=[
        FileDiff(path="src/a.py", added=2, removed=1, lines=["@@ -1 +1,2 @@", " x = 1", "-y = 2", "+y = 3", "+z = 4"]),
        FileDiff(path="logo.png", kind="added", note="binary"),
        FileDiff(path="big.txt", kind="added", added=1, removed=0, lines=["+one"], cut=40_000),
    ],
    overlaps=[Overlap(task_id="task_other", branch="swarm/other", where=["src/a.py:2"])],
)  # fmt: skip


async def opened(ui: UiDriver, result: Any = None) -> None:
    """The page of a task that wrote code."""
    prompt = {"prompt": "make y three"}
    scenes.task(ui.source, ui.clock, "task_code", "code.generate", "docs-01", ago=90, payload=prompt)
    ui.source.changes["task_code"] = CHANGE
    done = b.Complete(
        task_id="task_code", agent_id="docs-01", attempt=1, status="success", duration=1500.0,
        result=result or {"branch": "swarm/task_code", "overlaps": ["task_other changes the same lines: src/a.py:2"]},
    )  # fmt: skip
    ui.source.say("docs-01", Kind.TASK_COMPLETE, done)
    await ui.settle()
    ui.app.pages.open_task("task_code")
    await ui.settle()


def merge(ui: UiDriver, **more: Any) -> None:
    ui.source.say("task-manager-01", Kind.MERGE_STATE, MergeState(task_id="task_code", **more))


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_the_change_is_shown_by_file_and_says_what_is_not_there(size: tuple[int, int]) -> None:
    async with open_ui(size=size) as ui:
        await opened(ui)
        assert ui.has("conversation", "diff", "usage", "hops")
        await ui.press("D")
        assert ui.has("branch", "swarm/task_code → main", "2 commits more by now")
        assert ui.has("changed", "3 files, 1 not committed", "+3", "-1")
        assert ui.has("task_other changes the same lines: src/a.py:2")
        assert ui.has("── src/a.py  +2 -1")
        assert ui.has("-y = 2")
        assert ui.has("── logo.png (new, binary)")
        await ui.press("G")
        assert ui.has("… 40,000 lines more; swarm-tui diff task_code shows all")
        await ui.press("D")
        assert ui.has("payload")


@pytest.mark.asyncio
async def test_the_checks_verdicts_and_what_becomes_of_it_stand_above_the_change() -> None:
    async with open_ui(size=(80, 30)) as ui:
        await opened(ui)
        await ui.press("D")
        merge(ui, state="waiting", target="main", position=2)
        await ui.settle()
        assert ui.has("merge", "waiting into main, place 2")
        checks = {"testing.run": "failed: 1 failed, 3 passed", "code.review": "passed: 2 files"}
        merge(ui, state="mending", target="main", follow_up="task_code:fix1", reason="test_a: boom", checks=checks)
        await ui.settle()
        assert ui.has("mending into main, by its agent in task_code:fix1")
        assert ui.has("check", "testing.run failed: 1 failed, 3 passed")
        assert ui.has("check", "code.review passed: 2 files")
        assert ui.has("test_a: boom")


@pytest.mark.asyncio
async def test_the_parts_are_turned_and_a_plain_task_has_none() -> None:
    async with open_ui(size=(80, 30)) as ui:
        await opened(
            ui, {"branch": "swarm/task_code", "beside": "its choice between its models, a small call a prompt"}
        )
        ui.source.outputs["task_code"] = ["I will change a.py"]
        await ui.press("right_square_bracket")
        assert not ui.has("payload")
        await ui.press("right_square_bracket", "right_square_bracket")
        assert ui.has("in all", "nothing was told of tokens or money")
        assert ui.has("and, which nobody is told the price of: its choice")
        await ui.press("left_square_bracket", "left_square_bracket", "left_square_bracket")
        assert ui.has("payload")
        await ui.press("escape")
        scenes.task(ui.source, ui.clock, "task_plain", "testing.run", "docs-01", ago=5)
        await ui.settle()
        ui.app.pages.open_task("task_plain")
        await ui.settle()
        assert not ui.has("conversation", "usage")
        await ui.press("D")
        assert ui.has("no conversation and no worktree")


@pytest.mark.asyncio
async def test_a_worktree_that_is_nowhere_is_said() -> None:
    async with open_ui(size=(80, 24)) as ui:
        await opened(ui)
        del ui.source.changes["task_code"]
        await ui.press("D")
        assert ui.has("no worktree on any host that answers")


@pytest.mark.asyncio
async def test_a_merge_is_asked_for_after_a_yes_and_once() -> None:
    async with open_ui(size=(100, 30)) as ui:
        await opened(ui)
        await ui.press("i")
        assert ui.has("Merge swarm/task_code, once the checks of it pass?")
        assert ui.has("task_other changes the same lines")
        await ui.press("y")
        assert ui.source.acts[-1][:2] == (Kind.MERGE_ACT, MergeAct(task_id="task_code", act="merge"))
        merge(ui, state="running", target="main", run_id="merge-task_code-1")
        await ui.settle()
        await ui.press("i")
        assert ui.has("Take back the merge of swarm/task_code?")
        await ui.press("y")
        assert ui.source.acts[-1][1] == MergeAct(task_id="task_code", act="withdraw")
        merge(ui, state="merged", target="main")
        await ui.settle()
        await ui.press("i")
        assert ui.has("its work is merged already")
        await ui.press("escape")


@pytest.mark.asyncio
async def test_what_failed_becomes_the_prompt_of_a_task_that_fixes_it() -> None:
    async with open_ui(size=(120, 40)) as ui:
        scenes.task(ui.source, ui.clock, "task_red", "testing.run", "docs-01", ago=90, payload={"head": "swarm/x"})
        result = {"verdict": "failed", "failed": 1, "failures": [{"test": "test_a", "message": "boom"}]}
        done = b.Complete(
            task_id="task_red", agent_id="docs-01", attempt=1, status="success", duration=1.0, result=result
        )
        ui.source.say("docs-01", Kind.TASK_COMPLETE, done)
        await ui.settle()
        ui.app.pages.open_task("task_red")
        await ui.settle()
        await ui.press("v")
        await ui.settle()
        text = "\n".join(ui.text())
        assert "code.generate" in text
        assert "testing.run (task_red) says: failed: 1 failed" in text
