"""The user's file: one mistake is said and leaves the rest as it is, and none stops a screen."""

from pathlib import Path

import pytest

from swarm_tui.cli import doctor, replay_source
from swarm_tui.cli.recording import Line
from swarm_tui.config.user import UserConfig, read_user_config, user_config_path
from swarm_tui.domain.fleet import Fleet
from swarm_tui.ui.acts import ALL
from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.look.theme import NAMES
from tests.ui.fake import START, SWARM
from tests.ui.harness import open_ui

ACTS = [action.name for action in ALL]
MISTAKES = """\
theme: drak
colour: red
keys: {publish: F99, pubish: x, restart: [F5, F98], drain: D, wall: D}
panels: {show: [tasks, tusks], stream_lines: 3, heartbeats: maybe}
mouse: perhaps
bell: true
"""


def write(text: str) -> None:
    user_config_path().parent.mkdir(parents=True, exist_ok=True)
    user_config_path().write_text(text)


@pytest.mark.asyncio
async def test_a_screen_opens_with_what_is_no_mistake_and_tells_each() -> None:
    write(MISTAKES)
    config, mistakes = read_user_config(actions=ACTS, themes=list(NAMES))
    assert config.bell
    assert config.theme is None
    assert config.panels.show == ["tasks"]
    assert config.panels.stream_lines == 5_000
    assert dict(config.keys) == {"restart": ["f5"], "drain": ["D"]}, "of an act without a good key, its own holds"
    for words in ("`drak`", "`colour`", "`F99`", "`pubish`", "`F98`", "`D` is already", "`tusks`", "100", "mouse"):
        assert any(words in line for line in mistakes), words
    assert "the rest of it holds" in mistakes[-1]
    async with open_ui(config=config, notes=mistakes) as ui:
        assert "mistakes in" in ui.footer
        assert ui.app.registry.keys("restart") == ("f5",)
        assert ui.app.registry.keys("publish") == ("n",)


@pytest.mark.parametrize(
    "text", ["keys: [\n", "- 1\n", "panels: 5\n", "keys: {publish: {a: 1}}\n", "\x00", "theme: 5\n"]
)
def test_no_file_stops_a_recording(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(text)
    opened: list[SwarmApp] = []
    monkeypatch.setattr(SwarmApp, "run", lambda app, **_: opened.append(app))
    assert (
        replay_source.replay_on_screen(Fleet(SWARM), [Line(at=START, topic=f"{SWARM}/x", payload=b"{}")], 1.0, "r") == 0
    )
    assert any(str(user_config_path()) in note for note in opened[0].registry.notes)


@pytest.mark.asyncio
async def test_the_files_theme_holds_unless_another_was_chosen_since(tmp_path: Path) -> None:
    state = tmp_path / "screen.json"

    async def theme(config: UserConfig, *keys: str) -> str:
        async with open_ui(config=config, state_path=state) as ui:
            before = ui.app.theme
            await ui.press(*keys)
            await ui.pass_(1)
            return before

    assert await theme(UserConfig(theme="light"), "ctrl+t") == "light"
    assert await theme(UserConfig(theme="light")) == "high-contrast", "chosen in the screen since"
    assert await theme(UserConfig(theme="colour-blind")) == "colour-blind", "the file was changed since"
    assert await theme(UserConfig(theme="light")) == "high-contrast"


def test_doctor_says_which_act_loses_its_key() -> None:
    write("keys: {restart: d}\n")
    said = [str(finding) for finding in doctor._config()]
    assert any("restart" in line and "drain" in line and "warn" in line for line in said), said
