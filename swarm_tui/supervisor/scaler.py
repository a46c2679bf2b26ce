"""Scale roles: move the number of agents that each has towards what the dispatcher or a person wants."""

import time
from collections.abc import Callable

from swarm_tui.config.model import Policy
from swarm_tui.domain import scaling
from swarm_tui.domain.scaling import RoleCount
from swarm_tui.supervisor import processes
from swarm_tui.supervisor.loop import Call
from swarm_tui.supervisor.unit import Phase, Unit

#: What an agent is taken to need before one of its role has run, bytes.
AGENT_MEMORY = 64 * 1024 * 1024


class Scaler:
    """`candidates` maps a scaled role to its agents' ids in order, up to its `max`; `members` to those that are in.

    `minimums` are the numbers that people asked for; `before(role)` says how many agents of it run on the hosts that
    come first in the alphabet: a wish is for the whole swarm, and each host makes what those leave. `elsewhere` counts
    all agents of the other hosts, because the fleet's cap is for the whole swarm too.
    """

    def __init__(
        self,
        units: dict[str, Unit],
        policy: Policy,
        *,
        start: Callable[[str], None],
        retire: Callable[[Unit, Call], None],
        before: Callable[[str], int],
        elsewhere: Callable[[], int],
        say: Callable[[str, str, str], None],
    ) -> None:
        self.units, self.policy = units, policy
        self.limits: dict[str, tuple[int, int]] = {}
        self.always: set[str] = set()
        """Ids of those candidates that are never let go: the first `min` of each entry."""
        self.candidates: dict[str, list[str]] = {}
        self.members: dict[str, list[str]] = {}
        self.minimums: dict[str, int] = {}
        self._desired: dict[str, int] = {}
        self._heard: dict[str, int] = {}
        """What was last wished over the bus, also where a person has overruled it since."""
        self._overruled: set[str] = set()
        self._asked: set[str] = set()
        self._last_down: dict[str, float] = {}
        self._said: dict[str, str] = {}
        self._start, self._retire, self._say = start, retire, say
        self._before, self._elsewhere = before, elsewhere

    def restore(self, minimums: dict[str, int]) -> None:
        """Take over what people asked of a former supervisor."""
        self.minimums.update(minimums)
        self._overruled.update(minimums)

    def set_minimum(self, role: str, desired: int) -> str:
        """Take a person's wish, the least from then on; return a sentence when it cannot be."""
        if role not in self.limits:
            todo = "give its entry `min` and `max` there, then run `swarm-tui up` again"
            return f"the layout gives {role} no min and max: {todo}" if role else "no role is named"
        self.minimums[role] = desired
        self._desired.pop(role, None)
        self._overruled.add(role)
        self._asked.add(role)
        self._said.pop(role, None)
        self.step(role)
        return ""

    def set_desired(self, role: str, desired: int, *, retained: bool) -> None:
        """Take the dispatcher's wish. One that only sinks from what a person has overruled brings nobody back."""
        former = self._heard.get(role)
        self._heard[role] = desired
        old = retained if former is None else desired <= former
        if role not in self.limits or (role in self._overruled and old):
            return
        self._overruled.discard(role)
        self._desired[role] = desired
        self.step(role)

    def tick(self) -> None:
        """Go on towards the numbers that are desired."""
        for role in self.limits:
            self.step(role)

    def step(self, role: str) -> None:
        """Take one step towards what is wished of one role."""
        if role not in self._desired and role not in self.minimums:
            return
        wished = max(self._desired.get(role, 0), self.minimums.get(role, 0))
        desired = max(0, wished - self._before(role))
        facts = self._facts(role)
        memory = [processes.memory_of(u.saved.pid) for u in self._members(role) if u.saved.pid]
        step = scaling.scale(
            facts,
            desired,
            now=time.monotonic(),
            fleet=sum(1 for unit in self.units.values() if unit.saved.wanted) + self._elsewhere(),
            cap=self.policy.max_agents,
            memory_left=processes.memory_left(),
            agent_memory=max(memory, default=0) or AGENT_MEMORY,
            asked=role in self._asked,
        )
        if step.reason and step.reason != self._said.get(role):
            self._say("scale", "", f"{role}: {step.reason}")
        self._said[role] = step.reason
        if step.up:
            self._up(role, step.up, desired)
        elif step.down:
            self._down(role, step.down, desired)
        else:
            self._asked.discard(role)

    def _members(self, role: str) -> list[Unit]:
        return [self.units[name] for name in self.members.get(role, []) if name in self.units]

    def _facts(self, role: str) -> RoleCount:
        low, high = self.limits[role]
        members = self._members(role)
        free = [u for u in members if u.agent_id not in self.always and u.phase is not Phase.STOPPING]
        idle = [u.agent_id for u in free if u.presence.active == 0 and not u.hung]
        return RoleCount(
            role=role,
            low=low,
            high=high,
            running=len(members),
            idle=tuple(reversed(idle)),
            crashing=any(unit.phase is Phase.CRASHLOOP for unit in members),
            last_down=self._last_down.get(role),
            down_every=self.policy.scale_down_every,
        )

    def _up(self, role: str, number: int, desired: int) -> None:
        members = self.members.setdefault(role, [])
        free = [name for name in self.candidates.get(role, []) if name not in members][:number]
        members += free
        for name in free:
            self._start(name)
        if free:
            self._say("scale", "", f"{role}: up by {len(free)} to {len(members)}; {desired} wished")

    def _down(self, role: str, agent_id: str, desired: int) -> None:
        self._last_down[role] = time.monotonic()
        self.members[role] = [name for name in self.members.get(role, []) if name != agent_id]
        self._say("scale", agent_id, f"{role}: down to {len(self.members[role])}; {desired} wished")
        self._retire(self.units[agent_id], lambda: self.step(role))
