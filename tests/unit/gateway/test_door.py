"""The door: what each route answers, and that nobody comes in who should not."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.gateway import Probe
from swarm_tui.agent.roles.api_gateway import app as api_gateway_app
from swarm_tui.agent.roles.api_gateway.app import PAGE
from swarm_tui.agent.roles.api_gateway.role import ApiGateway
from swarm_tui.broker.mosquitto import _has_ipv6_loopback
from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.domain.fleet.runs import ASKED, REJECTED
from swarm_tui.domain.states import AgentState, TaskState
from swarm_tui.journal.task_output import OutputFile, output_rows
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind as K
from tests.examples import examples
from tests.unit.gateway.conftest import SWARM, Dispatcher, Visitor, Voice
from tests.unit.monitoring.test_handlers import context
from tests.wait import until

Opener = Callable[..., ApiGateway]


def test_a_task_is_accepted_when_the_swarm_says_so(open_door: Opener, visitor: Visitor, dispatcher: Dispatcher) -> None:
    open_door()
    answer = visitor.post({"type": "noop", "payload": {"a": 1}, "priority": "high"})
    assert (answer.status, answer.json["state"]) == (202, "queued")
    task_id = answer.json["task_id"]
    assert answer.headers["Location"] == f"/tasks/{task_id}"
    assert (dispatcher.known[task_id].payload, dispatcher.known[task_id].priority) == ({"a": 1}, "high")
    assert visitor.get(f"/tasks/{task_id}").json["hops"][0]["what"] == "journaled"
    rows = visitor.get("/tasks").json
    assert {row["task_id"]: row["state"] for row in rows} == {"old": "complete", task_id: "queued"}
    assert [row["task_id"] for row in visitor.get("/tasks?state=complete&type=past.task&limit=1").json] == ["old"]


def test_the_same_key_is_the_same_task(open_door: Opener, visitor: Visitor, dispatcher: Dispatcher) -> None:
    open_door()
    first = visitor.post({"type": "noop"}, Idempotency_Key="k1")
    again = visitor.post({"type": "noop"}, Idempotency_Key="k1")
    other = visitor.post({"type": "noop", "payload": {"x": 1}}, Idempotency_Key="k1")
    assert (first.status, again.status, other.status) == (202, 202, 409)
    assert first.json == again.json
    assert len(dispatcher.known) == 1


def test_a_key_that_was_published_elsewhere_is_the_first_task(
    open_door: Opener, visitor: Visitor, dispatcher: Dispatcher, broker: MemoryBroker
) -> None:
    open_door()
    assert visitor.get("/healthz").status == 200
    other = Voice(broker, "somebody")
    other.bus.start(lambda *_: None, lambda _: None)
    other.say(K.TASK_NEW, b.Task(task_id="first", type="noop", idempotency_key="k1"))
    until(lambda: "first" in dispatcher.known, what="it is journaled")
    answer = visitor.post({"type": "noop"}, Idempotency_Key="k1")
    assert (answer.status, answer.json["task_id"]) == (202, "first")
    assert answer.headers["Location"] == "/tasks/first"
    assert visitor.get("/tasks/first").status == 200
    other.bus.close()


def test_what_would_be_read_by_nobody_is_refused_before_it_is_published(
    open_door: Opener, visitor: Visitor, dispatcher: Dispatcher
) -> None:
    open_door()
    deep = b'{"type": "noop", "payload": {"a": ' + b"[" * 29 + b"]" * 29 + b"}}"
    endless = b'{"type": "noop", "payload": {"a": ' + b"[" * 50_000
    many = b'{"type": "noop", "payload": {"a": [0' + b",0" * 10_000 + b"]}}"
    huge = b'{"type": "noop", "payload": {"a": ' + b"9" * 400 + b"}}"
    for body, status, reason in (
        (deep, 400, "deep"),
        (endless, 400, "deep"),
        (many, 400, "values"),
        (huge, 422, "64 bits"),
        (b'{"type": "noop", "max_attempts": ' + b"9" * 400 + b"}", 422, "64 bits"),
        (b'{"type": "noop", "timeout": ' + b"9" * 400 + b"}", 422, ""),
        (b'{"type": "noop", "payload": {"a": NaN}}', 422, "JSON"),
        (b'{"type": "noop", "payload": {"a": 1e999}}', 422, "range"),
        (b'{"type": "noop", "payload": {"a": "\\ud800"}}', 422, "JSON"),
        (b'{"type": "noop", "payload": {"a": "\xff"}}', 422, "UTF-8"),
        (b'{"type": "noop", "payload": {"a": "' + b'\\"' * 59_000 + b'"}}', 202, ""),
        (b'{"type": "noop", "payload": {"a": "' + b"x" * 122_000 + b'"}}', 202, ""),
    ):
        begun = time.monotonic()
        answer = visitor.post(body)
        assert answer.status == status, (body[:60], answer.body)
        assert reason in answer.json.get("error", "")
        assert time.monotonic() - begun < 5, "nobody is waited for"
    assert len(dispatcher.known) == 2
    assert visitor.get(f"/tasks?limit={'9' * 5000}").status == 422
    assert visitor.get("/tasks?limit=%D9%A3").status == 422


def test_a_token_in_the_query_is_for_the_websocket_alone(open_door: Opener, visitor: Visitor, tmp_path: Path) -> None:
    open_door("opencto-prod")
    token = (tmp_path / "state" / "gateway.token").read_text().strip()
    assert visitor.get(f"/agents?token={token}", Upgrade="websocket", Connection="Upgrade").status == 401


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_NAMES = [
    "type",
    "payload",
    "task_id",
    "priority",
    "assigned_to",
    "timeout",
    "max_attempts",
    "not_before",
    "expires_at",
]
_BODIES = st.one_of(
    st.binary(max_size=40),
    st.dictionaries(st.sampled_from([*_NAMES, "x"]), _VALUES, max_size=5).map(lambda body: json.dumps(body).encode()),
    st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=3).map(
        lambda body: json.dumps({**body, "type": "noop", "payload": {"a": body.get("payload")}}).encode()
    ),
)
_HEADERS = st.dictionaries(
    st.sampled_from(
        ["Idempotency-Key", "Content-Encoding", "Content-Type", "Origin", "Host", "Authorization", "Upgrade"]
    ),
    st.sampled_from(["gzip", "deflate", "br", "application/json", "application/json; charset=x", "websocket", "null"])
    | st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=9),
    max_size=2,
)
_PATHS = st.sampled_from(
    ["/tasks", "/tasks/", "/agents", "/status", "/", "/nowhere", "/tasks/%ff", "/tasks/a%2fb", "//"]
)
_QUERIES = st.lists(
    st.tuples(
        st.sampled_from(["state", "limit", "type", "token"]),
        st.sampled_from(["1", "-1", "1e9", "%ff", "%00", "queued", ""]),
    ).map("=".join),
    max_size=3,
).map("&".join)


@given(data=st.data())
@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_visitor_says_the_door_has_an_answer(fuzzed_door: Visitor, data: st.DataObject) -> None:
    """Nothing is a server's error, and each refusal has its reason."""
    method = data.draw(st.sampled_from(["POST", "POST", "POST", "GET", "PUT"]))
    path = "/tasks" if method == "POST" else f"{data.draw(_PATHS)}?{data.draw(_QUERIES)}"
    body = data.draw(_BODIES) if method == "POST" else None
    headers = data.draw(_HEADERS)
    answer = fuzzed_door.ask(method, path, body, **{name.replace("-", "_"): value for name, value in headers.items()})
    assert answer.status < 500, answer.body
    if answer.status >= 400:
        # What is no HTTP at all is answered before it is a request.
        assert answer.json["error"] if answer.headers["Content-Type"].startswith("application/json") else answer.body


