"""The agent's end of its CLI's hooks: a private socket, and each call as an event that may be answered later."""

import contextlib
import hmac
import os
import secrets
import selectors
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from swarm_tui.agent.interactive import small_programs
from swarm_tui.config.files import write_private

#: Calls that wait at once at most: what comes besides gets no answer.
_MOST_CALLS = 64
_HEADER = 8


class HookCall:
    """A call of a hook: the event, and what the CLI says of it. It may be answered on any thread."""

    def __init__(self, event: str, said: dict[str, Any], channel: socket.socket) -> None:
        self.event, self.said = event, said
        self._channel: socket.socket | None = channel

    def answer(self, given: dict[str, Any] | None = None, reason: str = "") -> None:
        """Answer it, once, with `reason` in place of `{reason}`; None lets the CLI do as it would without one."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        with contextlib.suppress(OSError), channel:
            if given is not None:
                channel.setblocking(True)
                channel.settimeout(2.0)
                channel.sendall(msgspec.json.encode(_filled(given, reason)))


def _filled(value: Any, reason: str) -> Any:
    if isinstance(value, dict):
        return {name: _filled(part, reason) for name, part in value.items()}
    return value.replace("{reason}", reason) if isinstance(value, str) else value


class HookDesk:
    """Listens in a folder that only we may enter. Used by the thread whose selector it is given."""

    def __init__(self, folder: Path, heard: Callable[[HookCall], None]) -> None:
        self._folder, self._heard = folder, heard
        self._token = secrets.token_hex(16).encode()
        self._listener: socket.socket | None = None
        self._waiting: dict[socket.socket, bytearray] = {}

    @property
    def command(self) -> list[str]:
        """Return the command line that a hook is."""
        return [
            sys.executable,
            "-P",
            "-I",
            "-S",
            small_programs.__file__,
            "hook",
            str(self._folder / small_programs.TOKEN),
        ]

    def open(self, selector: selectors.BaseSelector) -> None:
        """Listen from now on. Raises OSError."""
        write_private(self._folder / small_programs.TOKEN, self._token)
        self._folder.chmod(0o700)
        path = self._folder / small_programs.SOCKET
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # By way of the folder's descriptor: a socket's path has 107 bytes at most.
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            listener.bind(
                f"/proc/self/fd/{folder}/{small_programs.SOCKET}" if len(os.fsencode(path)) > 100 else str(path)
            )
        finally:
            os.close(folder)
        path.chmod(0o600)
        listener.listen(_MOST_CALLS)
        listener.setblocking(False)
        self._listener = listener
        selector.register(listener, selectors.EVENT_READ, lambda: self._accept(selector))

    def close(self) -> None:
        """Listen no more: hooks that wait get no answer."""
        for channel in [*self._waiting, *([self._listener] if self._listener is not None else [])]:
            channel.close()
        for name in (small_programs.SOCKET, small_programs.TOKEN):
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()

    def _accept(self, selector: selectors.BaseSelector) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):
            channel, _ = self._listener.accept()
            if len(self._waiting) >= _MOST_CALLS or not _is_ours(channel):
                channel.close()
                return
            channel.setblocking(False)
            self._waiting[channel] = bytearray()
            selector.register(channel, selectors.EVENT_READ, lambda: self._read(selector, channel))

    def _read(self, selector: selectors.BaseSelector, channel: socket.socket) -> None:
        try:
            more = channel.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        raw = self._waiting[channel]
        raw += more
        try:
            size = int(raw[:_HEADER], 16) if len(raw) >= _HEADER else None
        except ValueError:
            size = -1
        if size is None and more:
            return
        whole = size is not None and 0 <= size <= small_programs.MOST + 100 and len(raw) >= _HEADER + size
        if more and not whole and size is not None and 0 <= size <= small_programs.MOST + 100:
            return
        selector.unregister(channel)
        del self._waiting[channel]
        call = self._call(bytes(raw[_HEADER : _HEADER + (size or 0)]), channel) if whole else None
        if call is None:
            channel.close()
        else:
            self._heard(call)

    def _call(self, raw: bytes, channel: socket.socket) -> HookCall | None:
        """Return the call; None for what does not know the token, or says no event."""
        token, _, said = raw.partition(b"\n")
        if not hmac.compare_digest(token, self._token):
            return None
        try:
            data = msgspec.json.decode(said)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        event = data.get("hook_event_name") if isinstance(data, dict) else None
        return HookCall(event, data, channel) if isinstance(event, str) else None


def _is_ours(channel: socket.socket) -> bool:
    """Return whether a process of our user is at the other end, as far as the system tells."""
    try:
        raw = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except (OSError, AttributeError):
        return True
    return int(struct.unpack("3i", raw)[1]) == os.geteuid()
