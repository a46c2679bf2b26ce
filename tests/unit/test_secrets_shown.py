"""A broker's password, and a token in a WebSocket's query, stay out of whatever is said, shown or journaled."""

import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from swarm_tui.agent.launch import environment_of, filled
from swarm_tui.bus.broker_address import parse_url
from swarm_tui.cli.group import run
from swarm_tui.config.model import Broker, Layout, RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.config.running import save_running
from swarm_tui.config.urls import shown_url
from swarm_tui.journal.dispatch import Journal
from swarm_tui.supervisor.bus_presence import Presences
from swarm_tui.supervisor.host_link import HostLink
from swarm_tui.supervisor.host_reporter import HostReporter
from swarm_tui.supervisor.loop import Loop
from swarm_tui.supervisor.plan import Plan
from tests.unit.cli.test_parts import running

URLS = [
    "mqtt://ann:s3cr3t@127.0.0.1:{port}",
    "ws://127.0.0.1:{port}/mqtt?token=s3cr3t&x=s3cr3t",
    "ws://ann:s3cr3t@127.0.0.1:{port}/mqtt?s3cr3t",
]
urls = pytest.mark.parametrize("url", URLS)


@urls
def test_a_shown_address_keeps_its_secrets(url: str) -> None:
    url = url.format(port=7)
    assert "s3cr3t" not in shown_url(url)
    assert "s3cr3t" not in str(parse_url(url))
    assert shown_url(shown_url(url)) == shown_url(url)


def test_of_a_query_the_names_are_shown() -> None:
    assert shown_url("wss://h/mqtt?a=1&b=2&c") == "wss://h/mqtt?a=***&b=***&***"
    assert parse_url("wss://h/mqtt?a=1").path == "/mqtt?a=1", "the broker is told all of it"


@urls
def test_a_hosts_status_has_no_secret(url: str, tmp_path: Path) -> None:
    layout = Layout(swarm="s", broker=Broker(url=url.format(port=7), password="s3cr3t"))
    plan = Plan(layout=layout, path="/l", workdir="/", host="h", session="s")
    link = cast("HostLink", SimpleNamespace(is_up=False, reason="", orders=SimpleNamespace(until={})))
    loop = Loop(on_error=lambda error: None, on_stall=lambda seconds: None)
    reporter = HostReporter(plan, StateDir(tmp_path), loop, link, Presences({}, "h"))
    said = msgspec.json.encode(reporter.status())
    assert b"s3cr3t" not in said
    assert b"127.0.0.1:7" in said
    reporter.write()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"s3cr3t" in path.read_bytes()]


@urls
def test_a_journal_has_no_secret_and_loses_one_that_it_had(url: str, tmp_path: Path) -> None:
    url, path = url.format(port=7), tmp_path / "dispatch.db"
    journal = Journal(path)
    assert journal.bind(url, "h", take_over=False) is None
    assert journal.meta("url") == shown_url(url)
    journal.set_meta("url", url)
    assert journal.bind(url, "h", take_over=False) is None
    assert journal.meta("url") == shown_url(url)
    told = journal.bind("mqtt://other", "h", take_over=False)
    assert told is not None
    assert "s3cr3t" not in told
    journal.close()
    with sqlite3.connect(path) as db:
        assert "s3cr3t" not in "\n".join(db.iterdump())


@urls
def test_no_command_says_a_secret(
    url: str, free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    url = url.format(port=free_port)
    agents = "[{role: docs, command: [x, '{broker}']}]"
    Path("l.yml").write_text(f"swarm: s\nbroker: {{url: '{url}'}}\nagents: {agents}\n")
    save_running(running("run", url))
    for words in (
        ["up", "./l.yml", "--dry-run"],
        ["validate", "./l.yml"],
        ["doctor", "--swarm", "run"],
        ["status", "run"],
        ["publish", "noop", "--swarm", "run", "--accept-timeout", "0.1"],
        ["publish", "noop", "--broker", url, "--accept-timeout", "0.1"],
    ):
        run(words)
        said = capfd.readouterr()
        assert said.out or said.err, words
        assert "s3cr3t" not in said.out + said.err, words


def test_a_program_gets_its_token_by_the_environment_alone() -> None:
    spec = msgspec.to_builtins(
        RunSpec(
            agent_id="a", role="r", swarm="s", broker=Broker(url="ws://ann:s3cr3t@h/mqtt?token=t0ken"), workdir="/",
            state_dir="/", command=["x", "{broker}"],
        )
    )  # fmt: skip
    assert filled(spec) == ["x", "ws://ann@h/mqtt?token=***"]
    assert environment_of(spec)["MQTT_BROKER"] == "ws://ann@h/mqtt?token=t0ken"
