"""Programs in the sandbox see neither the swarm's secret nor a way round, and work as outside of it."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.process import Completed, run_process
from swarm_tui.config import sandbox
from swarm_tui.config.sandbox import Sandbox
from tests.unit.handlers.conftest import Bench

here = pytest.mark.skipif(bool(sandbox.why_not()), reason=sandbox.why_not() or "there")


def inside(bench: Bench, **more: object) -> Context:
    found = bench.context("x", timeout=30.0)
    found.sandbox = Sandbox(state=bench.state, **more)  # type: ignore[arg-type]
    return found


def run(bench: Bench, script: str, *, cwd: Path | None = None, trees: bool = False, **more: object) -> Completed:
    async def go() -> Completed:
        return await run_process(inside(bench, **more), ["sh", "-c", script], cwd=cwd, trees=trees)

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
    mine, other = bench.state / "worktrees" / "mine", bench.state / "worktrees" / "other"
    for tree in (mine, other):
        (tree / "sub").mkdir(parents=True)
        (tree / "was").touch()
    assert run(bench, "touch t ../t", cwd=mine / "sub").returncode == 0
    assert (mine / "t").exists()
    for way in (f"touch {other}/t", f"touch {other.parent}/t", f"rm {other}/was", f"mv {mine} {mine}2"):
        assert "Read-only" in run(bench, f"LC_ALL=C {way}", cwd=mine).stderr, way
    assert run(bench, f"ls {other}/was", cwd=mine).returncode == 0, "git would take it for gone"
    assert run(bench, f"touch {other.parent}/t", trees=True).returncode == 0
    named = Path.home() / ".sandbox-test"
    if not named.exists():
        named.mkdir(parents=True)
    try:
        assert run(bench, f"touch {named}/t").returncode != 0
        assert run(bench, f"touch {named}/t", writable=(str(named),)).returncode == 0
    finally:
        (named / "t").unlink(missing_ok=True)
        named.rmdir()


def plant(bench: Bench) -> Path:
    """A secret of the swarm's; the file that holds it."""
    secret = bench.state / "identity" / "secret"
    secret.parent.mkdir()
    secret.write_text("the-secret")
    return secret


@here
@pytest.mark.parametrize(
    "way",
    [
        "mkdir -p /tmp/m && mount --bind / /tmp/m && cat /tmp/m{secret}",
        "umount -l {state}; umount {state}; cat {secret}",
        "unshare -m sh -c 'umount -l {state}; cat {secret}'",
        "unshare -Urm sh -c 'umount -l {state}; cat {secret}'",
        "unshare -Urm sh -c 'mount --rbind / /mnt; cat /mnt{secret}'",
        "unshare -Urmpf sh -c 'mount -t proc p /proc; cat /proc/1/root{secret}'",
        "nsenter -t 1 -m cat {secret}",
        "mount -o remount,rw / && touch {bench.workdir}/../remounted /usr/sandbox-test",
        "ln -s {state} here; cat here/identity/secret",
    ],
)
def test_it_has_no_right_of_roots_by_which_to_get_out(bench: Bench, way: str) -> None:
    secret = plant(bench)
    done = run(bench, way.format(secret=secret, state=bench.state, bench=bench))
    assert "the-secret" not in done.stdout
    assert done.returncode != 0
    assert not Path("/usr/sandbox-test").exists()


@here
def test_no_working_folder_opens_what_is_hidden_or_closed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = plant(bench)
    outside = Path.home() / ".sandbox-outside"
    outside.mkdir(parents=True)
    link = bench.workdir / "link"
    link.symlink_to(outside)
    try:
        # As a look for a Python's modules does, with a Python that the project brings.
        assert run(bench, f"cat {secret}", cwd=Path("/")).returncode != 0
        for folder in (outside, link, Path("/")):
            assert run(bench, f"touch {outside}/t", cwd=folder).returncode != 0, folder
        for writable in ((str(bench.state.parent),), ("/",)):
            assert run(bench, f"cat {secret}", writable=writable).returncode != 0, writable
        monkeypatch.setattr(bench, "workdir", bench.state.parent)
        assert run(bench, f"cat {secret}").returncode != 0, "the working folder holds the state"
        assert run(bench, "touch t").returncode == 0
    finally:
        link.unlink()
        outside.rmdir()


@here
def test_what_our_own_programs_go_by_is_not_to_be_written(bench: Bench) -> None:
    for name in ("git/config-0", "work/other.journal", "work/t.json", "changes/other.json"):
        (bench.state / name).parent.mkdir(exist_ok=True)
        (bench.state / name).write_text("ours")

    async def go(script: str) -> Completed:
        context = inside(bench)
        context.environment["SWARM_TASK_FILE"] = str(bench.state / "work" / "t.json")
        return await run_process(context, ["sh", "-c", script])

    assert asyncio.run(go('cat "$SWARM_TASK_FILE"')).stdout == "ours"
    for name in ("git/config-0", "work/other.journal", "work/t.json", "changes/other.json", "git/new", "work/new"):
        path = bench.state / name
        asyncio.run(go(f"rm -f {path}; mkdir -p {path.parent}; echo theirs >> {path}; mv {path} {path}2"))
        assert not path.exists() or path.read_text() == "ours", name
        assert not Path(f"{path}2").exists()
    asyncio.run(go(f"mkdir -p {bench.state}/changes && echo theirs > {bench.state}/changes/new.json"))
    assert not (bench.state / "changes" / "new.json").exists()


@here
def test_the_sockets_of_the_users_session_are_out_of_sight(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, cookie = bench.workdir.parent / "runtime", bench.workdir.parent / "cookie"
    runtime.mkdir()
    (runtime / "bus").write_text("a socket")
    cookie.write_text("a cookie")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("XAUTHORITY", str(cookie))
    own = Path(f"/run/user/{os.geteuid()}")
    assert run(bench, f"cat {runtime}/bus {cookie}; ls -A {own} 2>/dev/null | grep .; true").stdout == ""


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
