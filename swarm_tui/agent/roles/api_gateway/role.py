"""The api-gateway role: an HTTP door and the seed's WebSocket, on localhost:8080 unless the layout says otherwise.

Until the first visitor comes it is listening sockets and a thread that waits: the HTTP server, its connection to the
bus and what it knows of the swarm begin with that visitor.
"""

import errno
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from swarm_tui.agent.roles.api_gateway.settings import DoorSettings, load_token, settings
from swarm_tui.agent.roles.port import RoleLink
from swarm_tui.bus.port import Bus, Link
from swarm_tui.config.model import RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.config.ports import free_port_after
from swarm_tui.identity.open import open_operator, open_watcher
from swarm_tui.protocol.client_ids import Client, client_id_of
from swarm_tui.protocol.envelope import Event, Rejected

if TYPE_CHECKING:
    import asyncio

    from swarm_tui.client.operator import Operator

RETRY_EVERY = 5.0
#: Clients look up `localhost` as ::1 or as 127.0.0.1, so the door is open on both.
LOOPBACKS = ("127.0.0.1", "::1")
#: What a machine without IPv6, or with IPv6 and no ::1, says.
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})
_current: "ApiGateway | None" = None


def door_url() -> str | None:
    """Return the URL of this process's door; None when this agent has none."""
    return None if _current is None else _current.url


