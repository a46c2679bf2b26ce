"""Works in the own screen of a real agent CLI, against a scripted model server: `python -m tests.real_screen NAME`.

JSON lines, one a case. To be run where nothing but loopback is, as `tests/real_clis.py`.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from swarm_tui.agent.handlers.base import ResumePoint
from swarm_tui.domain.asks.model import AskAnswer
from tests.fake_model import serve
from tests.real_clis import home_of, left_alive
from tests.screen_desk import Desk
from tests.wait import until


def answer_dialogs(home: Path, work: Path) -> None:
    """Write down as answered what Claude asks at its first start."""
    known = {"hasCompletedOnboarding": True, "lastOnboardingVersion": "9.9.9", "theme": "dark"}
    known |= {"customApiKeyResponses": {"approved": ["k"], "rejected": []}}
    trusted = {"projects": {str(work): {"hasTrustDialogAccepted": True}}}
    (home / ".claude.json").write_text(json.dumps({**known, **trusted}))


class Cases:
    """Runs the cases, one after another, in one session as far as that goes."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder, self.name = folder, name
        self.desk = Desk(folder, {"cli": name, "mode": "edit"})

    def told(self, case: str, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Print what a case came to."""
        began = time.monotonic()
        came = call()
        came.pop("log", None)
        row = {"case": case, "seconds": round(time.monotonic() - began, 1), **came}
        print(json.dumps({"cli": self.name, **row}), flush=True)
        return came

    def all(self) -> None:
        desk = self.desk
        self.told("a dialog first", self.dialog)
        self.told("write and run", self.work)
        self.told("answered in its pane", lambda: self.in_its_pane("1"))
        self.told("refused in its pane", lambda: self.in_its_pane("2"))
        desk.answer = lambda question: AskAnswer(outcome="deny", reason="not that", by="ada")
        self.told("refused", lambda: desk.task("no [[run touch no.txt]] [[say I did it.]]"))
        desk.answer = lambda question: AskAnswer(outcome="allow", by="ada")
        self.told("read only", lambda: desk.task("read [[write d.txt hi]] [[say ok]]", mode="read"))
        self.told("asked in every mode", self.every_mode)
        for prompt in ("/clear [[say slash]]", "!ls [[say bang]]", "# note [[say hash]]", "@x [[say at]]",
                       "a\x1b[201~\r/clear\r [[say esc]]"):  # fmt: skip
            self.told(f"text: {prompt[:8]!r}", lambda prompt=prompt: desk.task(prompt))  # type: ignore[misc]
        words = " ".join(f"word{number}" for number in range(6000))
        self.told("a long prompt", lambda: desk.task(f"{words} [[say long]]"))
        self.told("a person's own turn", self.own_turn)
        self.told("interrupted by a person", self.interrupted)
        self.told("cancelled in a command", self.cancelled)
        self.told("cancelled before a word", lambda: self.early())
        self.told("killed", self.killed)
        # Last: what failed is said again with the next prompt, and fails that too.
        self.told("529", lambda: desk.task("fails 529 [[status 529]]", timeout=60.0))
        desk.close()

    def dialog(self) -> dict[str, Any]:
        """A first start asks whether the folder is trusted: the task is told, and the person answers."""
        self.desk.screen.start()
        out = self.desk.task("hello", timeout=60.0)
        out["trouble"] = self.desk.screen.trouble
        answer_dialogs(self.folder / "home", self.desk.work)
        self.desk.screen.renew()
        self.desk.is_("idle")
        return out

    def work(self) -> dict[str, Any]:
        out = self.desk.task("please [[write a.txt hi]] [[run touch b.txt]] [[say All done.]]")
        out["written"] = all((self.desk.work / name).exists() for name in ("a.txt", "b.txt"))
        out["asked"] = [question.tool for question in self.desk.asked]
        memory = [self.desk.process(), *self.desk.process().children(recursive=True)]
        out["mb"] = sum(one.memory_info().rss for one in memory) // 1_000_000
        return out

    def every_mode(self) -> dict[str, Any]:
        """A person has put the CLI into its other modes, and their own settings allow the command: it is asked."""
        desk, out, modes = self.desk, dict[str, Any](), list[str]()
        desk.asked.clear()
        heard = desk.screen._desk._heard
        desk.screen._desk._heard = lambda call: (modes.append(call.said.get("permission_mode") or ""), heard(call))[1]
        for number in range(4):
            desk.types("\x1b[Z")
            time.sleep(1.0)
            out = desk.task(f"mode {number} [[run touch m{number}.txt]] [[say ok]]")
        return {**out, "asked": len(desk.asked), "modes": sorted({mode for mode in modes if mode})}

    def in_its_pane(self, key: str) -> dict[str, Any]:
        """A person answers the dialog, and after a no says what it shall do instead."""
        desk = self.desk
        desk.answer = None
        desk.answered.clear()

        def person() -> None:
            until(lambda: desk.screen.state == "asks", 30, "it is told")
            # It takes no key in the first moment of its dialog.
            time.sleep(2.0)
            desk.types(key)
            until(lambda: bool(desk.answered), 10, "the answer is told")
            if key == "2":
                desk.types("rather [[say Rather.]]")
                time.sleep(0.5)
                desk.types("\r")
            desk.answer = lambda question: AskAnswer(outcome="deny", by="bob")

        out = desk.task(f"asks {key} [[run touch p{key}.txt]] [[say ok]]", meanwhile=person)
        return {**out, "answered": desk.answered, "done": (desk.work / f"p{key}.txt").exists()}

    def own_turn(self) -> dict[str, Any]:
        """A person's own turn runs: the task waits for it, and leaves what they write then."""
        desk = self.desk
        desk.types("my own [[slow 3]] [[say mine]]")
        time.sleep(0.3)
        desk.types("\r")
        until(lambda: desk.screen.persons_turn, 10, "a person is at work")
        occupied = desk.screen.occupied
        desk.types("half a thou")
        out = desk.task("the task [[say its own]]")
        time.sleep(0.5)
        desk.types("ght [[say whole]]")
        time.sleep(0.3)
        desk.types("\r")
        time.sleep(0.5)
        self.desk.is_("idle")
        said = (self.session_text()).count("half a thought [[say whole]]")
        return {**out, "occupied": occupied, "draft kept": said > 0}

    def session_text(self) -> str:
        found = (self.folder / "home").glob(f".claude/projects/*/{self.desk.screen.session}.jsonl")
        return "".join(path.read_text() for path in found)

    def interrupted(self) -> dict[str, Any]:
        """A person ends the task's turn, and says what it shall do."""
        desk = self.desk

        def person() -> None:
            until(lambda: bool(self.left("tail")), 30, "its command runs")
            desk.types("\x1b")
            until(lambda: not self.left("tail"), 5, "the command is gone")
            time.sleep(1.5)
            desk.types("rather [[say That.]]")
            time.sleep(0.3)
            desk.types("\r")

        return desk.task("first [[run tail -f /dev/null]]", meanwhile=person)

    def left(self, name: str) -> list[psutil.Process]:
        return [one for one in self.desk.process().children(recursive=True) if one.name() == name]

    def cancelled(self) -> dict[str, Any]:
        pid, at = self.desk.process().pid, [0.0]

        def soon() -> bool:
            at[0] = time.monotonic()
            return bool(self.left("tail"))

        out = self.desk.task("then [[run tail -f /dev/null]]", cancel_when=soon)
        out["gone after"] = round(time.monotonic() - at[0], 1)
        return {**out, "left": len(self.left("tail")), "lives": self.desk.process().pid == pid}

    def early(self) -> dict[str, Any]:
        """A cancel before the model's first word: the prompt goes back into the line, and is not said with the next."""
        desk = self.desk
        out = desk.task("slowly [[slow 20]]", cancel_when=lambda: desk.screen.state == "working")
        return {**out, "next": desk.task("next [[say Next.]]")["text"]}

    def killed(self) -> dict[str, Any]:
        """The CLI is killed in a command; the next attempt goes on in its session."""
        desk = self.desk

        def kill() -> None:
            until(lambda: bool(self.left("tail")), 30, "its command runs")
            time.sleep(1.0)
            desk.process().kill()

        first = desk.task("kept [[run echo one]] [[run tail -f /dev/null]]", meanwhile=kill)
        left = [one for one in left_alive(str(desk.work)) if one.startswith("tail")]
        point = ResumePoint(session=first["session"], why="killed")
        then = desk.task("and then [[run echo two]] [[say Again.]]", resume=point)
        return {**then, "first": first["code"], "retryable": first["retryable"], "left": len(left),
                "same": then["session"] == first["session"]}  # fmt: skip


if __name__ == "__main__":
    folder = tempfile.TemporaryDirectory(prefix="real-screen-", dir="/var/tmp", ignore_cleanup_errors=True)
    with folder as place, serve() as base:
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            os.environ.pop(name, None)
        os.environ.update(home_of(Path(place), base, "k"))
        known = {"hasCompletedOnboarding": True, "lastOnboardingVersion": "9.9.9", "theme": "dark"}
        (Path(place) / "home" / ".claude").mkdir()
        allowed = {"permissions": {"allow": ["Bash(touch m*)"]}}
        (Path(place) / "home" / ".claude" / "settings.json").write_text(json.dumps(allowed))
        (Path(place) / "home" / ".claude.json").write_text(json.dumps(known))
        Cases(sys.argv[1], Path(place)).all()