@pytest.fixture
def fuzzed_door(open_door: Opener, visitor: Visitor, dispatcher: Dispatcher) -> Visitor:
    open_door()
    return visitor


def test_what_is_no_task_is_refused_with_the_reason(
    open_door: Opener, visitor: Visitor, dispatcher: Dispatcher
) -> None:
    open_door()
    for body, reason in (
        ({}, "type"),
        ({"type": "a b"}, "task type"),
        ({"type": "x", "task_id": "a/b"}, "task id"),
        ({"type": "x", "assigned_to": "a/b"}, "agent id"),
        ({"type": "x", "priority": "huge"}, "priority"),
        ({"type": "x", "more": 1}, "more"),
        ({"type": "refused.type"}, "no such type"),
        (b"{nonsense", "JSON"),
        (b"[1]", "object"),
    ):
        answer = visitor.post(body)
        assert answer.status == 422, (body, answer.body)
        assert reason in answer.json["error"]
    assert visitor.post({"type": "x"}, Idempotency_Key="k" * 300).status == 422
    assert visitor.post({"type": "x"}, Content_Type="text/plain").status == 415
    assert visitor.post({"type": "x", "payload": {"a": "x" * 200_000}}).status == 413
    assert visitor.get("/tasks?state=odd").status == 422
    assert visitor.get("/tasks?limit=0").status == 422
    assert visitor.get("/tasks/unknown").status == 404
    assert visitor.get("/nowhere").status == 404
    assert visitor.ask("DELETE", "/tasks").status == 405


