"""The small parts of the command line: payloads, recordings, spans and tables."""

import io
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.cli import formatting, logs, recording, up
from swarm_tui.cli.common import Failure, target
from swarm_tui.cli.group import run
from swarm_tui.cli.logs import _new
from swarm_tui.cli.payload import build_payload
from swarm_tui.cli.recording import Line, opened, read_lines, write_line
from swarm_tui.cli.scale import allowed
from swarm_tui.cli.task_acts import Refusal
from swarm_tui.cli.watch import as_json_line
from swarm_tui.config.model import Broker
from swarm_tui.config.running import Running, save_running
from swarm_tui.config.seed import seed_path
from swarm_tui.domain import scaling
from swarm_tui.protocol.bodies import Alert, PaneStatus
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor.start_watch import Wait
from tests.conftest import pick_port

EMPTY = io.BytesIO()


def running(swarm: str, url: str = "mqtt://127.0.0.1:7") -> Running:
    return Running(
        swarm=swarm,
        session="s",
        socket="x",
        layout_path="/l",
        broker=Broker(url=url),
        host="h",
        version="1",
        started_at=1.0,
    )


def test_a_payload_is_put_together() -> None:
    payload = build_payload('{"a": {"b": 1}, "c": 2}', ("a.d=[1,2]", "e=plain text", "f=true", "g=1.5", "h="), EMPTY)
    assert payload == {"a": {"b": 1, "d": [1, 2]}, "c": 2, "e": "plain text", "f": True, "g": 1.5, "h": ""}


def test_a_payload_comes_from_a_file_or_stdin(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"x": 1}')
    assert build_payload(f"@{path}", (), EMPTY) == {"x": 1}
    assert build_payload("-", ("y=2",), io.BytesIO(b'{"x": 1}')) == {"x": 1, "y": 2}
    with pytest.raises(Failure, match="a message holds no more"):
        build_payload("-", (), io.BytesIO(b" " * 200_000))


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_pair_is_read_or_refused_with_a_sentence(key: str, value: str) -> None:
    try:
        payload = build_payload(None, (f"{key}={value}",), EMPTY)
    except Failure as failure:
        assert failure.exit_code == 2  # noqa: PT017  (either outcome is right; what is not is another exception)
    else:
        assert len(payload) == 1


LINES = st.lists(
    st.builds(
        Line,
        at=st.floats(0, 2e11),
        topic=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        payload=st.binary(max_size=60),
        retained=st.booleans(),
    ),
    max_size=5,
)


@given(LINES)
def test_a_recording_comes_back_as_it_was(lines: list[Line]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.jsonl"
        with opened(path) as file:
            assert file is not None
            for line in lines:
                write_line(file, line)
        assert list(read_lines(path)) == lines
        with open(path, "ab") as file:
            file.write(b'{"at":1,"top')
        assert list(read_lines(path)) == lines, "a line cut off at the end is left out"


def test_a_broken_recording_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"at":1,"topic":"a/b","payload":"{}"}\nnonsense\n')
    with pytest.raises(Failure, match=r"r\.jsonl:2:1: not a line of a recording"):
        list(read_lines(path))


