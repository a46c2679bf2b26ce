"""What an agent that is started by hand is told before it begins."""

from pathlib import Path

import pytest

from swarm_tui.agent.command_line import parse
from swarm_tui.agent.settings import resolve
from swarm_tui.config.model import Broker
from swarm_tui.config.running import Running, save_running


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def runs(swarm: str) -> None:
    save_running(
        Running(
            swarm=swarm,
            session="s",
            socket="x",
            layout_path="l",
            broker=Broker(),
            host="h",
            version="0",
            started_at=1.0,
        )
    )


def notes(*words: str) -> list[str]:
    return resolve(parse(["--role", "testing", *words]), {}).notes


def test_a_swarm_of_another_name_that_runs_here_is_told() -> None:
    assert notes() == []
    runs("acme")
    assert notes() == ["no swarm opencto-dev runs here, but acme: `--swarm acme` joins it"]
    assert notes("--swarm", "acme") == []
    runs("beta")
    assert notes() == ["no swarm opencto-dev runs here, but acme, beta: `--swarm NAME` joins it"]


@pytest.mark.parametrize("said", ["conf", "~/conf"])
def test_a_config_folder_that_is_not_absolute_is_told(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    told = resolve(parse(["--role", "testing"]), {"XDG_CONFIG_HOME": said}).notes
    assert told == [f"XDG_CONFIG_HOME is {said!r}, which is no absolute path, so {tmp_path / '.config'} is used"]
