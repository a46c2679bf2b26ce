"""A person at the agent's terminal: a line is said to its conversation or answers its ask, Ctrl-C interrupts."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from swarm_tui.agent.ask_desk import AskDesk
from swarm_tui.agent.running_attempt import RunningAttempt
from swarm_tui.config.own_process import own_argv

#: Seconds within which a second Ctrl-C means that the agent is to leave; and that an answer may take.
TWICE, _ANSWER_WAIT = 3.0, 20.0
_ANSWER = re.compile(r"(y|yes|n|no|a|always)(?:\s+(.{1,500}))?", re.IGNORECASE)
_LONGEST = 100_000


class PersonDesk:
    """Hears one person. Thread-safe; `note(line, mark)` prints on the pane, `attempts` gives what runs."""

    def __init__(
        self,
        swarm: str,
        attempts: Callable[[], Sequence[RunningAttempt]],
        asks: AskDesk,
        note: Callable[[str, str], None],
    ) -> None:
        self._swarm, self._attempts, self._asks, self._note = swarm, attempts, asks, note
        self._interrupted_at = float("-inf")

    def start(self) -> None:
        """Hear the terminal, where there is one, on a thread of its own."""
        if sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty():
            threading.Thread(target=self._listen, name="keyboard", daemon=True).start()

    def _listen(self) -> None:
        try:
            for line in sys.stdin:
                self.typed(line[:_LONGEST].rstrip("\r\n"))
        except (OSError, ValueError):
            return

    def typed(self, line: str) -> None:
        """Take a line: the answer to an ask that waits, else a word to the newest conversation."""
        waits = self._asks.oldest()
        said = _ANSWER.fullmatch(line.strip())
        if waits is not None and said is not None:
            self._answer(waits, said[1].lower()[0], said[2] or "")
        elif not line.strip():
            return
        elif (attempt := self._talking()) is not None and attempt.hear is not None:
            attempt.hear(line)
        else:
            self._note("nobody hears that: no conversation with an AI agent runs here", "⚠")

    def interrupt(self, now: float) -> bool:
        """Hear a Ctrl-C. Returns whether it is dealt with: the turn ends, and the agent stays."""
        attempt = self._talking()
        if attempt is None or attempt.interrupt is None or now - self._interrupted_at < TWICE:
            return False
        self._interrupted_at = now
        self._note(f"{attempt.task_id}: its turn is interrupted; Ctrl-C again leaves", "⏸")
        attempt.interrupt()
        return True

    def answered(self, title: str, letter: str) -> None:
        """Take in that the person has answered an ask, by its title, in the dialog of the CLI in their pane."""
        if (ask_id := self._asks.titled(title)) is not None:
            self._answer(ask_id, letter, "in its pane")

    def _talking(self) -> RunningAttempt | None:
        return next((one for one in reversed(self._attempts()) if one.hear is not None), None)

    def _answer(self, ask_id: str, letter: str, reason: str) -> None:
        """Answer as the person who sits here: by a command of theirs, for the agent itself is no operator."""
        word = "no" if letter == "n" else "yes"
        argv = [*own_argv("swarm_tui", "answer"), "--swarm", self._swarm, ask_id, word]
        argv += ["--always"] if letter == "a" else []
        argv += ["--reason", reason] if reason else []
        threading.Thread(target=self._run, args=(argv,), name="answer", daemon=True).start()

    def _run(self, argv: list[str]) -> None:
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWER_WAIT, check=False
            )
            words = " ".join((done.stdout + done.stderr).split())
            if done.returncode != 0:
                self._note(words[-500:] or f"the answer failed with exit status {done.returncode}", "⚠")
        except (OSError, subprocess.TimeoutExpired) as error:
            self._note(f"the answer could not be given: {error}", "⚠")