def test_nobody_accepts_it(
    open_door: Opener, visitor: Visitor, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_gateway_app, "ACCEPT_TIMEOUT", 0.3)
    open_door()
    assert visitor.get("/healthz").status == 200
    dispatcher.silent = True
    answer = visitor.post({"type": "noop", "task_id": "t1"})
    assert (answer.status, answer.json["task_id"]) == (503, "t1")
    assert "repeat" in answer.json["error"]


def test_agents_health_metrics_and_openapi(open_door: Opener, visitor: Visitor, dispatcher: Dispatcher) -> None:
    dispatcher.say(K.STATUS, b.Status(status="online", role="testing", incarnation="i", pid=7), "tm")
    open_door()
    assert visitor.get("/healthz").json == {"status": "ok", "broker": True, "dispatcher": True, "halted": False}
    agent = visitor.get("/agents").json[0]
    assert (agent["agent_id"], agent["state"], agent["pid"]) == ("tm", "online", 7)
    dispatcher.say(K.HEARTBEAT, b.Heartbeat(agent_id="tm", memory={"rss": 4096}))
    metrics = visitor.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain")
    for line in (
        b'swarm_agents{state="online"} 1.0',
        b'swarm_agent_memory_bytes{agent_id="tm"} 4096.0',
        b"swarm_broker_up 1.0",
    ):
        assert line in metrics.body
    document = visitor.get("/openapi.json").json
    tasks = {"/tasks", "/tasks/{task_id}", "/tasks/{task_id}/output"}
    acts = {"/runs/{run_id}/cancel", "/runs/{run_id}/retry", "/schedules", "/schedules/{name}/{act}"}
    others = {"/runs", "/runs/{run_id}", *acts, "/asks", "/asks/{ask_id}", "/messages", "/messages/{message_id}"}
    assert set(document["paths"]) == {*tasks, *others, "/agents", "/status", "/healthz", "/metrics"}
    assert {"NewTask", "NewRun"} <= set(document["components"]["schemas"])
    assert "NewTask" in document["components"]["schemas"]
    page = visitor.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
    assert b"innerHTML" not in page.body
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_a_tasks_own_output(open_door: Opener, visitor: Visitor, tmp_path: Path) -> None:
    open_door()
    output = OutputFile(tmp_path / "state" / "tasks", "t1", 1)
    output.write(b"one\ntwo\n\xff\n")
    first = visitor.get("/tasks/t1/output").json
    assert first == {
        "task_id": "t1", "attempt": 1, "ended": False, "size": 10, "next": 10,
        "parts": [{"start": 0, "next": 10, "text": "one\ntwo\n\ufffd\n"}],
    }  # fmt: skip
    output.write(b"three\n")
    output.close()
    rest = visitor.get("/tasks/t1/output?since=10").json
    assert (rest["ended"], rest["parts"][0]["text"]) == (True, "three\n")
    assert visitor.get("/tasks/t1/output?lines=1&attempt=1").json["parts"][0]["text"] == "three\n"
    plain = visitor.get("/tasks/t1/output", Accept="text/plain")
    assert plain.headers["Content-Type"].startswith("text/plain")
    assert plain.body.decode() == "one\ntwo\n\ufffd\nthree\n"
    assert visitor.get("/tasks/t1/output?attempt=2").json["error"].startswith("no output of its attempt 2 is kept")
    assert visitor.get("/tasks/t2/output").status == 404
    for wrong in ("t1/output?attempt=x", "t1/output?since=-1", "t1/output?since=1&lines=1", "a%20b/output"):
        assert visitor.get(f"/tasks/{wrong}").status == 422, wrong


