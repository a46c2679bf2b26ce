"""Claude Code itself in an agent's pane does what docs/agents.md says of it: `make drill`, off the network."""

import json

import pytest

from swarm_tui.agent.conversation.programs import find
from tests.real_clis import CLIS, off_the_network, rows_of

pytestmark = pytest.mark.drill


def test_a_real_cli_in_its_pane_works_asks_heeds_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_CLIS", CLIS)
    if find("claude") is None:
        pytest.skip("claude is not installed: make clis")
    if not off_the_network():
        pytest.skip("no network namespace can be made here")
    rows = rows_of("claude", limit=400, module="tests.real_screen")
    print("\n".join(map(json.dumps, rows)))
    came = {row["case"]: row for row in rows}
    first = came["a dialog first"]
    assert (first["code"], first["retryable"], "attach to its pane" in first["why"]) == ("agent-cli", False, True)
    work = came["write and run"]
    assert (work["code"], work["text"], work["written"], work["asked"]) == ("", "All done.", True, ["Bash"])
    assert work["usage"]["tokens_in"] == 510
    pane = came["answered in its pane"]
    assert (pane["code"], pane["done"], pane["answered"]) == ("", True, [["touch p1.txt", "y"]])
    pane = came["refused in its pane"]
    assert (pane["code"], pane["done"], pane["answered"]) == ("refused", False, [["touch p2.txt", "n"]])
    assert pane["text"] == "Rather."
    assert (came["refused"]["code"], came["read only"]["code"]) == ("refused", "refused")
    modes = came["asked in every mode"]
    assert (modes["code"], modes["asked"]) == ("", 4), modes
    assert {"acceptEdits", "auto"} <= set(modes["modes"])
    said = [row["text"] for case, row in came.items() if case.startswith("text: ")]
    assert said == ["slash", "bang", "hash", "at", "esc"]
    assert came["a long prompt"]["text"] == "long"
    own = came["a person's own turn"]
    assert (own["text"], own["draft kept"], own["usage"]["tokens_in"]) == ("its own", True, 170)
    assert came["interrupted by a person"]["text"] == "That."
    cancelled = came["cancelled in a command"]
    assert (cancelled["code"], cancelled["left"], cancelled["lives"]) == ("cancelled", 0, True)
    assert cancelled["gone after"] <= 3.0
    assert (came["cancelled before a word"]["code"], came["cancelled before a word"]["next"]) == ("cancelled", "Next.")
    killed = came["killed"]
    assert (killed["first"], killed["retryable"], killed["left"], killed["same"]) == ("agent-cli", True, 0, True)
    assert (killed["code"], killed["text"]) == ("", "Again.")
    assert (came["529"]["code"], came["529"]["retryable"]) == ("overload", True)
