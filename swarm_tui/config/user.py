"""`~/.config/swarm-tui/config.yml`: how one person wants the screen. Theme, keys, panels."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from swarm_tui.config.errors import ConfigError
from swarm_tui.config.paths import config_home

if TYPE_CHECKING:
    from swarm_tui.config.document import Document
    from swarm_tui.config.errors import Problem

Panel = Literal["agents", "tasks", "stream", "pane"]


class Panels(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The panels that are open, and how much they keep."""

    show: list[Panel] = field(default_factory=lambda: ["agents", "tasks", "stream", "pane"])
    """The panels that are open at the start, in their order."""
    stream_lines: int = 5_000
    """Messages that the stream keeps."""
    heartbeats: bool = False
    """True where the stream lists heartbeats too; a filter that names them always does."""
    resize_panes: bool = True
    """True where panes take the size at which the screen shows them."""


class UserConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    theme: str | None = None
    """The name of a theme; the palette lists them."""
    keys: dict[str, str | list[str]] = {}
    """Action to key or keys: `publish: n`, `restart: [r, F5]`, `help: [?, Ctrl+H]`. What is not named keeps its key."""
    panels: Panels = Panels()
    mouse: bool = True
    bell: bool = False
    """Ring the terminal's bell when an alert is raised."""


def user_config_path() -> Path:
    """`$XDG_CONFIG_HOME/swarm-tui/config.yml`, by default under `~/.config`."""
    return config_home() / "config.yml"


def load_user_config(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    actions: list[str] | None = None,
    themes: list[str] | None = None,
) -> UserConfig:
    """Read the file; the defaults when there is none. Raises ConfigError with every mistake at its place.

    `actions` are the names that `keys` may use, where the caller knows them; `themes` those that `theme` may.
    """
    config, problems = _read(path, environ, actions, themes)
    if problems:
        raise ConfigError(problems)
    return config


def read_user_config(*, actions: list[str], themes: list[str]) -> tuple[UserConfig, list[str]]:
    """Return the file without its mistakes, and a sentence for each; a screen opens whatever it holds."""
    try:
        config, problems = _read(None, None, actions, themes)
    except ConfigError as error:
        return UserConfig(), [*str(error).splitlines(), "until that is mended, the defaults hold"]
    mistakes = str(ConfigError(problems)).splitlines() if problems else []
    if len(mistakes) > 1:
        mistakes.append(f"{len(mistakes)} mistakes in {user_config_path()}: the rest of it holds; `doctor` names them")
    return config, mistakes


def _read(
    path: Path | None, environ: Mapping[str, str] | None, actions: list[str] | None, themes: list[str] | None
) -> tuple[UserConfig, list["Problem"]]:
    """Return what of the file can be used, and its mistakes. Raises ConfigError where nothing can."""
    chosen = path or user_config_path()
    if path is None and not chosen.is_file():
        return UserConfig(), []
    from swarm_tui.config.document import near, read_document  # YAML's parser is slow to import, and most have no file.
    from swarm_tui.config.shape import fit

    document = read_document(chosen, os.environ if environ is None else environ)
    if document.value is None and not document.problems:
        return UserConfig(), []
    config = fit(document, UserConfig)
    if config.panels.stream_lines < 100:
        document.problem(("panels", "stream_lines"), "`stream_lines` must be at least 100")
        config = replace(config, panels=replace(config.panels, stream_lines=Panels().stream_lines))
    if themes is not None and config.theme is not None and config.theme not in themes:
        hint = near(config.theme, sorted(themes))
        document.problem(("theme",), f"no theme `{config.theme}`, so the screen takes its own{hint}")
        config = replace(config, theme=None)
    config = replace(config, keys=_check_keys(document, config, actions))
    return config, document.problems


def _check_keys(document: "Document", config: UserConfig, actions: list[str] | None) -> dict[str, str | list[str]]:
    """Return the keys by the screen's names of them, without those that cannot be."""
    from swarm_tui.config.document import near
    from swarm_tui.config.keynames import key_name, written

    taken: dict[str, str] = {}
    named: dict[str, str | list[str]] = {}
    for action, keys in config.keys.items():
        if actions is not None and action not in actions:
            document.problem(("keys", action), f"no action `{action}`{near(action, sorted(actions))}")
            continue
        found: list[str] = []
        for text in (texts := written(keys)):
            key = key_name(text)
            if key is None:
                document.problem(("keys", action), f"no key `{text}`: a character, or such as F5, Ctrl+N, PgUp, space")
            elif taken.setdefault(key, action) != action:
                document.problem(("keys", action), f"the key `{text}` is already that of `{taken[key]}`")
            else:
                found.append(key)
        if found or not texts:  # Of an act whose keys are all mistakes, those that it comes with hold.
            named[action] = found
    return named
