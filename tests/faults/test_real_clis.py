"""The agent CLIs that `make clis` installed do what docs/agents.md says of them: `make drill`, off the network."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from swarm_tui.agent.conversation.programs import find
from swarm_tui.agent.handlers.models.cli_spec import known_clis
from tests.real_clis import NAMES
from tests.unit.house.pages import ROOT

pytestmark = pytest.mark.drill


def came_of(name: str) -> dict[str, dict[str, Any]]:
    """Return what each case came to, in a network namespace of its own."""
    acp = known_clis()[name].acp
    if acp is None or find(acp.argv[0]) is None:
        pytest.skip(f"{name} is not installed: make clis")
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-n", "true"], check=False).returncode != 0:
        pytest.skip("no network namespace can be made here")
    inner = f"ip link set lo up; exec {sys.executable} -m tests.real_clis {name}"
    done = subprocess.run(
        ["unshare", "-n", "bash", "-c", inner], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    print(done.stdout)
    assert rows, done.stderr[-2000:]
    return {row["case"]: row for row in rows}


@pytest.mark.parametrize("name", NAMES)
def test_a_real_cli_works_asks_heeds_and_resumes(name: str) -> None:
    came = came_of(name)
    work = came["write and run"]
    assert (work["code"], work["text"], work["written"]) == ("", "All done.", True)
    assert work["usage"]["tokens_in"] >= 100
    # Gemini sees at times by itself that the path is outside, asks nobody, and says that it did it.
    assert came["refused"]["code"] in (("refused", "agent-cli") if name == "gemini" else ("refused",)), came["refused"]
    assert not came["refused"]["done"]
    assert (came["read only"]["code"], came["read only"]["done"]) == ("refused", False)
    # Codex's own sandbox does not start in every container: its command then fails at once, and the turn ends well.
    assert came["deadline"]["code"] in (("timeout", "") if name == "codex" else ("timeout",))
    assert came["deadline"]["left"] == []
    assert (came["resume"]["code"], came["resume"]["same"]) == ("", True)
    for case in ("cancel at 1 s", "cancel at 10 s"):
        # Codex: as above, its command may have failed at once, and the turn be over by then.
        assert came[case]["code"] in (("cancelled", "") if name == "codex" else ("cancelled",)), came[case]
        assert came[case]["left"] == []
        assert came[case]["gone after"] <= 3.0
    assert (came["a word in its turn"]["code"], came["a word in its turn"]["text"][-7:]) == ("", "Second.")
    assert came["401"]["code"] == "authentication"
    for case in ("429", "529", "network down"):
        assert came[case]["code"] in ("quota", "overload", "network", "silent", "timeout"), came[case]
        assert came[case]["retryable"]
