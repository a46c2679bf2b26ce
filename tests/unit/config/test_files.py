"""The small files: what runs, an agent's spec, the seed's file, one person's settings."""

import errno
import os
import stat
from pathlib import Path

import pytest

from swarm_tui.config.errors import ConfigError
from swarm_tui.config.files import write_private
from swarm_tui.config.model import Broker, RunSpec
from swarm_tui.config.own_broker import socket_path
from swarm_tui.config.paths import disk_trouble, state_dir, state_home, why_not
from swarm_tui.config.running import Running, forget_running, list_running, load_running, running_names, save_running
from swarm_tui.config.seed import load_seed, seed_path
from swarm_tui.config.spec import read_spec, write_spec
from swarm_tui.config.urls import check_url, is_loopback, same_broker, shown_url
from swarm_tui.config.user import UserConfig, load_user_config, read_user_config, user_config_path

SEED = """\
# ~/.config/heysalad/mqtt.yml
broker:
  url: mqtt://localhost:1883
  username: sheri-ml
  password: ${MQTT_PASSWORD}

agent:
  id: auto # Generate UUID
  role: general # deployment, testing, review, etc.
  swarm: opencto-dev # Swarm identifier

topics:
  subscribe:
    - opencto/tasks/new
    - opencto/deployment/request
    - opencto/code/review
  publish:
    - opencto/agents/heartbeat
    - opencto/tasks/complete
"""


def running(swarm: str) -> Running:
    return Running(
        swarm=swarm, session="s", socket="x", layout_path="/l", broker=Broker(), host="h", version="1", started_at=1.0
    )


