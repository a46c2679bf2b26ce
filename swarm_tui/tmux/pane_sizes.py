"""Give panes the size at which a screen shows them while nobody attaches, and their own size back afterwards.

All panes of a window get that size, so that another one can be looked at without any of them changing. tmux is told a
size and then left to choose: whoever attaches has the panes at their own size at once, whatever became of the screen.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from typing import Literal, NamedTuple

from msgspec import Struct

from swarm_tui.tmux.commands import HEIGHT, WIDTH, Commands
from swarm_tui.tmux.control import ControlClient

LOOK = "@look"
"""Option of a window: which client's screen gave it its size, and since when it looks."""
_HOOK = "client-detached"
HOOKS = 7000
"""The first of our indices among a session's hooks; a window's is that much higher than its number."""
LEAST = (20, 5)
"""Columns and lines that a pane keeps, however small it is shown: with fewer, no program prints sense."""
SPARE = 2
"""Lines that a pane may have more than show before it gets another size: strips above it come and go."""
HOLD = 3.0
"""Seconds that a screen which looked has the size before one that looked later takes it."""
SETTLE = 0.3
"""Seconds that a size must last before panes get it: a terminal that is dragged has many."""
AFTERWARDS = 5.0
"""Seconds after which panes that no longer show get their own size back."""
PAUSES = (1.0, 60.0)
"""Seconds before a window that did not keep its size gets it again, doubled each time, up to the second."""

_FORMAT = " ".join(
    f"#{{{name}}}" for name in ("window_id", "pane_id", "session_id", "window-size", "window_layout", LOOK)
)
_CLIENTS = "#{client_control_mode} #{session_id} #{client_name}"


class Size(NamedTuple):
    """Columns and lines of text."""

    columns: int
    lines: int


class Look(NamedTuple):
    """A client's screen, and since when it looks, in monotonic seconds of this host."""

    client: str
    since: float


class Wish(Struct, frozen=True):
    """Panes that show, and at which size; since when, as a person chose."""

    panes: frozenset[str]
    size: Size
    since: float


class Window(Struct, frozen=True):
    """A window that has panes of ours, as tmux tells of it."""

    window_id: str
    panes: tuple[str, ...]
    layout: str
    option: str
    """Its `window-size`: whom its size follows."""
    look: Look | None
    attached: bool
    """True while somebody's terminal is attached to a session that has it."""


class Step(NamedTuple):
    """Step to take about a window: `wait` is to look again by `at`, in monotonic seconds."""

    does: Literal["nothing", "fit", "let go", "wait"]
    at: float = 0.0


def decide(window: Window, wish: Wish, me: str, there: Set[str], now: float) -> Step:
    """Decide what a screen whose client is `me` does about a window of which it shows panes; `there`: all clients."""
    mine = window.look is not None and window.look.client == me
    if window.attached or window.option == "manual":
        return Step("let go") if mine else Step("nothing")
    other = window.look if not mine and window.look is not None and window.look.client in there else None
    if other is not None and other.since >= wish.since:
        return Step("nothing")
    if other is not None and now < other.since + HOLD:
        return Step("wait", other.since + HOLD)
    if mine and window.layout == layout(window.panes, wish.size):
        return Step("nothing")
    return Step("fit")


def whole(count: int, size: Size) -> tuple[int, int, Size]:
    """Return columns and rows of so many panes, as tmux tiles them, and the size of the window that holds them."""
    rows = across = 1
    while rows * across < count:
        rows += 1
        if rows * across < count:
            across += 1
    return across, rows, Size(across * (size.columns + 1) - 1, rows * (size.lines + 1) - 1)


