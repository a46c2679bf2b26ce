"""The command line before any broker: usage, help, and what goes wrong ends in a sentence and a code."""

import faulthandler
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from swarm_tui.cli import down
from swarm_tui.cli import group as group_module
from swarm_tui.cli.asks import one_of
from swarm_tui.cli.common import Failure
from swarm_tui.cli.group import COMMANDS, group, run
from swarm_tui.cli.main import main
from swarm_tui.config.paths import state_dir
from swarm_tui.config.running import save_running
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol.rows import AskRow
from tests.unit.cli.test_parts import running


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["statsu"], "did you mean status"),
        (["--nope"], "No such option"),
        (["publish"], "Missing argument 'TYPE'"),
        (["publish", "a b"], "is not a task type"),
        (["publish", "t", "-p", "x"], "write it as key=value"),
        (["publish", "t", "-p", "a=1", "-p", "a.b=2"], "already a value"),
        (["publish", "t", "--payload", "[1]"], "a payload is a JSON object"),
        (["publish", "t", "-p", "x=" + "[" * 50 + "]" * 50], "no agent would read this task: nests"),
        (["publish", "t", "-p", "x=" + "a" * 131_040], "no agent would read this task: 131,"),
        (["publish", "t", "--payload", "@~nosuchuser/x"], "~nosuchuser/x cannot be read"),
        (["publish", "t", "--payload", "{"], "--payload is not JSON"),
        (["publish", "t", "--payload", "@none.json"], "none.json cannot be read"),
        (["publish", "t", "--task-id", "a b"], "is not a task id"),
        (["publish", "t", "--to", "a b"], "is not an agent id"),
        (["publish", "t", "--resume", "a b"], "is not a task id"),
        (["publish", "t", "--payload", '{"a": "\udcff"}'], "is not in UTF-8"),
        (["usage", "--days", "nan"], "nan is no number to go by"),
        (["scale", "testing", "9" * 20], "is not in the range"),
        (["publish", "t", "--priority", "huge"], "is not one of"),
        (["down", ""], "the swarm's name is empty"),
        (["--swarm", ""], "the swarm's name is empty"),
        (["--read-only", "--swarm=a#"], "may not hold + #"),
        (["status", ""], "the swarm's name is empty"),
        (["tasks", "--swarm", ""], "the swarm's name is empty"),
        (["init", "a: b"], "is no name for a layout"),
        (["init", "null"], "is no name for a layout"),
        (["init", "{x}"], "is no name for a layout"),
        (["init", "a${B}"], "is no name for a layout"),
        (["tasks", "a b"], "is not a task id"),
        (["tasks", "--state", "odd"], "is not one of"),
        (["cancel", "a b"], "is not a task id"),
        (["diff", "a b"], "is not a task id"),
        (["merge", "a b"], "is not a task id"),
        (["merge", "--wait"], "which task?"),
        (["discard", "a b"], "is not a task id"),
        (["run"], "which workflow? Found: nightly (./workflows), ship (./workflows)"),
        (["run", "none.yml"], "none.yml: no such file"),
        (["run", "shipp"], "no workflow of that name; did you mean `ship`?"),
        (["run", "ship", "-p", "no=1"], "no input `no`: the workflow takes service"),
        (["run", "ship", "--run-id", "a.b"], "is not a run id"),
        (["runs", "a.b"], "is not a run id"),
        (["send", "a", " "], "1 to 16,384 bytes"),
        (["send", "a", "x" * 20_000], "1 to 16,384 bytes"),
        (["send", "a", "x", "--reply-to", "a b"], "is not an id"),
        (["validate", "--schema", "odd"], "is not one of"),
        (["logs", "a b"], "is not an agent id"),
        (["status", "--swarm", "a#"], "may not hold + #"),
        (["status", "--broker", "http://x"], "did you mean `ws://`?"),
        (["watch", "--filter", "a#b"], "is no topic filter"),
        (["replay", "none"], "none cannot be read"),
        (["replay", "none", "--swarm", "a#"], "may not hold + #"),
        (["replay", "none", "--swarm", ""], "a swarm's name has 1 to 200 characters"),
        (["validate", "none.yml"], "none.yml: no such file"),
        (["validate", "/dev/zero"], "/dev/zero: is a device or a pipe"),
        (["validate", f"./{'x' * 300}"], "cannot be read: File name too long"),
        (["validate"], "which layout?"),
        (["init", "a#", "-o", "-"], "may not hold + #"),
        (["completion", "tcsh"], "is not one of"),
        (["completion"], "Missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish"),
        (["scale", "testing", "x"], "'x' is not a valid whole number"),
        (["tasks", "--limit", "0"], "0 is not in the range"),
    ],
)
def test_bad_usage_is_exit_2_and_a_sentence(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.out == ""


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "a b", "..\n", "x\x1b[31m", "é", "a" * 300])
@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("logs",), "agent id"),
        (("attach",), "agent id"),
        (("start",), "agent id"),
        (("stop",), "agent id"),
        (("restart",), "agent id"),
        (("drain",), "agent id"),
        (("undrain",), "agent id"),
        (("forget",), "agent id"),
        (("publish", "t", "--to"), "agent id"),
        (("agent", "--agent-id"), "agent id"),
        (("agent", "--role"), "role"),
        (("scale",), "role"),
    ],
)
def test_a_name_that_nobody_can_have_is_bad_usage(
    words: tuple[str, ...],
    what: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(faulthandler, "enable", lambda: None)
    monkeypatch.setattr(faulthandler, "register", lambda *_, **__: None)
    with pytest.raises(SystemExit) as ended:
        main([*words, name, *(["1"] if words == ("scale",) else [])])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    why = f"is not {'an' if what[0] == 'a' else 'a'} {what}: use 1 to 64 of A-Z a-z 0-9 _ . -"
    assert ("needs a value" if words[0] == "agent" and not name else why) in said
    assert "\x1b" not in said
    assert said.count("\n") == 1


def test_an_empty_id_of_an_ask_means_none_however_few_wait() -> None:
    with pytest.raises(Failure, match="the ask's id is empty") as refused:
        one_of([AskRow(ask_id="3f2a", task_id="t", agent_id="a", tool="Bash", title="rm", since=0, expires_at=9)], "")
    assert refused.value.exit_code == 2


def test_words_that_are_not_utf8_are_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    Journal(state_dir("s").create().dispatch).close()
    for words in (["tasks", "--type"], ["messages"], ["messages", "--agent"]):
        assert run([*words, "\udcff", "--swarm", "s"]) == 2
        assert "'\ufffd' is not in UTF-8" in capsys.readouterr().err


def test_an_error_that_nobody_reads_keeps_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(click, "echo", closed)
    assert run(["nosuch"]) == 2
    assert run(["validate", "nosuch"]) == 2


def test_a_swarm_goes_down_though_nobody_reads_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def closed(_: str, *, err: bool = False) -> None:
        if err:
            raise BrokenPipeError

    def bring_down(swarm: str, *, say: Callable[[str], None], waits: Callable[[list[str]], None], **_: bool) -> bool:
        say("no supervisor is there")
        waits(["testing-01"])
        steps.append(swarm)
        return True

    monkeypatch.setattr(click, "echo", closed)
    monkeypatch.setattr(down, "_nothing_is_there", lambda found: False)
    monkeypatch.setattr("swarm_tui.supervisor.down.bring_down", bring_down)
    assert run(["down", "s"]) == 0
    assert steps == ["s"]


def test_a_bad_environment_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MQTT_BROKER", "gopher://x")
    assert run(["status"]) == 2
    assert "MQTT_BROKER: " in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "agent"])
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    context = click.Context(group)
    command = group.get_command(context, name)
    assert command is not None
    assert run([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Usage: swarm-tui" in said
    assert "Example" in said or name == "supervise"


def test_help_of_a_type_shows_its_payload(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["publish", "testing.run", "--help"]) == 0
    said = capsys.readouterr().out
    assert "Payload of testing.run:" in said
    assert "path  (text" in said
    assert run(["publish", "--priority", "high", "no.such", "--help"]) == 0
    assert "No handler of no.such" in capsys.readouterr().out


def test_a_mistake_of_ours_is_one_line_and_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("boom\nbang")

    monkeypatch.setattr(group_module.group, "main", broken)
    assert run(["status"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "RuntimeError: boom bang" in said
    path = said.partition("the details are in ")[2].strip().rstrip(")")
    with open(path, encoding="utf-8") as file:
        assert "in broken" in file.read()


def test_a_broken_pipe_is_no_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*args: object, **options: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(group_module.group, "main", broken)
    monkeypatch.setattr(group_module, "_drop_stdout", lambda: None)
    assert run(["status"]) == 0
    assert capsys.readouterr().err == ""


def test_a_pipe_that_closes_under_a_command_is_exit_0() -> None:
    words = [sys.executable, "-m", "swarm_tui"]
    for command in (["--help"], ["init", "-o", "-"], ["publish", "noop", "--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run([*words, *command], stdout=writer, stderr=subprocess.PIPE, check=False)
        finally:
            os.close(writer)
        assert (done.returncode, done.stderr) == (0, b""), command


def shut(words: str, redirection: str) -> "subprocess.CompletedProcess[str]":
    line = f"{sys.executable} -m swarm_tui {words} {redirection}"
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=30)


def test_what_is_closed_or_full_is_no_mistake_of_ours() -> None:
    for redirection in (">&-", "2>&-", "<&-", "<&- >&- 2>&-"):
        done = shut("init -o -", redirection)
        assert (done.returncode, done.stderr) == (0, ""), redirection
    done = shut("publish t --payload -", "<&-")
    assert done.returncode == 2
    assert "stdin is not JSON" in done.stderr
    done = shut("init -o -", ">/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("swarm-tui: the output cannot be written: No space left on device; make room")
    assert done.stderr.count("\n") == 1


def test_while_the_broker_is_away_nothing_is_said_of_the_dispatcher(capsys: pytest.CaptureFixture[str]) -> None:
    save_running(running("mine"))
    assert run(["status"]) == 3
    said = capsys.readouterr().out
    assert "dispatcher: not known while the broker is away" in said
    assert "best effort" not in said


def test_following_a_log_ends_when_its_reader_leaves() -> None:
    log = state_dir("opencto-dev").create().log("a1")
    log.write_text("one\n")
    reader, writer = os.pipe()
    words = [sys.executable, "-m", "swarm_tui", "logs", "-f", "a1"]
    process = subprocess.Popen(words, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    try:
        assert os.read(reader, 100) == b"one\n"
        os.close(reader)
        assert (process.wait(10), process.stderr.read() if process.stderr else b"") == (0, b"")
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_while_a_command_is_imported_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(group_module, "run", stopped)
    with pytest.raises(SystemExit) as ended:
        main(["status"])
    assert ended.value.code == 130


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["status", "--help"], ["up", "--help"], ["init", "-o", "-"]]
)
def test_no_command_line_help_imports_the_screen(words: list[str]) -> None:
    code = (
        "import sys\nfrom swarm_tui.cli.group import run\nassert run(sys.argv[1:]) == 0\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'textual', 'libtmux', 'aiohttp', 'pytest'}),"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_an_agent_starts_without_the_command_line_library() -> None:
    code = (
        "import sys, importlib\nfrom swarm_tui.cli.main import main\n"
        "try:\n    main(['agent', '--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted(set(sys.modules) & {'click', 'textual', 'libtmux', 'pytest'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete --no-files")]
)
def test_completion_scripts(shell: str, mark: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert mark in capsys.readouterr().out


def test_completion_answers() -> None:
    env = {**os.environ, "_SWARM_TUI_COMPLETE": "bash_complete", "COMP_WORDS": "swarm-tui stat", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-m", "swarm_tui"], env=env, capture_output=True, text=True, check=False)
    assert "plain,status" in done.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("swarm-tui st", ["status", "start", "stop"]),
        ("swarm-tui up open", ["opencto-dev", "opencto-prod"]),
        ("swarm-tui up ./la", ["./la"]),
        ("swarm-tui validate sm", ["small"]),
        ("swarm-tui publish monitoring.", ["monitoring.alerts", "monitoring.health"]),
        ("swarm-tui status --swarm m", ["mine"]),
    ],
)
def test_a_shell_completes_commands_and_values(
    typed: str,
    offered: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    save_running(running("mine"))
    monkeypatch.setenv("_SWARM_TUI_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    with pytest.raises(SystemExit):
        run([])
    assert [line.partition(",")[2] for line in capsys.readouterr().out.split()] == offered


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400", "1e300"])
@pytest.mark.parametrize(
    "words",
    [
        ("publish", "t", "--timeout"),
        ("publish", "t", "--delay"),
        ("publish", "t", "--expires"),
        ("publish", "t", "--accept-timeout"),
        ("start", "a", "--wait"),
        ("stop", "a", "--wait"),
        ("restart", "a", "--wait"),
        ("scale", "docs", "2", "--wait"),
        ("up", "--wait"),
        ("replay", "f", "--speed"),
    ],
)
def test_a_number_that_means_nothing_is_bad_usage(
    words: tuple[str, ...], value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, value]) == 2
    assert f"Invalid value for '{words[-1]}'" in capsys.readouterr().err
