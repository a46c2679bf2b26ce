"""The CLI in the agent's pane: its process and its terminal, started anew with its session when it ends."""

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from swarm_tui.agent.conversation.programs import find as find_program
from swarm_tui.agent.interactive.cli_process import CliProcess, kill
from swarm_tui.agent.interactive.hook_desk import HookDesk
from swarm_tui.agent.interactive.pane import Pane
from swarm_tui.agent.interactive.screen_state import Plan, ScreenState
from swarm_tui.agent.process_groups import ProcessGroups
from swarm_tui.config.files import write_private
from swarm_tui.processes.descendants import ProcessInfo, become_subreaper, descendants
from swarm_tui.processes.marks import find_marked

#: The mark of the CLI's processes, which are no task's.
MARK = "screen"
#: Seconds between two starts, one after another; after a life of LONG it begins anew.
PAUSES, LONG = (1.0, 2.0, 5.0, 15.0, 60.0), 30.0
#: Seconds between two looks at the pane's size and the CLI's life.
_LOOK = 0.2
#: Seconds that a hook of the CLI's may take, which people are asked in.
HOOK_WAIT = 7 * 86400
#: Seconds in which what was killed is waited for.
_BURY_WAIT = 0.5


class CliScreen(ScreenState):
    """CLI in the pane of one agent. Thread-safe; a thread of its own does all with the terminal."""

    def __init__(
        self,
        plan: Plan,
        pane: Pane,
        note: Callable[[str, str], None],
        changed: Callable[[], None],
        denied: Callable[[Any], str],
        answered: Callable[[str, str], None],
        divert: Callable[[bool], None],
    ) -> None:
        """Make it; `note(line, mark)` tells people, `changed` is told of each new state.

        `answered(title, letter)` is told that an ask was answered in the pane. `divert(on)` has the agent's own lines
        go elsewhere than to the pane.
        """
        super().__init__(plan, pane, changed, denied)
        self.answered = answered
        self._note, self._divert = note, divert
        self._process: CliProcess | None = None
        self._desk = HookDesk(plan.folder, self.heard)
        self._groups = ProcessGroups(plan.state_dir, plan.agent_id)
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

    def renew(self) -> None:
        """End the CLI, which then starts again with its session."""
        with self._lock:
            self.state = "ended"
        self._soon(lambda: self._process.kill() if self._process is not None else None)

    def end_tools(self, since: int) -> None:
        """Kill what the CLI has started since then, in `boot_ticks`, until nothing of it is left."""
        until = time.monotonic() + _BURY_WAIT
        while (left := self._tools(since)) and time.monotonic() < until:
            kill(left)
            time.sleep(0.01)

    def _tools(self, since: int) -> list[ProcessInfo]:
        process = self._process
        below = descendants(process.pid) if process is not None else []
        # What left its tree is known by its mark.
        found = {one.pid: one for one in [*below, *marked(self.plan.state_dir, self.plan.agent_id)]}
        cli = process.pid if process is not None else None
        return [one for one in found.values() if one.started >= since and one.pid != cli and not one.zombie]

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
            # Before orphans become our children, which its shell then would be.
            self._groups.start()
            become_subreaper()
            end_tree(self.plan.state_dir, self.plan.agent_id)
            self._desk.open(selector)
            selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
            self.read_session()
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
        self.look_for_end()
        late = time.monotonic() - process.began > self.plan.spec.begun_within
        if self.state == "starting" and late and not self.why:
            self.why, self.stuck = f"{self.plan.name} has not begun: {self.plan.dialogs}", True
            self._note(self.why, "⚠")
            self._changed()

    def _start(self) -> None:
        argv = self._argv()
        path = find_program(argv[0])
        if path is None:
            self.missing = argv[0]
            self._fail(f"{argv[0]} is not installed here: run `{self.plan.install}`")
            self._start_at = time.monotonic() + PAUSES[-1]
            return
        try:
            self._write_settings()
            process = CliProcess([path, *argv[1:]], self.plan.workdir, self.plan.environment, self._pane.size())
        except OSError as error:
            self._fail(f"{self.plan.name} did not start: {error}")
            self._start_at = time.monotonic() + self._pause()
            return
        self._starts += 1
        self._groups.watch(process.pid, MARK)
        with self._lock:
            self._process, self.state, self.why, self._begun = process, "starting", "", False
            self.missing = ""
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
            begun, self.persons_turn = self._begun, False
            self._process, self.state, self.why, hearer = None, "ended", why, self._hearer
            self.stuck = not begun and self._starts > 1
        if self._closing.is_set():
            return
        if begun and time.monotonic() - process.began > LONG:
            self._starts = 0
        if not begun and self.session is not None:
            # It does not take its session up: it starts without.
            self.keep_session(None)
        pause = self._pause()
        self._start_at = time.monotonic() + pause
        self._note(f"{why}; it starts again in {pause:.0f} s, Ctrl-C leaves", "⚠")
        if hearer is not None:
            hearer("exit", None)
        self._changed()

    def _fail(self, why: str) -> None:
        with self._lock:
            told = why == self.why
            self.state, self.why, self.stuck, hearer = "ended", why, True, self._hearer
        if not told:
            self._note(why, "⚠")
        if hearer is not None:
            hearer("exit", None)
        self._changed()

    def _pause(self) -> float:
        return PAUSES[min(self._starts, len(PAUSES)) - 1] if self._starts else PAUSES[0]


def _how(name: str, code: int) -> str:
    return f"{name} ended, {f'signal {-code}' if code < 0 else f'exit status {code}'}"


def marked(state_dir: str, agent_id: str) -> list[ProcessInfo]:
    """Return what a CLI of the agent's has started, wherever it went, and the CLI itself."""
    return [one.info for one in find_marked(state_dir) if one.agent_id == agent_id and one.token == MARK]


def end_tree(state_dir: str, agent_id: str) -> None:
    """End what a CLI of the agent's has started, wherever it went, and bury those that became our children."""
    found = marked(state_dir, agent_id)
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