def layout(panes: Sequence[str], size: Size) -> str:
    """Return the layout, in tmux's own words, in which each pane has that size; those of a short column are taller."""
    across, rows, room = whole(len(panes), size)
    few, more = divmod(len(panes), across)
    columns, first = [], 0
    for number in range(across):
        count, left = few + (number < more), number * (size.columns + 1)
        lines = [size.lines] * count
        if count < rows:
            lines = [(room.lines - count + 1 + extra) // count for extra in range(count)]
        cells, top = [], 0
        for pane, tall in zip(panes[first : first + count], lines, strict=True):
            cells.append(f"{size.columns}x{tall},{left},{top},{pane.removeprefix('%')}")
            top += tall + 1
        first += count
        inner = f"{size.columns}x{room.lines},{left},0[{','.join(cells)}]"
        columns.append(cells[0] if count == 1 else inner)
    body = columns[0] if across == 1 else f"{room.columns}x{room.lines},0,0{{{','.join(columns)}}}"
    return f"{_checksum(body):04x},{body}"


def _checksum(text: str) -> int:
    total = 0
    for letter in text:
        total = ((total >> 1) + ((total & 1) << 15) + ord(letter)) & 0xFFFF
    return total


def fit(window: Window, size: Size, session: str, look: Look) -> Commands:
    """Return commands that give the window's panes the size, and have tmux give it back when that client is gone."""
    target, (_, _, room) = ["-t", window.window_id], whole(len(window.panes), size)
    mark = f"{look.client}|{look.since:.3f}"
    back = " ; ".join(" ".join(command) for command in _back(window.window_id))
    last = f'if-shell -F "#{{==:#{{hook_client}},{look.client}}}" "{back}"'
    return [
        ["set-option", "-w", *target, LOOK, mark],
        ["set-hook", "-t", session, _hook(window.window_id), last],
        ["resize-window", *target, "-x", str(room.columns), "-y", str(room.lines)],
        *([["select-layout", *target, layout(window.panes, size)]] if len(window.panes) > 1 else []),
        # resize-window also fixes the size.
        ["set-option", "-w", "-u", *target, "window-size"],
    ]


def _hook(window_id: str) -> str:
    return f"{_HOOK}[{HOOKS + int(window_id.removeprefix('@'))}]"


def _back(window_id: str) -> Commands:
    target = ["-t", window_id]
    return [
        ["resize-window", *target, "-x", str(WIDTH), "-y", str(HEIGHT)],
        ["set-option", "-w", "-u", *target, "window-size"],
        ["set-option", "-w", "-u", *target, LOOK],
        ["select-layout", *target, "tiled"],
    ]


def give_back(window_id: str, session: str) -> Commands:
    """Return commands that give the window's panes their own size back."""
    return [*_back(window_id), *let_go(window_id, session)]


def let_go(window_id: str, session: str) -> Commands:
    """Return commands that leave the window as it is, to whoever attached."""
    return [
        ["set-option", "-w", "-u", "-t", window_id, LOOK],
        ["set-hook", "-u", "-t", session, _hook(window_id)],
    ]


def read_windows(panes: Iterable[str], clients: Iterable[str]) -> tuple[list[Window], set[str]]:
    """Return the windows that such a listing of panes and of clients tells of, and the names of all clients."""
    names, watched = set[str](), set[str]()
    for line in clients:
        control, session, name = line.split(" ", 2)
        names.add(name)
        if control == "0":
            watched.add(session)
    found: dict[str, list[list[str]]] = {}
    for line in panes:
        fields = line.split(" ", 5)
        if len(fields) == 6:
            found.setdefault(fields[0], []).append(fields)
    windows = []
    for window_id, rows in found.items():
        _, _, _, option, shape, look = rows[0]
        attached = any(row[2] in watched for row in rows)
        ids = tuple(dict.fromkeys(row[1] for row in rows))
        windows.append(Window(window_id, ids, shape, option, _look(look), attached))
    return windows, names


def _look(mark: str) -> Look | None:
    client, _, since = mark.partition("|")
    try:
        return Look(client, float(since)) if client else None
    except ValueError:
        return None


class PaneSizes:
    """Sizes of the panes that one screen shows. `want` may be called on any thread, all else on the one that works.

    `clock` gives monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wish: Wish | None = None
        self._due: float | None = None
        self._fitted: dict[str, tuple[Wish, float, float]] = {}
        """Of each window: for what it was fitted, when, and the seconds before it may be again."""

    @property
    def due(self) -> float | None:
        """Return when there is something to do, in monotonic seconds; None when only a change brings something."""
        return self._due

    def want(self, panes: frozenset[str], size: tuple[int, int] | None) -> None:
        """Say which panes show at which size; none, or no size, when they are to be left alone."""
        now, before = self._clock(), self._wish
        if not panes or size is None:
            self._wish = None
            if before is not None:
                self._due = now + AFTERWARDS
            return
        wanted = Size(max(LEAST[0], size[0]), max(LEAST[1], size[1]))
        if before is not None and before.size[0] == wanted[0] and 0 <= before.size[1] - wanted[1] <= SPARE:
            wanted = before.size
        if before is None or (before.panes, before.size) != (panes, wanted):
            self._wish = Wish(panes, wanted, now)
            self._due = now + SETTLE

    def heard(self) -> None:
        """Note that sizes or clients changed: what was decided may not hold."""
        if self._wish is not None:
            soon = self._clock() + SETTLE
            self._due = min(self._due or soon, soon)

    def work(self, control: ControlClient) -> None:
        """Do what is due. Raises TmuxError."""
        now, me = self._clock(), control.name
        if self._due is None or now < self._due or me is None:
            return
        self._due = None  # Before the wish is read, which may be another at any moment.
        wish = self._wish
        if wish is None:
            self.give_back(control)
            return
        panes, clients = control.commands([["list-panes", "-a", "-F", _FORMAT], ["list-clients", "-F", _CLIENTS]])
        windows, there = read_windows(panes, clients)
        for window in windows:
            if wish.panes & set(window.panes):
                self._care(control, window, wish, decide(window, wish, me, there, now))
            elif window.look is not None and window.look.client == me and window.attached:
                self._care(control, window, wish, Step("let go"))

    def _care(self, control: ControlClient, window: Window, wish: Wish, step: Step) -> None:
        now, me = self._clock(), control.name or ""
        if step.does == "fit":
            last = self._fitted.get(window.window_id)
            again = last is not None and last[0] is wish
            if last is not None and again and now < last[1] + last[2]:
                step = Step("wait", last[1] + last[2])
            else:
                pause = min(PAUSES[1], last[2] * 2) if last is not None and again else PAUSES[0]
                self._fitted[window.window_id] = (wish, now, pause)
                control.commands(fit(window, wish.size, control.session_target, Look(me, wish.since)))
        if step.does == "let go":
            self._fitted.pop(window.window_id, None)
            control.commands(let_go(window.window_id, control.session_target))
        if step.does == "wait":
            self._due = min(self._due or step.at, step.at)

    def give_back(self, control: ControlClient) -> None:
        """Give all panes that still have a size of ours their own back, at once. Raises TmuxError."""
        self._due = None
        fitted, self._fitted = self._fitted, {}
        if not fitted or (me := control.name) is None:
            return
        panes, clients = control.commands([["list-panes", "-a", "-F", _FORMAT], ["list-clients", "-F", _CLIENTS]])
        for window in read_windows(panes, clients)[0]:
            if window.look is not None and window.look.client == me:
                end = let_go if window.attached else give_back
                control.commands(end(window.window_id, control.session_target))
        if _HOOK in control.command("show-hooks", "-t", control.session_target):
            # Without any of ours it would still stand before the user's own.
            control.command("set-hook", "-u", "-t", control.session_target, _HOOK)
