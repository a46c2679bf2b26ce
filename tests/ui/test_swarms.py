"""All swarms on one page, each with its own facts, and the way from one to another."""

import pytest

from swarm_tui.domain.fleet import Fleet
from swarm_tui.protocol.rows import TaskRow
from swarm_tui.protocol.shards import whole_of
from swarm_tui.ui.live.neighbours import swarm_of_topic
from swarm_tui.ui.model.source import Neighbour
from tests.ui.harness import UiDriver, open_ui
from tests.unit.fleet.swarm import Paper


def other(name: str = "other", *, here: bool = True) -> Neighbour:
    """A swarm of two agents, one of which has been silent for too long."""
    paper = Paper()
    paper.birth("a1")
    paper.birth("a2")
    paper.pass_time(40, beating=("a1",))
    paper.fleet.swarm = name
    return Neighbour(swarm=name, broker="mqtt://127.0.0.1:1883", here=here, fleet=paper.fleet)


class FakeNeighbours:
    """Others that the test names; `loaded` are those whose tasks came."""

    def __init__(self, *others: Neighbour) -> None:
        self.others = list(others)
        self.untold = 0
        self.opened = False
        self.loaded: list[str] = []
        self.counts: dict[str, dict[str, int]] = {}
        self.whole = ""
        self._unasked = [each.swarm for each in others]

    def names(self) -> list[str]:
        return [each.swarm for each in self.others]

    def find(self, name: str) -> bool:
        return name in self.names()

    def open(self, whole: str = "") -> None:
        self.opened = True
        self.whole = whole

    def look(self) -> list[Neighbour]:
        return [each for each in self.others if whole_of(each.swarm) == (self.whole or None)] if self.opened else []

    def unasked(self) -> list[str]:
        found, self._unasked = self._unasked, []
        return found

    def ask(self, name: str) -> list[TaskRow]:
        return [TaskRow(task_id="far", type="noop", state="running", created_at=1.0)]

    def count(self, name: str) -> dict[str, int] | None:
        return self.counts.get(name)

    def load(self, name: str, rows: list[TaskRow]) -> None:
        self.loaded.append(name)
        next(each for each in self.others if each.swarm == name).fleet.load(rows, 1.0)

    def close(self) -> None:
        self.opened = False


async def command(ui: UiDriver, text: str) -> None:
    await ui.press("colon")
    await ui.type(text)
    await ui.press("enter")


@pytest.mark.asyncio
async def test_all_swarms_are_one_page_each_with_its_troubles_and_nothing_is_mixed() -> None:
    async with open_ui("trouble") as ui:
        ui.source.neighbours = near = FakeNeighbours(other(), other("far/one", here=False))
        await ui.press("S")
        assert ui.has("SWARMS 3")
        assert ui.has("other", "1/2")
        assert ui.has("far/one", "not brought up here")
        assert ui.has("a2", "lost") or ui.has("a2", "silent") or ui.has("a2", "LOST")
        assert ui.has("▸", "opencto-dev")
        assert near.loaded == ["other", "far/one"]
        await ui.pass_(1)
        assert ui.has("other", "1/2", "    1 "), "a task of its own runs there"
        assert "far" not in ui.app.model.fleet.tasks
        assert not set(ui.app.model.fleet.agents) & {"a1", "a2"}
        await ui.press("S")
        assert not near.opened, "nobody looks: nothing is heard"
        assert ui.app.screen is ui.app.main


@pytest.mark.asyncio
async def test_enter_and_the_command_turn_to_another_swarm_and_a_wrong_name_is_told() -> None:
    for way in ("enter", "swarm other"):
        async with open_ui("calm") as ui:
            ui.source.neighbours = FakeNeighbours(other())
            await command(ui, "swarm nobody")
            assert "no swarm 'nobody'" in ui.footer
            assert "there is other" in ui.footer
            await command(ui, "swarm opencto-dev")
            assert "this is opencto-dev" in ui.footer
            assert ui.app.swarm_wanted is None
            if way == "enter":
                await ui.press("S", "G", "enter")
            else:
                await command(ui, way)
            assert ui.app.swarm_wanted == "other"
            assert ui.app.return_code == 0


@pytest.mark.asyncio
async def test_its_own_line_comes_back_and_a_recording_has_no_others() -> None:
    async with open_ui("calm") as ui:
        await ui.press("S")
        assert "there is no other swarm" in ui.footer
        await command(ui, "swarm other")
        assert "there is no other swarm" in ui.footer
        ui.source.neighbours = FakeNeighbours()
        await ui.press("S", "enter")
        assert ui.app.screen is ui.app.main
        assert ui.app.swarm_wanted is None


@pytest.mark.asyncio
async def test_one_whose_files_are_damaged_shows_why() -> None:
    async with open_ui("calm") as ui:
        broken = Neighbour(swarm="broken", broker="x", here=True, fleet=Fleet("broken"))
        broken.fleet.link(False, "secret: it is readable by others", 1.0)
        ui.source.neighbours = FakeNeighbours(broken)
        await ui.press("S")
        assert ui.has("readable by others")
        assert ui.has("broken", "…")


@pytest.mark.parametrize(
    ("topic", "swarm"),
    [
        ("a/dispatcher", "a"),
        ("a/b/dispatcher", "a/b"),
        ("a/agents/x/status", "a"),
        ("a/b/hosts/h/status", "a/b"),
        ("a/_a/x/agents/x/status", None),
        ("$SYS/dispatcher", None),
        ("dispatcher", None),
        ("a/agents/status", None),
        ("a//dispatcher", None),
    ],
)
def test_swarms_are_known_by_what_they_retain(topic: str, swarm: str | None) -> None:
    assert swarm_of_topic(topic) == swarm
