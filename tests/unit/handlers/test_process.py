"""Programs that handlers run: capped, cancelled, timed out, and never left behind."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from swarm_tui.agent.handlers import process
from swarm_tui.agent.handlers.base import HandlerError, MissingToolError
from swarm_tui.agent.handlers.git import require_repository
from swarm_tui.agent.handlers.inputs import inside
from swarm_tui.agent.handlers.output import Capped, Lines
from swarm_tui.agent.handlers.process import run_process
from swarm_tui.domain.states import CANCEL_WAIT
from tests.unit.handlers.conftest import Bench

SLEEPER = "import subprocess,sys; subprocess.Popen([sys.executable,'-c','import time;time.sleep(60)'])"


def python(code):
    return [sys.executable, "-c", code]


def run(bench, argv, cancel_at="", **more):
    async def go():
        context = bench.context("x")
        if cancel_at:
            more["on_line"] = lambda line: context.cancel.set() if line == cancel_at else None
        return await run_process(context, argv, **more)

    return asyncio.run(go())


def test_output_status_and_environment(bench, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "s")
    code = "import os,sys; print(os.environ.get('SECRET_TOKEN'), os.environ['SWARM_TASK_ID']); sys.exit(3)"
    done = run(bench, python(code))
    assert (done.returncode, done.stdout) == (3, "None t-1\n")
    assert run(bench, python(code), passed=["SECRET_TOKEN"]).stdout.startswith("s ")
    assert bench.heard.spawned


def test_stdin_and_lines(bench):
    heard = []
    done = run(
        bench, python("import sys; print(sys.stdin.read().upper(), end='')"), stdin=b"a\nb", on_line=heard.append
    )
    assert done.stdout == "A\nB"
    assert heard == ["A", "B"]


def test_a_flood_is_capped(bench):
    done = run(bench, python("print('x' * 3_000_000); print('end')"), limit=1000)
    assert done.truncated
    assert len(done.stdout) < 1200
    assert done.stdout.endswith("end\n")


def test_a_program_that_is_a_link_keeps_its_name(bench):
    (bench.workdir / "python").symlink_to(sys.executable)
    done = run(bench, ["./python", "-c", "import sys; print(sys.executable)"])
    assert done.stdout.strip() == str(bench.workdir / "python")


def test_missing_program_names_the_command(bench):
    with pytest.raises(MissingToolError, match="pip install nothing-here"):
        run(bench, ["nothing-here"], install="pip install nothing-here")


def test_timeout_ends_the_whole_group(bench, group_gone):
    code = SLEEPER + "; import time; time.sleep(60)"
    with pytest.raises(HandlerError, match="stopped after") as caught:
        run(bench, python(code), timeout=0.5)
    assert caught.value.code == "timeout"
    group_gone(bench.heard.spawned[0])


def test_cancel_ends_the_whole_group(bench, group_gone):
    code = SLEEPER + "; import time; print('ready',flush=True); time.sleep(60)"
    with pytest.raises(HandlerError) as caught:
        run(bench, python(code), cancel_at="ready")
    assert caught.value.code == "cancelled"
    group_gone(bench.heard.spawned[0])


def test_what_undoes_is_let_finish(bench):
    async def go():
        context = bench.context("x", timeout=0)
        context.cancel.set()
        return await run_process(context, python("print('undone')"), timeout=20, heed_cancel=False)

    assert asyncio.run(go()).stdout == "undone\n"
    assert bench.heard.spawned == []


def test_a_program_that_ignores_sigterm_is_killed(bench, group_gone, monkeypatch):
    monkeypatch.setattr("swarm_tui.agent.handlers.process.GRACE", 0.2)
    code = "import signal,time; signal.signal(15, signal.SIG_IGN); print('ready',flush=True); time.sleep(60)"
    with pytest.raises(HandlerError):
        run(bench, python(code), cancel_at="ready")
    group_gone(bench.heard.spawned[0])


def test_a_program_has_ten_seconds_between_sigterm_and_sigkill():
    """SIGTERM is the only way for a program to hear that it is to stop."""
    assert process.GRACE == 10.0 == CANCEL_WAIT


def test_what_outlives_the_program_does_not_hold_us(bench, group_gone):
    assert run(bench, python(SLEEPER + "; print('done')")).stdout == "done\n"
    group_gone(bench.heard.spawned[0])


def test_capped_keeps_both_ends():
    capped = Capped(10)
    for byte in b"0123456789abcdefghij":
        capped.add(bytes([byte]))
    assert capped.text() == "01234\n[… 10 bytes left out …]\nfghij"
    whole = Capped(10)
    whole.add(b"0123456789")
    assert (whole.text(), whole.truncated) == ("0123456789", False)


def test_lines_join_chunks():
    heard = []
    lines = Lines(heard.append)
    for chunk in (b"a", b"b\nc\n", b"d"):
        lines.add(chunk)
    lines.end()
    assert heard == ["ab", "c", "d"]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "link/x", "a\0b"])
def test_paths_stay_inside(tmp_path: Path, path: str):
    work = tmp_path / "work"
    work.mkdir()
    (work / "link").symlink_to(tmp_path)
    with pytest.raises(HandlerError):
        inside(work, path, must_exist=False)
    assert inside(work, "./sub/../new", must_exist=False) == work / "new"


def test_a_git_that_does_not_run_is_not_called_a_missing_repository(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'cannot execute' >&2; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")

    async def go() -> None:
        await require_repository(bench.context("code.review"), bench.workdir)

    with pytest.raises(HandlerError, match=r"git does not run here \(exit status 1\): cannot execute") as caught:
        asyncio.run(go())
    assert caught.value.code == "git"