@pytest.mark.parametrize(
    ("raw", "place", "says"),
    [
        (b'{"at":1,"topic":"a/b"} x\n', "1:24", "extra data"),
        (b'{"at":1,"topic":"a/b"}\n{"at":2,"topic":3}\n', "2:9", "Expected `str`, got `int`"),
        (b'{"at":1e300,"topic":"a/b"}\n', "1:2", "Expected `float` <= "),
        (b'{"at":-1,"topic":"a/b"}\n', "1:2", "Expected `float` >= 0"),
        (b'{"at":1}\n', "1:1", "missing required field `topic`"),
        (b"\x1f\x8b\x08\n", "1:1", "binary data"),
        (b'{"at":1,"topic":"\xff"}\n', "1:1", "UTF-8"),
        (b"\0" * 20, "1:1", "binary data"),
        (b"no JSON at all", "1:1", "expecting value"),
    ],
)
def test_what_is_no_line_of_a_recording_is_named_with_its_place(
    raw: bytes, place: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(raw)
    assert run(["replay", str(path), "--plain", "--speed", "0"]) == 2
    assert f"{path}:{place}: not a line of a recording: " in (said := capsys.readouterr().err)
    assert says.casefold() in said.casefold()
    assert said.count("\n") == 1


def test_a_replay_reads_no_more_of_a_line_than_a_line_may_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", "/dev/zero"]) == 2
    assert "/dev/zero:1:1: not a line of a recording: binary data" in capsys.readouterr().err


def test_a_replay_holds_no_more_than_memory_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"\n" * 9 + b'{"at":1,"topic":"a/b"}\n')
    monkeypatch.setattr(recording, "MOST", 1000)
    assert run(["replay", str(path)]) == 2
    assert f"{path}:5:1: this is more than can be held" in capsys.readouterr().err
    monkeypatch.setattr(recording, "LONGEST", 5)
    assert run(["replay", str(path)]) == 2


def test_of_a_message_that_no_line_holds_the_beginning_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "LONGEST", 800)
    path = tmp_path / "r.jsonl"
    with opened(path) as file:
        assert file is not None
        write_line(file, Line(at=5.0, topic="a/b", payload=b"\0" * 5000))
        write_line(file, Line(at=5.0, topic="a/b", payload=b"\xff" * 5000))
    assert [len(line.payload) for line in read_lines(path)] == [100, 100]


def test_a_recording_is_replayed_as_lines_and_as_facts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.jsonl"
    body = '{"payload":{"status":"online","role":"testing"}}'
    with opened(path) as file:
        assert file is not None
        write_line(file, Line(at=5.0, topic="a/b/agents/x-1/status", payload=body.encode(), retained=True))
        write_line(file, Line(at=6.0, topic="a/b/tasks/new", payload=b"\xff"))
    assert run(["replay", str(path), "--speed", "0"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == f"a/b/agents/x-1/status {body}"
    assert "refused: not UTF-8" in said.err
    assert run(["replay", str(path), "--summary"]) == 0
    facts = capsys.readouterr().out
    assert '"swarm":"a/b"' in facts
    assert '"agent_id":"x-1","role":"testing","state":"online"' in facts
    assert run(["replay", str(path), "--speed", "0", "--json"]) == 0
    assert '"refused":"not UTF-8' in capsys.readouterr().out


def test_only_new_lines_are_told_again() -> None:
    assert _new(["a", "b"], ["a", "b", "c"]) == ["c"]
    assert _new(["a", "b", "c"], ["b", "c", "d", "e"]) == ["d", "e"]
    assert _new(["a"], ["x", "y"]) == ["x", "y"]
    assert _new([], ["x"]) == ["x"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0.4, "0s"), (59, "59s"), (61, "1m01s"), (3700, "1h01m"), (90_000, "1d01h")]
)
def test_spans(seconds: float | None, text: str) -> None:
    assert formatting.age(seconds) == text


def test_a_table_lines_up_with_wide_letters(capsys: pytest.CaptureFixture[str]) -> None:
    formatting.table(["A", "B"], [["日本", "x"], ["abc", "y"]])
    assert capsys.readouterr().out == "A     B\n日本  x\nabc   y\n"


def test_the_swarm_meant_is_the_flag_then_the_environment_then_the_only_one_that_runs() -> None:
    assert target(environ={}).swarm == "opencto-dev"
    save_running(running("one"))
    assert target(environ={}).swarm == "one"
    assert target(environ={"OPENCTO_SWARM": "env"}).swarm == "env"
    assert target("flag", environ={"OPENCTO_SWARM": "env"}).swarm == "flag"
    save_running(running("two"))
    with pytest.raises(Failure, match=r"several swarms run here \(one, two\)"):
        target(environ={})
    save_running(running("opencto-dev"))
    assert target(environ={}).swarm == "opencto-dev"


