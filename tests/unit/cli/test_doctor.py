"""What `doctor` calls ok was tried: each program is started, and what the broker sends is acknowledged."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_tui.broker.mosquitto import EmbeddedBroker
from swarm_tui.cli.doctor_broker import check_broker
from swarm_tui.cli.doctor_findings import Finding
from swarm_tui.cli.doctor_programs import check_mosquitto, check_programs, check_setpriv, check_tmux, layout_of
from swarm_tui.processes import descendants
from tests.conftest import RealBroker


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("window", "level"), [("", "ok"), ("max_inflight_messages 20\nqueue_qos0_messages false", "warn")]
)
def test_what_a_broker_kept_is_counted_whole(make_broker: Callable[..., RealBroker], window: str, level: str) -> None:
    broker = make_broker(extra=window)
    found = {finding.name: finding for finding in check_broker(broker.broker, "s")}
    assert {name: finding.level for name, finding in found.items() if name != "offline queue"} == dict.fromkeys(
        ("broker", "ping-pong", "retained", "will", "large message", "names"), "ok"
    )
    assert found["offline queue"].level == level, found["offline queue"].text
    assert "kept all 120" in found["offline queue"].text


def test_a_broker_that_keeps_little_is_told(
    make_broker: Callable[..., RealBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm_tui.cli.doctor_broker._KEPT_WITHIN", 0.3)
    broker = make_broker(extra="max_inflight_messages 20\nmax_queued_messages 100")
    last = list(check_broker(broker.broker, "s"))[-1]
    assert (last.level, last.name) == ("warn", "offline queue")
    assert "of 1200 for a client that was away" in last.text


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


def test_tmux_is_started_and_ended_again() -> None:
    assert levels(list(check_tmux("swarm-tui"))) == ["ok"]
    assert list((Path(os.environ["TMUX_TMPDIR"]) / f"tmux-{os.getuid()}").iterdir()) == []


def test_a_socket_path_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("x" * 90)
    folder.mkdir()
    monkeypatch.setenv("TMUX_TMPDIR", str(folder))
    (found,) = check_tmux("swarm-tui")
    assert found.level == "bad"
    assert "File name too long" in found.text
    assert "set TMUX_TMPDIR to a folder with a short path" in found.text


def test_a_folder_of_sockets_that_others_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / f"tmux-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    (found,) = check_tmux("swarm-tui")
    assert (found.level, found.text.endswith(f"chmod 700 {folder}")) == ("bad", True), found.text


def test_a_folder_of_sockets_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path / "none"))
    missing, started = check_tmux("swarm-tui")
    assert (missing.level, started.level) == ("warn", "ok")
    assert "is not there, so tmux uses /tmp" in missing.text
    monkeypatch.setenv("TMUX_TMPDIR", "/dev/null")
    assert levels(list(check_tmux("swarm-tui"))) == ["bad"]


def test_mosquitto_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_mosquitto(tmp_path).level == "ok"
    assert list(tmp_path.iterdir()) == []
    broken = script(tmp_path / "mosquitto", "echo 'Error: no such library' >&2; exit 3")
    monkeypatch.setattr(EmbeddedBroker, "find", staticmethod(lambda: str(broken)))
    found = check_mosquitto(tmp_path)
    assert (found.level, found.text) == ("bad", f"{broken} does not start: Error: no such library")
    assert check_mosquitto(tmp_path / "none").level == "bad"


def test_setpriv_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    descendants.setpriv.cache_clear()
    try:
        assert check_setpriv().level == "ok"
        script(tmp_path / "setpriv", "exit 1")
        monkeypatch.setenv("PATH", str(tmp_path))
        descendants.setpriv.cache_clear()
        found = check_setpriv()
        assert (found.level, "knows no --pdeathsig" in found.text) == ("warn", True)
    finally:
        descendants.setpriv.cache_clear()


def test_the_programs_of_the_layout_are_there_and_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    script(path / "codex", '[ "$1" = --version ] && echo codex-cli 9.9.9')
    script(path / "gemini", "echo no node >&2; exit 1")
    script(path / "build", ": > built")
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.chdir(tmp_path)
    layouts = tmp_path / "layouts"
    layouts.mkdir()
    (layouts / "s.yml").write_text(
        "swarm: s\nagents:\n"
        "  - role: general\n    id: a\n"
        "    handlers: {agent-cli: {options: {cli: codex}}, code.generate: {options: {cli: gemini}}}\n"
        "  - {role: general, id: b, handlers: {ask: {use: agent-cli}, site.build: {command: [build, all]}}}\n"
        "  - {role: general, id: c, handlers: {x: {command: ['{payload.tool}']}}}\n"
        "  - {role: general, id: d, command: [./own-agent]}\n"
    )
    loaded = layout_of("s", None)
    assert loaded is not None
    told = {(found.level, found.text) for found in check_programs(loaded)}
    assert told == {
        ("ok", "codex codex-cli 9.9.9"),
        ("bad", f"{path / 'gemini'} --version ends with 1: no node"),
        (
            "bad",
            "claude is not there, and the layout's agents start it: npm install --global @anthropic-ai/claude-code "
            "@agentclientprotocol/claude-agent-acp",
        ),
        ("ok", f"build is {path / 'build'}"),
        ("bad", "./own-agent is not there, and the layout's agents start it"),
    }
    assert not (tmp_path / "built").exists(), "a program that is no agent CLI is not run"
    assert layout_of("none", None) is None
