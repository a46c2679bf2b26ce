"""The restart of an agent that ended: from its history and its end to a decision."""

from typing import Literal, Protocol

from msgspec import Struct, structs

#: Signals by which a process ends itself: ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS. All others come from outside.
_OWN_FAULT = frozenset({4, 5, 6, 7, 8, 11, 31})
#: HUP, INT, KILL, TERM: a program that ends in order on one of them says 128 + it.
_FROM_OUTSIDE = frozenset({1, 2, 9, 15})

Rule = Literal["never", "on-failure", "always"]
Cause = Literal["done", "failed", "killed", "unknown"]


class Figures(Protocol):
    """The seconds and counts of the policy, as a layout's `supervisor` gives them."""

    @property
    def backoff_first(self) -> float:
        """Seconds before the second start in a row."""
        ...

    @property
    def backoff_max(self) -> float:
        """Seconds between two starts at most."""
        ...

    @property
    def healthy_after(self) -> float:
        """Seconds on the bus after which an agent counts as well."""
        ...

    @property
    def crash_within(self) -> float:
        """Seconds after its first word, or of unheard life, within which an end counts as a crash."""
        ...

    @property
    def crash_count(self) -> int:
        """Crashes after which it is left alone."""
        ...

    @property
    def crash_window(self) -> float:
        """Seconds within which those crashes are counted."""
        ...

    @property
    def mass_within(self) -> float:
        """Seconds within which ends count as one event."""
        ...

    @property
    def mass_share(self) -> float:
        """Share of the fleet, 0 to 1, whose end at once is the machine's doing."""
        ...


class Exit(Struct, frozen=True, kw_only=True):
    """A process's end; with neither status nor signal nobody knows how.

    `pane_lost`: its pane was taken from it. `told`: it left in order, which it does only when somebody tells it to.
    """

    status: int | None = None
    signal: int | None = None
    pane_lost: bool = False
    told: bool = False

    @property
    def cause(self) -> Cause:
        """Return why it ended, as far as its status and signal tell."""
        if self.pane_lost or self.told or (self.signal is not None and self.signal not in _OWN_FAULT):
            return "killed"
        if self.signal is not None:
            return "failed"
        if self.status is None:
            return "unknown"
        if self.status - 128 in _FROM_OUTSIDE:
            return "killed"
        return "done" if self.status == 0 else "failed"


class History(Struct, frozen=True, kw_only=True):
    """An agent's past, as the policy remembers it; times are seconds of one monotonic clock.

    `failures` counts restarts since it was last healthy; `crashes` are the exits that count towards a crash loop,
    `kills` the ends from outside of a process that had hardly begun.
    """

    started_at: float | None = None
    registered_at: float | None = None
    failures: int = 0
    restarts: int = 0
    crashes: tuple[float, ...] = ()
    kills: tuple[float, ...] = ()


class Decision(Struct, frozen=True, kw_only=True):
    """`restart` after `delay` seconds, `stay` ended, or `crashloop`: wait for a person. `reason` is for people."""

    act: Literal["restart", "stay", "crashloop"]
    delay: float = 0.0
    reason: str = ""


def started(history: History, now: float) -> History:
    """Note that a process of the agent was started."""
    return structs.replace(history, started_at=now, registered_at=None)


def registered(history: History, now: float) -> History:
    """Note that its process was first heard on the bus."""
    return history if history.registered_at is not None else structs.replace(history, registered_at=now)


def cleared(history: History) -> History:
    """Note that a person starts it anew: what it did before no longer counts against it."""
    return structs.replace(history, failures=0, crashes=(), kills=())


def decide(
    policy: Figures, rule: Rule, history: History, end: Exit, now: float, jitter: float
) -> tuple[Decision, History]:
    """Decide what to do about an end; also the history that goes with it. `jitter` is uniform in 0 … 1."""
    if _was_healthy(policy, history, now):
        history = cleared(history)
    if (stay := _stays(rule, end)) is not None:
        return stay, history
    if end.cause == "killed":
        return _after_kill(policy, history, end, now)
    crashes = history.crashes
    if _counts(policy, history, now):
        crashes = (*(at for at in crashes if now - at < policy.crash_window), now)
    history = structs.replace(history, crashes=crashes)
    if len(crashes) >= policy.crash_count:
        reason = f"ended {len(crashes)} times within {policy.crash_window:g} s; last {sentence(end)}"
        return Decision(act="crashloop", reason=reason), history
    delay = backoff(policy, history.failures, jitter)
    history = structs.replace(history, failures=history.failures + 1, restarts=history.restarts + 1)
    return Decision(act="restart", delay=delay, reason=sentence(end)), history


def backoff(policy: Figures, failures: int, jitter: float) -> float:
    """Return the seconds before the next start: none the first time, then doubling, each from half of it to all."""
    if failures <= 0:
        return 0.0
    whole = min(policy.backoff_max, policy.backoff_first * 2.0 ** min(failures - 1, 60))
    return whole * (0.5 + 0.5 * jitter)


def may_be_mass(rule: Rule, end: Exit) -> bool:
    """Return whether an end can be the machine's doing: not one in order, not one by a fault of its own."""
    return rule != "never" and end.cause in ("killed", "unknown")


def is_mass_death(policy: Figures, deaths: tuple[float, ...], fleet: int, now: float) -> bool:
    """Return whether so many ended at once that it is the machine or tmux: `mass_share` of the fleet, more than two."""
    recent = sum(1 for at in deaths if now - at <= policy.mass_within)
    return recent >= 3 and recent >= policy.mass_share * fleet


def sentence(end: Exit) -> str:
    """Tell of an end in a few words."""
    if end.pane_lost:
        return "its pane was closed"
    if end.told:
        return "left in order; somebody told it to"
    if end.signal is not None:
        return f"ended by signal {end.signal}"
    return "ended, status unknown" if end.status is None else f"exited with {end.status}"


def _stays(rule: Rule, end: Exit) -> Decision | None:
    if rule == "never":
        return Decision(act="stay", reason=f"{sentence(end)}; never restarted")
    if rule == "on-failure" and end.cause == "done":
        return Decision(act="stay", reason="exited with 0")
    return None


def _after_kill(policy: Figures, history: History, end: Exit, now: float) -> tuple[Decision, History]:
    """At once; a process that something kills over and over as it starts gets a pause between."""
    kills = history.kills
    if _counts(policy, history, now):
        kills = (*(at for at in kills if now - at < policy.crash_within), now)
    delay = policy.backoff_first if len(kills) > policy.crash_count else 0.0
    history = structs.replace(history, kills=kills, restarts=history.restarts + 1)
    return Decision(act="restart", delay=delay, reason=sentence(end)), history


def _counts(policy: Figures, history: History, now: float) -> bool:
    return history.registered_at is None or now - history.registered_at <= policy.crash_within


def _was_healthy(policy: Figures, history: History, now: float) -> bool:
    return history.registered_at is not None and now - history.registered_at >= policy.healthy_after
