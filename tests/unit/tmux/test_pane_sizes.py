"""Panes take the size of who looks: who that is, in which layout, and how it ends, with a tmux of the test's own."""

import fcntl
import os
import pty
import struct
import termios
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.supervisor.processes import is_alive
from swarm_tui.tmux import commands
from swarm_tui.tmux.attach import restore
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.pane_sizes import HOLD, Look, PaneSizes, Size, Step, Window, Wish, decide, layout, whole
from swarm_tui.tmux.server import Tmux, write_config
from swarm_tui.ui.live.tmux_panes import TmuxPanes
from tests.examples import examples
from tests.wait import until

SIZES = st.builds(Size, st.integers(20, 400), st.integers(5, 120))
OWN = {(66, 19), (66, 20), (200, 20), (200, 60)}
"""What the panes of these tests measure while nobody looks."""


def window(**fields: object) -> Window:
    return Window(**{"window_id": "@0", "panes": ("%0",), "layout": "", "option": "latest", "look": None,
                     "attached": False} | fields)  # type: ignore[arg-type]  # fmt: skip


WISH = Wish(frozenset({"%0"}), Size(80, 10), since=100.0)


@pytest.mark.parametrize(
    ("there", "step"),
    [
        (window(), Step("fit")),
        (window(look=Look("me", 50.0)), Step("fit")),
        (window(look=Look("me", 50.0), layout=layout(["%0"], Size(80, 10))), Step("nothing")),
        (window(layout=layout(["%0"], Size(80, 10))), Step("fit")),
        (window(attached=True), Step("nothing")),
        (window(attached=True, look=Look("me", 50.0)), Step("let go")),
        (window(option="manual"), Step("nothing")),
        (window(look=Look("gone", 200.0)), Step("fit")),
        (window(look=Look("other", 200.0)), Step("nothing")),
        (window(look=Look("other", 50.0)), Step("fit")),
        (window(look=Look("other", 99.0)), Step("wait", 99.0 + HOLD)),
    ],
)
def test_the_newest_look_has_the_size_and_never_who_attached_the_screens(there: Window, step: Step) -> None:
    assert decide(there, WISH, "me", {"me", "other"}, now=101.0) == step


@given(st.integers(1, 60), SIZES)
@settings(max_examples=examples(200))
def test_in_a_layout_all_panes_have_that_width_and_none_fewer_lines(count: int, size: Size) -> None:
    said, sizes = layout([f"%{n}" for n in range(count)], size), []
    for part in said.replace("{", ",").replace("[", ",").split("x")[1:]:
        sizes.append(part.split(",")[0])
    assert said.count(f"{size.columns}x") >= count
    assert all(int(lines) >= size.lines for lines in sizes)
    across, rows, _ = whole(count, size)
    assert across * rows >= count > 0


class Now:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_dragged_terminal_and_a_strip_that_comes_and_goes_change_no_size() -> None:
    clock = Now()
    sizes, panes = PaneSizes(clock), frozenset({"%0"})
    sizes.want(panes, (80, 10))
    clock.now = 0.2
    sizes.want(panes, (90, 10))
    assert sizes.due == pytest.approx(0.5), "it did not wait for the size to last"
    before = sizes._wish
    sizes.want(panes, (90, 9))
    assert sizes._wish is before
    sizes.want(panes, (90, 11))
    assert sizes._wish is not None
    assert sizes._wish.size == (90, 11)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    """Seven panes, as the supervisor makes them."""
    server = Tmux(f"swarm-test-{uuid.uuid4().hex[:8]}", config=write_config(tmp_path / "tmux.conf"))
    server.run_list(commands.new_session("s", "w", ["cat"], "/"))
    for _ in range(6):
        server.run_list(commands.split("=s:", ["cat"], "/"))
    pid = int(server.run("display-message", "-p", "#{pid}")[0])
    yield server
    with suppress(TmuxError):
        server.run("kill-server")
    until(lambda: not is_alive(pid), what="the tmux server to end")


def sizes_of(tmux: Tmux) -> list[tuple[int, int]]:
    listed = tmux.run("list-panes", "-t", "=s:", "-F", "#{pane_width} #{pane_height}")
    return [(int(wide), int(tall)) for wide, tall in (line.split() for line in listed)]


def own(tmux: Tmux) -> bool:
    return set(sizes_of(tmux)) <= OWN and not tmux.run("show-options", "-w", "-q", "-v", "-t", "=s:", "@look")


@contextmanager
def screen(tmux: Tmux) -> Iterator[TmuxPanes]:
    panes = TmuxPanes(tmux, "s")
    try:
        yield panes
    finally:
        panes.close()


@contextmanager
def terminal(tmux: Tmux, columns: int, lines: int) -> Iterator[None]:
    """Somebody's terminal, attached."""
    pid, end = pty.fork()
    if pid == 0:
        os.execvpe("tmux", [*tmux.base, "attach", "-t", "s"], {**os.environ, "TERM": "xterm", "TMUX": ""})
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    try:
        until(lambda: "0" in tmux.run("list-clients", "-F", "#{client_control_mode}"), what="the terminal to attach")
        yield
    finally:
        os.close(end)
        os.waitpid(pid, 0)