def test_the_output_of_a_task_that_ran_on_another_host(
    open_door: Opener, visitor: Visitor, broker: MemoryBroker, tmp_path: Path
) -> None:
    open_door()
    OutputFile(tmp_path / "state" / "tasks", "t1", 1).write(b"the first try\n")
    files = tmp_path / "far"
    OutputFile(files, "t1", 2).write(b"x" * 40_000 + b"\nthe second\n")
    far = Voice(broker, "far")

    def answer(topic: str, payload: bytes, retained: bool) -> None:
        event = decode(SWARM, topic, payload, retained, time.time())
        if isinstance(event, Event) and isinstance(event.body, b.Query):
            for more, row in enumerate(rows := output_rows(files, event.body.args), 1 - len(rows)):
                page = b.Reply(query="output", rows=[row], request=event.id, source="host:far", more=more < 0)
                far.say(K.REPLY, page, event.key)

    far.bus.subscribe(f"{SWARM}/operators/+/query")
    far.bus.start(answer, lambda _: None)
    far.say(K.HOST_STATUS, b.HostStatus(status="online"), "far")
    found = visitor.get("/tasks/t1/output").json
    assert found["attempt"] == 2
    assert "".join(part["text"] for part in found["parts"]) == "x" * 40_000 + "\nthe second\n"
    far.say(K.HOST_STATUS, b.HostStatus(status="offline"), "far")
    assert visitor.get("/tasks/t1/output").json["attempt"] == 1
    far.bus.close()


def test_the_page_knows_every_state_and_makes_no_markup_of_words() -> None:
    for word in (*AgentState, *TaskState, ASKED, REJECTED):
        assert re.search(rf'[{{ "]{word!s}"?: \["', PAGE), f"the page has no glyph for {word}"
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way not in PAGE
    assert "/*style*/" not in PAGE
    assert "/*script*/" not in PAGE
    assert not re.search(r"\s(on\w+|style)=", PAGE), "the policy lets nothing inline pass but the two hashed parts"


def test_metrics_tell_of_the_queue_and_of_how_long_tasks_took(
    open_door: Opener, visitor: Visitor, dispatcher: Dispatcher
) -> None:
    open_door()
    visitor.get("/healthz")
    for task_id in ("t1", "t2", "t3"):
        visitor.post({"type": "noop", "task_id": task_id})
    dispatcher.say(K.TASK_ASSIGNED, b.Assigned(task_id="t1", agent_id="tm", attempt=1))
    done = b.Complete(task_id="t1", agent_id="tm", attempt=1, duration=2000.0)
    dispatcher.say(K.TASK_COMPLETE, done)
    dispatcher.say(K.TASK_COMPLETE, done)
    page = visitor.get("/metrics").body.decode()
    assert "swarm_queue_depth 2.0" in page
    assert "swarm_queue_oldest_seconds 0." in page
    assert 'swarm_tasks{state="complete"} 2.0' in page, "t1, and one of the past"
    labels = 'state="complete",type="noop"'
    assert f"swarm_task_duration_seconds_count{{{labels}}} 1.0" in page, "a result said again is no second end"
    assert f"swarm_task_duration_seconds_sum{{{labels}}} 2.0" in page
    assert f'swarm_task_duration_seconds_bucket{{le="1.0",{labels}}} 0.0' in page


