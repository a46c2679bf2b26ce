"""The conversation machinery does the same with every CLI, however each was measured to behave."""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from swarm_tui.agent.conversation import conversation, programs
from swarm_tui.agent.conversation.programs import swarm_server
from swarm_tui.agent.handlers.base import HandlerError, ResumePoint
from swarm_tui.config.own_process import own_argv
from swarm_tui.config.sandbox import Sandbox
from swarm_tui.domain.asks.model import AskAnswer
from swarm_tui.testing.attempt import context
from tests.unit.conversation.conftest import NAMES, Talk
from tests.wait import until

every_cli = pytest.mark.parametrize("name", NAMES)


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@every_cli
def test_a_prompt_is_answered_with_its_usage_and_session(talk: Talk, name: str) -> None:
    told = talk(name, "please [[write a.txt hi]] [[say All done.]]")
    assert (told.text, told.stop_reason, told.refused) == ("All done.", "end_turn", [])
    assert (talk.folder / "a.txt").read_text() == "hi"
    assert told.turns == 2
    assert told.session
    assert told.usage.tokens_in == (100 if name == "opencode" else 200)
    assert told.usage.cost == (0.002 if name == "claude" else None)
    assert not talk.asked, "an edit in its folder is what the mode allows"
    assert talk.log[:3] == ["✓ Edit a.txt", "  ┊+hi", "All done."]
    money = "$0.0020" if name == "claude" else "cost not known"
    assert talk.log[3] == f"Σ {told.usage.tokens_in} tokens in, {told.usage.tokens_out} out, {money}"


@every_cli
def test_nothing_is_paid_for_that_nobody_sees(talk: Talk, name: str) -> None:
    """Titles and suggestions are turned off, as each CLI lets them be."""
    told = talk(name, "please [[say hello]]")
    session = told.session
    assert ("beside" in told.result()) == (name == "gemini"), "what is left is said"
    assert "beside" not in json.loads((talk.home / f"{session}.json").read_text())


@every_cli
def test_what_no_rule_names_is_asked_and_done_once_allowed(talk: Talk, name: str) -> None:
    told = talk(name, "[[run echo hi > b.txt]] [[say Done.]]")
    assert [(one.tool, one.title) for one in talk.asked] == [("Bash", "echo hi > b.txt")]
    assert (talk.folder / "b.txt").exists()
    assert told.text == "Done."


@every_cli
def test_an_always_is_not_asked_again(talk: Talk, name: str) -> None:
    talk.answer = lambda question: AskAnswer(outcome="always", by="operator:ada@h")
    talk(name, "[[run true]] [[run true]] [[run false || true]] [[say Done.]]")
    assert [one.title for one in talk.asked] == ["true", "false || true"]
    assert talk.asked[0].rule == "Bash(true)"


def test_what_an_earlier_attempt_was_always_allowed_is_not_asked_though_the_layout_asks_it(talk: Talk) -> None:
    talk("claude", "[[run true]] [[say Done.]]", granted=("Bash(true)",), ask=["Bash"])
    assert not talk.asked
    with pytest.raises(HandlerError, match=r"the layout denies Bash\(true\)"):
        talk("claude", "[[run true]] [[say Done.]]", granted=("Bash(true)",), deny=["Bash(true)"])


@every_cli
def test_work_that_was_refused_is_no_success(talk: Talk, name: str) -> None:
    talk.answer = lambda question: AskAnswer(outcome="deny", reason="not today", by="operator:ada@h")
    with pytest.raises(HandlerError, match="not today") as caught:
        talk(name, "[[run touch c.txt]] [[say I did it.]]")
    assert (caught.value.code, caught.value.retryable) == ("refused", False)
    assert caught.value.result is not None
    assert caught.value.result["refused"] == [
        {"tool": "Bash", "input": "touch c.txt", "why": "refused by operator:ada@h: not today"}
    ]
    assert not (talk.folder / "c.txt").exists()


@every_cli
def test_who_may_only_read_writes_nothing_whatever_is_answered(talk: Talk, name: str) -> None:
    with pytest.raises(HandlerError, match="read only") as caught:
        talk(name, "[[write a.txt hi]] [[say ok]]", mode="read")
    assert caught.value.code == "refused"
    assert not talk.asked
    assert not (talk.folder / "a.txt").exists()


