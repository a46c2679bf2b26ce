"""Runs handlers' programs in bubblewrap, where the layout says so: they see neither the swarm's secret nor a way to it.

Inside, the disk is read-only but for the task's folders and what the layout names; the swarm's state, tmux's sockets
and the user's run-time folder are empty; other processes cannot be seen. The network is as it was.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct

from swarm_tui.config.home import at_home, base_folder
from swarm_tui.config.paths import state_home
from swarm_tui.processes.descendants import descendants, signal_process

INSTALL = "sudo apt-get install bubblewrap"
_TRY = ("--unshare-pid", "--unshare-ipc", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "true")
#: Folders of a swarm's state that programs of tasks use; none holds a secret.
_KEPT = ("work", "worktrees", "git")
#: Sockets of services that run as root, or start programs for whoever asks.
_SERVICES = ("/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock")


class Sandbox(Struct, frozen=True, kw_only=True):
    """The view of one agent's programs: `state` is the swarm's folder, of which they see _KEPT alone."""

    state: Path
    writable: tuple[str, ...] = ()

    def around(self, argv: Sequence[str], workdir: Path, folder: Path) -> list[str]:
        """Return `argv` to be run in `folder`, inside."""
        words = ["bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--ro-bind", "/", "/"]
        words += ["--dev", "/dev", "--proc", "/proc"]
        for place in dict.fromkeys(["/tmp", "/var/tmp", os.environ.get("TMPDIR") or "/tmp"]):
            words += ["--bind-try", place, place]
        for hidden in filter(Path.exists, [self.state.parent, *_hidden()]):
            words += ["--tmpfs", str(hidden)] if hidden.is_dir() else ["--ro-bind", "/dev/null", str(hidden)]
        for place in dict.fromkeys([*(str(self.state / name) for name in _KEPT), str(workdir), str(folder)]):
            words += ["--bind-try", place, place]
        for place in self.writable:
            path = str(at_home(place))
            words += ["--bind-try", path, path]
        if agent := os.environ.get("SSH_AUTH_SOCK"):
            words += ["--bind-try", agent, agent]
        return [*words, "--chdir", str(folder), "--", *argv]


def _hidden() -> list[Path]:
    user = os.geteuid()
    tmux = Path(os.environ.get("TMUX_TMPDIR") or "/tmp") / f"tmux-{user}"
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user}"
    seed = base_folder("XDG_CONFIG_HOME", os.environ) / "heysalad"
    return [state_home(), tmux, Path(f"/tmp/tmux-{user}"), Path(runtime), seed, *map(Path, _SERVICES)]


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
