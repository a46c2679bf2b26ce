"""agent-cli: streams of the documented shapes become progress, usage and an answer; limits and modes are kept."""

import json
import os
import sys
import textwrap

import pytest
import yaml

from swarm_tui.agent.conversation.spec import find, fits
from swarm_tui.agent.handlers.base import HandlerError, MissingToolError
from swarm_tui.agent.handlers.models.agent_cli import AgentCli

CLAUDE = [
    {"type": "system", "subtype": "init", "session_id": "s-1", "model": "opus", "tools": ["Read"]},
    {
        "type": "assistant",
        "session_id": "s-1",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "I look around."}]},
    },
    {
        "type": "assistant",
        "message": {"content": [{"type": "tool_use", "id": "x", "name": "Read", "input": {"file_path": "a"}}]},
    },
    {"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "x", "content": "text"}]}},
    {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "num_turns": 2,
        "result": "All is well.",
        "session_id": "s-1",
        "total_cost_usd": 0.0125,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 100,
            "cache_read_input_tokens": 1000,
            "output_tokens": 20,
        },
    },
]
CODEX = [
    {"type": "thread.started", "thread_id": "th-1"},
    {"type": "turn.started"},
    {
        "type": "item.started",
        "item": {"id": "i0", "type": "command_execution", "command": "ls", "status": "in_progress"},
    },
    {"type": "item.completed", "item": {"id": "i0", "type": "command_execution", "command": "ls", "exit_code": 0}},
    {"type": "item.completed", "item": {"id": "i1", "type": "agent_message", "text": "Three files."}},
    {"type": "turn.completed", "usage": {"input_tokens": 100, "cached_input_tokens": 50, "output_tokens": 7}},
]
GEMINI = [
    {"type": "init", "timestamp": "t", "session_id": "g-1", "model": "pro"},
    {"type": "message", "role": "user", "content": "hello"},
    {"type": "tool_use", "tool_name": "read_file", "tool_id": "r", "parameters": {}},
    {"type": "tool_result", "tool_id": "r", "status": "success", "output": "x"},
    {"type": "message", "role": "assistant", "content": "It ", "delta": True},
    {"type": "message", "role": "assistant", "content": "works.", "delta": True},
    {"type": "result", "status": "success", "stats": {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10}},
]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a program on the PATH that prints a stream, and keeps what it was given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name, events, code=0, then=""):
        given = tmp_path / f"{name}.json"
        script = f"""\
            #!{sys.executable}
            import json, os, sys, time
            given = {{"argv": sys.argv[1:], "stdin": sys.stdin.read(), "cwd": os.getcwd(), "env": dict(os.environ)}}
            json.dump(given, open({str(given)!r}, "w"))
            for event in json.loads({json.dumps(json.dumps(events))}):
                print(json.dumps(event), flush=True)
            {then}
            sys.exit({code})
            """
        (folder / name).write_text(textwrap.dedent(script))
        (folder / name).chmod(0o755)
        return lambda: json.loads(given.read_text())

    return make


def ask(bench, cli, options=None, **payload):
    options = {"protocol": "headless", **(options or {})}
    return bench.run(AgentCli(), "agent-cli", {"prompt": "-do it", "cli": cli, **payload}, options=options)