class ApiGateway:
    """Keeps the door open. `make_bus(client_id)` replaces the real bus in tests."""

    def __init__(self, spec: RunSpec, link: RoleLink, *, make_bus: Callable[[str], Bus] | None = None) -> None:
        self._spec = spec
        self._link = link
        self._make_bus = make_bus or self._real_bus
        self._make_person_bus = make_bus or self._persons_bus
        self._settings: DoorSettings | None = None
        self._token = ""
        self._sockets: list[socket.socket] = []
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = socket.socketpair()
        self._stop: Callable[[], None] | None = None
        self._closing = False
        self.complaint = ""
        self._next_try = 0.0

    @property
    def url(self) -> str | None:
        """URL of the door, once it is open."""
        if self._settings is None or not self._sockets:
            return None
        host = "127.0.0.1" if self._settings.host in ("0.0.0.0", "::", "", "localhost") else self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._settings.port}"

    @property
    def serving(self) -> bool:
        """Return whether a visitor has come and the server runs."""
        return self._stop is not None

    def start(self) -> None:
        """Open the door, or say why not and try again with each tick. Raises OSError for settings that mean nothing."""
        global _current
        try:
            self._settings = settings(self._spec)
            self._token = load_token(self._settings.token_file)
        except ValueError as error:
            raise OSError(str(error)) from None
        _current = self
        self._open()

    def on_event(self, event: Event | Rejected) -> None:
        """Do nothing: the door's own connection hears the swarm, when somebody is there to be told."""

    def on_link(self, link: Link) -> None:
        """Do nothing."""

    def tick(self, now: float) -> None:
        """Try the port again when it was taken, or the server when it fell."""
        if self._closing or now < self._next_try:
            return
        if not self._sockets:
            self._next_try = now + RETRY_EVERY
            self._open()
        elif self._thread is not None and not self._thread.is_alive():
            self._next_try = now + RETRY_EVERY
            self._wait_for_visitors()

    def close(self) -> None:
        """Close the door; who waits for an answer is cut off after a moment."""
        global _current
        if _current is self:
            _current = None
        self._closing = True
        self._wake_write.send(b"x")
        if self._stop is not None:
            self._stop()
        if self._thread is not None:
            self._thread.join(5.0)
        for handle in (*self._sockets, self._wake_read, self._wake_write):
            handle.close()
        self._sockets = []

    def _real_bus(self, name: str) -> Bus:
        from swarm_tui.bus.mqtt import MqttBus
        from swarm_tui.identity.account import broker_of_agent

        spec = self._spec
        return MqttBus(broker_of_agent(spec.broker, spec.state_dir, spec.agent_id), name)

    def _person(self) -> "Operator":
        """Return an operator of this host, who is known as `web`; its keys are those that the host has."""
        from swarm_tui.bus.bulk_client import unique_client_id
        from swarm_tui.client.operator import Operator

        state = StateDir(Path(self._spec.state_dir))
        spec = self._spec
        keys = open_operator(state, f"web@{spec.host}", guests=spec.policy.guests, own=frozenset(spec.own))
        bus = self._make_person_bus(unique_client_id(Client.OPERATOR, self._spec.swarm))
        return Operator(bus, self._spec.swarm, user="web", host=self._spec.host, keys=keys)

    def _persons_bus(self, name: str) -> Bus:
        from swarm_tui.bus.mqtt import MqttBus
        from swarm_tui.identity.account import broker_of_swarm

        return MqttBus(broker_of_swarm(self._spec.broker, StateDir(Path(self._spec.state_dir))), name)

    def _open(self) -> None:
        assert self._settings is not None
        at = self._settings
        try:
            self._sockets, taken = listen(at.host, at.port)
        except OSError as error:
            why = why_not(error)
            free = free_port_after(at.host, at.port)
            instead = "" if free is None else f"={free}, which is free"
            self._complain(
                f"no HTTP door on {at.host}:{at.port}: {why}; trying again, or set SWARM_HTTP_PORT{instead} "
                "(the agent's `env` in the layout)"
            )
            return
        self.complaint = ""
        self._link.log(f"🌐 HTTP and WebSocket on {self.url}" + ("" if at.open_to_loopback else ", with a token"))
        for line in taken:
            self._complain(line)
        self._wait_for_visitors()

    def _wait_for_visitors(self) -> None:
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)
        self._thread.start()

    def _complain(self, line: str) -> None:
        if line != self.complaint:
            self.complaint = line
            self._link.log(f"⚠ {line}")

    # On the door's own thread.

    def _run(self) -> None:
        select.select([*self._sockets, self._wake_read], [], [])
        if self._closing:
            return
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001 - the agent lives on without its door, which is tried again
            self._complain(f"the HTTP door fell: {type(error).__name__}: {error}; it is opened again")
        finally:
            self._stop = None

    def _serve(self) -> None:
        import asyncio

        with asyncio.Runner() as runner:
            runner.run(self._until_closed(runner.get_loop()))

    async def _until_closed(self, loop: "asyncio.AbstractEventLoop") -> None:
        import asyncio

        from aiohttp import web

        from swarm_tui.agent.roles.api_gateway.app import Door
        from swarm_tui.agent.roles.api_gateway.asks import PersonsVoice
        from swarm_tui.agent.roles.api_gateway.facts import DoorFacts
        from swarm_tui.agent.roles.api_gateway.stream import FrameStream

        assert self._settings is not None
        closed = asyncio.Event()
        self._stop = lambda: _wake(loop, closed)
        if self._closing:
            return
        stream = FrameStream(loop)
        name = client_id_of(Client.GATEWAY, self._spec.swarm, self._spec.agent_id)
        facts = DoorFacts(
            self._make_bus(name),
            self._spec.swarm,
            self._spec.agent_id,
            self._spec.host,
            stream.raw,
            open_watcher(
                self._spec.state_dir,
                self._spec.agent_id,
                guests=self._spec.policy.guests,
                own=frozenset(self._spec.own),
            ),
            outputs=StateDir(Path(self._spec.state_dir)).tasks(),
        )
        voice = PersonsVoice(self._person)
        door = Door(facts, stream, self._settings, self._token, self._spec.doers, voice)
        await asyncio.to_thread(facts.start)
        runner = web.AppRunner(
            door.app(),
            handle_signals=False,
            access_log=None,
            shutdown_timeout=1.0,
        )
        try:
            await runner.setup()
            for listener in self._sockets:
                # A copy: the site closes its socket when it ends, and ours is to outlive a fall.
                await web.SockSite(runner, listener.dup()).start()
            await closed.wait()
        finally:
            await runner.cleanup()
            await asyncio.to_thread(facts.close)
            await asyncio.to_thread(voice.close)


def _wake(loop: "asyncio.AbstractEventLoop", closed: "asyncio.Event") -> None:
    try:
        loop.call_soon_threadsafe(closed.set)
    except RuntimeError:
        return


def listen(host: str, port: int) -> tuple[list[socket.socket], list[str]]:
    """Return sockets that listen, and a sentence for each loopback that another program has.

    `localhost` is every loopback that the machine has, any other host its first address. Raises OSError when there is
    no socket at all.
    """
    if host.lower() != "localhost":
        return [_listening(host, port)], []
    opened: list[socket.socket] = []
    taken: list[str] = []
    failed: OSError | None = None
    for address in LOOPBACKS:
        try:
            opened.append(_listening(address, port))
        except OSError as error:
            if error.errno in _NO_IPV6 or isinstance(error, socket.gaierror):
                continue
            failed = failed or error
            taken.append(f"the door is not open on {address} port {port}: {why_not(error)}")
    if not opened:
        raise failed or OSError(errno.EADDRNOTAVAIL, "this machine has no loopback")
    return opened, taken


def why_not(error: OSError) -> str:
    """Return why a port cannot be had."""
    return "another program has it" if error.errno == errno.EADDRINUSE else error.strerror or str(error)


def _listening(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
