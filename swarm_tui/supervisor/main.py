"""What the supervisor's pane runs."""

import faulthandler
import os
import signal
import sys
from pathlib import Path

from swarm_tui.config.environment import apply_environment
from swarm_tui.config.paths import StateDir, state_home
from swarm_tui.supervisor import locks
from swarm_tui.supervisor.plan import load_plan
from swarm_tui.supervisor.supervisor import Supervisor
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.server import Tmux, write_config

LOCK = "_supervisor"


def supervise(root: Path) -> int:
    """Supervise the swarm whose state is in `root`; 0 when it went down in order, 1 to be started again."""
    state = StateDir(root)
    terminal_environment = dict(os.environ)
    apply_environment(state.environment())
    faulthandler.register(signal.SIGUSR1)
    held = locks.take_within(state.lock(LOCK), 5.0)
    if held is None:
        print("another supervisor of this swarm runs here", file=sys.stderr)
        return 1
    plan = load_plan(state)
    if plan is None:
        print("there is no plan: the swarm is down; `swarm-tui up` starts it", file=sys.stderr)
        return 0
    # The server this pane is in, whatever the saved environment says of TMUX_TMPDIR.
    environ = {**os.environ, **{k: v for k, v in terminal_environment.items() if k == "TMUX_TMPDIR"}}
    tmux = Tmux(plan.socket, config=write_config(state_home() / "tmux.conf"), environ=environ)
    try:
        return Supervisor(plan, state, tmux).run()
    except TmuxError as error:
        print(error, file=sys.stderr)
        return 1