def test_the_broker_meant_is_the_flag_then_the_environment_then_what_runs_then_the_layouts() -> None:
    save_running(running("one"))
    assert target("one", environ={}).broker.url == "mqtt://127.0.0.1:7"
    assert target("one", environ={"MQTT_BROKER": "mqtt://e"}).broker.url == "mqtt://e"
    assert target("one", "mqtt://f", environ={"MQTT_BROKER": "mqtt://e"}).broker.url == "mqtt://f"
    assert target("one", environ={"MQTT_USERNAME": "u", "MQTT_PASSWORD": "p"}).broker.password == "p"
    assert target("opencto-dev", environ={}).broker.url == "mqtt://127.0.0.1:1883"


def test_init_writes_a_layout_that_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "mine"]) == 0
    assert run(["validate", "mine"]) == 0
    assert run(["init", "mine"]) == 2
    assert run(["init", "mine", "--force"]) == 0


def test_the_browser_screen_lets_in_only_who_has_the_token() -> None:
    import asyncio

    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer

    from swarm_tui.cli.serve import guard
    from tests.conftest import pick_port

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="screen")

    async def scenario() -> list[int]:
        port = pick_port()
        app = web.Application(middlewares=[guard("secret", port)])
        app.router.add_get("/", page)
        async with TestClient(TestServer(app, port=port)) as client:
            seen = [
                (await client.get("/")).status,
                (await client.get("/?token=wrong")).status,
                (await client.get("/?token=secret", headers={"Host": f"evil.example:{port}"})).status,
                (await client.get("/?token=secret", headers={"Origin": "http://evil.example"})).status,
                (await client.get("/?token=secret", allow_redirects=False)).status,
            ]
            client.session.cookie_jar.clear()
            headers = {"Cookie": "swarm_tui_token=secret"}
            seen.append((await client.get("/", headers=headers)).status)
            seen.append((await client.get("/", headers={**headers, "Origin": "http://evil.example"})).status)
            return seen

    assert asyncio.run(scenario()) == [403, 403, 403, 403, 302, 200, 403]


def test_a_swarm_that_was_not_brought_up_here_is_where_files_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = seed_path()
    file.parent.mkdir(parents=True)
    file.write_text("broker: {url: mqtt://seed, username: ann, password: '${MQTT_PASSWORD}'}\n")
    monkeypatch.setenv("MQTT_PASSWORD", "pw")
    assert target().broker == Broker(url="mqtt://seed", username="ann", password="pw")
    assert target(broker="mqtt://flag").broker.url == "mqtt://flag"
    assert target("mine").broker.url == Broker().url
    (tmp_path / "layouts").mkdir()
    (tmp_path / "layouts" / "opencto-dev.yml").write_text(
        "swarm: opencto-dev\nbroker: {url: mqtt://own}\nagents: [{role: docs}]\n"
    )
    assert target().broker.url == "mqtt://own"


def test_a_layout_with_mistakes_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "layouts" / "mine.yml"
    mine.parent.mkdir()
    mine.write_text(
        "swarm: mine\nbroker: {url: mqtt://own, username: me, password: '${A_PASSWORD}'}\nagents: [{role: docs}]\n"
    )
    monkeypatch.chdir(tmp_path)
    assert run(["status", "--swarm", "mine"]) == 2
    said = capsys.readouterr().err
    assert "mine.yml:2:51: ${A_PASSWORD} is not set; export A_PASSWORD" in said
    assert run(["status", "--swarm", "mine", "--broker", f"mqtt://127.0.0.1:{pick_port()}"]) == 3


