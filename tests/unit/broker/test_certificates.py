"""The embedded broker's certificates: made, known by their authority, and renewed before they end."""

import asyncio
import ssl
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.handlers.monitoring.probes import Check, mqtt
from swarm_tui.broker import certificates
from swarm_tui.broker.certificates import Certificates, CertificatesError
from swarm_tui.bus.probe import probe
from swarm_tui.cli.group import run
from swarm_tui.config.model import Broker, RestartPolicy, Tls
from swarm_tui.config.own_broker import authority_path
from swarm_tui.config.running import Running, save_running
from swarm_tui.identity.account import broker_of_swarm
from swarm_tui.supervisor import plan as plans
from swarm_tui.supervisor.broker_pane import RENEW_EVERY, BrokerPane
from swarm_tui.supervisor.broker_rules import admit
from tests.conftest import RealBroker, pick_port
from tests.unit.broker.test_rules import Swarm, client
from tests.wait import until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ["broker.example", "127.0.0.1"]


def seen(port: int, ca: Path) -> bytes:
    """The certificate that the broker shows to who connects now."""
    return ssl.get_server_certificate(("127.0.0.1", port), ca_certs=str(ca)).encode()


def test_they_are_made_once_and_renewed_with_weeks_left(tmp_path: Path) -> None:
    made = Certificates(tmp_path / "tls")
    assert made.ensure(NAMES, NOW)
    first, authority = made.certificate.read_bytes(), made.authority.read_bytes()
    assert made.ends() == (NOW + timedelta(days=3650), NOW + timedelta(days=90))
    assert not made.ensure(NAMES, NOW + timedelta(days=59))
    assert made.ensure(NAMES, NOW + timedelta(days=61))
    assert made.certificate.read_bytes() != first
    assert made.authority.read_bytes() == authority, "who knows the authority knows the new certificate"
    assert made.ensure(NAMES, NOW + timedelta(days=3650 - 300))
    assert made.authority.read_bytes() != authority
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in made.folder.iterdir())


def test_they_are_made_anew_for_a_name_more_and_where_one_is_damaged(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    made.ensure(NAMES, NOW)
    assert not made.ensure(NAMES[:1], NOW)
    assert made.ensure([*NAMES, "other.example"], NOW)
    for path in tmp_path.iterdir():
        path.write_bytes(b"no certificate")
        assert made.ensure(NAMES, NOW), path
        assert not made.ensure(NAMES, NOW), path


def test_without_the_library_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(CertificatesError, match="pip install"):
        Certificates(tmp_path).ensure(NAMES, NOW)


def test_a_secure_broker_lets_in_who_has_a_name_and_knows_its_authority(
    make_broker: Callable[..., RealBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = pick_port()
    url = f"mqtts://127.0.0.1:{port}"
    swarm = Swarm(port, broker=Broker(url=url, secure=True))
    real = make_broker(guarded=port)
    ca = authority_path(real.embedded.folder)
    pem = ca.read_text()
    named = swarm.add("helper", "host")
    helper = Broker(url=url, username=named.username, password=named.password, tls=Tls(ca=pem))
    until(lambda: probe(helper).ok, what="a host that has its join file")
    assert probe(Broker(url=url, tls=Tls(ca=pem))).kind == "password", "nobody without a name"
    assert probe(Broker(url=url, username=named.username, password=named.password)).kind == "tls"
    assert probe(Broker(url=url.replace("mqtts", "mqtt"))).kind == "not-mqtt"
    assert probe(swarm.own).ok
    assert swarm.own.url.startswith("unix:///")
    found = asyncio.run(mqtt(Check(kind="mqtt", target=url)))
    assert found.ok, f"monitoring.health knows our own authority: {found.detail}"
    monkeypatch.setattr("swarm_tui.identity.account.socket_path", lambda folder: None)
    assert probe(broker_of_swarm(swarm.plan.layout.broker, swarm.state)).ok, "over TCP too, by the authority's file"


def test_a_renewed_certificate_is_shown_at_once_and_cuts_nobody_off(
    make_broker: Callable[..., RealBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = pick_port()
    swarm = Swarm(port, broker=Broker(url=f"mqtts://127.0.0.1:{port}", secure=True))
    real = make_broker(guarded=port)
    ca = authority_path(real.embedded.folder)
    before = seen(port, ca)
    with client(swarm.own, "stays") as one:
        monkeypatch.setattr(certificates, "SERVER_LEFT", 100)
        assert real.embedded.renew()
        monkeypatch.undo()
        real.embedded.reload()
        until(lambda: seen(port, ca) != before, what="the new certificate to be shown")
        assert one.bus.is_up()
        assert len(one.links) == 1
    admit(swarm.plan, swarm.state)
    assert real.embedded.pid() is not None


def test_a_running_supervisor_renews_and_tells_what_to_do_of_an_authority(
    make_broker: Callable[..., RealBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = pick_port()
    swarm = Swarm(port, broker=Broker(url=f"mqtts://127.0.0.1:{port}", secure=True))
    real = make_broker(guarded=port)
    ca, said = authority_path(real.embedded.folder), list[str]()

    def is_shown(before: bytes) -> bool:
        try:
            return seen(port, ca) != before
        except ssl.SSLError:
            # The authority is there a moment before the broker's certificate of it.
            return False

    # mosquitto listens a moment before it tells its pid.
    until(real.embedded.pid, what="its pid")
    nothing: Any = None
    pane = BrokerPane(nothing, nothing, port, RestartPolicy(), lambda *words: said.append(words[-1]))
    later = time.monotonic() + RENEW_EVERY + 1
    pane.renew(later - 2)
    pane.renew(later)
    assert said == [], "neither is it time, nor does anything end soon"
    with client(swarm.own, "stays") as one:
        for name, told in (("SERVER_LEFT", 1), ("AUTHORITY_LEFT", 2)):
            before, later = seen(port, ca), later + RENEW_EVERY + 1
            said.clear()
            monkeypatch.setattr(certificates, name, 100_000)
            pane.renew(later)
            monkeypatch.undo()
            until(partial(is_shown, before), what=f"the new certificate to be shown, {name}")
            assert len(said) == told
            assert "there are new ones" in said[0]
        assert "`swarm-tui broker rotate NAME`" in said[1]
        assert one.bus.is_up()
        assert len(one.links) == 1


def test_a_join_file_is_all_that_another_host_needs(
    make_broker: Callable[..., RealBroker],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = pick_port()
    url = f"mqtts://127.0.0.1:{port}"
    swarm = Swarm(port, broker=Broker(url=url, secure=True))
    make_broker(guarded=port)
    plans.save_plan(swarm.state, swarm.plan)
    known = {"swarm": "s", "session": "s", "socket": "s", "layout_path": "", "host": "home", "version": "0"}
    save_running(Running(broker=swarm.plan.layout.broker, started_at=0.0, embedded=True, **known))
    assert run(["broker", "add", "helper", "--as", "host", "--swarm", "s"]) == 0
    join = Path(capsys.readouterr().out.strip())
    layout = tmp_path / "far.yml"
    layout.write_text(f"swarm: s\nbroker: {{url: '{url}', secure: true}}\nagents: [{{role: docs}}]\n")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert run(["up", str(layout), "--join", "", "--dry-run"]) != 0, "without it the broker's certificate is not known"
    assert run(["up", str(layout), "--join", str(join), "--dry-run"]) == 0, capsys.readouterr().err
