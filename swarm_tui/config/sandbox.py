"""Runs programs in bubblewrap, where the layout says so: they see neither the swarm's secret nor a way to it.

Inside, the disk is read-only but for what the layout names, the task's own worktree and the temporary folders; the
swarm's state, the sockets of tmux, of the user's session and of services that start programs are empty; other processes
cannot be seen. No program has a right of root's there. The network is as it was.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct

from swarm_tui.config.home import at_home, base_folder, home
from swarm_tui.config.paths import state_home
from swarm_tui.processes.descendants import descendants, signal_process

INSTALL = "sudo apt-get install bubblewrap"
_WALLS = ("--die-with-parent", "--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL", "--ro-bind", "/", "/")
_TRY = (*_WALLS, "--dev", "/dev", "--proc", "/proc", "true")
#: Folders of a swarm's state that programs may read; none holds a secret.
_SEEN = ("worktrees", "git")
#: Sockets of services that run as root, or start programs for whoever asks.
_SERVICES = (
    *("/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock"),
    *("/run/crio/crio.sock", "/run/buildkit/buildkitd.sock", "/run/snapd.sock", "/run/snapd-snap.socket"),
    *("/run/systemd/private", "/run/dbus/system_bus_socket", "/run/libvirt", "/run/incus", "/run/lxd.socket"),
    *("/var/lib/lxd/unix.socket", "/var/lib/incus/unix.socket", "/var/snap/lxd/common/lxd/unix.socket"),
)


class Sandbox(Struct, frozen=True, kw_only=True):
    """The view of one agent's programs: `state` is the swarm's folder, `writable` what the layout adds."""

    state: Path
    writable: tuple[str, ...] = ()

    def around(
        self, argv: Sequence[str], workdir: Path | None, folder: Path, *, read: Iterable[Path] = (), trees: bool = False
    ) -> list[str]:
        """Return `argv` to be run in `folder`, inside; `read` are files of the swarm's that it is shown.

        A folder is written to only where the layout names it, or as the worktree of a task: what a task says, or a link
        that one left, is no reason. `trees`: it may make worktrees, and take them away.
        """
        words = ["bwrap", *_WALLS, "--dev", "/dev", "--proc", "/proc"]
        hidden = [place for place in (self.state, *_hidden()) if place.exists()]
        places = [_real(place) for place in (*((workdir,) if workdir else ()), *map(at_home, self.writable))]
        own = [place for place in places if not _is_within(place, hidden)]
        for name in dict.fromkeys(["/tmp", "/var/tmp", os.environ.get("TMPDIR") or "/tmp", *map(str, own)]):
            words += ["--bind-try", name, name]
        # After what holds them: a working folder may be the whole home.
        for place in dict.fromkeys(hidden):
            words += ["--tmpfs", str(place)] if place.is_dir() else ["--ro-bind", "/dev/null", str(place)]
        for seen in dict.fromkeys([*(self.state / name for name in _SEEN), *read]):
            words += ["--ro-bind-try", str(seen), str(seen)]
        inner = [place for place in places if place not in own and not _is_within(place, [self.state, state_home()])]
        for place in [*inner, *self._trees(folder, every=trees)]:
            words += ["--bind-try", str(place), str(place)]
        if agent := os.environ.get("SSH_AUTH_SOCK"):
            words += ["--bind-try", agent, agent]
        return [*words, "--chdir", str(folder), "--", *argv]

    def _trees(self, folder: Path, *, every: bool) -> list[Path]:
        """Return the worktree that `folder` is in; or the folder of all."""
        home_of_all = _real(self.state / "worktrees")
        real = _real(folder)
        if every:
            return [home_of_all]
        if not real.is_relative_to(home_of_all) or real == home_of_all:
            return []
        first, *more = real.relative_to(home_of_all).parts
        # Checkouts for a look lie one deeper.
        return [home_of_all / first / more[0] if first == ".at" and more else home_of_all / first]


def _real(place: Path) -> Path:
    try:
        return place.resolve()
    except (OSError, RuntimeError):
        return place


def _is_within(place: Path, others: Iterable[Path]) -> bool:
    """Return whether it is one of the others, or in one of them."""
    return any(place == other or place.is_relative_to(_real(other)) for other in others)


def _hidden() -> list[Path]:
    user = os.geteuid()
    tmux = Path(os.environ.get("TMUX_TMPDIR") or "/tmp") / f"tmux-{user}"
    runtime = {os.environ.get("XDG_RUNTIME_DIR") or "", f"/run/user/{user}"} - {""}
    screen = ["/tmp/.X11-unix", os.environ.get("XAUTHORITY") or "", str(home() / ".Xauthority")]
    seed = base_folder("XDG_CONFIG_HOME", os.environ) / "heysalad"
    sockets = [*sorted(runtime), *filter(None, screen), *_SERVICES]
    return [state_home(), tmux, Path(f"/tmp/tmux-{user}"), seed, *map(Path, sockets)]


@cache
def why_not() -> str:
    """Return why no sandbox can be had here, as a sentence; empty when it can."""
    if shutil.which("bwrap") is None:
        return f"bubblewrap is not installed: run `{INSTALL}`"
    try:
        done = subprocess.run(["bwrap", *_TRY], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bwrap does not start: {error}"
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"bwrap cannot work here: {said[-1][:200] if said else f'exit status {done.returncode}'}"
    return ""


def tell(pid: int, number: int) -> bool:
    """Signal what runs inside the sandbox whose outermost process is `pid`; False when nothing does.

    bwrap itself would end at once, and take all with it before they can put their things in order.
    """
    inside = [info for info in descendants(pid) if os.path.basename(info.command.split(" ")[0]) != "bwrap"]
    return sum(signal_process(info, number) for info in inside) > 0
