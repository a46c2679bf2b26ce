"""Keep the embedded broker in a pane: of the user and the port, for every swarm on it, gone with the last."""

import re
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from swarm_tui.broker.mosquitto import BrokerMissingError, EmbeddedBroker
from swarm_tui.config.model import RestartPolicy
from swarm_tui.config.paths import broker_dir, why_not
from swarm_tui.domain import restart
from swarm_tui.domain.restart import Exit, History
from swarm_tui.identity.store import IdentityError
from swarm_tui.protocol.text import clean
from swarm_tui.supervisor import broker_rules, locks, processes
from swarm_tui.supervisor.agent_panes import CONTROL, AgentPanes, NewPane
from swarm_tui.supervisor.loop import Call, Loop
from swarm_tui.tmux import commands
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import session_target

BROKER = "broker"
SUPERVISOR = "supervisor"
#: A broker that ends within so many seconds has not come up; the cause is known when it did so that often in a row.
SHORT_LIFE, SHORT_LIVES = 2.0, 2
#: The seconds since the epoch before each of mosquitto's lines.
_STAMP = re.compile(r"^\d{9,11}: ")
#: Seconds between two looks at how long the certificates are good: they are renewed weeks before they end.
RENEW_EVERY = 6 * 3600.0
#: What mosquitto says of a database that it cannot read.
_UNREADABLE = re.compile(r"open database|persistent (?:database|store)|persistence (?:file|data)", re.IGNORECASE)
#: How often it is asked whether the broker listens yet: about 40 s in all.
MOST_TRIES = 500


