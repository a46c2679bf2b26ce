"""Identities on disk: private, whole, and refused where they are not."""

import os
import stat
from pathlib import Path

import pytest

from swarm_tui.config.paths import StateDir
from swarm_tui.identity import acl, store
from swarm_tui.identity.keyring import HostKeyring, OperatorKeyring
from swarm_tui.identity.keys import agent_key, common_key, host_key, operator_key
from swarm_tui.identity.open import open_swarm
from swarm_tui.identity.registry import Identity, add
from swarm_tui.protocol.proof import split
from swarm_tui.protocol.topics import Kind


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "opencto-dev")


def test_the_secret_is_made_once_and_is_private(state: StateDir) -> None:
    assert store.read_secret(state) is None
    secret = store.make_secret(state, "home")
    assert store.make_secret(state, "home") == secret == store.read_secret(state)
    path = store.folder_of(state) / "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert store.read_registry(state).hosts() == {"home": 1}


@pytest.mark.parametrize("damage", [b"", b"short", b"\xff" * 44, b"A" * 100])
def test_a_damaged_secret_is_named(state: StateDir, damage: bytes) -> None:
    store.make_secret(state, "home")
    path = store.folder_of(state) / "secret"
    path.write_bytes(damage)
    with pytest.raises(store.IdentityError, match="secret"):
        store.read_secret(state)


def test_a_folder_that_others_may_write_or_that_is_a_link_is_refused(state: StateDir, tmp_path: Path) -> None:
    store.make_secret(state, "home")
    state.root.chmod(0o770)
    with pytest.raises(store.IdentityError, match="chmod 700"):
        store.read_secret(state)
    state.root.chmod(0o700)
    link = StateDir(tmp_path / "link")
    link.root.symlink_to(state.root)
    with pytest.raises(store.IdentityError, match="is a link"):
        store.make_secret(link, "home")


def test_a_folder_that_others_may_put_another_in_the_place_of_is_refused(state: StateDir, tmp_path: Path) -> None:
    store.make_secret(state, "home")
    tmp_path.chmod(0o777)
    with pytest.raises(store.IdentityError, match=f"chmod go-w {tmp_path}"):
        store.read_secret(state)
    tmp_path.chmod(0o1777)
    assert store.read_secret(state), "as in /tmp nobody takes another's away"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_secret_that_others_may_read_or_write_is_refused(state: StateDir, mode: int) -> None:
    store.make_secret(state, "home")
    path = store.folder_of(state) / "secret"
    path.chmod(mode)
    with pytest.raises(store.IdentityError, match=f"run `chmod 600 {path}`"):
        store.read_secret(state)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_folder_of_another_is_refused(state: StateDir) -> None:
    store.make_secret(state, "home")
    os.chown(state.root, 65534, 65534)
    with pytest.raises(store.IdentityError, match="another user"):
        store.read_secret(state)
    os.chown(state.root, 0, 0)
    os.chown(state.root.parent, 65534, 65534)
    with pytest.raises(store.IdentityError, match=f"{state.root.parent} belongs to another user"):
        store.read_secret(state)
    os.chown(state.root.parent, 0, 0)


def test_a_join_file_gives_the_identity_back(state: StateDir, tmp_path: Path) -> None:
    secret = store.make_secret(state, "home")
    path = tmp_path / "helper.join"
    path.write_text(store.join_text(secret, "host", "helper", 3, {"MQTT_BROKER": "mqtt://10.0.0.1"}))
    held, rest = store.read_join(path)
    assert rest == {"MQTT_BROKER": "mqtt://10.0.0.1"}
    key = host_key(secret, "helper", 3)
    assert held == store.Held(kind="host", name="helper", key=key, common=common_key(key))
    agent = store.agent_identity(held, "testing-01", "helper")
    assert agent == store.agent_identity(store.Held(kind="swarm", name="", key=secret), "testing-01", "helper", 3)
    assert agent.key == agent_key(key, "testing-01")


@pytest.mark.parametrize(
    "text", ["", "nonsense", "SWARM_IDENTITY=host:helper\nSWARM_KEY=zz\n", "SWARM_IDENTITY=king:x\nSWARM_KEY=\n", "\0"]
)
def test_what_is_no_join_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.join"
    path.write_text(text)
    with pytest.raises(store.IdentityError, match=r"some\.join"):
        store.read_join(path)


def test_the_registry_is_read_again_when_it_changed(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    store.make_secret(state, "home")
    monkeypatch.setattr(store, "LOOK_EVERY", 0.0)
    file = store.RegistryFile(state)
    store.write_registry(state, add(file.current(), "helper", Identity(kind="host")))
    assert set(file.current().hosts()) == {"home", "helper"}
    (store.folder_of(state) / "registry.json").write_bytes(b"{")
    assert set(file.current().hosts()) == {"home", "helper"}


def test_who_was_added_a_moment_ago_is_heard(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOOK_EVERY", 3600.0)
    monkeypatch.setattr(store, "LOOK_AGAIN", 0.0)
    secret = store.make_secret(state, "home")
    keys = open_swarm(state, "swarm")
    assert keys is not None
    assert set(keys.hosts()) == {"home"}
    registry = add(store.read_registry(state), "ann", Identity(kind="operator"))
    store.write_registry(state, add(registry, "helper", Identity(kind="host")))
    here = "s/halt"
    parties = (
        OperatorKeyring("ann", operator_key(secret, "ann", 1)),
        HostKeyring("helper", host_key(secret, "helper", 1)),
    )
    for party, kind, key in zip(parties, (Kind.HALT, Kind.HOST_STATUS), ("", "helper"), strict=True):
        said = party.prove(kind, key, here, b'{"id":"1"}')
        assert keys.judge(kind, key, here, split(said), "") in ("operator:ann", "host:helper")


def test_an_aws_policy_fits_its_limit() -> None:
    for kind in ("host", "agent", "operator", "guest"):
        text = acl.aws(acl.grant("opencto-dev", kind, "x" * 20), "opencto-dev", region="eu-central-1", account="1" * 12)
        assert len("".join(text.split())) <= 2048, kind


def test_agents_of_before_the_keys_are_named_until_each_has_its_own(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "swarm").create()
    store.make_secret(state, "home", ["b-01", "a-01"])
    assert store.read_registry(state).former == ("a-01", "b-01")
    store.forget_former(state, "a-01")
    store.forget_former(state, "c-01")
    assert store.read_registry(state).former == ("b-01",)
    # Whoever comes later than the secret has keys.
    store.make_secret(state, "home", ["d-01"])
    assert store.read_registry(state).former == ("b-01",)
