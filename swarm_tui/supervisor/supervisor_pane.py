"""Make the supervisor's pane where it is missing: for `up`, and for a supervisor whose own pane was closed."""

from contextlib import suppress
from pathlib import Path

from swarm_tui.config.files import remove
from swarm_tui.config.own_process import own_argv
from swarm_tui.config.paths import StateDir
from swarm_tui.supervisor import locks, state_file
from swarm_tui.supervisor.agent_panes import CONTROL
from swarm_tui.supervisor.broker_pane import BROKER, SUPERVISOR
from swarm_tui.supervisor.plan import Plan
from swarm_tui.tmux import commands
from swarm_tui.tmux.server import Tmux, session_target

#: The beginning of the line by which the pane shows that a supervisor has ended.
ENDED = "the supervisor ended with"
#: Runs its arguments again and again, sooner after a kill than after a failure, until they exit with 0.
LOOP = """\
trap '' INT QUIT TSTP
n=0
while :; do
  began=$(date +%s)
  "$@"
  code=$?
  [ $code -eq 0 ] && exit 0
  echo "ENDED $code; it is started again"
  [ $code -gt 128 ] && n=0
  [ $(($(date +%s) - began)) -ge 10 ] && n=0
  case $n in 0) sleep 0.1 ;; 1) sleep 0.5 ;; 2) sleep 1 ;; *) sleep 3 ;; esac
  n=$((n + 1))
done
""".replace("ENDED", ENDED)


def ensure_supervisor_pane(tmux: Tmux, plan: Plan, state: StateDir) -> None:
    """Make session, control window and supervisor's pane, where they are missing. Raises TmuxError, OSError."""
    held = locks.take_within(state.lock("_mend"), 20.0)
    try:
        _make_missing(tmux, plan, state)
    finally:
        if held is not None:
            locks.release(held)


def _make_missing(tmux: Tmux, plan: Plan, state: StateDir) -> None:
    panes = tmux.panes()
    here = [pane for pane in panes if pane.session == plan.session]
    if any(pane.role == SUPERVISOR and pane.swarm == plan.swarm and not pane.dead for pane in here):
        return
    argv = loop_argv(plan.swarm, state)
    tags = commands.control_tags(plan.swarm, SUPERVISOR)
    broker = next((pane for pane in here if pane.role == BROKER and pane.swarm == plan.swarm), None)
    if broker is not None:
        tmux.run_list([*commands.split(broker.pane_id, argv, "/", stay=True), *commands.tags(None, tags)])
        _note(state, "mended: the supervisor's pane was gone; it runs again in a new one")
        return
    if here:
        tmux.run_list(
            [*commands.new_window(session_target(panes, plan.session), CONTROL, argv, "/"), *commands.tags(None, tags)]
        )
        _note(state, "mended: the control window was gone; the supervisor runs again in a new one")
        return
    made = commands.new_session(plan.session, CONTROL, argv, "/")
    tmux.run_list([*made, *commands.tags(f"={plan.session}:", tags)])
    if _started_before(state):
        _note(state, f"mended: the session {plan.session} was gone; it is made again, with all its panes")


def _started_before(state: StateDir) -> bool:
    return state_file.store_path(state).exists()


def _notes(state: StateDir) -> Path:
    return state.root / "mended"


def _note(state: StateDir, line: str) -> None:
    with suppress(OSError), _notes(state).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def take_notes(state: StateDir) -> list[str]:
    """Return what was mended since `up` was last called."""
    path = _notes(state)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    remove(path)
    return list(dict.fromkeys(lines))


def loop_argv(swarm: str, state: StateDir) -> list[str]:
    """Return the command line of the supervisor's pane."""
    supervise = own_argv("swarm_tui", "supervise", "--swarm", swarm, "--state", str(state.root))
    return ["sh", "-c", LOOP, "swarm-tui", *supervise]