def listens(port: int) -> bool:
    """Return whether something accepts connections on the loopback's port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class BrokerPane:
    """Keeps the broker of `port` running, whichever swarm's session its pane is in."""

    def __init__(
        self,
        loop: Loop,
        agent_panes: AgentPanes,
        port: int,
        figures: RestartPolicy,
        say: Callable[[str, str, str], None],
        admit: Callable[[], None] = lambda: None,
    ) -> None:
        self.port = port
        self._loop, self._agent_panes, self._figures, self._say = loop, agent_panes, figures, say
        self._admit = admit
        """Writes this swarm's part of the broker's rules."""
        self._broker = EmbeddedBroker(port, broker_dir(port))
        self._history = History()
        self._pid: int | None = None
        self._ready: Call | None = None
        self._closed = False
        self._began = 0.0
        self._short_lives = 0
        """How often in a row it ended as soon as it was started."""
        self._renewed = time.monotonic()
        self._words = ""
        """What it said last, or why it could not be started at all."""

    @property
    def trouble(self) -> str:
        """Why there is no broker, once that is known; empty while there is one, or may be soon."""
        if self._short_lives < SHORT_LIVES or (self._pid is not None and time.monotonic() - self._began > SHORT_LIFE):
            return ""
        return f"mosquitto on port {self.port} does not start: {self._words or f'see {self._broker.log}'}"

    def ensure(self, ready: Call | None = None) -> None:
        """Make it run; `ready` once it listens."""
        if ready is not None:
            self._ready = ready
        if self._closed:
            return
        try:
            lock = locks.take(broker_dir(self.port) / "lock")
        except OSError as error:
            self._cannot(f"its folder cannot be used: {why_not(error)}")
            return
        if lock is None:
            self._loop.after(0.05, self.ensure)
            return
        try:
            self._look()
        except (TmuxError, IdentityError) as error:
            self._again(str(error))
        except OSError as error:
            self._cannot(why_not(error))
        except BrokerMissingError as error:
            self._cannot(str(error))
        finally:
            locks.release(lock)

    def _cannot(self, reason: str) -> None:
        self._words, self._short_lives = reason, SHORT_LIVES
        self._again(reason)

    def _again(self, reason: str) -> None:
        self._say(BROKER, "", f"{reason}; again in 2 s")
        self._loop.after(2.0, self.ensure)

    def renew(self, now: float) -> None:
        """Once in a while, look whether the broker's certificates end soon; it takes new ones over at once."""
        if self._closed or now - self._renewed < RENEW_EVERY:
            return
        self._renewed = now
        try:
            before = self._authority()
            if self._broker.renew():
                self._broker.reload()
                self._say(BROKER, "", "its certificates were about to end: there are new ones")
                if before and before != self._authority():
                    # Whoever has the former one trusts no certificate of the new one.
                    todo = "give each other host its join file anew, by `swarm-tui broker rotate NAME`"
                    self._say(BROKER, "", f"its authority is another: {todo}")
        except (OSError, BrokerMissingError) as error:
            self._say(BROKER, "", f"its certificates could not be renewed: {error}")

    def _authority(self) -> bytes:
        try:
            return self._broker.certificates.authority.read_bytes()
        except OSError:
            return b""

    def pane(self, panes: list[Pane]) -> Pane | None:
        """Return the broker's pane, in any session of this tmux server."""
        return next((pane for pane in panes if pane.role == BROKER and pane.port == self.port), None)

    def _look(self) -> None:
        panes = self._agent_panes.tmux.panes()
        pane = self.pane(panes)
        if self._pid is None and (running := self._broker.pid()) is not None and processes.is_alive(running):
            # One that an older version started has no rules: it ends then, and is started with them.
            self._admit()
        if pane is not None and not pane.dead and processes.is_alive(pane.pid):
            self._follow(pane.pid)
        elif (pid := self._broker.pid()) is not None and processes.is_alive(pid):
            self._follow(pid)
        elif listens(self.port):
            self._await(0)
        else:
            self._admit()
            self._broker.prepare()
            made = self._spawn(pane, panes)
            self._history = restart.started(self._history, time.monotonic())
            self._say(BROKER, "", f"mosquitto on port {self.port}, pid {made.pid}")
            self._began = time.monotonic()
            self._follow(made.pid)

    def _spawn(self, pane: Pane | None, panes: list[Pane]) -> NewPane:
        argv, folder = self._broker.argv(), str(self._broker.folder)
        if pane is not None:
            todo = commands.respawn(pane.pane_id, argv, folder)
            todo.append(["display-message", "-p", "-t", pane.pane_id, commands.IDENTITY])
        else:
            own = [p for p in self._agent_panes.mine(panes) if p.session == self._agent_panes.place.session]
            beside = next((p for p in own if p.role == SUPERVISOR), None)
            if beside is not None:
                todo = commands.split(beside.pane_id, argv, folder, tiled=False, stay=True)
            else:
                todo = commands.new_window(
                    session_target(panes, self._agent_panes.place.session), CONTROL, argv, folder
                )
            todo += commands.keep_dead()
            todo += commands.tags(None, commands.control_tags(self._agent_panes.place.swarm, BROKER, self.port))
            todo += self._agent_panes.focus_back(panes, beside)
        said = [line.split() for line in self._agent_panes.tmux.run_list(todo) if line.startswith("%")]
        if not said:
            raise TmuxError("tmux made no pane for the broker")
        return NewPane(said[0][0], int(said[0][1]))

    def _follow(self, pid: int) -> None:
        if self._pid != pid:
            self._pid = pid
            self._loop.watch(pid, lambda: self._ended(pid))
        self._await(0)

    def _await(self, tries: int) -> None:
        """Until it listens; agents that start before would wait longer than we do here."""
        if self._ready is None:
            return
        if listens(self.port) or tries == MOST_TRIES:
            if tries == MOST_TRIES:
                self._say(BROKER, "", f"nothing listens on port {self.port} yet; the agents wait for it by themselves")
            self._history = restart.registered(self._history, time.monotonic())
            ready, self._ready = self._ready, None
            ready()
        else:
            self._loop.after(0.01 if tries < 100 else 0.1, lambda: self._await(tries + 1))

    def _ended(self, pid: int) -> None:
        if self._pid != pid or self._closed:
            return
        self._pid = None
        short = time.monotonic() - self._began < SHORT_LIFE
        self._short_lives = self._short_lives + 1 if short else 0
        # tmux may not have read yet what the last of several lives said.
        self._words = self._last_words() or self._words
        if short and self._set_aside():
            self._loop.after(0.0, self.ensure)
            return
        decision, self._history = restart.decide(self._figures, "always", self._history, Exit(), time.monotonic(), 0.5)
        delay = self._figures.backoff_max if decision.act == "crashloop" else decision.delay
        words = f" ({self._words})" if self._words else ""
        again = f"in {delay:.1f} s" if delay else "at once"
        self._say(BROKER, "", f"the broker ended{words}; again {again}")
        self._loop.after(delay, self.ensure)

    def _set_aside(self) -> bool:
        """Put away a database that a full disk cut short: mosquitto does not start on it, ever. False where it is well.

        What it held is said again: by those who retain, and by publishers whom nobody answered.
        """
        if not _UNREADABLE.search(self._words):
            return False
        try:
            kept = self._broker.set_aside_database()
        except OSError as error:
            self._say(BROKER, "", f"its database is damaged, and cannot be put aside: {why_not(error)}")
            return False
        if kept is not None:
            self._say(BROKER, "", f"its database is damaged, as a full disk leaves it: put aside as {kept}, begun anew")
        return kept is not None

    def _last_words(self) -> str:
        """Return what it said last: on its pane, else in its log."""
        said: list[str] = []
        with suppress(TmuxError):
            pane = self.pane(self._agent_panes.tmux.panes())
            if pane is not None and pane.dead:
                said = self._agent_panes.tmux.capture(pane.pane_id, 8)
        if not any(line.strip() for line in said) and self._short_lives:
            said = self._broker.last_words()
        return clean(" / ".join(_STAMP.sub("", line) for line in said[-3:]), 300)

    def leave(self, others: list[str]) -> None:
        """This swarm is done with it. `others` are sessions of swarms that still use it: one takes the pane over."""
        self._closed = True
        try:
            broker_rules.dismiss(self.port, self._agent_panes.place.swarm)
        except (OSError, BrokerMissingError) as error:
            self._say(BROKER, "", f"its rules still name this swarm: {error}")
        try:
            self._hand_over_or_end(others)
        except TmuxError as error:
            self._say(BROKER, "", f"the broker is left as it is: {error}")

    def _hand_over_or_end(self, others: list[str]) -> None:
        panes = self._agent_panes.tmux.panes()
        pane = self.pane(panes)
        heir = next((p for p in panes if p.session in others and p.role == SUPERVISOR), None)
        if heir is not None:
            if pane is not None and pane.session == self._agent_panes.place.session:
                retag = commands.tags(pane.pane_id, {"@swarm": heir.swarm})
                move = ["join-pane", "-d", "-v", "-s", pane.pane_id, "-t", heir.pane_id]
                self._agent_panes.tmux.run_list([move, *retag])
                self._say(BROKER, "", f"the broker goes on in session {heir.session}")
            return
        pid = pane.pid if pane is not None and not pane.dead else self._broker.pid()
        if pid:
            self._end(pid)
        if pane is not None:
            self._agent_panes.close([pane.pane_id])

    def _end(self, pid: int) -> None:
        began = processes.start_time(pid)
        if not self._broker.is_ours(pid):
            return
        processes.signal_one(pid, began, signal.SIGTERM)
        end = time.monotonic() + self._figures.term_wait
        while processes.is_alive(pid, began) and time.monotonic() < end:
            time.sleep(0.01)
        processes.signal_one(pid, began, signal.SIGKILL)
