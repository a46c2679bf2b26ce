"""Open the screen in this terminal, and say afterwards what runs on."""

import gc
import re
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import get_terminal_size
from textwrap import wrap
from typing import IO

from swarm_tui.config.model import Broker, Layout
from swarm_tui.config.paths import state_dir
from swarm_tui.config.running import Running, is_running, up_again
from swarm_tui.config.saved_filters import SavedFilters, filters_path
from swarm_tui.config.user import read_user_config
from swarm_tui.ui.acts import ALL
from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.live.connect import open_source
from swarm_tui.ui.look import theme as themes
from swarm_tui.ui.model.source import Choice


def run_screen(
    *,
    swarm: str,
    broker: Broker,
    running: Running | None = None,
    layout: Layout | None = None,
    read_only: bool = False,
    bring_down: Callable[[], int] | None = None,
    choose: Choice = "",
    identity: Path | None = None,
) -> tuple[int, str | None]:
    """Open the screen on a swarm and stay until the user leaves; the exit code, and the swarm that is wanted next.

    `running` is what `up` wrote of a swarm on this host (its tmux gives the panes). `layout` gives the publish form its
    types and templates; it is read from `running.layout_path` when None. `bring_down` is what `Q` does after the screen
    has closed. With `choose` the page of all swarms, or over all shards, is on top first. Mistakes in the user's config
    file are told as notices. `identity` is a join file by which it speaks. Raises IdentityError.
    """
    config, mistakes = read_user_config(actions=[action.name for action in ALL], themes=list(themes.NAMES))
    state = state_dir(swarm)
    app = SwarmApp(
        open_source(swarm, broker, running, layout, identity),
        config=config,
        notes=mistakes,
        state_path=state.root / "screen.json",
        read_only=read_only,
        can_bring_down=bring_down is not None,
        filters=SavedFilters(filters_path()),
        choose=choose,
    )
    drop_typed_ahead()
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    code = app.run(mouse=config.mouse) or 0
    gc.unfreeze()  # Else all of this screen would stay as long as the next ones.
    if app.return_code:
        return app.return_code, None
    if app.down_wanted and bring_down is not None:
        return bring_down(), None
    if app.swarm_wanted is None:
        again = "" if running is None or is_running(swarm) else up_again(running)
        print(farewell(swarm, get_terminal_size().columns, again=again))
    return code, app.swarm_wanted


def farewell(swarm: str, width: int, *, again: str = "") -> str:
    """Return what runs on, and how to come back or end it, at most `width` columns a line, each command on one.

    Of one that was brought down meanwhile: that, and `again`, the command that starts it.
    """
    text = f"The swarm {swarm} runs on. `swarm-tui` opens the screen again, `swarm-tui down {swarm}` ends the swarm."
    if again:
        text = f"The swarm {swarm} was brought down. `{again}` starts it again."
    held = re.sub(r"`[^`]*`", lambda found: found[0].replace(" ", "\0"), text)
    lines = wrap(held, max(20, width - 1), break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def drop_typed_ahead(terminal: IO[str] | None = None) -> None:
    """Forget what waits to be read from `terminal` (stdin); nothing happens when it is none."""
    with suppress(termios.error, OSError, ValueError):
        termios.tcflush(terminal or sys.stdin, termios.TCIFLUSH)
