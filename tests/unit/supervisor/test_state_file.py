"""The state file is read by supervisors of other versions of the package."""

import json
from pathlib import Path

from swarm_tui.config.paths import StateDir
from swarm_tui.supervisor import state_file
from swarm_tui.supervisor.state_file import Saved


def test_scaled_roles_keep_their_names_in_the_file(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state_file.save(state, Saved(members={"testing": ["testing-01"]}, minimums={"testing": 2}))
    written = json.loads(state_file.store_path(state).read_text())
    assert (written["crews"], written["floors"]) == ({"testing": ["testing-01"]}, {"testing": 2})
    read = state_file.load(state)
    assert read is not None
    assert (read.members, read.minimums) == ({"testing": ["testing-01"]}, {"testing": 2})
