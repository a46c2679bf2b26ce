"""One real agent CLI, if one is here, does what it is told; `make drill` has all that docs/agents.md says of them."""

import pytest

from tests.real_clis import WORK, installed, off_the_network, rows_of

#: The one that starts soonest first.
SOONEST = ("codex", "gemini", "claude", "opencode")


def test_a_real_cli_that_is_installed_writes_a_file_and_runs_a_command() -> None:
    name = next(filter(installed, SOONEST), None)
    if name is None:
        pytest.skip("no agent CLI is on the PATH, and none was installed by `make clis`")
    if not off_the_network():
        pytest.skip("no network namespace can be made here, and the CLIs call home")
    (came,) = rows_of(name, WORK, limit=120)
    assert (came["code"], came["text"], came["written"]) == ("", "All done.", True), came
    assert came["usage"]["tokens_in"] >= 100
