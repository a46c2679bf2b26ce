"""docs/config.md: its file is taken whole, and it names every act and theme."""

import re
from pathlib import Path

from swarm_tui.config.user import load_user_config
from swarm_tui.ui.acts import ALL
from swarm_tui.ui.look.theme import NAMES
from tests.unit.house.pages import read

ACTS = [act.name for act in ALL]


def test_its_file_has_no_mistake_and_shows_what_is_so_without_one(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(re.findall(r"```yaml\n(.*?)```", read("config.md"), re.S)[0])
    config = load_user_config(path, {}, actions=ACTS, themes=list(NAMES))
    assert config.panels == type(config)().panels
    assert (config.mouse, config.bell) == (type(config)().mouse, type(config)().bell)


def test_it_names_every_act_and_theme() -> None:
    text = read("config.md")
    table = text[text.index("| where |") :]
    named = set(re.findall(r"`(\w+)`", table))
    assert named - {"agent_9", "agent_1"} == {name for name in ACTS if not name.startswith("agent_")}
    assert all(name in text for name in NAMES)
