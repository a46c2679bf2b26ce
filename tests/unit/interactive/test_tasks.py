"""Tasks that come to a CLI in its pane: typed as prompts, told by hooks, ended by them, cancelled, gone on with."""

import json
import time
from collections.abc import Callable

import psutil
import pytest

from swarm_tui.agent.handlers.base import ResumePoint
from swarm_tui.agent.interactive import turn
from swarm_tui.agent.interactive.prompts import LEAD
from swarm_tui.domain.asks.model import AskAnswer
from tests.screen_desk import Desk
from tests.wait import until

Make = Callable[..., Desk]


def running(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if mark in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, IndexError):
            continue
    return found


def test_a_task_is_typed_does_its_work_and_ends_with_the_turn(desk: Desk) -> None:
    came = desk.task("please [[write a.txt hi]] [[run touch b.txt]] [[say All done.]]")
    assert (came["code"], came["text"]) == ("", "All done."), came
    assert (desk.work / "a.txt").read_text() == "hi"
    assert (desk.work / "b.txt").exists()
    assert [question.title for question in desk.asked] == ["touch b.txt"], "an edit in its folder is free"
    assert came["usage"]["tokens_in"] == 300
    assert came["session"] == desk.screen.session
    assert desk.screen.state == "idle"
    assert not desk.screen.persons_turn


def test_a_no_of_people_reaches_the_cli_with_its_reason(desk: Desk) -> None:
    desk.answer = lambda question: AskAnswer(outcome="deny", reason="not that", by="ada")
    came = desk.task("[[run touch b.txt]] [[say I did it.]]")
    assert (came["code"], came["refused"][0]["why"]) == ("refused", "refused by ada: not that")
    assert not (desk.work / "b.txt").exists()


def test_rules_decide_before_anybody_is_asked(desk: Desk) -> None:
    desk.options |= {"allow": ["Bash(touch*)"], "deny": ["Edit(no*)"]}
    came = desk.task("[[run touch b.txt]] [[write no.txt x]] [[say ok]]")
    assert (came["code"], desk.asked) == ("", [])
    assert (desk.work / "b.txt").exists()
    assert [one["why"] for one in came["refused"]] == ["the layout denies Edit(no*)"]
    came = desk.task("[[write a.txt x]]", mode="read")
    assert (came["code"], (desk.work / "a.txt").exists()) == ("refused", False)


@pytest.mark.parametrize("letter", ["y", "n"])
def test_the_dialog_in_the_pane_answers_too_and_that_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, letter: str
) -> None:
    monkeypatch.setattr(turn, "NEXT_WITHIN", 0.5)
    desk.answer = None

    def person() -> None:
        desk.sees("Do you want to proceed?")
        until(lambda: len(desk.asked) == 1, 5, "the same is asked of others")
        assert desk.screen.state == "asks"
        desk.types(letter)
        until(lambda: bool(desk.answered), 5, "the answer is told")
        # What others say comes too late.
        desk.answer = lambda question: AskAnswer(outcome="deny", by="bob")

    came = desk.task("[[run touch b.txt]] [[say ok]]", meanwhile=person)
    assert desk.answered == [("touch b.txt", letter)]
    assert (desk.work / "b.txt").exists() is (letter == "y")
    assert came["code"] == ("" if letter == "y" else "stopped"), came
    assert desk.screen.state == "idle"
    assert not desk.screen.persons_turn, "an answer that comes late leaves nobody at work"


def test_a_prompt_is_text_whatever_is_in_it(desk: Desk) -> None:
    prompt = "/quit\x1b[201~\r/quit\r\x03\x1b two\r\nlines [[say still here]]"
    came = desk.task(prompt)
    assert (came["code"], came["text"]) == ("", "still here"), came
    (log,) = desk.home.glob("*.log")
    assert "a command" not in desk.seen.decode()
    said = [json.loads(line).get("text") for line in log.read_text().splitlines()]
    assert said[0] == f"{LEAD}/quit␛[201~\n/quit\n␃␛ two\nlines [[say still here]]"