def test_types_that_anybody_invents_share_a_label(open_door: Opener, visitor: Visitor, dispatcher: Dispatcher) -> None:
    open_door()
    visitor.get("/healthz")
    for number in range(103):
        dispatcher.say(K.TASK_NEW, b.Task(task_id=f"t{number}", type=f"made.up{number}", payload={}))
        dispatcher.say(K.TASK_COMPLETE, b.Complete(task_id=f"t{number}", agent_id="tm", attempt=1, duration=1.0))
    page = visitor.get("/metrics").body.decode()
    assert 'swarm_task_duration_seconds_count{state="complete",type="other"} 3.0' in page


def test_the_past_is_asked_for_when_the_broker_comes_late(
    open_door: Opener, visitor: Visitor, broker: MemoryBroker, buses: list[MemoryBus], dispatcher: Dispatcher
) -> None:
    broker.stop()
    open_door()
    assert visitor.get("/healthz").status == 503
    assert visitor.get("/tasks").json == []
    broker.start()
    for bus in (dispatcher.bus, *buses):
        bus.restore()
    until(lambda: [row["task_id"] for row in visitor.get("/tasks").json] == ["old"], what="the past is known")
    status = visitor.get("/status").json
    assert (status["swarm"], status["tasks"]["complete"], status["rate"] >= 0) == (SWARM, 1, True)


def test_pages_of_other_sites_stay_outside(open_door: Opener, visitor: Visitor, dispatcher: Dispatcher) -> None:
    open_door(SWARM_HTTP_ORIGINS="https://ops.example", SWARM_HTTP_HOSTS="door.example")
    port = visitor.port
    assert visitor.get("/agents", Host=f"evil.example:{port}").status == 421
    assert visitor.get("/agents", Host=f"door.example:{port}").status == 200
    assert visitor.get("/agents", Host=f"localhost:{port}").status == 200
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port + 1}"):
        assert visitor.post({"type": "noop"}, Origin=origin).status == 403
    assert dispatcher.known == {}
    assert visitor.post({"type": "noop"}, Origin=f"http://127.0.0.1:{port}").status == 202
    assert visitor.post({"type": "noop"}, Origin="https://ops.example").status == 202


def test_elsewhere_a_token_is_needed(open_door: Opener, visitor: Visitor, tmp_path: Path) -> None:
    open_door("opencto-prod")
    token_file = tmp_path / "state" / "gateway.token"
    assert token_file.stat().st_mode & 0o777 == 0o600
    token = token_file.read_text().strip()
    assert len(token) >= 32
    refused = visitor.get("/agents")
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert visitor.get("/agents", Authorization="Bearer wrong").status == 401
    assert visitor.get(f"/agents?token={token}").status == 401, "in a query it would be logged"
    assert visitor.get("/agents", Authorization=f"Bearer {token}").status == 200
    assert visitor.get("/healthz").status == 200
    assert visitor.get("/").status == 200