def test_all_panes_have_the_size_of_the_panel_and_their_own_afterwards(tmux: Tmux) -> None:
    with screen(tmux) as panes:
        panes.watch(frozenset({"%0"}), (80, 10))
        until(lambda: {wide for wide, _ in sizes_of(tmux)} == {80}, what="the size of who looks")
        assert sizes_of(tmux)[0] == (80, 10)
        assert all(10 <= tall <= 16 for _, tall in sizes_of(tmux))
        assert tmux.run("display-message", "-p", "-t", "=s:", "#{window-size}") == ["latest"]
        before = tmux.run("display-message", "-p", "-t", "=s:", "#{window_layout}")
        panes.watch(frozenset({"%6"}), (80, 10))
        panes.watch(frozenset({"%6"}), (120, 30))
        until(lambda: {wide for wide, _ in sizes_of(tmux)} == {120}, what="another size")
        assert before != tmux.run("display-message", "-p", "-t", "=s:", "#{window_layout}")
        panes.watch(frozenset(), None)
        until(lambda: own(tmux), what="their own size, a while after nobody looks")
        panes.watch(frozenset({"%0"}), (80, 10))
        until(lambda: sizes_of(tmux)[0] == (80, 10), what="the size of who looks again")
    assert own(tmux), "the screen left its size behind"
    assert not tmux.run("show-hooks", "-t", "s")


def test_panes_that_come_meanwhile_get_it_too(tmux: Tmux) -> None:
    with screen(tmux) as panes:
        panes.watch(frozenset({"%0"}), (80, 10))
        until(lambda: sizes_of(tmux)[0] == (80, 10), what="the size of who looks")
        tmux.run_list(commands.split("%0", ["cat"], "/"))
        until(lambda: len(shown := sizes_of(tmux)) == 8 and {wide for wide, _ in shown} == {80}, what="eight of them")


def test_a_terminal_that_attaches_has_them_at_its_own_size_and_the_screen_again_afterwards(tmux: Tmux) -> None:
    def whole_window() -> list[str]:
        return tmux.run("display-message", "-p", "-t", "=s:", "#{window_width} #{window_height} #{@look}")

    with screen(tmux) as panes:
        panes.watch(frozenset({"%0"}), (80, 10))
        until(lambda: sizes_of(tmux)[0] == (80, 10), what="the size of who looks")
        with terminal(tmux, 130, 41):
            until(lambda: whole_window() == ["130 40 "], what="the terminal's own size, and no mark of the screen's")
            panes.watch(frozenset({"%1"}), (90, 12))
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                assert whole_window() == ["130 40 "], "the screen fought a terminal"
                time.sleep(0.05)
        restore(tmux, "s")
        until(lambda: sizes_of(tmux)[1] == (90, 12), what="the size of the screen that still looks")


def test_of_two_screens_the_newest_look_wins_and_the_other_has_it_when_that_ends(tmux: Tmux) -> None:
    with screen(tmux) as first:
        first.watch(frozenset({"%0"}), (80, 10))
        until(lambda: sizes_of(tmux)[0] == (80, 10), what="the first screen's size")
        with screen(tmux) as second:
            began = time.monotonic()
            second.watch(frozenset({"%0"}), (150, 30))
            until(lambda: sizes_of(tmux)[0] == (150, 30), what="the newest look's size")
            assert time.monotonic() - began < HOLD + 3
            end, seen = time.monotonic() + 1.5, set()
            while time.monotonic() < end:
                seen.add(sizes_of(tmux)[0])
                time.sleep(0.05)
            assert seen == {(150, 30)}, "it flaps"
        until(lambda: sizes_of(tmux)[0] == (80, 10), what="the size of the screen that is left")


def test_a_screen_that_is_killed_leaves_no_size_behind(tmux: Tmux) -> None:
    with screen(tmux) as panes:
        panes.watch(frozenset({"%0"}), (80, 10))
        until(lambda: sizes_of(tmux)[0] == (80, 10), what="the size of who looks")
        panes._sizes._fitted.clear()  # What it knew dies with it.
        panes._sizes._wish = None
        assert panes._control is not None
        assert panes._control._process is not None
        panes._control._process.kill()
        until(lambda: own(tmux), what="their own size")


def test_windows_of_fixed_sizes_are_left_alone(tmux: Tmux) -> None:
    tmux.run("set-option", "-w", "-t", "=s:", "window-size", "manual")
    with screen(tmux) as panes:
        panes.watch(frozenset({"%0"}), (80, 10))
        until(lambda: bool(panes.changed()), what="the pane")
        until(lambda: panes._sizes.due is None, what="the look")
        assert own(tmux)