@every_cli
def test_rules_decide_without_anybody(talk: Talk, name: str) -> None:
    told = talk(name, "[[run echo a]] [[say Done.]]", allow=["Bash(echo *)"])
    assert (told.text, talk.asked) == ("Done.", [])
    with pytest.raises(HandlerError, match=r"the layout denies Bash\(rm \*\)"):
        talk(name, "[[run echo a; rm -r b]]", allow=["Bash"], deny=["Bash(rm *)"])


@every_cli
def test_a_write_outside_of_the_folder_is_asked(talk: Talk, name: str) -> None:
    talk.answer = lambda question: AskAnswer(outcome="deny")
    with pytest.raises(HandlerError):
        talk(name, "[[write ../out.txt hi]]")
    assert [one.tool for one in talk.asked] == ["Edit"]
    assert talk.asked[0].title == str(talk.folder.parent / "out.txt")
    assert talk.asked[0].diff is not None
    assert "+hi" in talk.asked[0].diff


def test_a_write_into_git_s_own_folder_is_asked(talk: Talk) -> None:
    (talk.folder / ".git" / "hooks").mkdir(parents=True)
    talk.answer = lambda question: AskAnswer(outcome="deny")
    with pytest.raises(HandlerError):
        talk("claude", "[[write .git/hooks/pre-commit hi]]")
    assert [one.title for one in talk.asked] == [".git/hooks/pre-commit"]
    assert not (talk.folder / ".git/hooks/pre-commit").exists()


@every_cli
@pytest.mark.parametrize(
    ("status", "code", "retryable"), [(401, "authentication", False), (429, "quota", True), (529, "overload", True)]
)
def test_errors_are_told_apart(talk: Talk, name: str, status: int, code: str, retryable: bool) -> None:
    with pytest.raises(HandlerError) as caught:
        talk(name, f"[[status {status}]]")
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert str(caught.value).startswith(f"{name}: ")
    assert caught.value.result is not None
    assert caught.value.result["session"]


@every_cli
def test_a_cancel_ends_the_whole_tree(talk: Talk, name: str) -> None:
    pids = talk.folder / "pids"
    began = 0.0

    def ready() -> bool:
        nonlocal began
        began = time.monotonic()
        return pids.exists() and len(pids.read_text().split()) == 2

    with pytest.raises(HandlerError) as caught:
        talk(name, "[[run sleep 60 & echo $! $$ > pids; wait]]", allow=["Bash"], ready=ready)
    assert caught.value.code == "cancelled"
    assert caught.value.result is not None
    assert caught.value.result["session"]
    tree = [*map(int, pids.read_text().split()), *talk.spawned]
    until(lambda: not any(map(lives, tree)), began + 3.0 - time.monotonic(), "the whole tree to end")


@every_cli
def test_a_cancel_while_an_ask_waits_ends_it_too(talk: Talk, name: str) -> None:
    import asyncio

    async def go() -> float:
        running = asyncio.ensure_future(talk.run(name, "[[run true]]", ready=lambda: bool(talk.asked)))
        while talk.context is None:
            await asyncio.sleep(0.01)

        async def never(question: object) -> AskAnswer:
            talk.asked.append(question)  # type: ignore[arg-type]
            await asyncio.sleep(60)
            return AskAnswer(outcome="allow")

        talk.context._ask = never
        while not talk.asked:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        with pytest.raises(HandlerError, match="cancelled"):
            await running
        return time.monotonic() - began

    assert asyncio.run(go()) < 3.0


@every_cli
def test_another_attempt_goes_on_in_the_same_session(talk: Talk, name: str) -> None:
    with pytest.raises(HandlerError) as caught:
        talk(name, "remember [[write a.txt hi]] [[die]]")
    assert caught.value.retryable
    assert caught.value.result is not None
    session = caught.value.result["session"]
    point = ResumePoint(session=session, why="its agent was killed", cost=0.0)
    told = talk(name, "go on [[say Done.]]", resume=point)
    assert (told.session, told.resumed, told.text) == (session, True, "Done.")
    prompts = json.loads((talk.home / f"{session}.json").read_text())["prompts"]
    assert len(prompts) == 2
    assert "Your last turn was cut off (its agent was killed)" in prompts[1]
    assert "an answer of before" not in "\n".join(talk.log), "what is replayed is no news"