def test_the_limits_of_a_role_are_those_of_all_hosts_together() -> None:
    told = scaling.scale(
        scaling.RoleCount(role="docs", low=1, high=3, running=1), 9,
        now=0.0, fleet=1, cap=64, memory_left=1 << 40, agent_memory=1, asked=True,
    )  # fmt: skip
    assert allowed([f"docs: {told.reason}", "not scaled: the layout gives docs no min and max"]) == (1, 3)
    assert allowed([f"docs: {told.reason}"] * 2) == (2, 6)
    assert allowed(["docs: not scaled while it crash-loops"]) is None


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b'{\n "a":\r\n [1, "x\\ny"]}', {"a": [1, "x\ny"]}),
        (b"hello", "hello"),
        (b"", ""),
        (b"\xff", "\ufffd"),
        (b'{"a": 1} {', '{"a": 1} {'),
        (b'"\n', '"\n'),
        (b"[" * 5000, "[" * 5000),
    ],
    ids=["lines", "no JSON", "empty", "no UTF-8", "more", "a half", "deep"],
)
def test_a_message_is_one_json_object_in_one_line_whatever_it_holds(payload: bytes, shown: object) -> None:
    line = as_json_line(1.0, "s/tasks/new", payload, False, None)
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line)["message"] == shown


def test_the_dispatchers_reason_gives_the_terminal_no_orders() -> None:
    heard: list[Callable[[Event], None]] = []
    follower = SimpleNamespace(operator=SimpleNamespace(on_event=heard.append), lock=threading.Condition())
    refusal = Refusal(cast(Any, follower))
    refusal.of("1")
    writer = Writer("s", "m", "task-manager", new_id=lambda: "i", clock=lambda: 1.0)
    said = writer.message(Kind.ALERT, Alert(message="no\x1b]0;title\x07", name="act:1"))
    event = decode("s", said.topic, said.payload, False, 1.0)
    assert isinstance(event, Event)
    heard[0](event)
    assert refusal.why == "no␛]0;title␇"


def test_a_follower_of_a_log_misses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what comes while the last lines are printed, nor what the former file still gets as it is rotated."""
    log, shown = tmp_path / "a.log", list[str]()
    log.write_text("1\n2\n")

    def put(path: Path, text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    def pause(_: float) -> None:
        if not (tmp_path / "a.log.1").exists():
            log.rename(tmp_path / "a.log.1")
            log.touch()
            put(tmp_path / "a.log.1", "4\n")
        elif not log.stat().st_size:
            put(tmp_path / "a.log.1", "5\n")
            put(log, "6\n")
        else:
            raise KeyboardInterrupt

    def echo(line: str, **_: object) -> None:
        shown.append(line)
        if line == "1":
            put(log, "3\n")

    monkeypatch.setattr(time, "sleep", pause)
    monkeypatch.setattr(click, "echo", echo)
    monkeypatch.setattr(logs, "reader_is_gone", lambda: False)
    with pytest.raises(KeyboardInterrupt):
        logs._local(log, 10, keep=True, raw=False)
    assert shown == ["1", "2", "3", "4", "5", "6"]


def test_a_folder_that_is_gone_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for command in (["up", "--detach"], ["run", "x"], ["validate", "x.yml"]):
        assert run(command) == 2
        assert (
            capsys.readouterr().err == "swarm-tui: the folder that this terminal stands in is gone: go to another one\n"
        )


def test_a_start_that_a_full_disk_holds_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = SimpleNamespace(socket="x", session="dev", swarm="dev")
    missing = Wait(known=True, missing=[PaneStatus(agent_id="a", role="docs", state="starting")])
    for trouble, says in (("", "shows its pane"), ("the disk is full", "; the disk is full")):
        monkeypatch.setattr(up, "disk_trouble", lambda trouble=trouble: trouble)
        said = up._report(cast(Any, SimpleNamespace(plan=plan, running=False)), missing, 60.0)
        assert said is not None
        assert said.startswith("did not register within 60 s: a; ")
        assert said.endswith(says)
