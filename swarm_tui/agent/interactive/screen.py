"""The CLI in the agent's pane: started, shown, started anew with its session; its state, as its hooks tell it."""

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from swarm_tui.agent.conversation.programs import find as find_program
from swarm_tui.agent.conversation.session_log import SessionLogReader
from swarm_tui.agent.conversation.spec import Interactive, SessionLog, find
from swarm_tui.agent.interactive.cli_process import CliProcess, kill
from swarm_tui.agent.interactive.hook_desk import HookCall, HookDesk
from swarm_tui.agent.interactive.pane import Pane
from swarm_tui.agent.process_groups import ProcessGroups
from swarm_tui.config.files import write_private
from swarm_tui.processes.descendants import become_subreaper
from swarm_tui.processes.marks import find_marked

State = Literal["starting", "idle", "working", "asks", "ended"]
#: The mark of the CLI's processes, which are no task's.
MARK = "screen"
#: Seconds between two starts, one after another; after a life of LONG it begins anew.
PAUSES, LONG = (1.0, 2.0, 5.0, 15.0, 60.0), 30.0
#: Seconds between two looks at the pane's size and the CLI's life.
_LOOK = 0.2
#: Seconds between two looks into its log in a person's turn, and without a hook after the key that ends one.
LOG_EVERY, ESCAPE_WAIT = 1.0, 5.0
#: Seconds that a hook of the CLI's may take, which people are asked in.
HOOK_WAIT = 7 * 86400
#: Seconds in which what was killed is waited for.
_BURY_WAIT = 0.5
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


