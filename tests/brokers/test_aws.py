"""The four ways into AWS IoT Core, each to where AWS itself would judge it: a handshake, or a signature."""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest

from swarm_tui.bus import aws
from swarm_tui.bus.broker_address import parse_url
from swarm_tui.bus.bulk_client import _context, make_client
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.probe import probe
from swarm_tui.cli.group import run
from swarm_tui.config.load import load_layout
from swarm_tui.config.model import Broker, Tls
from tests.unit.bus.grounds import certificates
from tests.wait import until

ENDPOINT = "abcdefg-ats.iot.eu-west-1.amazonaws.com"
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def signature(secret: str, scope: str, at: str, request: str) -> str:
    """SigV4 as AWS's reference describes it, made without botocore."""
    key = b"AWS4" + secret.encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    told = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return hmac.digest(key, told.encode(), "sha256").hex()


def verifies(path: str, host: str, secret: str) -> bool:
    """Whether a WebSocket's request is signed as AWS IoT Core wants it: without the session token."""
    parts = urlsplit(path)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    given, _ = query.pop("X-Amz-Signature", ""), query.pop("X-Amz-Security-Token", "")
    scope = query["X-Amz-Credential"].partition("/")[2]
    told = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items()))
    empty = hashlib.sha256(b"").hexdigest()
    request = f"GET\n{quote(unquote(parts.path))}\n{told}\nhost:{host}\n\nhost\n{empty}"
    return hmac.compare_digest(given, signature(secret, scope, query["X-Amz-Date"], request))


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Credentials in the environment, and no other of this machine's."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    return monkeypatch


def test_the_judge_knows_the_vectors_of_aws_and_of_botocore() -> None:
    empty = hashlib.sha256(b"").hexdigest()
    day, scope = "20150830T123600Z", "20150830/us-east-1/service/aws4_request"
    vanilla = f"GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:{day}\n\nhost;x-amz-date\n{empty}"
    found = signature(SECRET, scope, day, vanilla)
    assert found == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    ordered = (
        f"GET\n/\nParam1=value1&Param2=value2\nhost:example.amazonaws.com\nx-amz-date:{day}\n\nhost;x-amz-date\n{empty}"
    )
    found = signature(SECRET, scope, day, ordered)
    assert found == "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"


def test_the_token_comes_after_the_signature_and_is_not_signed(keys: pytest.MonkeyPatch) -> None:
    at = parse_url(f"wss://{ENDPOINT}")
    plain = aws.signed_path(at, "eu-west-1")
    assert verifies(plain, ENDPOINT, SECRET)
    assert not verifies(plain, ENDPOINT, "another secret")
    assert not verifies(plain, "another.host", SECRET)
    assert "%2Feu-west-1%2Fiotdevicegateway%2Faws4_request" in plain
    keys.setenv("AWS_SESSION_TOKEN", "a/token+with=marks")
    passing = aws.signed_path(at, "eu-west-1")
    assert passing.endswith("&X-Amz-Security-Token=a%2Ftoken%2Bwith%3Dmarks")
    assert verifies(passing, ENDPOINT, SECRET)


def test_without_credentials_or_botocore_it_is_said_what_to_do(keys: pytest.MonkeyPatch) -> None:
    broker = Broker(url=f"wss://{ENDPOINT}")
    keys.delenv("AWS_ACCESS_KEY_ID")
    keys.delenv("AWS_SECRET_ACCESS_KEY")
    assert "no AWS credentials" in probe(broker, 1.0).reason
    keys.setitem(__import__("sys").modules, "botocore.session", None)
    assert "pip install" in probe(broker, 1.0).reason


def test_a_websocket_to_aws_is_signed_unless_an_authorizer_has_the_user() -> None:
    def region(url: str, **more: str) -> str | None:
        return aws.region_of(Broker(url=url, **more), parse_url(url))

    assert region(f"wss://{ENDPOINT}") == "eu-west-1"
    assert region(f"wss://{ENDPOINT}", username="me?x-amz-customauthorizer-name=mine") is None
    assert region(f"mqtts://{ENDPOINT}") is None
    assert region("wss://broker.example") is None
    assert region("wss://vpce-1.example", sigv4="us-east-1") == "us-east-1"