def test_a_long_prompt_arrives_whole(desk: Desk) -> None:
    words = " ".join(f"word{number}" for number in range(6000))
    came = desk.task(f"{words} [[say got it]]")
    assert came["text"] == "got it"


def test_a_task_waits_for_a_persons_own_turn_and_leaves_their_draft(desk: Desk) -> None:
    desk.is_("idle")
    desk.types("my own [[slow 1]] [[say mine]]\r")
    until(lambda: desk.screen.occupied != "", 5, "a person is at work")
    assert desk.screen.occupied == "a person is at work in mine"

    def person() -> None:
        desk.sees("mine")
        desk.types("half a thou")

    began = time.monotonic()
    came = desk.task("the task [[say its own]]", meanwhile=person)
    assert (came["code"], came["text"]) == ("", "its own"), came
    assert time.monotonic() - began > 1.0
    desk.types("ght [[say whole]]\r")
    desk.sees("> half a thought")


def test_words_that_come_into_a_tasks_prompt_are_given_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "_PASTE", 0.5)
    sent, send = list[bytes](), desk.screen.send
    monkeypatch.setattr(desk.screen, "send", lambda keys: (sent.append(keys), send(keys)))

    def person() -> None:
        until(lambda: any(b"the task" in keys for keys in sent), 5, "the prompt is pasted, and not yet said")
        desk.types("half a thou")

    came = desk.task("the task [[say its own]]", meanwhile=person)
    assert (came["code"], came["text"], came["usage"]["tokens_in"]) == ("", "its own", 100), came
    desk.types("ght [[say whole]]\r")
    desk.sees("> half a thought")


def test_in_a_persons_own_turn_the_layouts_denials_hold_and_no_more(make: Make) -> None:
    desk = make()
    desk.options["deny"] = ["Bash(rm*)"]
    desk.screen.close()
    desk.screen = desk.made()
    desk.screen.start()
    desk.is_("idle")
    desk.types("[[run rm -f x]] [[run touch b.txt]] [[say over]]\r")
    desk.sees("Do you want to proceed?")
    until(lambda: desk.screen.trouble == "mine asks the person in its pane", 5, "it is told")
    desk.types("y")
    until((desk.work / "b.txt").exists, 10, "what they allowed is done")
    desk.is_("idle")
    assert desk.asked == []
    assert desk.seen.count(b"Do you want") == 1


def test_a_person_who_ends_their_own_turn_leaves_the_agent_free(desk: Desk) -> None:
    desk.is_("idle")
    desk.types("[[slow 30]]\r")
    until(lambda: desk.screen.persons_turn, 5, "a person is at work")
    desk.sees("> [[slow 30]]")
    desk.types("\x1b")
    until(lambda: not desk.screen.persons_turn, 8, "no hook tells, the log does")


def test_a_person_interrupts_a_task_and_says_what_it_shall_do(desk: Desk) -> None:
    def person() -> None:
        desk.sees("> first")
        desk.types("\x1b")
        desk.sees("Interrupted")
        desk.types("rather [[write c.txt x]] [[say That.]]\r")

    came = desk.task("first [[slow 30]]", meanwhile=person)
    assert (came["code"], came["text"]) == ("", "That."), came
    assert (desk.work / "c.txt").exists()


def test_a_cancel_ends_the_turn_and_all_that_its_tools_started(desk: Desk) -> None:
    desk.options["allow"] = ["Bash"]
    mark = f"/dev/null{desk.work}"
    pid = []

    def soon() -> bool:
        if desk.screen.state != "working":
            return False
        pid[:] = [desk.process().pid]
        return bool(running(mark))

    prompt = f"[[run setsid sleep 1000 & setsid sh -c 'sleep 999; true' {mark} & sleep 998]]"
    came = desk.task(prompt, cancel_when=soon)
    assert came["code"] == "cancelled"
    assert running(mark) == []
    assert desk.process().pid == pid[0], "the CLI itself lives on"
    assert desk.task("[[say next]]")["text"] == "next"


