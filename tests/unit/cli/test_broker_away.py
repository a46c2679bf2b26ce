"""Commands while the broker is away: what may pass is waited out, what may not is said at once."""

import threading
import time

import pytest

from swarm_tui.cli.group import run
from tests.conftest import RealBroker


def test_publish_waits_for_a_broker_that_restarts(real_broker: RealBroker, capsys: pytest.CaptureFixture[str]) -> None:
    real_broker.stop()
    back = threading.Timer(1.0, real_broker.start)
    back.start()
    try:
        code = run(["publish", "no.such", "--broker", real_broker.url, "--accept-timeout", "4"])
    finally:
        back.join()
    told = capsys.readouterr().err
    assert code == 1, "the broker was found; there is just nobody who takes the task"
    assert "nothing listens" in told
    assert "trying for 4 s" in told
    assert "nobody accepted it" in told


def test_publish_ends_when_no_broker_comes(free_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert run(["publish", "no.such", "--broker", f"mqtt://127.0.0.1:{free_port}", "--accept-timeout", "1"]) == 3
    assert time.monotonic() - began >= 1.0
    assert "nothing listens" in capsys.readouterr().err


def test_a_reason_that_does_not_pass_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert run(["publish", "no.such", "--broker", "mqtt://no-such-host.invalid", "--accept-timeout", "300"]) == 3
    assert time.monotonic() - began < 60.0
    told = capsys.readouterr().err
    assert "DNS" in told
    assert "trying" not in told


def test_within_a_task_it_is_told_that_a_sandbox_may_hide_the_swarm(
    free_port: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARM_TASK_ID", "t")
    monkeypatch.setenv("MQTT_BROKER", f"mqtt://127.0.0.1:{free_port}")
    assert run(["status"]) == 3
    assert "whose sandbox may hide the swarm from it: --broker names" in capsys.readouterr().err
