"""The kernel says who runs; USER, LOGNAME and HOME may be another's, or not there."""

import os
import pwd
from pathlib import Path

import pytest

from swarm_tui.broker.mosquitto import EmbeddedBroker
from swarm_tui.cli.group import run
from swarm_tui.config.home import at_home, home, homeless, ignored_folders, user_name
from swarm_tui.config.paths import config_home, state_dir, state_home
from swarm_tui.config.seed import seed_path


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


@pytest.mark.parametrize("said", ["state", "./x", "~/state", "~", " /x"])
def test_a_base_folder_that_is_not_absolute_is_ignored_and_said(
    said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, said)
    assert state_home() == tmp_path / ".local" / "state" / "swarm-tui"
    assert state_dir("s").root.is_absolute()
    assert config_home() == tmp_path / ".config" / "swarm-tui"
    assert seed_path() == seed_path({"XDG_CONFIG_HOME": said}) == tmp_path / ".config" / "heysalad" / "mqtt.yml"
    assert ignored_folders({"XDG_STATE_HOME": said, "XDG_CONFIG_HOME": "/x", "XDG_DATA_HOME": said}) == [
        f"XDG_STATE_HOME is {said!r}, which is no absolute path, so {tmp_path / '.local/state'} is used"
    ]
    assert ignored_folders({"XDG_STATE_HOME": "", "XDG_CONFIG_HOME": "/x"}) == []
    run(["init", "small", "-o", "-"])
    told = capsys.readouterr()
    assert told.err.count("is no absolute path") == 2
    assert "is no absolute path" not in told.out
    assert not list(tmp_path.glob("*"))


def test_a_home_that_is_not_absolute_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "relative")
    assert home() == Path(pwd.getpwuid(os.geteuid()).pw_dir)
