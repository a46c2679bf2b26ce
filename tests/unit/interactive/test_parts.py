"""The parts of an interactive agent: prompts as text, the hooks' socket, what the layout may say."""

import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.agent.handlers.models.cli_spec import known_clis
from swarm_tui.agent.interactive import small_programs as hook
from swarm_tui.agent.interactive.events import call_of
from swarm_tui.agent.interactive.hook_desk import HookCall
from swarm_tui.agent.interactive.prompts import LEAD, as_text, holds, is_same, pasted, writes
from swarm_tui.cli.main import main
from tests.screen_desk import Desk
from tests.wait import until

SPECIAL = "/!#@&"


@given(st.text())
def test_a_pasted_prompt_ends_where_it_ends_and_is_no_command(prompt: str) -> None:
    text = as_text(prompt, SPECIAL)
    assert not any((ord(one) < 0x20 and one != "\n") or 0x7F <= ord(one) < 0xA0 for one in text)
    assert pasted(text).count(b"\x1b") == 2
    assert not text.startswith(tuple(SPECIAL))
    assert is_same(text, as_text(text, SPECIAL).removeprefix(LEAD)) or text.startswith(LEAD)


def test_what_would_be_a_command_is_led_by_words() -> None:
    assert as_text("  /clear it", SPECIAL) == f"{LEAD}/clear it"
    assert as_text("plain\r\nlines\x1b[201~", SPECIAL) == "plain\nlines␛[201~"
    assert is_same("a\n b", "a b ")
    assert not is_same("draft a b", "a b")
    assert holds("draft a b", "a  b")


@pytest.mark.parametrize(
    ("keys", "written"),
    [(b"a", True), (b"\x1b[I", False), (b"\x1b[?1;2c", False), (b"\x1b[A\r", False), (b"\x1b", False),
     (b"\x1b]11;rgb:0/0/0\x07", False), (b"\x1b[200~x\x1b[201~", True), ("ä".encode(), True), (b"\x03", False)],
)  # fmt: skip
def test_keys_that_write_are_told_from_a_terminals_own_words(keys: bytes, written: bool) -> None:
    assert writes(keys) is written


def test_a_change_is_shown_as_a_diff(tmp_path: Path) -> None:
    way = known_clis()["claude"].interactive
    assert way is not None
    file = tmp_path / "a.py"
    file.write_text("one\ntwo\n")
    given = {"file_path": str(file), "old_string": "two", "new_string": "three"}
    call = call_of({"tool_name": "Edit", "tool_input": given}, way)
    assert call.tool == "Edit"
    assert "-two\n+three\n" in call.diff(tmp_path)
    assert call.use(tmp_path).what == ("a.py",)
    for odd in (
        {},
        {"file_path": 1},
        {"file_path": "\0"},
        {"file_path": str(file), "edits": [None, {"old_string": 2}]},
    ):
        assert call_of({"tool_name": "Edit", "tool_input": odd}, way).diff(tmp_path) == ""
    assert call_of({}, way).tool == "Tool"


def test_only_who_knows_the_token_is_heard(desk: Desk) -> None:
    desk.is_("idle")
    folder = desk.screen.plan.folder
    for name, mode in ((hook.SOCKET, 0o600), (hook.TOKEN, 0o600), ("settings.json", 0o600), (".", 0o700)):
        assert stat.S_IMODE((folder / name).stat().st_mode) == mode, name
    token = (folder / hook.TOKEN).read_text()
    assert token not in (folder / "settings.json").read_text(), "a hook's command line is shown to all"
    told, listener = list[HookCall](), desk.screen._desk
    heard, listener._heard = listener._heard, told.append
    said = b'\n{"hook_event_name": "PermissionRequest"}'
    whole = b"%08x" % (len(said) + 3) + b"bad" + said
    for raw in (b"", b"zz", b"nonsense", b"-0000001", b"ffffffff", whole, whole[:20], b"00000000"):
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(5)
            channel.connect(str(folder / hook.SOCKET))
            channel.sendall(raw)
            channel.shutdown(socket.SHUT_WR)
            assert channel.recv(10) == b""
    assert told == []
    listener._heard = heard
    here = os.getcwd()
    try:
        assert hook.call(str(folder / hook.TOKEN), b'{"hook_event_name": "Unheard"}') == b""
        assert hook.call("/nowhere/at/all", b"") == b""
    finally:
        os.chdir(here)
    assert desk.task("[[say fine]]")["text"] == "fine"


def test_a_folder_with_a_long_name_holds_the_socket_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREEN_CLI_HOME", str(tmp_path / ("l" * 100) / "home"))
    (tmp_path / ("l" * 100)).mkdir()
    desk = Desk(tmp_path / ("l" * 100))
    try:
        desk.screen.start()
        desk.is_("idle")
    finally:
        desk.close()


def test_the_pane_is_given_back_when_the_cli_ends(desk: Desk) -> None:
    desk.is_("idle")
    pid = desk.process().pid
    desk.types("/quit\r")
    desk.sees("\x1b[?2004l")
    until(lambda: any("it starts again in 0 s" in line for line in desk.notes), 5, str(desk.notes))
    until(lambda: desk.screen.state == "idle" and desk.process().pid != pid, 10, "it is there again")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("handlers: {agent-cli: {options: {cli: codex}}}", "needs a CLI whose hooks tell what it does: claude"),
        ("handlers: {agent-cli: {options: {protocol: acp}}}", "leave it out"),
        ("handlers: {noop: {}}", "needs a handler `agent-cli`"),
        ("handlers: {agent-cli: {}, code.generate: {options: {cli: claude}}}", "give `code.generate` to another"),
        ("capacity: 2\n    handlers: {agent-cli: {}}", "one task at a time"),
        ("sandbox: bwrap\n    handlers: {agent-cli: {}}", "no sandbox"),
        ("command: [cat]\n    handlers: {agent-cli: {}}", "leave out `command`"),
    ],
)
def test_a_layout_that_cannot_have_a_screen_is_told_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: str, words: str
) -> None:
    file = tmp_path / "l.yaml"
    file.write_text(f"swarm: s\nagents:\n  - role: general\n    id: a1\n    interactive: true\n    {entry}\n")
    with pytest.raises(SystemExit):
        main(["validate", str(file)])
    said = capsys.readouterr()
    assert words in said.err + said.out
