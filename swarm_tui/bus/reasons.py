"""Why a broker cannot be used: one sentence for each cause, saying what to do next."""

import errno
import re
import socket
from typing import Any

from swarm_tui.bus.broker_address import BrokerAddress
from swarm_tui.protocol.text import clean

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
#: What may pass by itself, such as while a broker restarts.
PASSING = frozenset({REFUSED, TIMEOUT, UNREACHABLE, CLOSED, NOT_MQTT, BUSY})

Reason = tuple[str, str]

#: MQTT 5's numbers: a version that the broker does not know, and a client of which it heard nothing for too long.
UNSUPPORTED, KEEPALIVE_TIMEOUT = 132, 141

#: The name that an embedded broker of ours knows somebody by who has a join file.
_OF_A_JOIN_FILE = re.compile(r"(?:host|operator|agent)\.[^@]+@.+")
#: What to do about a certificate, by OpenSSL's number of what is wrong with it.
_TODO = {
    9: "set this machine's clock, or have the broker's certificate made anew",
    10: "have the broker's certificate renewed, or set this machine's clock",
    62: "write the host that the certificate names into the broker's URL",
    64: "write the host that the certificate names into the broker's URL",
}


class BrokerWords:
    """All that the broker tells on one connection. What only one of MQTT 5 tells is empty with others."""

    def __init__(self) -> None:
        self.answered: bool | None = None
        """Whether it knows our version of MQTT; None while it has said nothing to our CONNECT."""
        self.fell_silent = False
        """Nothing came any more, and so we ended the connection."""
        self.parting = ""
        """Why it ended the connection."""

    def connack(self, code: Any, properties: Any, at: BrokerAddress, user: str | None, *, five: bool) -> Reason | None:
        """Take the answer to our CONNECT; why it is a no."""
        self.answered = code.value != UNSUPPORTED
        return refusal(code.value, at, user, own_words(properties), five=five) if code.is_failure else None

    def disconnected(self, flags: Any, code: Any, properties: Any) -> None:
        """Take in that the connection ended; paho tells us so too when it ends it itself."""
        told = flags.is_disconnect_packet_from_server
        self.fell_silent = code.value == KEEPALIVE_TIMEOUT and not told
        self.parting = ": ".join(filter(None, (str(code), own_words(properties)))) if told else ""

    @staticmethod
    def filters(patterns: list[str], properties: Any) -> str:
        """Return the sentence for filters to which it does not let us listen."""
        named = ", ".join(f"`{pattern}`" for pattern in patterns[:3]) or "the swarm"
        own = f" ({said!r})" if (said := own_words(properties)) else ""
        return f"the broker refuses to let us listen to {named}{own}: its access rules must allow it"


def own_words(properties: Any) -> str:
    """Return the broker's own sentence about a reason; empty where it says none."""
    return clean(str(getattr(properties, "ReasonString", "") or ""), 200)


def explain(error: BaseException, at: BrokerAddress) -> Reason:
    """Return the kind and the sentence for an exception of the connect to `at`."""
    name = type(error).__name__
    if name in ("SSLCertVerificationError", "CertificateError"):
        why = getattr(error, "verify_message", "") or str(error)
        todo = _TODO.get(getattr(error, "verify_code", 0), "give its CA as `tls.ca`, or copy the join file anew")
        return TLS, f"{at} shows a certificate that we cannot trust ({why.rstrip('.')}): {todo}"
    if name.startswith("SSL"):
        return TLS, f"TLS with {at} fails ({_short(error)}): check that this port speaks TLS, and `tls.cert`, `tls.key`"
    if at.scheme == "mqtts" and isinstance(error, ConnectionResetError | BrokenPipeError):
        return TLS, f"TLS with {at} fails (it closed the connection): check that this port speaks TLS"
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


def refusal(code: int, at: BrokerAddress, username: str | None, said: str = "", *, five: bool = False) -> Reason:
    """Return the kind and the sentence for a CONNACK that says no; `code` as paho gives it (MQTT 5 numbers).

    `said` is a broker's own sentence about it, which one of MQTT 5 may add, and `five` that we asked in that.
    """
    own = f" ({said!r})" if said else ""
    if code in (134, 135, 138):
        who = f"the user {username!r}" if username else "a client without a user name"
        todo = "check MQTT_USERNAME and MQTT_PASSWORD, or the layout's `broker`"
        if username and _OF_A_JOIN_FILE.fullmatch(username):
            todo = "it was revoked or has another key: copy its join file anew from the swarm's own host"
        return PASSWORD, f"{at} refuses {who}{own}: {todo}"
    if code == 133:
        return IDENTITY, f"{at} refuses our client id{own}: use shorter names, or another broker"
    if code in (136, 137, 159):
        return BUSY, f"{at} says it is unavailable{own}: it may be starting; we try again"
    if code == 132 and five:
        return NOT_MQTT, f"{at} does not speak MQTT 5{own}: leave `broker.protocol` out"
    if code == 132:
        return NOT_MQTT, f"{at} does not speak MQTT 3.1.1{own}: use a newer broker"
    if code == 154:
        return REFUSED, f"{at} retains nothing{own}, and a swarm needs that: have its owner allow it"
    return (
        REFUSED,
        f"{at} refuses the connection (code {code}{', ' + repr(said) if said else ''}): see the broker's log",
    )


def no_connack(at: BrokerAddress, silent: bool, spoke: bool, broke: BaseException | None = None) -> Reason:
    """Return the kind and the sentence for a side that then said nothing (`silent`), or nothing that is MQTT.

    `spoke`: it said something before it closed; a broker that only starts or stops does not.
    `broke` is what the first read raised, if it did: with TLS 1.3 a certificate of ours is refused only then.
    """
    if broke is not None and type(broke).__name__.startswith("SSL"):
        alert = _alert(broke)
        if alert == "certificate required":
            return TLS, f"{at} asks us for a certificate: give `tls.cert` and `tls.key`"
        return TLS, f"{at} refuses our certificate ({alert}): check `tls.cert` and `tls.key`"
    if silent:
        return TIMEOUT, f"what listens on {at} says nothing: the broker hangs, or it is no MQTT broker: restart it"
    secure = ", or wants TLS (mqtts)" if at.scheme == "mqtt" else ""
    if not spoke:
        return NOT_MQTT, (
            f"what listens on {at} closes the connection without a word: the broker starts or stops{secure}, "
            "or it is none: try again, then check host and port"
        )
    return NOT_MQTT, f"what listens on {at} is not an MQTT broker{secure}: choose another port, or stop what holds it"


def lost(silent: bool, at: BrokerAddress, said: str = "") -> Reason:
    """Return the kind and the sentence for a link that was up: nothing came any more (`silent`), or it was closed.

    `said` is why, of a broker of MQTT 5 that told it.
    """
    if said:
        return CLOSED, f"{at} ended the connection ({said}); we try again"
    if silent:
        return TIMEOUT, f"{at} fell silent: the network or the broker hangs; we try again"
    return CLOSED, f"{at} closed the connection: it stopped, or another client has our id; we try again"


def _alert(error: BaseException) -> str:
    """Return the words of the other side's TLS alert, such as `certificate required`."""
    reason = str(getattr(error, "reason", None) or error)
    return reason.rpartition("_ALERT_")[2].replace("_", " ").lower()[:120]


def _short(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error) or type(error).__name__
    return str(text)[:120]
