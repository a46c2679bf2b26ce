"""Why a broker cannot be used: one sentence for each cause, saying what to do next."""

import errno
import socket

from swarm_tui.bus.urls import Address

#: What went wrong, as a word that code can branch on.
REFUSED = "refused"
PASSWORD = "password"
DNS = "dns"
TLS = "tls"
NOT_MQTT = "not-mqtt"
TIMEOUT = "timeout"
UNREACHABLE = "unreachable"
CLOSED = "closed"
URL = "url"
IDENTITY = "identity"
BUSY = "busy"

Reason = tuple[str, str]


def explain(error: BaseException, at: Address) -> Reason:
    """The kind and the sentence for an exception of the connect to `at`."""
    name = type(error).__name__
    if name in ("SSLCertVerificationError", "CertificateError"):
        why = getattr(error, "verify_message", "") or str(error)
        return TLS, f"{at} shows a certificate that we cannot trust ({why}): give its CA as `tls.ca`"
    if name.startswith("SSL"):
        return TLS, f"TLS with {at} fails ({_short(error)}): check that this port speaks TLS, and `tls.cert`, `tls.key`"
    if isinstance(error, socket.gaierror | UnicodeError):
        return DNS, f"the name {at.host!r} is not known (DNS: {_short(error)}): check the broker's URL and the network"
    if isinstance(error, TimeoutError):
        return TIMEOUT, f"{at} does not answer in time: check host, port and firewall"
    if isinstance(error, ConnectionRefusedError):
        return REFUSED, f"nothing listens on {at}: start the broker, or give another URL"
    if isinstance(error, FileNotFoundError) and at.scheme == "unix":
        return REFUSED, f"there is no socket {at.path}: start the broker, or give another URL"
    if name == "WebsocketConnectionError" or (at.scheme in ("ws", "wss") and isinstance(error, ConnectionError)):
        return NOT_MQTT, f"{at} does not speak MQTT over WebSocket ({_short(error)}): check its port and path"
    if isinstance(error, ConnectionError):
        return CLOSED, f"{at} closed the connection at once: check that an MQTT broker listens there"
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN):
        return UNREACHABLE, f"no route to {at}: check the network"
    return UNREACHABLE, f"{at} cannot be reached ({_short(error)}): check the broker's URL"


def refusal(code: int, at: Address, username: str | None) -> Reason:
    """The kind and the sentence for a CONNACK that says no; `code` as paho gives it (MQTT 5 numbers)."""
    if code in (134, 135):
        who = f"the user {username!r}" if username else "a client without a user name"
        return PASSWORD, f"{at} refuses {who}: check MQTT_USERNAME and MQTT_PASSWORD, or the layout's `broker`"
    if code == 133:
        return IDENTITY, f"{at} refuses our client id: use shorter names, or another broker"
    if code == 136:
        return BUSY, f"{at} says it is unavailable: it may be starting; we try again"
    if code == 132:
        return NOT_MQTT, f"{at} does not speak MQTT 3.1.1: use a newer broker"
    return REFUSED, f"{at} refuses the connection (code {code}): see the broker's log"


def no_connack(at: Address, silent: bool) -> Reason:
    """The other side took the connection and then said nothing (`silent`), or nothing that is MQTT."""
    if silent:
        return TIMEOUT, f"what listens on {at} says nothing: the broker hangs, or it is no MQTT broker: restart it"
    return NOT_MQTT, f"what listens on {at} is not an MQTT broker: choose another port, or stop what holds it"


def lost(silent: bool, at: Address) -> Reason:
    """The kind and the sentence for a link that was up: nothing came any more (`silent`), or it was closed."""
    if silent:
        return TIMEOUT, f"{at} fell silent: the network or the broker hangs; we try again"
    return CLOSED, f"{at} closed the connection: it stopped, or another client has our id; we try again"


def _short(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error) or type(error).__name__
    return str(text)[:120]