class CliScreen:
    """One agent's CLI. Thread-safe but where it says otherwise; a thread of its own does all with the terminal."""

    def __init__(
        self,
        plan: Plan,
        pane: Pane,
        note: Callable[[str, str], None],
        changed: Callable[[], None],
        denied: Callable[[dict[str, Any]], str],
        answered: Callable[[str, str], None],
        divert: Callable[[bool], None],
    ) -> None:
        """Make it; `note(line, mark)` tells people, `changed` is told of each new state.

        `denied(said)` is why the layout denies what a hook tells of, in a person's own turn; empty where it does not.
        `answered(title, letter)` is told that an ask was answered in the pane. `divert(on)` has the agent's own lines
        go elsewhere than to the pane.
        """
        self.plan, self._pane, self._denied, self.answered = plan, pane, denied, answered
        self._note, self._changed, self._divert = note, changed, divert
        self.state: State = "starting"
        self.session: str | None = None
        self.persons_turn = False
        self.why = ""
        """Why no session is there, as a sentence; empty while one is."""
        self.missing = ""
        """The program that is not here."""
        self._process: CliProcess | None = None
        self._log: SessionLogReader | None = None
        self._interrupts = 0
        self._looked_at = self._told_at = 0.0
        self._desk = HookDesk(plan.folder, self._heard)
        self._groups = ProcessGroups(plan.state_dir, plan.agent_id)
        self._hearer: Hearer | None = None
        self._lock = threading.RLock()
        self._wake_read, self._wake_write = os.pipe()
        self._todo: list[Callable[[], object]] = []
        self._closing = threading.Event()
        self._start_at, self._starts = 0.0, 0
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)

    # -- from any thread

    def start(self) -> None:
        """Begin, and return."""
        self._thread.start()

    def close(self) -> None:
        """End the CLI with all that it has started, and give the pane back."""
        if self._thread.is_alive():
            self._closing.set()
            self._wake()
            self._thread.join(5.0)

    def send(self, keys: bytes) -> None:
        """Type these keys."""
        self._soon(lambda: self._process.send(keys) if self._process is not None else None)

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

    def renew(self) -> None:
        """End the CLI, which then starts again with its session."""
        self._soon(lambda: self._process.kill() if self._process is not None else None)

    def end_tools(self, since: int) -> int:
        """Kill what the CLI has started since then, in `boot_ticks`; return how many that were."""
        process = self._process
        left = [] if process is None else process.started_since(since)
        kill(left)
        return len(left)

    @property
    def draft(self) -> bool:
        """Return whether a person has begun to write a prompt there, as far as is known."""
        return self._pane.draft

    @property
    def typed_at(self) -> float:
        """Return when a person last wrote something there, in monotonic seconds."""
        return self._pane.typed_at

    def escaped(self) -> bool:
        """Return whether a person has pressed the key that ends a turn, and nothing was heard of one since then."""
        pressed = self._pane.escaped_at
        return pressed > self._told_at and time.monotonic() - pressed > ESCAPE_WAIT

    @property
    def occupied(self) -> str:
        """Why no task can be taken now, as a sentence; empty where one can."""
        return f"a person is at work in {self.plan.name}" if self.persons_turn else ""

    @property
    def trouble(self) -> str:
        """What a person should look at; empty where nothing is."""
        if self.why and self.state != "starting":
            return self.why
        return f"{self.plan.name} asks the person in its pane" if self.state == "asks" and self.persons_turn else ""

    # -- the thread

    def _soon(self, call: Callable[[], object]) -> None:
        with self._lock:
            self._todo.append(call)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"x")

    def _run(self) -> None:
        selector = self._selector
        try:
            become_subreaper()
            end_tree(self.plan.state_dir, self.plan.agent_id)
            self._desk.open(selector)
            selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
            self._read_session()
        except OSError as error:
            self._fail(f"{self.plan.name} cannot be run in this pane: {error}")
            return
        try:
            while not self._closing.is_set():
                self._turn()
        finally:
            self._end("")
            self._desk.close()
            self._groups.close()
            selector.close()

    def _turn(self) -> None:
        """Do what is due, then wait for what comes."""
        process = self._process
        if process is None and time.monotonic() >= self._start_at:
            self._start()
        elif process is not None:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if process.waits else 0)
            self._selector.modify(process.master, events, self._draw)
        for key, _ in self._selector.select(_LOOK):
            key.data()
        with self._lock:
            todo, self._todo = self._todo, []
        for call in todo:
            call()
        process = self._process
        if process is not None:
            self._look(process)

    def _woken(self) -> None:
        os.read(self._wake_read, 4096)

    def _draw(self) -> None:
        if self._process is not None:
            self._process.send()
            self._pane.show(self._process.shown())

    def _typed(self) -> None:
        if not (keys := self._pane.read()):
            # Nobody types there any more.
            self._forget(self._pane.keys)
        elif self._process is not None:
            self._process.send(keys)

    def _forget(self, descriptor: int | None) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(-1 if descriptor is None else descriptor)

    def _look(self, process: CliProcess) -> None:
        """See whether it lives, has the pane's size, and has begun."""
        process.resize(self._pane.size())
        code = process.returncode()
        if code is not None:
            for _ in range(100):
                if not (last := process.shown()):
                    break
                self._pane.show(last)
            self._end(_how(self.plan.name, code))
            return
        if self.persons_turn and time.monotonic() - self._looked_at > LOG_EVERY:
            self._looked_at = time.monotonic()
            if self.escaped() or self._has_interrupted():
                self.set_state("idle")
        late = time.monotonic() - process.began > self.plan.spec.begun_within
        if self.state == "starting" and late and not self.why:
            self.why = f"{self.plan.name} has not begun: {self.plan.dialogs}"
            self._note(self.why, "⚠")
            self._changed()

    def _has_interrupted(self) -> bool:
        """Return whether the CLI's own log says that the person has ended their turn, of which no hook tells."""
        if self.plan.log is None or self.session is None:
            return False
        if self._log is None or self._log.session != self.session:
            self._log, self._interrupts = SessionLogReader(self.plan.log, self.plan.environment, self.session), -1
        self._log.read()
        before, self._interrupts = self._interrupts, self._log.interrupts
        return 0 <= before < self._interrupts

    def _start(self) -> None:
        argv = self._argv()
        path = find_program(argv[0])
        if path is None:
            self.missing = argv[0]
            self._fail(f"{argv[0]} is not installed here: run `{self.plan.install}`")
            self._start_at = time.monotonic() + PAUSES[-1]
            return
        self.missing = ""
        try:
            self._write_settings()
            process = CliProcess([path, *argv[1:]], self.plan.workdir, self.plan.environment, self._pane.size())
        except OSError as error:
            self._fail(f"{self.plan.name} did not start: {error}")
            self._start_at = time.monotonic() + self._pause()
            return
        self._starts += 1
        self._groups.start()
        self._groups.watch(process.pid, MARK)
        with self._lock:
            self._process, self.state, self.why = process, "starting", ""
        self._divert(True)
        self._pane.hand_over()
        self._selector.register(process.master, selectors.EVENT_READ, self._draw)
        if self._pane.keys is not None:
            self._selector.register(self._pane.keys, selectors.EVENT_READ, self._typed)
        self._changed()

    def _argv(self) -> list[str]:
        spec, argv = self.plan.spec, list[str]()
        groups = {
            "{resume}": [one.replace("{session}", self.session) for one in spec.resume] if self.session else [],
            "{model}": [one.replace("{model}", self.plan.model) for one in spec.model] if self.plan.model else [],
        }
        for part in spec.argv:
            argv += groups.get(part, [part.replace("{settings}", str(self.plan.folder / "settings.json"))])
        return argv

    def _write_settings(self) -> None:
        """Write the file that names its hooks. Raises OSError."""
        from shlex import join

        hook = {"type": "command", "command": join(self._desk.command), "timeout": HOOK_WAIT}
        hooks = {event: [{"hooks": [hook]}] for event in self.plan.spec.hooks}
        write_private(self.plan.folder / "settings.json", msgspec.json.encode({"hooks": hooks}))

    def _end(self, why: str) -> None:
        """End the CLI, or what is left of it, and say why it did; it is started again after a pause."""
        process = self._process
        if process is None:
            return
        self._forget(process.master)
        self._forget(self._pane.keys)
        process.end()
        end_tree(self.plan.state_dir, self.plan.agent_id)
        self._groups.release(process.pid)
        self._pane.take_back()
        self._pane.draft = False
        self._divert(False)
        with self._lock:
            begun, self.persons_turn = self.state != "starting", False
            self._process, self.state, self.why, hearer = None, "ended", why, self._hearer
        if self._closing.is_set():
            return
        if time.monotonic() - process.began > LONG:
            self._starts = 0
        if not begun and self.session is not None:
            # It does not take its session up: it starts without.
            self._keep_session(None)
        pause = self._pause()
        self._start_at = time.monotonic() + pause
        self._note(f"{why}; it starts again in {pause:.0f} s, Ctrl-C leaves", "⚠")
        if hearer is not None:
            hearer("exit", None)
        self._changed()

    def _fail(self, why: str) -> None:
        with self._lock:
            told = why == self.why
            self.state, self.why, hearer = "ended", why, self._hearer
        if not told:
            self._note(why, "⚠")
        if hearer is not None:
            hearer("exit", None)
        self._changed()

    def _pause(self) -> float:
        return PAUSES[min(self._starts, len(PAUSES)) - 1] if self._starts else PAUSES[0]

    def _read_session(self) -> None:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            self.session = (self.plan.folder / _SESSION).read_text("utf-8").strip()[:200] or None

    def _keep_session(self, session: str | None) -> None:
        if session == self.session:
            return
        self.session = session
        with contextlib.suppress(OSError):
            write_private(self.plan.folder / _SESSION, (session or "").encode())

    # -- what its hooks tell

    def _heard(self, call: HookCall) -> None:
        """Hear a hook: its state follows, then whoever has the screen is told."""
        hook = self.plan.spec.hooks.get(call.event)
        if hook is None or self._process is None:
            call.answer()
            return
        self._told_at = time.monotonic()
        session = next(iter(find(call.said, self.plan.spec.session)), None)
        with self._lock:
            if isinstance(session, str) and session and hook.means in ("begun", "prompt"):
                self._keep_session(session[:200])
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
            self.why = ""
            self._starts = 0
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


def _how(name: str, code: int) -> str:
    return f"{name} ended, {f'signal {-code}' if code < 0 else f'exit status {code}'}"


def end_tree(state_dir: str, agent_id: str) -> None:
    """End what a CLI of the agent's has started, wherever it went, and bury those that became our children."""
    found = [one.info for one in find_marked(state_dir) if one.agent_id == agent_id and one.token == MARK]
    kill(found)
    until = time.monotonic() + _BURY_WAIT
    while found and time.monotonic() < until:
        found = [info for info in found if not _buried(info.pid)]
        time.sleep(0.01)


def _buried(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
