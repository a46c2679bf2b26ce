"""What an agent that is started by hand is told before it begins."""

from pathlib import Path

import pytest

from swarm_tui.agent.command_line import UsageError, parse
from swarm_tui.agent.settings import resolve
from swarm_tui.config.model import Broker
from swarm_tui.config.paths import StateDir
from swarm_tui.config.running import Running, save_running
from swarm_tui.identity.keyring import GUEST, AgentKeyring
from swarm_tui.identity.open import open_agent
from swarm_tui.identity.store import IdentityError, join_text, make_secret


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


def join_file(tmp_path: Path, kind: str, name: str) -> Path:
    path = tmp_path / f"{name}.join"
    lines = {"OPENCTO_SWARM": "acme", "MQTT_BROKER": "mqtt://far:1884", "MQTT_USERNAME": "u", "MQTT_PASSWORD": "p"}
    lines |= {"SWARM_ROLE": "docs", "SWARM_LED": "yes"}
    path.write_text(join_text(b"s" * 32, kind, name, 1, lines))
    return path


def test_a_join_file_says_swarm_broker_and_who_it_is(tmp_path: Path) -> None:
    file = join_file(tmp_path, "agent", "far-01")
    spec = resolve(parse(["--config", str(file), "--role", "testing"]), {}).spec
    assert (spec.swarm, spec.agent_id, spec.role) == ("acme", "far-01", "testing")
    assert (spec.broker.url, spec.broker.username, spec.broker.password) == ("mqtt://far:1884", "u", "p")
    keys = open_agent(spec.state_dir, "far-01")
    assert isinstance(keys, AgentKeyring)
    with pytest.raises(IdentityError, match="far-01"):
        open_agent(spec.state_dir, "another")
    assert not spec.leaderless
    # What is said besides counts over it.
    assert resolve(parse(["--config", str(file)]), {}).spec.role == "docs"
    assert resolve(parse(["--config", str(file), "--broker", "mqtt://near"]), {}).spec.broker.url == "mqtt://near"


def test_a_guests_join_file_gives_no_keys_and_an_operators_makes_no_agent(tmp_path: Path) -> None:
    spec = resolve(parse(["--config", str(join_file(tmp_path, "guest", "eve"))]), {}).spec
    assert open_agent(spec.state_dir, spec.agent_id) is GUEST
    with pytest.raises(UsageError, match=r"operator ada.s"):
        resolve(parse(["--config", str(join_file(tmp_path, "operator", "ada"))]), {})


def test_where_the_secret_is_a_join_file_replaces_nothing(tmp_path: Path) -> None:
    make_secret(StateDir(tmp_path / "swarm-tui" / "acme").create(), "home")
    said = resolve(parse(["--config", str(join_file(tmp_path, "agent", "far-01"))]), {})
    assert any("holds the secret of acme" in note for note in said.notes)
    assert isinstance(open_agent(said.spec.state_dir, "far-01"), AgentKeyring)
