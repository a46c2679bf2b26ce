"""Run the supervisor in its pane."""

import faulthandler
import os
import signal
import sys
import time
from pathlib import Path

from swarm_tui.config.environment import apply_environment
from swarm_tui.config.paths import StateDir, state_home
from swarm_tui.config.running import is_running
from swarm_tui.supervisor import locks
from swarm_tui.supervisor.host_access import SUPERVISOR_LOCK
from swarm_tui.supervisor.plan import Plan, load_plan, plan_path, read_down
from swarm_tui.supervisor.supervisor import Supervisor
from swarm_tui.supervisor.supervisor_pane import ensure_supervisor_pane
from swarm_tui.tmux.control_first import ControlFirstTmux
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.server import Tmux, write_config


def supervise(root: Path) -> int:
    """Supervise the swarm whose state is in `root`; 0 when it went down in order, 1 to be started again."""
    state = StateDir(root)
    terminal_environment = dict(os.environ)
    apply_environment(state.environment())
    faulthandler.register(signal.SIGUSR1)
    held = locks.take_within(state.lock(SUPERVISOR_LOCK), 5.0)
    if held is None:
        print("another supervisor of this swarm runs here", file=sys.stderr)
        return 1
    plan = load_plan(state)
    if plan is None and plan_path(state).exists():
        print(
            "plan.json cannot be read: `swarm-tui up` writes it anew, `swarm-tui down` ends the swarm", file=sys.stderr
        )
        return 1
    if plan is None:
        print("there is no plan: the swarm is down; `swarm-tui up` starts it", file=sys.stderr)
        return 0
    # The server this pane is in, whatever the saved environment says of TMUX_TMPDIR.
    environ = {**os.environ, **{k: v for k, v in terminal_environment.items() if k == "TMUX_TMPDIR"}}
    limit = plan.layout.supervisor.tmux_wait
    tmux = ControlFirstTmux(
        plan.socket, timeout=limit, config=write_config(state_home() / "tmux.conf"), environ=environ
    )
    supervisor = Supervisor(plan, state, tmux, terminal_environment)
    tmux.connect(plan.session)
    try:
        code = supervisor.run()
    except TmuxError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        tmux.disconnect()
    if supervisor.lost:
        locks.release(held)
        rebuild(tmux, load_plan(state) or plan, state)
    return code


def rebuild(tmux: Tmux, plan: Plan, state: StateDir) -> None:
    """Our pane is gone, perhaps with the whole server: make another for a successor, who makes all the rest."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for _ in range(20):
        if read_down(state) is not None or not is_running(plan.swarm):
            return
        try:
            ensure_supervisor_pane(tmux, plan, state)
            return
        except (TmuxError, OSError):
            time.sleep(0.25)