def test_a_token_that_others_can_read_opens_nothing(open_door: Opener, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("x" * 32)
    token_file.chmod(0o644)
    with pytest.raises(OSError, match="chmod 600"):
        open_door(SWARM_HTTP_TOKEN_FILE=str(token_file))
    token_file.chmod(0o600)
    token_file.write_text("short")
    with pytest.raises(OSError, match="16 characters"):
        open_door(SWARM_HTTP_TOKEN_FILE=str(token_file))


def test_a_port_that_means_nothing_is_said(open_door: Opener) -> None:
    with pytest.raises(OSError, match="SWARM_HTTP_PORT"):
        open_door(SWARM_HTTP_PORT="eighty")


def test_a_taken_port_is_said_and_tried_again(open_door: Opener, visitor: Visitor) -> None:
    with ExitStack() as others:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            other = others.enter_context(socket.socket(family))
            with suppress(OSError):
                other.bind((address, visitor.port))
                other.listen()
        role = open_door()
        role.tick(time.time())
        lines = role._link.lines  # type: ignore[attr-defined]
        assert len(lines) == 1
        assert "another program has it" in lines[0]
        free = int(lines[0].partition("SWARM_HTTP_PORT=")[2].partition(",")[0])
        assert free > visitor.port
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", free))
        assert lines[0].endswith(role.complaint), "it is not told in the retained status"
        assert role.url is None
    role.tick(time.time() + 100)
    assert visitor.get("/healthz").status in (200, 503)
    assert role.complaint == ""


@pytest.mark.skipif(not _has_ipv6_loopback(), reason="this machine has no IPv6 loopback")
def test_it_is_reached_over_both_loopbacks(open_door: Opener, visitor: Visitor) -> None:
    role = open_door()
    assert role.url == f"http://127.0.0.1:{visitor.port}"
    for host in ("::1", "127.0.0.1", "localhost"):
        assert Visitor(visitor.port, host).get("/status").status == 200


@pytest.mark.skipif(not _has_ipv6_loopback(), reason="this machine has no IPv6 loopback")
def test_another_program_on_one_loopback_is_told(open_door: Opener, visitor: Visitor) -> None:
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", visitor.port))
        other.listen()
        role = open_door()
        assert visitor.get("/healthz").status == 200
    assert f"not open on ::1 port {visitor.port}: another program has it" in role._link.lines[-1]  # type: ignore[attr-defined]


def test_an_address_is_that_one_alone(open_door: Opener, visitor: Visitor) -> None:
    open_door(SWARM_HTTP_HOST="127.0.0.1")
    assert visitor.get("/healthz").status == 200
    with pytest.raises(OSError, match=r"refused|assign"):
        Visitor(visitor.port, "::1").get("/healthz")


def test_a_door_that_fell_opens_again(open_door: Opener, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    role = open_door()
    with monkeypatch.context() as patched:
        patched.setattr(api_gateway_app, "Door", None)
        with pytest.raises(OSError, match=r"closed|reset|timed out"):
            visitor_socket(visitor.port)
        until(lambda: role._thread is not None and not role._thread.is_alive(), what="the server fell")
    assert "fell" in role._link.lines[-1]  # type: ignore[attr-defined]
    role.tick(time.time() + 100)
    assert visitor.get("/healthz").status == 200


def visitor_socket(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        if connection.recv(1) == b"":
            raise OSError("closed")


_IDLE = """
import sys, itertools
from swarm_tui.agent.roles.api_gateway.role import ApiGateway
from swarm_tui.broker.mosquitto import _has_ipv6_loopback
from swarm_tui.bus.memory import MemoryBroker, MemoryBus
from swarm_tui.domain.fleet.runs import ASKED, REJECTED
from swarm_tui.domain.states import AgentState, TaskState
from swarm_tui.config.model import Broker, RunSpec
class Link:
    swarm = "opencto-dev"
    def log(self, line): pass
spec = RunSpec(agent_id="d", role="api-gateway", swarm="opencto-dev", broker=Broker(), workdir="/",
               state_dir=sys.argv[2], env={"SWARM_HTTP_PORT": sys.argv[1]})
role = ApiGateway(spec, Link())
role.start()
assert role.url and not role.serving
print(sorted(name for name in ("aiohttp", "asyncio", "prometheus_client", "paho") if name in sys.modules))
role.close()
"""


def test_an_idle_door_loads_no_server(free_port: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _IDLE, str(free_port), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


def test_the_probe_finds_the_door_or_says_that_there_is_none(
    open_door: Opener, visitor: Visitor, tmp_path: Path
) -> None:
    import asyncio

    async def probe(payload: dict[str, object]) -> dict[str, object]:
        return await Probe().run(context(payload, tmp_path))

    with pytest.raises(HandlerError, match="no HTTP door"):
        asyncio.run(probe({}))
    open_door()
    found = asyncio.run(probe({}))
    assert (found["healthy"], found["status"]) == (True, 200)
    lost = asyncio.run(probe({"url": f"http://127.0.0.1:{visitor.port}/nowhere"}))
    assert (lost["healthy"], lost["status"], lost["verdict"]) == (False, 404, "failed")
