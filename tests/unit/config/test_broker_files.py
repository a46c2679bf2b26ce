"""The files that a `broker` section names: where they are looked for, and who else may read them."""

from pathlib import Path

import pytest

from swarm_tui.config.errors import ConfigError
from swarm_tui.config.load import Loaded, load_layout
from swarm_tui.config.seed import LoadedSeed, load_seed

HEAD = "swarm: s\nagents: [{role: docs}]\n"


def written(tmp_path: Path, broker: str, mode: int = 0o600) -> Path:
    path = tmp_path / "file.yml"
    path.write_text(f"broker: {broker}\n")
    path.chmod(mode)
    return path


def layout(tmp_path: Path, broker: str, environ: dict[str, str] | None = None, mode: int = 0o600) -> Loaded:
    path = tmp_path / "layout.yml"
    path.write_text(f"{HEAD}broker: {broker}\n")
    path.chmod(mode)
    return load_layout(path, environ or {}, cwd=Path("/"))


def seed(tmp_path: Path, broker: str, mode: int = 0o600) -> LoadedSeed:
    return load_seed(written(tmp_path, broker, mode), {})


def test_certificates_start_in_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    named = "{url: 'mqtts://h', tls: {ca: certs/ca.pem, cert: ~/me.pem, key: /etc/me.key}}"
    for broker in (layout(tmp_path, named).layout.broker, seed(tmp_path, named).file.broker):
        assert broker.tls.ca == f"{tmp_path}/certs/ca.pem"
        assert (broker.tls.cert, broker.tls.key) == ("/home/ann/me.pem", "/etc/me.key")


def test_a_password_in_a_file_of_its_own(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(" p w\n")
    secret.chmod(0o600)
    named = "{username: ann, password_file: secret}"
    for broker in (layout(tmp_path, named).layout.broker, seed(tmp_path, named).file.broker):
        assert (broker.username, broker.password) == ("ann", " p w")
    assert layout(tmp_path, named, {"MQTT_PASSWORD": "other"}).layout.broker.password == "other"


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (b"pw", 0o644, "others may read"),
        (b"pw", 0o640, "chmod 600"),
        (b"\n", 0o600, "holds no password"),
        (b"\xff", 0o600, "holds no password"),
        (b"x" * 5000, 0o600, "holds no password"),
        (None, 0o600, "cannot be read: No such file"),
    ],
)
def test_a_password_file_that_will_not_do(tmp_path: Path, content: bytes | None, mode: int, reason: str) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
        (tmp_path / "secret").chmod(mode)
    with pytest.raises(ConfigError, match=reason) as caught:
        layout(tmp_path, "{username: ann, password_file: secret}")
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (3, 25)
    with pytest.raises(ConfigError, match=reason):
        seed(tmp_path, "{username: ann, password_file: secret}")


def test_two_passwords_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("pw")
    (tmp_path / "secret").chmod(0o600)
    with pytest.raises(ConfigError, match="exclude each other"):
        layout(tmp_path, "{username: ann, password: x, password_file: secret}")


@pytest.mark.parametrize(
    ("password", "mode", "told"), [("x", 0o644, True), ("x", 0o600, False), ("${P}", 0o644, False)]
)
def test_a_password_that_others_may_read_is_told(tmp_path: Path, password: str, mode: int, told: bool) -> None:
    notes = layout(tmp_path, f"{{username: ann, password: '{password}'}}", {"P": "pw"}, mode).notes
    assert bool(notes) is told
    assert all("chmod 600" in note for note in notes)


def test_a_broker_that_may_be_anyone_is_told(tmp_path: Path) -> None:
    named = "{url: 'mqtts://h', tls: {insecure: true}}"
    assert any("not checked" in note for note in layout(tmp_path, named).notes)
    assert any("not checked" in note for note in seed(tmp_path, named).notes)
