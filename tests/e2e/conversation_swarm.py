"""A swarm whose workers talk to the small ACP agent of ours: its layout, and what the agent was told and did."""

import json
import sys
from pathlib import Path
from typing import Any

from swarm_tui.tmux.server import Tmux
from tests.acp_agent import LOG
from tests.e2e.supervised_swarm import Swarm, own
from tests.wait import until

#: Dollars for a million tokens, so that a call of 100 in and 10 out comes to what the small agent's server bills.
PRICE = {"in": 5.0, "out": 50.0}
AGENT = Path(__file__).parents[1] / "acp_agent.py"


def talker(agent_id: str, home: Path, kind: str = "claude", **options: Any) -> dict[str, Any]:
    """A layout's entry for a worker that does `agent-cli` by the small agent, which behaves as `kind` does."""
    home.mkdir(exist_ok=True)
    acp = {
        "argv": [sys.executable, "-I", "-S", str(AGENT), kind],
        "session_mode": "workspace-write" if kind == "codex" else "default",
        "steering": True,
        "log": LOG,
        "model": "model",
    }
    given = {
        "cli": "mine",
        "mode": "edit",
        "mcp": False,
        "prices": {"m": PRICE},
        "clis": {"mine": {"acp": acp}},
        **options,
    }
    handlers = {"agent-cli": {"timeout": 600, "max_attempts": 20, "options": given}}
    return own(agent_id, env={"ACP_AGENT_HOME": str(home)}, handlers=handlers)


def sessions(home: Path) -> dict[str, list[str]]:
    """The prompts of each session, as a model's server would see them."""
    return {
        path.stem: json.loads(path.read_text())["prompts"] for path in home.glob("*.json") if path.stem != "servers"
    }


class Pane:
    """An agent's pane, as a person who is attached to it."""

    def __init__(self, swarm: Swarm, agent_id: str) -> None:
        self._tmux: Tmux = swarm.tmux
        self.pane_id = swarm.panes()[agent_id].pane_id

    def text(self) -> str:
        return "\n".join(self._tmux.run("capture-pane", "-p", "-J", "-S", "-200", "-t", self.pane_id))

    def coloured(self) -> str:
        """With its colours as escape sequences."""
        return "\n".join(self._tmux.run("capture-pane", "-p", "-e", "-S", "-200", "-t", self.pane_id))

    def types(self, line: str) -> None:
        self._tmux.run("send-keys", "-t", self.pane_id, "-l", line)
        self._tmux.run("send-keys", "-t", self.pane_id, "Enter")

    def presses(self, key: str) -> None:
        self._tmux.run("send-keys", "-t", self.pane_id, key)

    def shows(self, words: str, limit: float = 15.0) -> None:
        """Wait until the words are there."""
        until(lambda: words in self.text(), limit, f"{words!r} in:\n{self.text()}")