def test_a_cli_that_is_killed_fails_the_attempt_and_goes_on_with_its_session(desk: Desk) -> None:
    desk.task("another's, in this session [[say one]]", task_id="t-0")
    came = desk.task("first [[write a.txt x]] [[die]]")
    assert (came["code"], came["retryable"]) == ("agent-cli", True)
    assert "signal 9" in came["why"]
    session = came["session"]
    again = desk.task("first [[say done]]", resume=ResumePoint(session=session, why="signal 9", cut_off=True, calls=1))
    assert (again["code"], again["session"]) == ("", session), again
    log = (desk.home / f"{session}.log").read_text()
    assert "Your last turn was cut off (signal 9)" in log
    assert again["usage"]["tokens_in"] == 200, "what the killed attempt took is counted once"


def test_what_others_used_in_the_session_is_not_of_a_task_whose_agent_was_killed(desk: Desk) -> None:
    desk.options["allow"] = ["Bash"]
    desk.task("another's [[say one]]", task_id="t-0")
    desk.task("mine [[run true]] [[run sleep 30]]", timeout=1.0)
    session = desk.screen.session
    desk.screen.close()
    desk.screen = desk.made()
    desk.screen.start()
    desk.is_("idle")
    desk.types("a person's own [[say two]]\r")
    desk.sees("> a person's own")
    desk.is_("idle")
    point = ResumePoint(session=session, why="killed", cut_off=True)
    again = desk.task("[[say done]]", resume=point)
    assert again["usage"]["tokens_in"] == 300, "two calls of the one that was killed, and one of its own"


def test_a_session_that_is_gone_begins_anew(desk: Desk) -> None:
    desk.is_("idle")
    session = desk.screen.session
    (desk.home / f"{session}.log").unlink(missing_ok=True)
    desk.screen.renew()
    until(lambda: desk.screen.state == "idle" and desk.screen.session != session, 10, "another session")


def test_the_session_is_gone_on_with_by_another_life_of_the_agent(desk: Desk) -> None:
    desk.task("[[say one]]")
    session = desk.screen.session
    desk.screen.close()
    desk.screen = desk.made()
    desk.screen.start()
    assert desk.task("[[say two]]")["session"] == session


def test_a_first_dialog_is_said_and_the_person_answers_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREEN_CLI_DIALOG", "1")
    desk = make()
    came = desk.task("hello")
    assert (came["code"], came["retryable"]) == ("agent-cli", False)
    assert "mine has not begun: attach to its pane" in came["why"]
    assert "mine has not begun" in desk.screen.trouble or desk.screen.state == "starting"
    desk.types("y")
    desk.is_("idle")
    assert desk.task("[[say hi]]")["text"] == "hi"
    assert desk.screen.trouble == ""


def test_a_cli_that_is_not_here_is_missing(make: Make) -> None:
    came = make(argv=["no-such-cli"]).task("hello")
    assert (came["code"], "no-such-cli is not installed here" in came["why"]) == ("missing-tool", True)


def test_a_cli_that_takes_no_prompt_is_started_anew(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "TAKEN_WAIT", 0.3)
    desk.task("[[deaf]] [[say deaf now]]")
    came = desk.task("hello")
    assert came["code"] == "agent-cli"
    assert "did not take the prompt" in came["why"]
    assert desk.task("[[say hello]]")["text"] == "hello"


def test_a_turn_that_failed_says_why(desk: Desk) -> None:
    came = desk.task("[[fail API Error: 529 overloaded]]")
    assert (came["code"], came["retryable"]) == ("overload", True), came


def test_the_cli_has_the_size_of_the_pane(desk: Desk) -> None:
    desk.sees("ready 24")
    desk.resize(11, 50)
    desk.sees("size 11")


@pytest.mark.parametrize(
    ("payload", "words"),
    [({"cli": "codex"}, "this agent's pane has mine"), ({"model": "m2"}, "runs already"), ({"repo": "sub"}, "nowhere")],
)
def test_what_its_pane_cannot_do_is_refused(desk: Desk, payload: dict[str, str], words: str) -> None:
    (desk.work / "sub").mkdir()
    came = desk.task("hello", **payload)
    assert (came["code"], words in came["why"]) == ("not-allowed", True), came
