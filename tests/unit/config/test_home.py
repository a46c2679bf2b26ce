"""The kernel says who runs; USER, LOGNAME and HOME may be another's, or not there."""

import os
import pwd
from pathlib import Path

import pytest

from swarm_tui.broker.mosquitto import EmbeddedBroker
from swarm_tui.config.home import at_home, home, homeless, user_name
from swarm_tui.config.paths import state_home


@pytest.mark.parametrize("said", ["somebody-else", None])
def test_names_of_the_environment_count_for_nothing(said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, said) if said else monkeypatch.delenv(name, raising=False)
    assert user_name() == pwd.getpwuid(os.geteuid()).pw_name
    lines = EmbeddedBroker(1, Path("/x")).config_text().splitlines()
    assert [line for line in lines if line.startswith("user ")] == (["user root"] if os.geteuid() == 0 else [])


def test_without_home_it_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_STATE_HOME")
    own = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    assert home() == at_home("~") == own
    assert state_home() == own / ".local" / "state" / "swarm-tui"
    assert homeless("~/x") == ""


def test_a_user_of_no_entry_has_a_number_and_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert user_name() == str(os.geteuid())
    assert state_home() == Path("/.local/state/swarm-tui")
    assert at_home("~/x") == Path("/x")
