"""The files that a `broker` section names: certificates, and the password in a file of its own."""

import os
import stat
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from swarm_tui.config.home import at_home, homeless
from swarm_tui.config.model import Broker

if TYPE_CHECKING:
    from swarm_tui.config.document import Document  # An idle agent needs no YAML.

B = TypeVar("B", bound=Broker)
_LONGEST = 4096


def complete(document: "Document", broker: B, path: Path) -> B:
    """`broker`, of the file `path`, with absolute paths and the password that its `password_file` holds.

    `~` is home; what is relative starts in the folder of `path`. Mistakes are noted in `document.problems`.
    """
    folder = path.parent
    tls = broker.tls
    for field in ("ca", "cert", "key"):
        if reason := homeless(getattr(tls, field) or ""):
            document.problem(("broker", "tls", field), f"`{field}`: {reason}")
    tls = msgspec.structs.replace(tls, ca=_at(folder, tls.ca), cert=_at(folder, tls.cert), key=_at(folder, tls.key))
    password = broker.password
    if broker.password_file is not None:
        where = ("broker", "password_file")
        if password is not None:
            document.problem(where, "`password` and `password_file` exclude each other")
        try:
            password = read_password(Path(_at(folder, broker.password_file) or ""))
        except ValueError as error:
            document.problem(where, str(error))
    return msgspec.structs.replace(broker, tls=tls, password=password, password_file=None)


def read_password(path: Path) -> str:
    """Return what the file holds, without its line end; only its owner may read it. Raises ValueError: a sentence."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ValueError(f"others may read {path}: run `chmod 600 {path}`")
            raw = file.read(_LONGEST + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        password = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        password = ""
    if not password or len(raw) > _LONGEST:
        raise ValueError(f"{path} holds no password: it is to hold that alone, in one line")
    return password


def risks(document: "Document", broker: Broker, path: Path) -> list[str]:
    """Sentences about what the file `path` lays open: a password that others may read, a broker that may be anyone."""
    found = []
    where = ("broker", "password")
    if document.texts.get(where) and where not in document.filled and _is_open(path):
        found.append(f"others may read the password in {path}: run `chmod 600 {path}`, or write ${{MQTT_PASSWORD}}")
    if broker.tls.insecure:
        found.append("`tls.insecure`: the broker's certificate is not checked, so it may be anyone's")
    return found


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False


def is_pem(text: str | None) -> bool:
    """Return whether it is a certificate itself rather than a file's name."""
    return text is not None and text.lstrip().startswith("-----BEGIN ")


def with_ca(broker: Broker, environ: Mapping[str, str]) -> Broker:
    """Return the broker with the authority of MQTT_CA: a file, or the PEM itself in base64, as join files have it."""
    ca = environ.get("MQTT_CA")
    if not ca:
        return broker
    with suppress(ValueError):
        ca = b64decode(ca, validate=True).decode()
    return msgspec.structs.replace(broker, tls=msgspec.structs.replace(broker.tls, ca=ca))


def _at(folder: Path, name: str | None) -> str | None:
    return name if name is None or is_pem(name) else os.path.abspath(folder / at_home(name))
