"""A run: which steps may begin, which are skipped, and how it ends. Pure decisions over its plan and its record."""

from collections import deque

from swarm_tui.domain.workflows.model import RUNNING, RunPlan, RunRecord, Step, StepRecord

BLOCKED, COMPLETE, FAILED, CANCELLED, SKIPPED = "blocked", "complete", "failed", "cancelled", "skipped"
#: States of a step after which nothing more happens to it by itself.
OVER = frozenset({COMPLETE, FAILED, CANCELLED, SKIPPED})
BADLY = frozenset({FAILED, CANCELLED})
_LETTERS = {"c": COMPLETE, "f": FAILED, "x": CANCELLED}


class Run:
    """A run in memory: plan and record, and beside them what is open, kept up so that no end of a step costs a walk."""

    def __init__(self, plan: RunPlan, record: RunRecord | None = None) -> None:
        self.plan = plan
        self.record = record or RunRecord(
            updated_at=plan.created_at, steps={name: StepRecord() for name in plan.workflow.steps}
        )
        self.needed_by: dict[str, list[str]] = {}
        for name, step in plan.workflow.steps.items():
            for need in step.needs:
                self.needed_by.setdefault(need, []).append(name)
        self.missing: dict[str, int] = {}
        """Blocked step to how many of its needs are not over."""
        self.open = 0
        self.bad = ""
        """A step that failed, or was cancelled."""
        self.kept: list[str] = []
        """Ids of its tasks that ended, and whose results are kept in memory until the run ends."""
        self.count()

    def count(self) -> None:
        """Count anew what is open."""
        steps = self.record.steps
        self.open = sum(record.state not in OVER for record in steps.values())
        self.bad = next((name for name, record in steps.items() if record.state in BADLY), "")
        self.missing = {
            name: sum(steps[need].state not in OVER for need in self.step(name).needs)
            for name, record in steps.items()
            if record.state == BLOCKED
        }

    @property
    def run_id(self) -> str:
        """Return the run's id."""
        return self.plan.run_id

    @property
    def ended(self) -> bool:
        """Return whether the run has its outcome."""
        return self.record.state != RUNNING

    def step(self, name: str) -> Step:
        """Return a step as the workflow has it."""
        return self.plan.workflow.steps[name]

    def free(self) -> list[str]:
        """Return the blocked steps all of whose needs are over, in the workflow's order."""
        return [name for name, missing in self.missing.items() if not missing]

    def skips(self, name: str) -> str:
        """Return why a step whose needs are over is not taken, but for its `when`; empty when it is."""
        step = self.step(name)
        states = {need: self.record.steps[need].state for need in step.needs}
        bad = [need for need, state in states.items() if state in BADLY]
        if self.record.cancelling:
            return f"the run is cancelled: {self.record.cancelling}"
        if step.on == "always":
            return ""
        if step.on == "failure":
            return "" if bad else "nothing that it needs failed"
        if bad:
            return f"{bad[0]} {self._did(bad[0])}"
        left = [need for need, state in states.items() if state == SKIPPED]
        if left:
            return f"{left[0]} was skipped"
        stops = self.bad and self.plan.workflow.on_failure == "stop"
        return f"the run stops, for {self.bad} {self._did(self.bad)}" if stops else ""

    def _did(self, name: str) -> str:
        return "was cancelled" if self.record.steps[name].state == CANCELLED else "failed"

    def begin(self, name: str, count: int, wall: float) -> list[int]:
        """Note that a step is being done by `count` tasks, and return the indices of those that are to be made."""
        record = self.record.steps[name]
        self.missing.pop(name, None)
        record.state, record.reason, record.began_at, record.ended_at = RUNNING, "", wall, None
        known = record.ends or ""
        record.ends = "".join(known[at] if at < len(known) and known[at] == "c" else "." for at in range(count))
        made = [at for at in range(count) if record.ends[at] == "."]
        if record.round > 1:
            record.rounds.update(dict.fromkeys(made, record.round))
        return made

    def task_over(self, name: str, at: int, letter: str) -> str | None:
        """Note the end of a step's task. Returns the step's state once all of its tasks have ended, else None."""
        record = self.record.steps[name]
        if record.state == BLOCKED:
            # A person cancelled it before it began.
            return _LETTERS[letter]
        if record.state != RUNNING or record.ends is None or at >= len(record.ends) or record.ends[at] != ".":
            return None
        record.ends = record.ends[:at] + letter + record.ends[at + 1 :]
        if "." in record.ends:
            return None
        worst = next((letter for letter in "fxc" if letter in record.ends), "c")
        return _LETTERS[worst]

    def step_over(self, name: str, state: str, reason: str, wall: float) -> list[str]:
        """Note the end of a step. Returns the blocked steps to look at: those that need nothing more, or stop."""
        record = self.record.steps[name]
        self.missing.pop(name, None)
        self.open -= 1
        record.state, record.reason, record.ended_at = state, reason, wall
        if state in BADLY:
            self.bad = self.bad or name
        free = []
        for needer in self.needed_by.get(name, ()):
            if needer in self.missing:
                self.missing[needer] -= 1
                if not self.missing[needer]:
                    free.append(needer)
        if state in BADLY and self.plan.workflow.on_failure == "stop":
            free += [other for other in self.missing if other not in free and self.step(other).on == "success"]
        return free

    def task_ids(self, name: str) -> list[str]:
        """Return the ids of a step's tasks, as far as there are any; those of its last round."""
        record, each = self.record.steps[name], self.step(name).each is not None
        return [
            task_id(self.run_id, name, at if each else None, record.rounds.get(at, 1))
            for at in range(len(record.ends or ""))
        ]

    def outcome(self) -> tuple[str, str]:
        """Return how the run ends, now that no step is open, and why."""
        if self.record.cancelling:
            return CANCELLED, self.record.cancelling
        bad = [name for name, record in self.record.steps.items() if record.state in BADLY]
        if not bad:
            return COMPLETE, ""
        named = ", ".join(bad[:3]) + (" …" if len(bad) > 3 else "")
        return FAILED, f"{named}: {self.record.steps[bad[0]].reason}" if len(bad) == 1 else named

    def again(self, start: str | None = None) -> list[str]:
        """Let what did not succeed be done once more, or also `start`, and what answers to it. Returns those steps."""
        steps = self.record.steps
        todo = deque(name for name, record in steps.items() if record.state != COMPLETE or name == start)
        found = dict.fromkeys(todo)
        while todo:
            for needer in self.needed_by.get(todo.popleft(), ()):
                if needer not in found:
                    found[needer] = None
                    todo.append(needer)
        for name in found:
            record = steps[name]
            anew = record.state == COMPLETE or any(need in found for need in self.step(name).needs)
            steps[name] = StepRecord(
                round=record.round + 1,
                ends=None if anew else record.ends,
                rounds={} if anew else record.rounds,
            )
        self.record.state, self.record.ended_at, self.record.cancelling, self.record.reason = RUNNING, None, "", ""
        self.count()
        return list(found)


def task_id(run_id: str, name: str, at: int | None, round_: int) -> str:
    """Return the id of a step's task: of the item `at`, where it has items, and of which round."""
    return f"{run_id}.{name}{'' if at is None else f'.{at}'}{'' if round_ == 1 else f':{round_}'}"
