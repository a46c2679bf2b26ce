"""Configure the embedded broker: a mosquitto, one for each user and port, shared by all swarms on it."""

import os
import shutil
import signal
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from swarm_tui.broker.accounts import passwords, rules
from swarm_tui.broker.certificates import Certificates, CertificatesError
from swarm_tui.config.files import named, write_private
from swarm_tui.config.own_broker import Admission, admission_path, authority_path, read_admission, socket_path

#: Debian keeps it where a user's PATH does not look.
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/usr/local/opt/mosquitto/sbin")
INSTALL = "mosquitto is not installed: run `sudo apt-get install mosquitto` (macOS: `brew install mosquitto`)"
MESSAGE_LIMIT = 256 * 1024
QUEUE_BYTES = 256 * 1024 * 1024
#: mosquitto 2.0.11 loses QoS 1 messages that wait behind its in-flight window when QoS 0 ones wait among them (with 20
#: in flight it delivered 965 of 3,000), so the window is as wide as message ids allow.
INFLIGHT = 60_000


class BrokerMissingError(Exception):
    """No mosquitto on this machine, or nothing to make its certificates with; the text says what to install."""


class EmbeddedBroker:
    """mosquitto on `port` of the loopback, with its files in `folder` (0700, made when needed).

    The one who runs it starts `argv()` after `prepare()`; the process stays in the foreground and ends on SIGTERM.
    Nobody may do anything but those whom `admit` names; not `guarded`, everybody may do everything.
    """

    def __init__(self, port: int, folder: Path, *, guarded: bool = True) -> None:
        self.port = port
        self.folder = folder
        self.guarded = guarded

    @property
    def config(self) -> Path:
        return self.folder / "mosquitto.conf"

    @property
    def pid_file(self) -> Path:
        return self.folder / "mosquitto.pid"

    @property
    def log(self) -> Path:
        return self.folder / "mosquitto.log"

    @staticmethod
    def find() -> str:
        """Return the path of mosquitto, from PATH or where systems hide it. Raises BrokerMissingError."""
        path = shutil.which("mosquitto") or shutil.which("mosquitto", path=os.pathsep.join(_SBIN))
        if path is None:
            raise BrokerMissingError(INSTALL)
        return path

    def config_text(self) -> str:
        """Return the configuration: loopback only, saved each second, no message dropped before the byte caps."""
        return "\n".join(
            [
                *self._listeners(),
                *self._access(),
                # Started by root it would become another user, who cannot write its files here.
                *(["user root"] if os.geteuid() == 0 else []),
                f"pid_file {self.pid_file}",
                "persistence true",
                f"persistence_location {self.folder}/",
                "autosave_interval 1",
                "autosave_on_changes false",
                "set_tcp_nodelay true",
                "queue_qos0_messages true",
                "max_queued_messages 0",
                f"max_queued_bytes {QUEUE_BYTES}",
                f"max_inflight_messages {INFLIGHT}",
                f"message_size_limit {MESSAGE_LIMIT}",
                "sys_interval 5",
                f"log_dest file {self.log}",
                # No warnings: it gives one for each connection by the Unix socket, which has no delay to be set.
                "log_type error",
                "log_type notice",
                "connection_messages false",
                "",
            ]
        )

    def _listeners(self) -> list[str]:
        parts = self.admissions() if self.guarded else []
        places = [f"listener {self.port} 127.0.0.1"]
        if any(part.everywhere for part in parts):
            places = [f"listener {self.port}"]
        elif _has_ipv6_loopback():
            places.append(f"listener {self.port} ::1")
        listeners = []
        for place in places:
            listeners.append(place)
            if any(part.secure for part in parts):
                made = self.certificates
                listeners += [f"certfile {made.certificate}", f"keyfile {made.key}"]
        if self.guarded and (path := socket_path(self.folder)) is not None:
            listeners.append(f"listener 0 {path}")
        return listeners

    def _access(self) -> list[str]:
        if not self.guarded:
            return ["allow_anonymous true"]
        guests = any(part.guests for part in self.admissions())
        return [
            f"allow_anonymous {'true' if guests else 'false'}",
            f"password_file {self.folder / 'passwords'}",
            f"acl_file {self.folder / 'rules'}",
        ]

    def admissions(self) -> list[Admission]:
        """Return each swarm's part of the rules."""
        found = [read_admission(path) for path in sorted((self.folder / "swarms").glob("*.json"))]
        return [part for part in found if part is not None]

    def admit(self, part: Admission) -> bool:
        """Take in a swarm's part of the rules; `reload` makes it count. False when it is there. Raises OSError."""
        path = admission_path(self.folder, part.swarm)
        if read_admission(path) == part:
            return False
        write_private(path, msgspec.json.encode(part))
        return True

    def expel(self, swarm: str, user: str) -> bool:
        """Take a user out of a swarm's part of the rules; `reload` makes it count. False where it is none.

        Raises OSError.
        """
        path = admission_path(self.folder, swarm)
        part = read_admission(path)
        if part is None or user not in part.users:
            return False
        users = {name: one for name, one in part.users.items() if name != user}
        write_private(path, msgspec.json.encode(msgspec.structs.replace(part, users=users)))
        return True

    def dismiss(self, swarm: str) -> None:
        """Forget a swarm's part of the rules; `reload` makes it count. Raises OSError."""
        admission_path(self.folder, swarm).unlink(missing_ok=True)

    def reload(self) -> None:
        """Write the rules, and have a broker that runs obey them: whoever is named no more is cut off at once.

        One that runs with other listeners than ours ends, for whoever keeps it to start it again. Raises OSError,
        BrokerMissingError.
        """
        before = self._kept_listeners()
        self.prepare()
        if (pid := self.pid()) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGHUP if before == set(self._listeners()) else signal.SIGTERM)

    @property
    def certificates(self) -> Certificates:
        return Certificates(authority_path(self.folder).parent)

    def renew(self, now: datetime | None = None) -> bool:
        """Make the certificates that are missing or end soon; whether there are new ones, which `reload` has obeyed.

        Raises OSError, BrokerMissingError where they cannot be made.
        """
        parts = [part for part in self.admissions() if part.secure]
        if not parts:
            return False
        names = sorted({name for part in parts for name in part.names})
        try:
            return self.certificates.ensure(names, now or datetime.now(UTC))
        except CertificatesError as error:
            raise BrokerMissingError(str(error)) from None

    def _kept_listeners(self) -> set[str]:
        try:
            lines = self.config.read_text().splitlines()
            return {line for line in lines if line.startswith(("listener ", "certfile ", "keyfile "))}
        except (OSError, UnicodeDecodeError):
            return set()

    def prepare(self) -> None:
        """Write the configuration, 0600 in a 0700 folder. Raises OSError, BrokerMissingError."""
        self.find()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if self.guarded:
            self.renew()
            parts = self.admissions()
            self._write(self.folder / "passwords", passwords(parts))
            self._write(self.folder / "rules", rules(parts))
        self._write(self.config, self.config_text())
        # mosquitto makes its log with the umask of whoever starts it; one that is there keeps its mode.
        os.close(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))

    @staticmethod
    def _write(path: Path, text: str) -> None:
        partial = path.with_suffix(".new")
        with named(path), os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        partial.replace(path)

    def argv(self) -> list[str]:
        """Return the command line; run it after `prepare()`. Raises BrokerMissingError."""
        return [self.find(), "-c", str(self.config)]

    def pid(self) -> int | None:
        """Return the pid of the mosquitto that runs with our configuration; None when none does."""
        try:
            pid = int(self.pid_file.read_text().strip())
        except (OSError, ValueError):
            return None
        return pid if self.is_ours(pid) else None

    @property
    def database(self) -> Path:
        """Retained messages and sessions, as it saves them."""
        return self.folder / "mosquitto.db"

    def set_aside_database(self) -> Path | None:
        """Rename a database that mosquitto cannot read; its new name, or None where there is none. Raises OSError."""
        kept = self.database.with_name("mosquitto.db.damaged")
        try:
            self.database.replace(kept)
        except FileNotFoundError:
            return None
        return kept

    def last_words(self) -> list[str]:
        """Return the last lines of its log, at most three; none when it cannot be read."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
                return file.read().decode("utf-8", "replace").splitlines()[-3:]
        except OSError:
            return []

    def is_ours(self, pid: int) -> bool:
        """Return whether the process `pid` is a mosquitto that runs with our configuration."""
        return str(self.config) in _command_line(pid)


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return []
    except OSError:
        return []
    import psutil  # Only systems without /proc pay for it.

    try:
        return list(psutil.Process(pid).cmdline())
    except psutil.Error:
        return []


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