@contextmanager
def judge(host: str) -> Iterator[tuple[int, list[tuple[bool, str]]]]:
    """A WebSocket server that lets in whose signature holds, speaks enough MQTT to say so, and then hangs up."""
    seen: list[tuple[bool, str]] = []
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, suppress(OSError, IndexError):
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += connection.recv(4096)
                    lines = head.decode().split("\r\n")
                    said = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
                    path = lines[0].split()[1]
                    held = verifies(path, said["Host"], SECRET) and said["Host"] == f"{host}:{port}"
                    seen.append((held, path))
                    if not held:
                        connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                        continue
                    mark = said["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                    accepted = base64.b64encode(hashlib.sha1(mark.encode()).digest()).decode()
                    connection.sendall(
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        f"Sec-WebSocket-Accept: {accepted}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
                    )
                    connection.recv(4096)
                    connection.sendall(b"\x82\x04\x20\x02\x00\x00")

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield port, seen
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def test_each_connect_is_signed_anew_with_the_credentials_of_now(keys: pytest.MonkeyPatch) -> None:
    with judge("127.0.0.1") as (port, seen):
        broker = Broker(url=f"ws://127.0.0.1:{port}/mqtt", sigv4="eu-west-1")
        keys.setenv("AWS_SESSION_TOKEN", "first")
        bus = MqttBus(broker, "x")
        bus.start(lambda *_: None, lambda link: None)
        until(lambda: len(seen) >= 1, what="the first connect")
        keys.setenv("AWS_SESSION_TOKEN", "second")
        until(lambda: seen[-1][1].endswith("Token=second"), limit=8, what="a connect with the next credentials")
        bus.close(0.0)
        assert all(held for held, _ in seen), seen
        keys.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        assert probe(broker, 2.0).kind == "not-mqtt"


def agreed(broker: Broker, folder: Path) -> str | None:
    """The protocol that an endpoint of AWS would see in the TLS handshake."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.crt", folder / "server.key")
    server.set_alpn_protocols(["mqtt", "x-amzn-mqtt-ca"])
    context = _context(broker, parse_url(broker.url), broker.username)
    context.check_hostname = False
    ours, theirs = (ssl.MemoryBIO(), ssl.MemoryBIO()), (ssl.MemoryBIO(), ssl.MemoryBIO())
    ends = context.wrap_bio(*ours, server_hostname=ENDPOINT), server.wrap_bio(*theirs, server_side=True)
    for _ in range(4):
        for end, mine, other in zip(ends, (ours, theirs), (theirs, ours), strict=True):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
            other[0].write(mine[1].read())
    return ends[1].selected_alpn_protocol()


def test_certificates_and_authorizers_are_told_apart_on_443_by_alpn(tmp_path: Path) -> None:
    made = certificates(tmp_path)
    known = Tls(ca=f"{made}/ca.crt", cert=f"{made}/client.crt", key=f"{made}/client.key")
    assert agreed(Broker(url=f"mqtts://{ENDPOINT}", tls=known), made) is None, "8883 needs none"
    assert agreed(Broker(url=f"mqtts://{ENDPOINT}:443", tls=known), made) == "x-amzn-mqtt-ca"
    user = "me?x-amz-customauthorizer-name=mine"
    authorizer = Broker(url=f"mqtts://{ENDPOINT}:443", username=user, password="p", tls=Tls(ca=known.ca))
    assert agreed(authorizer, made) == "mqtt"
    client = make_client(authorizer, parse_url(authorizer.url), "x", clean=True, keepalive=15)
    assert client.username == user


def test_init_writes_a_layout_and_policies_that_aws_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "prod", "--aws", ENDPOINT]) == 0
    layout = load_layout(tmp_path / "layouts" / "prod.yml", {}).layout
    assert (layout.broker.url, layout.broker.tls.cert) == (
        f"mqtts://{ENDPOINT}:8883",
        str(tmp_path / "layouts" / "prod-aws" / "cert.pem"),
    )
    policies = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "layouts" / "prod-aws").iterdir()}
    assert set(policies) == {"swarm", "host", "agent", "operator", "guest"}
    for kind, policy in policies.items():
        allowed = {one["Action"] if isinstance(one["Action"], str) else one["Action"][0] for one in policy["Statement"]}
        assert allowed == {"iot:Connect", "iot:Publish", "iot:Subscribe", "iot:Receive"}, kind
        assert "arn:aws:iot:*:*:topic/prod/tasks/new" in str(policy) or kind == "swarm"
    assert "topic/prod/halt" not in str(policies["guest"])
    assert run(["init", "prod", "--aws", ENDPOINT]) == 2, "it is there"
    assert run(["init", "other", "--aws", "broker.example"]) == 2
    assert run(["init", "s" * 30, "--aws", ENDPOINT]) == 0, "a long name fits too"
    assert run(["init", "s" * 120, "--aws", ENDPOINT]) == 2
