"""The paho client as we use it: made from a layout's `broker`, reading in bulk, without Nagle's delay."""

import os
import socket
import sys
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from swarm_tui.bus.aws import region_of, signed_path
from swarm_tui.bus.broker_address import BrokerAddress, credentials
from swarm_tui.bus.port import BusError
from swarm_tui.bus.versions import (
    FIVE,
    THREE,
    choose,
    connect_properties,
    puback_words,
    publish_properties,
    read_length,
)
from swarm_tui.config.broker_files import is_pem
from swarm_tui.config.model import Broker
from swarm_tui.protocol import client_ids
from swarm_tui.protocol.envelope import Outgoing


class _Deferred(ModuleType):
    """Stands for a module until someone wants something of it; importlib's own lazy module loads at its import."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), attribute)


def _defer(name: str) -> None:
    """Let the module `name` load at its first use instead of at its import; nothing when it is loaded already."""
    if name in sys.modules or find_spec(name) is None:
        return
    module = _Deferred(name)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


# A third of paho's start, and only for proxies, which it never has here.
_defer("urllib.request")

from paho.mqtt.client import Client  # noqa: E402
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion  # noqa: E402

if TYPE_CHECKING:
    from ssl import SSLContext

READ_SIZE = 65536
#: The first four bits of MQTT packets.
PUBLISH, PUBACK = 0x30, 0x40
#: How many QoS 1 messages may wait for their PUBACK; AWS IoT allows 100.
INFLIGHT = 100
_TRANSPORT = {"ws": "websockets", "wss": "websockets", "unix": "unix"}


def unique_client_id(kind: client_ids.Client, swarm: str = "", name: str = "") -> str:
    """Return a client id of that kind that no other connection has, not even another of ours."""
    return client_ids.client_id_of(kind, swarm, name, os.urandom(6).hex())


class BulkClient(Client):
    """paho reads one byte, then one packet, a system call each, and writes one packet a call.

    This reads what is there and then parses, and writes together what one turn has to say. What it is told to `say`
    never becomes one of paho's message objects, which cost more than all else that is done with most messages.
    """

    _bulk = b""
    _at = 0
    _begun: Any = None
    """The socket of a connect under way: paho leaves it open when the handshake fails."""
    _said: list[bytes]
    """Packets of ours that wait to be written together."""
    _acks: list[bytes]
    """Acknowledgements, which go after them: a broker reads one packet at a time, and nobody waits for these."""
    _gathering = False
    _over = False
    """A write failed; nothing that comes counts any more."""
    version = THREE
    """The version of MQTT that it speaks."""
    take: Callable[[str, bytes, bool], bool] | None = None
    """Gets topic, payload and retain flag of what is received; it does not raise. What it does not take, the broker
    keeps for a session that lasts."""
    refused: Callable[[int, str], None] = lambda mid, why: None
    """Gets the id of each packet that the broker of MQTT 5 does not take, and why, before `acked` does."""
    acked: Callable[[int], None] | None = None
    """Gets the id of each packet that the broker acknowledges; it does not raise. None leaves it to paho, which knows
    only of its own `publish`."""
    broke: OSError | None = None
    """Why the last read of this connection failed: a broker refuses our certificate only after the TLS handshake."""

    sign: Callable[[], str] | None = None
    """Gives the path of a WebSocket's request, which is good for one connect. Raises BusError."""
    spoke = False
    """Something came over this connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._said, self._acks = [], []
        super().__init__(*args, **options)

    def _create_socket(self) -> Any:
        try:
            return super()._create_socket()
        except BaseException:
            if self._begun is not None:
                self._begun.close()
            raise
        finally:
            self._begun = None

    def _create_socket_connection(self) -> Any:
        self._begun = super()._create_socket_connection()
        return self._begun

    def _create_unix_socket_connection(self) -> Any:
        self._begun = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._begun.settimeout(self._connect_timeout)
        self._begun.connect(self._host)
        return self._begun

    def _ssl_wrap_socket(self, tcp_sock: Any) -> Any:
        assert self._ssl_context is not None
        self._begun = self._ssl_context.wrap_socket(tcp_sock, server_hostname=self._host, do_handshake_on_connect=False)
        self._begun.settimeout(self._connect_timeout)
        self._begun.do_handshake()
        return self._begun

    def reconnect(self) -> MQTTErrorCode:
        self._bulk, self._at, self.broke, self._over = b"", 0, None, False
        self.spoke = False
        if self.sign is not None:
            self.ws_set_options(path=self.sign())
        self._said.clear()
        self._acks.clear()
        return super().reconnect()

    def _sock_recv(self, bufsize: int) -> bytes:
        chunk = self._bulk[self._at : self._at + bufsize]
        if not chunk:
            raise BlockingIOError
        self._at += len(chunk)
        return chunk

    def _sock_send(self, buf: Any) -> int:
        try:
            if sent := super()._sock_send(buf):
                return sent
            # A websocket keeps the rest of a frame to itself: paho would take the packet for written and forget it.
            raise BlockingIOError
        except BlockingIOError:
            raise
        except OSError:
            # It was closed before we spoke; why is the last that came.
            sock: Any = self._sock
            try:
                sock.recv(1)
            except OSError as error:
                self.broke = error
            raise

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read once and handle every packet in it; what is left of the last one waits for the next read."""
        if self._sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        try:
            data = b"" if self._over else super()._sock_recv(READ_SIZE)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError as error:
            self.broke = error
            data = b""
        if not data:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        self.spoke = True
        self._bulk, self._at = data, 0
        while self._at < len(self._bulk) and self._sock is not None:
            if self._in_packet["command"] == 0 and (self._take_publish() or self._take_puback()):
                continue
            code = self._packet_read()
            if code > 0:
                return self._loop_rc_handle(code)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _take_publish(self) -> bool:
        """Take one PUBLISH of QoS 0 or 1 that is here whole; False leaves the packet to paho, and all that is odd.

        paho's way over a message object, its filters and locks takes longer than what we then do with most messages.
        """
        data, at = self._bulk, self._at
        head, length = data[at], 0
        if head & 0xF4 != PUBLISH or self.take is None:
            return False
        for shift in (0, 7, 14, 21):
            at += 1
            if at >= len(data):
                return False
            length |= (data[at] & 0x7F) << shift
            if data[at] < 0x80:
                break
        else:
            return False
        at += 1
        end, qos = at + length, head >> 1 & 1
        name = at + 2 + int.from_bytes(data[at : at + 2], "big")
        body = name + 2 * qos
        if end > len(data) or body > end:
            return False
        number = data[name:body]
        if self.version == FIVE:
            # Most have none.
            properties = (0, body + 1) if data[body : body + 1] == b"\0" else read_length(data, body)
            if properties is None or (body := sum(properties)) > end:
                return False
        try:
            topic = data[at + 2 : name].decode()
        except UnicodeDecodeError:
            return False
        self._at = end
        # The one name is paho's up to 2.1, the other since 2.2.
        self._last_msg_in = self._last_bytes_received = time.monotonic()
        taken = self.take(topic, data[body:end], bool(head & 1))
        if qos and taken:
            self._acks.append(b"\x40\x02" + number)
        return True

    def _take_puback(self) -> bool:
        """Take one PUBACK that is here whole; False leaves the packet to paho."""
        data, at = self._bulk, self._at
        if data[at] != PUBACK or self.acked is None or (found := read_length(data, at + 1)) is None:
            return False
        length, begin = found
        end = begin + length
        if length < 2 or end > len(data) or (length > 2 and self.version != FIVE):
            return False
        self._at = end
        self._last_msg_in = self._last_bytes_received = time.monotonic()
        mid = int.from_bytes(data[begin : begin + 2], "big")
        if length > 2 and (why := puback_words(data[begin + 2 : end])):
            self.refused(mid, why)
        self.acked(mid)
        return True

    def free_id(self, taken: Container[int]) -> int:
        """Return an id for a packet that none of `taken` has, nor a request of paho's own."""
        while (mid := self._mid_generate()) in taken:
            pass
        return mid

    def say(self, message: Outgoing, mid: int = 0, *, again: bool = False) -> None:
        """Have a message written; one of QoS 1 has a `mid`, and whoever says it keeps it until it is `acked`."""
        topic = message.topic.encode()
        flags = PUBLISH | (8 if again else 0) | (2 if mid else 0) | (1 if message.retain else 0)
        properties = publish_properties(message) if self.version == FIVE else b""
        length = 2 + len(topic) + (2 if mid else 0) + len(properties) + len(message.payload)
        head = bytearray((flags,))
        while length > 0x7F:
            head.append(length & 0x7F | 0x80)
            length >>= 7
        head.append(length)
        number = mid.to_bytes(2, "big") if mid else b""
        self._said.append(b"".join((head, len(topic).to_bytes(2, "big"), topic, number, properties, message.payload)))

    def _packet_queue(self, *args: Any, **options: Any) -> MQTTErrorCode:
        # A packet of paho's own goes after what was said before it.
        self._join()
        return super()._packet_queue(*args, **options)

    def _join(self) -> None:
        """Make one packet of what was said, about whose writing paho does nothing more."""
        if self._said or self._acks:
            data = b"".join((*self._said, *self._acks))
            self._said.clear()
            self._acks.clear()
            self._out_packet.append(
                {"command": PUBACK, "mid": 0, "qos": 0, "pos": 0, "to_process": len(data), "packet": data, "info": None}
            )

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Let what is said within wait for `flush`."""
        before, self._gathering = self._gathering, True
        try:
            yield
        finally:
            self._gathering = before

    def loop_write(self) -> MQTTErrorCode:
        """Write what waits."""
        return MQTTErrorCode.MQTT_ERR_SUCCESS if self._gathering else self.flush()

    def flush(self) -> MQTTErrorCode:
        """Write what waits, in one go; a connection found lost is closed."""
        if self._sock is None or not self.unwritten():
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        self._join()
        return super().loop_write()

    def written(self) -> bool:
        """Write what waits, leaving a lost connection for `flush` to find; whether nothing waits any more."""
        self._join()
        code = self._packet_write()
        # Asking why took a byte of what came last, and the rest makes no sense without it.
        self._over = self._over or code > 0
        return code == MQTTErrorCode.MQTT_ERR_SUCCESS and not self.unwritten()

    def unwritten(self) -> int:
        """Packets that wait to be written."""
        return len(self._out_packet) + len(self._said) + len(self._acks)

    def want_write(self) -> bool:
        return self.unwritten() > 0


def make_client(
    broker: Broker, at: BrokerAddress, client_id: str, *, clean: bool, keepalive: int, connect_timeout: float = 5.0
) -> BulkClient:
    """Return a client that is ready to connect to `at`. Raises BusError for certificates that cannot be read."""
    version = choose(broker, at)
    client = BulkClient(
        CallbackAPIVersion.VERSION2,
        client_id,
        clean_session=clean if version == THREE else None,
        protocol=MQTTProtocolVersion(version),
        transport=_TRANSPORT.get(at.scheme, "tcp"),
        # What nobody took is not acknowledged.
        manual_ack=True,
    )
    client.version = version
    client.suppress_exceptions = True
    client.connect_timeout = connect_timeout
    username, password = credentials(broker, at)
    if username is not None:
        client.username_pw_set(username, password)
    if at.tls:
        client.tls_set_context(_context(broker, at, username))
        client.tls_insecure_set(broker.tls.insecure)
    if at.scheme in ("ws", "wss"):
        client.ws_set_options(path=at.path)
        if (region := region_of(broker, at)) is not None:
            client.sign = lambda: signed_path(at, region)
    client.on_socket_open = _no_delay
    more: dict[str, Any] = {"clean_start": clean, "properties": connect_properties(clean)} if version == FIVE else {}
    client.connect_async(at.path if at.scheme == "unix" else at.host, at.port or 1883, keepalive, **more)
    return client


def _context(broker: Broker, at: BrokerAddress, username: str | None) -> "SSLContext":
    import ssl

    tls = broker.tls
    try:
        pem = is_pem(tls.ca)
        context = ssl.create_default_context(cafile=None if pem else tls.ca, cadata=tls.ca if pem else None)
        if tls.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except OSError as error:
        files = ", ".join(name for name in (tls.ca, tls.cert, tls.key) if name and not is_pem(name))
        raise BusError(
            f"the certificates of the broker cannot be used ({files}: {error}): check `broker.tls`"
        ) from None
    if at.aws and at.scheme == "mqtts" and at.port == 443:
        # On 443 AWS tells MQTT from HTTPS, and certificates from custom authorizers, by ALPN alone.
        context.set_alpn_protocols(["mqtt" if tls.cert is None and username else "x-amzn-mqtt-ca"])
    return context


def _no_delay(client: Any, userdata: Any, sock: Any) -> None:
    """Without it a QoS 1 ping-pong waits 40 ms twice for delayed ACKs."""
    raw = getattr(sock, "_socket", sock)
    if raw.family != socket.AF_UNIX:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
