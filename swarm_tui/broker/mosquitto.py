"""Configure the embedded broker: a mosquitto, one for each user and port, shared by all swarms on it."""

import os
import shutil
import socket
from pathlib import Path

from swarm_tui.config.files import named

#: Debian keeps it where a user's PATH does not look.
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/usr/local/opt/mosquitto/sbin")
INSTALL = "mosquitto is not installed: run `sudo apt-get install mosquitto` (macOS: `brew install mosquitto`)"
MESSAGE_LIMIT = 256 * 1024
QUEUE_BYTES = 256 * 1024 * 1024
#: mosquitto 2.0.11 loses QoS 1 messages that wait behind its in-flight window when QoS 0 ones wait among them (with 20
#: in flight it delivered 965 of 3,000), so the window is as wide as message ids allow.
INFLIGHT = 60_000


class BrokerMissingError(Exception):
    """No mosquitto on this machine; the text says what to install."""


class EmbeddedBroker:
    """mosquitto on `port` of the loopback, with its files in `folder` (0700, made when needed).

    The one who runs it starts `argv()` after `prepare()`; the process stays in the foreground and ends on SIGTERM.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder

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
        listeners = [f"listener {self.port} 127.0.0.1"]
        if _has_ipv6_loopback():
            listeners.append(f"listener {self.port} ::1")
        return "\n".join(
            [
                *listeners,
                "allow_anonymous true",
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
                "log_type error",
                "log_type warning",
                "log_type notice",
                "connection_messages false",
                "",
            ]
        )

    def prepare(self) -> None:
        """Write the configuration, 0600 in a 0700 folder. Raises OSError, BrokerMissingError."""
        self.find()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        text = self.config_text()
        partial = self.config.with_suffix(".new")
        with named(self.config), os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        partial.replace(self.config)
        # mosquitto makes its log with the umask of whoever starts it; one that is there keeps its mode.
        os.close(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))

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
