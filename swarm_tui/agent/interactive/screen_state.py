"""The state of a CLI's screen, as its hooks tell it: starting, idle, working, asks, ended; and whose turn it is."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from swarm_tui.agent.conversation.session_log import Logged, SessionLogReader
from swarm_tui.agent.conversation.spec import Interactive, SessionLog, find
from swarm_tui.agent.interactive.hook_desk import HookCall
from swarm_tui.agent.interactive.pane import Pane
from swarm_tui.config.files import write_private

State = Literal["starting", "idle", "working", "asks", "ended"]
#: Seconds between two looks into its log in a person's turn, and without a hook after the key that ends one.
LOG_EVERY, ESCAPE_WAIT = 1.0, 5.0
_SESSION = "session"

#: Hears what a hook told while a task has the screen: its meaning, and the call, which it must answer.
Hearer = Callable[[str, HookCall | None], None]


class Plan(Struct, frozen=True, kw_only=True):
    """The CLI to run: its name, description and variables; where; and the folder for what is kept of it, which is ours.

    `install` is the command that installs it; `dialogs` says what it may wait for in its pane before it begins.
    """

    name: str
    spec: Interactive
    environment: Mapping[str, str]
    workdir: Path
    folder: Path
    state_dir: str
    agent_id: str
    model: str | None = None
    install: str = ""
    dialogs: str = ""
    log: SessionLog | None = None


class ScreenState:
    """State of one CLI in its pane. Thread-safe."""

    def __init__(self, plan: Plan, pane: Pane, changed: Callable[[], None], denied: Callable[[Any], str]) -> None:
        """Make it; `changed` is told of each new state.

        `denied(said)` is why the layout denies what a hook tells of, in a person's own turn; empty where it does not.
        """
        self.plan, self._pane, self._changed, self._denied = plan, pane, changed, denied
        self.state: State = "starting"
        self.session: str | None = None
        self.persons_turn = False
        self.why = ""
        """Why no session is there, as a sentence; empty while one is."""
        self.missing = ""
        """The program that is not here."""
        self.stuck = False
        """It does not begin: a person must look."""
        self._begun = False
        self._hearer: Hearer | None = None
        self.left: Logged | None = None
        """The log of its session as an earlier life of the agent's left it."""
        self._log: SessionLogReader | None = None
        self._interrupts = 0
        self._looked_at = self._told_at = 0.0
        self._lock = threading.RLock()

    def take(self, hearer: Hearer) -> bool:
        """Let a task have the screen from now on, if it is idle."""
        with self._lock:
            if self.state != "idle" or self._hearer is not None:
                return False
            self._hearer = hearer
            return True

    def give_back(self) -> None:
        """Let the person have it alone."""
        with self._lock:
            self._hearer = None
            # What still goes on there is nobody's task.
            self.persons_turn = self.state in ("working", "asks")
        self._changed()

    def set_state(self, state: State) -> None:
        """Note what is known of it otherwise than by a hook: a turn that a person ended, an ask that was answered."""
        with self._lock:
            if self.state in ("starting", "ended") or state == self.state:
                return
            self.state = state
            self.persons_turn = self.persons_turn and state in ("working", "asks")
        self._changed()

    @property
    def draft(self) -> bool:
        """Return whether a person has begun to write a prompt there, as far as is known."""
        return self._pane.draft

    @property
    def typed_at(self) -> float:
        """Return when a person last wrote something there, in monotonic seconds."""
        return self._pane.typed_at

    @property
    def occupied(self) -> str:
        """Return why no task can be taken now, as a sentence; empty where one can."""
        return f"a person is at work in {self.plan.name}" if self.persons_turn else ""

    @property
    def trouble(self) -> str:
        """Return what a person should look at; empty where nothing is."""
        if self.why and (self.stuck or self.state != "starting"):
            return self.why
        return f"{self.plan.name} asks the person in its pane" if self.state == "asks" and self.persons_turn else ""

    def escaped(self) -> bool:
        """Return whether a person has pressed the key that ends a turn, and nothing was heard of one since then."""
        pressed = self._pane.escaped_at
        return pressed > self._told_at and time.monotonic() - pressed > ESCAPE_WAIT

    def look_for_end(self) -> None:
        """See whether a person has ended their own turn, of which no hook tells."""
        if self.persons_turn and time.monotonic() - self._looked_at > LOG_EVERY:
            self._looked_at = time.monotonic()
            if self.escaped() or self._has_interrupted():
                self.set_state("idle")

    def _has_interrupted(self) -> bool:
        """Return whether the CLI's own log says so."""
        if self.plan.log is None or self.session is None:
            return False
        if self._log is None or self._log.session != self.session:
            self._log, self._interrupts = SessionLogReader(self.plan.log, self.plan.environment, self.session), -1
        self._log.read()
        before, self._interrupts = self._interrupts, self._log.interrupts
        return 0 <= before < self._interrupts

    def read_session(self) -> None:
        """Take up the session of an earlier life."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            self.session = (self.plan.folder / _SESSION).read_text("utf-8").strip()[:200] or None
        if self.session is not None and self.plan.log is not None:
            self.left = SessionLogReader(self.plan.log, self.plan.environment, self.session).read()

    def keep_session(self, session: str | None) -> None:
        """Keep the session's name for another life."""
        if session == self.session:
            return
        self.session = session
        with contextlib.suppress(OSError):
            write_private(self.plan.folder / _SESSION, (session or "").encode())

    # -- what its hooks tell

    def heard(self, call: HookCall) -> None:
        """Hear a hook: its state follows, then whoever has the screen is told."""
        hook = self.plan.spec.hooks.get(call.event)
        if hook is None or self.state == "ended":
            call.answer()
            return
        self._told_at = time.monotonic()
        session = next(iter(find(call.said, self.plan.spec.session)), None)
        with self._lock:
            if isinstance(session, str) and session and hook.means in ("begun", "prompt"):
                self.keep_session(session[:200])
            hearer = self._hearer
            self._follow(hook.means, hearer)
        if hearer is not None:
            hearer(hook.means, call)
        else:
            self._alone(hook.means, call)
        self._changed()

    def _follow(self, means: str, hearer: Hearer | None) -> None:
        """Take in what an event means for the state."""
        if means == "begun":
            self.why, self.stuck, self._begun = "", False, True
            if self.state == "starting":
                self.state = "idle"
        elif means == "prompt":
            self.state, self.persons_turn = "working", hearer is None
            self._pane.draft = False
        elif means in ("done", "failed", "gone"):
            self.state, self.persons_turn = "idle", False
        elif means == "ask":
            self.state = "asks"
        else:
            self.state = "working"
            self.persons_turn = self.persons_turn or hearer is None

    def _alone(self, means: str, call: HookCall) -> None:
        """Answer in a person's own turn: the layout's denials hold, all else is between them and the CLI."""
        if means in ("tool", "ask") and (why := self._denied(call.said)):
            call.answer(self.plan.spec.hooks[call.event].deny, why)
            return
        call.answer()