def test_what_runs_is_found_by_its_name_and_forgotten() -> None:
    assert list_running() == []
    path = save_running(running("a/b"))
    save_running(running("c"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.swarm for entry in list_running()] == ["a/b", "c"]
    assert load_running("a/b") == running("a/b")
    forget_running("a/b")
    assert load_running("a/b") is None
    save_running(running("50%/x"))
    for swarm in ("c", "50%/x"):
        (state_dir(swarm).root / "swarm.json").write_bytes(b"\xff{")
    assert list_running() == []
    assert running_names() == ["50%/x", "c"]


def test_a_spec_comes_back_as_it_was_and_is_private(tmp_path: Path) -> None:
    spec = RunSpec(agent_id="a", role="r", swarm="s", broker=Broker(password="p"), workdir="/", state_dir="/")
    path = tmp_path / "deep" / "a.json"
    write_spec(path, spec)
    assert read_spec(path) == spec
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("[]")
    with pytest.raises(ConfigError, match="is no agent's spec"):
        read_spec(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_spec(tmp_path / "none")


def test_a_private_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    write_private(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_the_seed_file_works_as_the_seed_shows_it() -> None:
    path = seed_path()
    path.parent.mkdir(parents=True)
    path.write_text(SEED)
    loaded = load_seed(environ={"MQTT_PASSWORD": "pw", "XDG_CONFIG_HOME": str(path.parent.parent)})
    assert (loaded.file.broker.username, loaded.file.broker.password) == ("sheri-ml", "pw")
    assert (loaded.file.agent.id, loaded.file.agent.role, loaded.file.agent.swarm) == ("auto", "general", "opencto-dev")
    assert loaded.file.topics.subscribe == ["opencto/tasks/new", "opencto/deployment/request", "opencto/code/review"]
    assert loaded.notes == []


def test_without_the_password_the_seed_file_still_works_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mqtt.yml"
    path.write_text(SEED)
    assert "MQTT_PASSWORD is not set" in load_seed(path, {}).notes[0]


def test_without_a_seed_file_there_are_its_defaults() -> None:
    loaded = load_seed()
    assert (loaded.file.broker.url, loaded.file.agent.id) == ("mqtt://localhost:1883", "auto")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("agent: {id: 'a b'}\n", "is not an agent id"),
        ("broker: {url: 'ftp://x'}\n", "no broker URL"),
        ("agent: [\n", "YAML"),
    ],
)
def test_a_mistake_in_the_seed_file_has_its_place(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "mqtt.yml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason) as caught:
        load_seed(path, {})
    assert caught.value.problems[0].line in (1, 2)


def test_the_users_file(tmp_path: Path) -> None:
    assert load_user_config().theme is None
    path = user_config_path()
    path.parent.mkdir(parents=True)
    path.write_text("theme: light\nkeys: {publish: x, restart: [r, F5]}\npanels: {heartbeats: true}\n")
    config = load_user_config(actions=["publish", "restart"])
    assert (config.theme, config.keys["restart"], config.panels.heartbeats) == ("light", ["r", "f5"], True)
    path.write_text('keys: {help: ["?", Ctrl+N, PgUp, ","], filter: "/", scale_up: +, drain: Esc, open: ^s, logs: L}')
    assert load_user_config().keys == {
        "help": ["question_mark", "ctrl+n", "pageup", "comma"], "filter": ["slash"], "scale_up": ["plus"],
        "drain": ["escape"], "open": ["ctrl+s"], "logs": ["L"],
    }  # fmt: skip
    path.write_text("keys:\n  restart: [r, F55]\n  drain: [D, shift+d]\n  stop: hyper+x\n")
    with pytest.raises(ConfigError) as caught:
        load_user_config()
    assert [(each.line, each.reason.split(":")[0]) for each in caught.value.problems] == [
        (2, "no key `F55`"),
        (4, "no key `hyper+x`"),
    ]
    path.write_text("keys: {publsh: x, publish: x, restart: x}\npanels: {stream_lines: 3}\n")
    with pytest.raises(ConfigError) as caught:
        load_user_config(actions=["publish", "restart"])
    reasons = str(caught.value)
    assert "no action `publsh`; did you mean `publish`?" in reasons
    assert "already that of `publish`" in reasons
    assert "at least 100" in reasons


@pytest.mark.parametrize(
    "url",
    ["mqtt://h", "mqtts://h:8883", "ws://h/mqtt", "wss://h:443/mqtt", "unix:///run/m.sock", "localhost", "h:1883", "tcp://h",
     "mqtt://[::1]:1883", "mqtt://u:p@h"],
)  # fmt: skip
def test_good_urls(url: str) -> None:
    assert check_url(url) is None


@pytest.mark.parametrize(
    "url",
    ["http://h", "mqtt://", "mqtt://h:0", "mqtt://h:x", "unix:", "unix:m.sock", "mqtt://a b", "x://", "mqtt://[::"],
)
def test_bad_urls(url: str) -> None:
    assert check_url(url) is not None


def test_a_shown_url_has_no_password() -> None:
    assert shown_url("mqtt://u:p@h:1/x") == "mqtt://u@h:1/x"
    assert shown_url("mqtt://h:1") == "mqtt://h:1"


@pytest.mark.parametrize(
    ("url", "here"),
    [("mqtt://127.0.0.1", True), ("mqtt://127.9.9.9:1", True), ("mqtt://[::1]:1", True), ("localhost", True),
     ("unix:///x", True), ("mqtt://example.org", False), ("mqtt://10.0.0.1", False), ("mqtt://[::", False)],
)  # fmt: skip
def test_loopback(url: str, here: bool) -> None:
    assert is_loopback(url) is here


def test_no_more_of_a_file_is_read_than_a_configuration_has() -> None:
    with pytest.raises(ConfigError, match="more than 1,048,576 bytes"):
        load_seed(Path("/dev/zero"))


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*words: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as raised:
        write_private(tmp_path / "plan.json", b"{}")
    assert why_not(raised.value) == f"{tmp_path}/plan.json: No space left on device: make room on that disk"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("mqtt://localhost:1883", "mqtt://127.0.0.1", True),
        ("mqtt://[::1]:1883", "tcp://localhost", True),
        ("mqtt://ada:x@Broker.example.", "broker.example:1883", True),
        ("mqtts://broker.example", "mqtt://broker.example", False),
        ("mqtt://localhost:1883", "mqtt://localhost:1884", False),
        ("ws://h/mqtt", "ws://h/other", False),
        ("unix:///a", "unix:/a", True),
        ("nonsense://x", "nonsense://y", False),
    ],
)
def test_a_broker_is_the_same_however_it_is_spelt(one: str, other: str, same: bool) -> None:
    assert same_broker(one, other) is same_broker(other, one) is same


@pytest.mark.parametrize(
    "text", ["keys: {publish: F99}\n", "keys: {publsh: x}\n", "theme: pink\n", "keys: [\n", "theme: 5\n"]
)
def test_mistakes_in_the_users_file_stop_no_screen(text: str) -> None:
    path = user_config_path()
    path.parent.mkdir(parents=True)
    path.write_text(text)
    config, mistakes = read_user_config(actions=["publish"], themes=["dark"])
    assert config == UserConfig()
    assert str(path) in mistakes[0]


def test_next_to_no_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk_trouble() == ""
    monkeypatch.setattr("swarm_tui.config.paths.LEAST_FREE", 2**62)
    assert disk_trouble().startswith(f"the disk of {state_home()} has ")
    assert disk_trouble().endswith(" MB left: make room on it")


def test_the_broker_has_no_socket_below_a_folder_with_a_space() -> None:
    assert socket_path(Path("/s/C#1")) == Path("/s/C#1/mqtt.sock")
    assert socket_path(Path("/s/a b")) is None
    assert socket_path(Path("/s" * 60)) is None
