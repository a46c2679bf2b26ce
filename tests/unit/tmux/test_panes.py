"""Reading tmux's listing, and writing its commands, whatever names people choose."""

from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.tmux.commands import log_to, program
from swarm_tui.tmux.panes import parse_pane
from swarm_tui.tmux.server import chain, literal

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)


def line(session: str, window: str, role: str, swarm: str) -> str:
    safe = ["%3", "77", "1", "2", "", "1", "0", "@1", "$0", "0", "55", "1", "1883", "4", "builder"]
    lengths = [str(len(text.encode())) for text in (session, window, role)]
    return "|".join([*safe, *lengths, session + window + role + swarm])


@given(names, names, names, names)
def test_free_text_never_shifts_a_field(session: str, window: str, role: str, swarm: str) -> None:
    pane = parse_pane(line(session, window, role, swarm))
    assert pane is not None
    assert (pane.session, pane.window, pane.role, pane.swarm) == (session, window, role, swarm)
    assert (pane.pane_id, pane.pid, pane.dead, pane.status, pane.signal) == ("%3", 77, True, 2, None)
    assert (pane.server_pid, pane.port, pane.agent, pane.incarnation) == (55, 1883, "builder", "4")


@given(st.text())
def test_nonsense_is_none_and_never_raises(text: str) -> None:
    assert parse_pane(text.replace("%", "")) is None


@given(st.text(max_size=200))
def test_a_broken_line_never_raises(text: str) -> None:
    parse_pane("%1|" + text)


def test_a_trailing_semicolon_does_not_end_a_command() -> None:
    assert literal("echo a;") == "echo a\\;"
    assert chain([["a", "b;"], ["c"]]) == ["a", "b\\;", ";", "c"]


def test_a_single_word_gets_no_shell() -> None:
    assert program(["$(reboot)"]) == ["env", "$(reboot)"]


def test_a_log_path_is_no_format() -> None:
    from pathlib import Path

    assert log_to(Path("/tmp/a%2Fb #{pid}/x.log"))[0][-1] == "exec cat >> '/tmp/a%%2Fb ##{pid}/x.log'"
