"""The agent CLIs that `make clis` installed do what docs/agents.md says of them: `make drill`, off the network."""

import json
from typing import Any

import pytest

from tests.measured_clis import CALL_IN
from tests.real_clis import NAMES, installed, off_the_network, rows_of

pytestmark = pytest.mark.drill
#: What three calls of the model, of 100 tokens in each, come to; Claude's have 70 of its cache beside.
TOKENS_IN = {"claude": 510, "codex": 300, "gemini": 300, "opencode": 300}
#: Calls that a kill in a command leaves nobody to know.
UNTOLD = {"opencode": 1}
#: Calls of the model that are in no CLI's numbers: Gemini's choice of a model, where none is named.
BESIDE = {"gemini": 1}
#: What a turn ends with when the server answers 429 or 529 all the time, and when nobody answers.
TOLD = {
    "claude": ("quota", "overload", "network"),
    "codex": ("quota", "overload", "timeout"),
    "gemini": ("silent", "silent", "silent"),
    "opencode": ("quota", "overload", "silent"),
}


def came_of(name: str) -> dict[str, dict[str, Any]]:
    """Return what each case came to, in a network namespace of its own."""
    if not installed(name):
        pytest.skip(f"{name} is not installed: make clis")
    if not off_the_network():
        pytest.skip("no network namespace can be made here")
    rows = rows_of(name, limit=900)
    print("\n".join(map(json.dumps, rows)))
    return {row["case"]: row for row in rows}


@pytest.mark.parametrize("name", NAMES)
def test_a_real_cli_works_asks_heeds_and_resumes(name: str) -> None:
    came = came_of(name)
    work = came["write and run"]
    assert (work["code"], work["text"], work["written"]) == ("", "All done.", True)
    assert work["usage"]["tokens_in"] == TOKENS_IN[name]
    assert work["beside"] == BESIDE.get(name, 0)
    assert (came["refused"]["code"], came["refused"]["done"]) == ("refused", False), came["refused"]
    assert came["refused"]["asked"], came["refused"]
    assert (came["read only"]["code"], came["read only"]["done"]) == ("refused", False)
    assert (came["deadline"]["code"], came["deadline"]["left"]) == ("timeout", []), came["deadline"]
    assert (came["resume"]["code"], came["resume"]["same"]) == ("", True), came["resume"]
    for case in ("killed in a command", "gone on with after that"):
        told, calls = came[case]["usage"]["tokens_in"], came[case]["calls"]
        assert told == CALL_IN[name] * (calls - UNTOLD.get(name, 0)), came[case]
    for case in ("cancel at 1 s", "cancel at 10 s"):
        assert (came[case]["code"], came[case]["left"]) == ("cancelled", []), came[case]
        assert came[case]["gone after"] <= 3.0
    word = came["a word in its turn"]
    assert (word["code"], word["text"][-7:], word["written"]) == ("", "Second.", True), word
    assert came["401"]["code"] == "authentication"
    for case, code in zip(("429", "529", "network down"), TOLD[name], strict=True):
        assert (came[case]["code"], came[case]["retryable"]) == (code, True), came[case]