def test_claude(bench, fake, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("OTHER_SECRET", "s")
    given = fake("claude", CLAUDE)
    result = ask(bench, "claude", {"max_turns": 8, "max_cost": 2.5, "model": "opus"}, max_turns=4)
    assert result == {
        "cli": "claude",
        "text": "All is well.",
        "turns": 2,
        "session": "s-1",
        "usage": {"tokens_in": 1110, "tokens_out": 20, "tokens_cached": 1000, "cost": 0.0125},
        "refused": [],
        "stop_reason": "end_turn",
    }
    assert bench.heard.progress[:2] == [(25.0, "I look around."), (50.0, "Read")]
    assert given()["argv"] == [
        *("-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "default"),
        *("--model", "opus", "--max-turns", "4", "--max-budget-usd", "2.5"),
    ]
    assert (given()["stdin"], given()["cwd"]) == ("-do it", str(bench.workdir))
    assert given()["env"]["ANTHROPIC_API_KEY"] == "k"
    assert "OTHER_SECRET" not in given()["env"]


def test_codex(bench, fake):
    given = fake("codex", CODEX)
    result = ask(bench, "codex", {"modes": ["read", "edit"]}, mode="edit", model="gpt-5")
    assert (result["text"], result["session"], result["usage"]["tokens_in"]) == ("Three files.", "th-1", 100)
    assert given()["argv"] == [
        *("exec", "--json", "--skip-git-repo-check", "--sandbox", "workspace-write", "--model", "gpt-5", "-"),
    ]


def test_gemini(bench, fake):
    given = fake("gemini", GEMINI)
    result = ask(bench, "gemini")
    assert (result["text"], result["session"], result["usage"]["tokens_in"]) == ("It works.", "g-1", 20)
    assert given()["argv"] == ["--skip-trust", "--output-format", "stream-json", "--approval-mode", "default"]


@pytest.mark.parametrize(
    ("cli", "events", "code", "message", "error"),
    [
        (
            "claude",
            [{**CLAUDE[-1], "is_error": True, "result": "Invalid API key"}],
            1,
            "Invalid API key",
            "authentication",
        ),
        (
            "claude",
            [{"type": "result", "subtype": "error_max_turns", "is_error": False}],
            0,
            "error_max_turns",
            "limit",
        ),
        ("claude", [{"type": "result", "subtype": "success", "is_error": True, "result": "x"}], 0, "x", "agent-cli"),
        ("codex", [{"type": "turn.failed", "error": {"message": "no quota"}}], 1, "no quota", "quota"),
        ("codex", [{"type": "error", "message": "stream lost"}], 1, "stream lost", "agent-cli"),
        ("gemini", [], 53, "turn limit is reached", "limit"),
        ("gemini", [{"type": "result", "status": "error", "error": {"message": "bad"}}], 0, "bad", "agent-cli"),
        ("gemini", [], 0, "said nothing", "agent-cli"),
    ],
)
def test_failures_say_why(bench, fake, cli, events, code, message, error):
    fake(cli, events, code)
    with pytest.raises(HandlerError, match=message) as caught:
        ask(bench, cli)
    assert caught.value.code == error
    assert "usage" in caught.value.result


def test_a_program_without_a_turn_limit_of_its_own_is_held_to_ours(bench, fake, group_gone):
    message = CODEX[4]
    fake("codex", [message] * 4, then="time.sleep(60)")
    with pytest.raises(HandlerError, match="more than 3 turns") as caught:
        ask(bench, "codex", {"max_turns": 3})
    assert caught.value.code == "limit"
    assert caught.value.result["turns"] == 4
    group_gone(bench.heard.spawned[0])


def test_cancel_ends_it(bench, fake, group_gone):
    fake("claude", CLAUDE[:2], then="time.sleep(60)")

    with pytest.raises(HandlerError) as caught:
        bench.cancel_when(
            AgentCli(),
            "agent-cli",
            lambda: bool(bench.heard.progress),
            payload={"prompt": "x"},
            options={"protocol": "headless"},
        )
    assert caught.value.code == "cancelled"
    assert caught.value.result["session"] == "s-1"
    group_gone(bench.heard.spawned[0])


NEW_CLI = """
cli: mine
clis:
  mine:
    argv: [mine, --ask, "{prompt}", "{mode}", "{max_turns}"]
    modes: {read: [--safe]}
    max_turns: [--turns, "{max_turns}"]
    events:
      - {when: {kind: say}, text: body, progress: [body]}
      - {when: {kind: bill}, tokens: [in, out], cost: usd}
"""


def test_a_new_cli_is_ten_lines_of_yaml(bench, fake):
    given = fake("mine", [{"kind": "say", "body": "hi"}, {"kind": "bill", "in": 1, "out": 2, "usd": 0.5}, "noise", 3])
    result = ask(bench, None, yaml.safe_load(NEW_CLI))
    assert (result["text"], result["usage"]["tokens_in"], result["usage"]["cost"]) == ("hi", 3, 0.5)
    assert given()["argv"] == ["--ask", " -do it", "--safe", "--turns", "30"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"mode": "edit"}, "not-allowed"),
        ({"cli": "nothing"}, "bad-payload"),
        ({"model": "--dangerously-skip-permissions"}, "bad-payload"),
        ({"repo": ".."}, "outside"),
        ({"prompt": ""}, "bad-payload"),
    ],
)
def test_what_is_refused(bench, fake, payload, code):
    fake("claude", CLAUDE)
    with pytest.raises(HandlerError) as caught:
        ask(bench, payload.pop("cli", "claude"), **payload)
    assert caught.value.code == code


def test_a_missing_program_names_its_install(bench, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingToolError, match="npm install --global @openai/codex"):
        ask(bench, "codex")


def test_a_bad_description_of_a_cli_is_the_layouts_mistake(bench):
    with pytest.raises(HandlerError, match="options") as caught:
        ask(bench, "x", {"clis": {"x": {"argv": ["x"], "modes": {}, "event": []}}})
    assert caught.value.code == "bad-options"


def test_paths_into_events():
    event = {"a": [{"b": 1}, {"b": 2}, 3], "c": {"d": "x"}}
    assert find(event, "a.*.b") == [1, 2]
    assert find(event, "c.d.e") == []
    assert fits(event, {"c.d": "x"})
    assert not fits(event, {"c.d": "y"})


def test_colours_get_into_no_error(bench, fake):
    loud = r"sys.stderr.write('\x1b[31mError:\x1b[0m \x1b]0;title\x07no \x1b[1mkey\x1b[0m\n')"
    fake("gemini", [{"type": "init", "session_id": "g"}], code=1, then=loud)
    with pytest.raises(HandlerError, match=r"^gemini: Error: no key \(") as caught:
        ask(bench, "gemini")
    assert "\x1b" not in str(caught.value)
