"""The supervisor's own pane: a small loop that outlives it."""

import sys

from swarm_tui.config.paths import StateDir

#: Runs its arguments again and again, sooner after a kill than after a failure, until they exit with 0.
LOOP = """\
trap '' INT QUIT TSTP
n=0
while :; do
  began=$(date +%s)
  "$@"
  code=$?
  [ $code -eq 0 ] && exit 0
  [ $code -gt 128 ] && n=0
  [ $(($(date +%s) - began)) -ge 10 ] && n=0
  case $n in 0) sleep 0.1 ;; 1) sleep 0.5 ;; 2) sleep 1 ;; *) sleep 3 ;; esac
  n=$((n + 1))
done
"""


def loop_argv(swarm: str, state: StateDir) -> list[str]:
    """The command line of the supervisor's pane."""
    supervise = [sys.executable, "-m", "swarm_tui", "supervise", "--swarm", swarm, "--state", str(state.root)]
    return ["sh", "-c", LOOP, "swarm-tui", *supervise]
