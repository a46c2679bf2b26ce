"""Programs in the sandbox see neither the swarm's secret nor a way round, and work as outside of it."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from swarm_tui.agent.handlers import sandbox
from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.process import Completed, run_process
from swarm_tui.agent.handlers.sandbox import Sandbox
from tests.unit.handlers.conftest import Bench

here = pytest.mark.skipif(bool(sandbox.why_not()), reason=sandbox.why_not() or "there")


def inside(bench: Bench, **more: object) -> Context:
    found = bench.context("x", timeout=30.0)
    found.sandbox = Sandbox(state=bench.state, **more)  # type: ignore[arg-type]
    return found


def run(bench: Bench, script: str, **more: object) -> Completed:
    async def go() -> Completed:
        return await run_process(inside(bench, **more), ["sh", "-c", script])

    return asyncio.run(go())


@here
def test_the_secret_cannot_be_read_by_any_of_the_usual_ways(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = bench.state / "identity" / "secret"
    secret.parent.mkdir()
    secret.write_text("the-secret")
    tmux = bench.workdir.parent / "sockets"
    (tmux / f"tmux-{os.geteuid()}").mkdir(parents=True)
    (tmux / f"tmux-{os.geteuid()}" / "swarm-tui").write_text("a socket")
    monkeypatch.setenv("TMUX_TMPDIR", str(tmux))
    for way in (
        f"cat {secret}",
        f"cat /proc/{os.getpid()}/root{secret}",
        f"cat /proc/{os.getpid()}/environ",
        f"find {bench.state.parent} -name secret | xargs -r cat",
        f"ls {tmux}/tmux-{os.geteuid()} | grep swarm-tui",
    ):
        done = run(bench, way)
        assert "the-secret" not in done.stdout, way
        assert done.returncode != 0 or not done.stdout, way
    assert "the-secret" in secret.read_text()


@here
def test_it_writes_where_it_works_and_nowhere_else(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    # Not where this package is: that may be in /tmp, and inside /tmp is another one.
    done = run(bench, f"echo a > mine && mkdir -p {bench.state}/work && touch /usr/sandbox-test")
    assert done.returncode != 0
    assert "Read-only" in done.stderr
    assert (bench.workdir / "mine").read_text() == "a\n"
    (bench.state / "worktrees").mkdir()
    assert run(bench, f"touch {bench.state}/worktrees/t").returncode == 0
    assert (bench.state / "worktrees" / "t").exists()
    named = Path.home() / ".sandbox-test"
    if not named.exists():
        named.mkdir(parents=True)
    try:
        assert run(bench, f"touch {named}/t").returncode != 0
        assert run(bench, f"touch {named}/t", writable=(str(named),)).returncode == 0
    finally:
        (named / "t").unlink(missing_ok=True)
        named.rmdir()


@here
def test_it_ends_as_outside(bench: Bench) -> None:
    assert run(bench, "exit 7").returncode == 7
    assert run(bench, "kill -9 $$").killed


@here
def test_a_cancel_lets_it_put_its_things_in_order(bench: Bench) -> None:
    async def go() -> HandlerError:
        context = inside(bench)
        script = 'trap "echo tidied > tidy; exit 0" TERM; echo ready; while :; do sleep 0.05; done'

        def line(text: str) -> None:
            context.cancel.set()

        with pytest.raises(HandlerError) as error:
            await run_process(context, ["sh", "-c", script], on_line=line)
        return error.value

    assert asyncio.run(go()).code == "cancelled"
    assert (bench.workdir / "tidy").read_text() == "tidied\n"


def test_what_is_meant_for_a_sandbox_is_not_run_without(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "why_not", lambda: "bwrap cannot work here: no user namespaces")
    with pytest.raises(HandlerError, match="no user namespaces") as error:
        run(bench, "touch ran")
    assert error.value.code == "sandbox"
    assert not (bench.workdir / "ran").exists()


def test_a_layout_says_it_for_all_or_for_one() -> None:
    from swarm_tui.config.model import AgentEntry, Defaults

    assert msgspec.convert({"sandbox": "bwrap"}, Defaults).sandbox == "bwrap"
    assert msgspec.convert({"role": "general", "sandbox": "none"}, AgentEntry).sandbox == "none"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"sandbox": "chroot"}, Defaults)
