"""`swarm-tui logs --task`: what a task's programs printed, while it is written and after."""

import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from swarm_tui.cli import task_output as module
from swarm_tui.cli.group import run
from swarm_tui.config.paths import state_dir
from swarm_tui.journal.task_output import OutputFile
from swarm_tui.protocol.rows import TaskRow
from tests.wait import until


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return state_dir("s").tasks()


def test_the_last_lines_of_the_last_attempt(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for attempt in (1, 2):
        output = OutputFile(folder, "t-1", attempt)
        output.write(b"one\n\x1b[31mtwo\x1b[0m\n10%%\r20%%\nof %d\n" % attempt)
        output.close()
    assert run(["logs", "--task", "t-1", "--swarm", "s"]) == 0
    assert capsys.readouterr().out == "one\ntwo\n20%\nof 2\n"
    assert run(["logs", "--task", "t-1", "--swarm", "s", "--attempt", "1", "-n", "1"]) == 0
    assert capsys.readouterr().out == "of 1\n"
    assert run(["logs", "--task", "t-1", "--swarm", "s", "-n", "3", "--raw"]) == 0
    assert "\x1b[31m" in capsys.readouterr().out


def test_following_ends_with_the_attempt(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = OutputFile(folder, "t", 1)
    output.write(b"first\n")
    codes: list[int] = []
    reader = threading.Thread(target=lambda: codes.append(run(["logs", "--task", "t", "-f", "--swarm", "s"])))
    reader.start()
    said = ""

    def heard(text: str) -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return text in said

    until(lambda: heard("first\n"))
    output.write(b"second\n")
    until(lambda: heard("second\n"))
    output.close()
    reader.join(10)
    assert codes == [0]


@pytest.mark.parametrize("words", [[], ["a1", "--task", "t"], ["--task", "a/b"], ["--task", ""]])
def test_bad_usage(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["logs", *words, "--swarm", "s"]) in (2, 4)
    assert capsys.readouterr().err


def test_a_later_attempt_on_another_host_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for attempt, where in ((1, folder), (2, folder / "far")):
        output = OutputFile(where, "t", attempt)
        output.write(b"attempt %d\n" % attempt)
        output.close()
    last = 1
    monkeypatch.setattr(module, "journal_is_current", lambda state: True)
    monkeypatch.setattr(
        module, "journal_task", lambda state, task_id: TaskRow(task_id="t", type="x", state="running", attempt=last)
    )
    monkeypatch.setattr(module, "follow", lambda found: nullcontext())
    monkeypatch.setattr(module, "_of_hosts", lambda follower: module.of_files(folder / "far"))
    for last, said in ((1, "attempt 1\n"), (2, "attempt 2\n")):  # noqa: B007 - the journal's answer
        assert run(["logs", "--task", "t", "--swarm", "s"]) == 0
        assert capsys.readouterr().out == said
    assert run(["logs", "--task", "t", "--swarm", "s", "--attempt", "1"]) == 0
    assert capsys.readouterr().out == "attempt 1\n"