def test_gemini_resumes_no_session_in_the_minute_of_its_beginning(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would overwrite its log, and know nothing of what was said."""
    monkeypatch.setattr(conversation, "BEGUN_WITHIN", 0.0)
    with pytest.raises(HandlerError) as caught:
        talk("gemini", "remember [[die]]")
    assert caught.value.result is not None
    monkeypatch.setattr(conversation, "time", SimpleNamespace(time=lambda: 59.0))
    session = caught.value.result["session"]
    began = time.monotonic()
    told = talk("gemini", "go on [[say Done.]]", resume=ResumePoint(session=session, began=30.0))
    assert (told.session, "Done." in told.text) == (session, True)
    assert time.monotonic() - began >= 1.0
    assert any("waits 1 s" in line for line in talk.log)


@every_cli
def test_a_session_that_is_gone_begins_anew_with_a_word_about_it(talk: Talk, name: str) -> None:
    told = talk(name, "go on [[say Done.]]", resume=ResumePoint(session="bogus"))
    assert (told.resumed, told.text) == (False, "Done.")
    assert told.session != "bogus"
    (prompt,) = json.loads((talk.home / f"{told.session}.json").read_text())["prompts"]
    assert prompt.startswith("Somebody began this before you")


def test_a_session_that_was_full_begins_anew_with_the_last_that_was_said(talk: Talk) -> None:
    told = talk("claude", "go on [[say Done.]]", resume=ResumePoint(why="full", summary="I have read it all."))
    (prompt,) = json.loads((talk.home / f"{told.session}.json").read_text())["prompts"]
    assert "I have read it all." in prompt
    assert talk.log[0] == "its session is full: it starts anew"


def test_a_usage_limit_says_when_it_is_reset(talk: Talk) -> None:
    with pytest.raises(HandlerError) as caught:
        talk("claude", "[[limit You've hit your limit · resets in 2h]]")
    assert (caught.value.code, caught.value.retryable) == ("quota", True)
    assert caught.value.retry_at == pytest.approx(time.time() + 7200, abs=60)


@every_cli
def test_the_same_call_again_and_again_is_told_then_ended(talk: Talk, name: str) -> None:
    with pytest.raises(HandlerError, match="goes round in circles") as caught:
        talk(name, "[[run true]] " * 9, allow=["Bash"], same_calls=4, max_turns=50)
    assert (caught.value.code, caught.value.retryable) == ("loop", False)
    alerts = [(payload["active"], payload["message"]) for _, payload in talk.context.done.published]  # type: ignore[union-attr]
    assert [active for active, _ in alerts] == [True, True, False]
    assert alerts[0][1] == "t-1 goes round in circles: 4 times Bash true, with nothing new"
    assert "🔁 4 times Bash true, with nothing new" in talk.log


def test_the_same_call_after_a_change_is_no_loop(talk: Talk) -> None:
    prompt = "[[run true]] [[run true]] [[write a.txt {}]] [[run true]] [[run true]] [[run echo x > b{}]] "
    whole = "".join(prompt.format(n, n) for n in range(3))
    assert talk("claude", f"{whole} [[say Done.]]", allow=["Bash"], same_calls=3, idle_turns=4).text == "Done."
    with pytest.raises(HandlerError, match="9 turns without a change"):
        talk("claude", "".join(f"[[run echo {n}]] " for n in range(12)), allow=["Bash"], idle_turns=6)


@every_cli
def test_more_turns_than_the_layout_allows_are_a_limit(talk: Talk, name: str) -> None:
    with pytest.raises(HandlerError, match="more than 3 turns") as caught:
        talk(name, "[[run true]] " * 6, allow=["Bash"], max_turns=3)
    assert caught.value.code == "limit"


@every_cli
def test_garbage_is_told_and_passed_over(talk: Talk, name: str) -> None:
    told = talk(name, "[[garbage]] [[say Done.]]")
    assert told.text == "Done."
    assert "no JSON" in talk.log


def test_a_turn_that_says_nothing_is_given_up(talk: Talk) -> None:
    with pytest.raises(HandlerError, match="said nothing for too long") as caught:
        talk("claude", "[[hang]]", silent_after=0.3)
    assert (caught.value.code, caught.value.retryable) == ("silent", True)


def test_a_tool_that_runs_long_is_no_silence(talk: Talk) -> None:
    assert talk("claude", "[[run sleep 1.2]] [[say Done.]]", allow=["Bash"], silent_after=0.3).text == "Done."


def test_the_plan_is_shown_with_ticks(talk: Talk) -> None:
    talk("claude", "[[plan look; write]] [[say Done.]]")
    assert talk.log[:2] == ["· look", "· write"]


def test_a_cost_over_the_limit_ends_the_turn(talk: Talk) -> None:
    with pytest.raises(HandlerError, match=r"it cost \$0\.00\d0, more than \$0\.0015") as caught:
        talk("claude", "[[say a]] [[say b]] [[slow 30]]", max_cost=0.0015)
    assert caught.value.code == "limit"
    assert caught.value.result is not None
    assert caught.value.result["usage"]["cost"] >= 0.002


def test_a_model_that_is_not_known_is_named_as_that(talk: Talk) -> None:
    with pytest.raises(HandlerError) as caught:
        talk("claude", "[[say a]]", model="missing")
    assert caught.value.code == "model-missing"


def test_the_prompt_may_begin_with_a_slash_or_a_dash(talk: Talk) -> None:
    told = talk("claude", "/etc is a folder -x [[say Done.]]")
    (prompt,) = json.loads((talk.home / f"{told.session}.json").read_text())["prompts"]
    assert prompt.strip() == "/etc is a folder -x [[say Done.]]"


def test_keys_come_by_the_allow_list_only(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_SECRET", "s3cret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k3y")
    talk("claude", "[[run env > env.txt]] [[say Done.]]", allow=["Bash"])
    given = (talk.folder / "env.txt").read_text()
    assert "s3cret" not in given
    assert os.path.basename(given)


@every_cli
def test_the_swarms_own_tools_are_handed_to_it(talk: Talk, name: str) -> None:
    servers = [{"name": "swarm", "command": "/bin/x", "args": ["mcp"], "env": []}]
    talk(name, "[[say Done.]]", mcp=servers)
    assert json.loads((talk.home / "servers.json").read_text()) == servers


def test_the_swarms_tools_speak_as_the_agent_of_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_AGENT", "x")
    (server,) = swarm_server(context({}, workdir=tmp_path))
    given = {each["name"]: each["value"] for each in server["env"]}
    assert given["SWARM_TASK_ID"]
    assert "A_SECRET_OF_THE_AGENT" not in given
    assert [server["command"], *server["args"]] == own_argv("swarm_tui", "mcp")
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    told = context({}, workdir=tmp_path)
    assert swarm_server(told) == []
    assert "swarm-tui[mcp]" in told.done.log[-1]
    monkeypatch.undo()
    within = context({}, workdir=tmp_path)
    within.sandbox = Sandbox(state=tmp_path)
    assert swarm_server(within) == []
    assert "no tools of the swarm in the sandbox" in within.done.log[-1]


@pytest.mark.parametrize(
    ("script", "words", "code"),
    [
        (
            "echo 'unknown option --acp' >&2; exit 2",
            "it may be too old.*exit status 2: unknown option --acp",
            "agent-cli",
        ),
        ("echo hello; exec 1>&-; exit 0", "it does not speak ACP", "agent-cli"),
        ("yes garbage", "no answer to initialize", "silent"),
        ("exec sleep 60", "no answer to initialize", "silent"),
    ],
)
def test_a_program_that_does_not_speak_acp_is_told_as_that(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, script: str, words: str, code: str
) -> None:
    monkeypatch.setattr("swarm_tui.agent.conversation.conversation.OPEN_WAIT", 0.7)
    with pytest.raises(HandlerError, match=words) as caught:
        talk("claude", "[[say a]]", argv=["bash", "-c", script])
    assert (caught.value.code, caught.value.retryable) == (code, code == "silent")
    assert len(talk.log) <= 25, "of garbage so much is told"
    until(lambda: not any(map(lives, talk.spawned)), 3.0, "it ends")


def test_a_turn_whose_every_change_failed_is_no_success_whatever_it_says(talk: Talk) -> None:
    with pytest.raises(
        HandlerError, match=r"none of its changes could be made: Write no/such/a\.txt.*No such"
    ) as caught:
        talk("claude", "[[write no/such/a.txt hi]] [[say I did it.]]")
    assert (caught.value.code, caught.value.retryable) == ("agent-cli", False)
    assert talk("claude", "[[write no/such/a.txt hi]] [[write a.txt hi]] [[say Then so.]]").text == "Then so."
