"""Minds work that says nothing, and handlers that block the loop they share."""

from swarm_tui.agent.agent_reporter import AgentReporter
from swarm_tui.agent.running_attempt import RunningAttempt
from swarm_tui.agent.worker_shell import WorkerShell

#: Seconds between two looks.
LOOK_EVERY = 5.0
#: Seconds of silence after which it says so; a handler's option `silent_after` says when to end it.
SILENT_AFTER = 300.0
#: Seconds past its end after which an attempt that a blocked loop cannot end is reported without it.
STUCK_AFTER = 30.0


class Watchdog:
    """A look every few seconds while something runs."""

    def __init__(self, work: WorkerShell, reporter: AgentReporter) -> None:
        self._work = work
        self._reporter = reporter
        self._warned: set[str] = set()

    def tick(self, now: float) -> float | None:
        """Look at what runs; when to look again."""
        attempts = self._work.attempts()
        self._warned &= {attempt.task_id for attempt in attempts}
        if not attempts:
            return None
        turned = self._work.ping(now)
        for attempt in attempts:
            self._mind(attempt, now)
            overdue = now - attempt.started - attempt.timeout
            if overdue > STUCK_AFTER and now - max(turned, attempt.started) > STUCK_AFTER:
                self._work.give_up(attempt)
                self._reporter.leave(f"{attempt.lease.task.type} blocks this agent: it must be started anew", 1)
        return now + LOOK_EVERY

    def _mind(self, attempt: RunningAttempt, now: float) -> None:
        silent = now - attempt.last_sign
        limit = attempt.handler.options.get("silent_after")
        if isinstance(limit, (int, float)) and not isinstance(limit, bool) and silent > limit > 0:
            self._work.stop(attempt, "silent")
        elif silent > SILENT_AFTER and attempt.task_id not in self._warned:
            self._warned.add(attempt.task_id)
            self._reporter.note(f"{attempt.task_id} has said nothing for {silent:.0f} s", "⚠")
