"""The fleet's facts as Prometheus reads them."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from swarm_tui.agent.roles.api_gateway.facts import DoorFacts
from swarm_tui.agent.roles.api_gateway.stream import FrameStream
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.states import AgentState, TaskState
from swarm_tui.domain.views import TaskView

_WAITING = (TaskState.QUEUED, TaskState.RETRY_WAIT)
_BUCKETS = (0.05, 0.25, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
_MOST_TYPES = 100
"""Types with a label of their own: what anybody may invent must not fill the scraper's memory."""


class FleetMetrics(Collector):
    """Reads the fleet at each scrape; only how long tasks took is kept in between."""

    def __init__(self, facts: DoorFacts, stream: FrameStream) -> None:
        self._facts = facts
        self._stream = stream
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._types: set[str] = set()
        self._took = Histogram(
            "swarm_task_duration_seconds",
            "How long the last attempt of tasks took that ended since the first visit.",
            ["type", "state"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        facts.on_ended = self._ended

    def _ended(self, task: TaskView) -> None:
        if task.duration is None or task.duration < 0:
            return
        if len(self._types) < _MOST_TYPES:
            self._types.add(task.type)
        known = task.type if task.type in self._types else "other"
        self._took.labels(known, task.state.value).observe(task.duration / 1000)

    def text(self) -> bytes:
        """Return the whole page."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Return nothing in advance: the fleet may not be known yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics of this moment."""
        yield from self._facts.read(_metrics)
        readers = GaugeMetricFamily("swarm_gateway_websocket_readers", "WebSocket readers that are connected.")
        readers.add_metric([], self._stream.readers)
        yield readers
        dropped = CounterMetricFamily("swarm_gateway_websocket_dropped", "WebSocket readers dropped as too slow.")
        dropped.add_metric([], self._stream.dropped)
        yield dropped


def _metrics(fleet: Fleet, now: float) -> list[Metric]:
    found: list[Metric] = []

    def gauge(name: str, text: str, labels: list[str], rows: list[tuple[list[str], float]]) -> None:
        family = GaugeMetricFamily(f"swarm_{name}", text, labels=labels)
        for values, value in rows:
            family.add_metric(values, value)
        found.append(family)

    def counter(name: str, text: str, value: float) -> None:
        family = CounterMetricFamily(f"swarm_{name}", text)
        family.add_metric([], value)
        found.append(family)

    agents = list(fleet.agents.values())
    gauge("broker_up", "1 while the gateway is connected to the broker.", [], [([], float(fleet.broker_up))])
    online = float(fleet.dispatcher is not None and fleet.dispatcher.online)
    gauge("dispatcher_up", "1 while a dispatcher is online.", [], [([], online)])
    gauge("halted", "1 while the swarm is halted.", [], [([], float(fleet.halted is not None))])
    by_state = [([state.value], float(len(fleet.by_state[state]))) for state in TaskState]
    gauge("tasks", "Tasks that are known, by state.", ["state"], by_state)
    waiting = [task_id for state in _WAITING for task_id in fleet.by_state[state]]
    gauge("queue_depth", "Tasks that wait for an agent, or for another attempt.", [], [([], float(len(waiting)))])
    # They wait in the order in which they came to the state, so the first has waited longest.
    first = next(iter(fleet.by_state[TaskState.QUEUED]), None)
    age = 0.0 if first is None else max(0.0, now - fleet.tasks[first].updated_at)
    gauge("queue_oldest_seconds", "How long the task has waited that waits longest.", [], [([], age)])
    up = [([state.value], float(sum(agent.state is state for agent in agents))) for state in AgentState]
    gauge("agents", "Agents that are known, by state.", ["state"], up)
    found += _used(fleet)
    gauge("asks", "Asks of AI agents that wait for a person.", [], [([], float(len(fleet.asks.open)))])
    gauge("alerts", "Alerts that stand.", [], [([], float(len(fleet.alerts)))])
    for name, text, values in (
        ("agent_memory_bytes", "Resident memory.", {a.agent_id: a.memory_rss for a in agents}),
        ("agent_cpu_percent", "Percent of a core.", {a.agent_id: a.cpu for a in agents}),
        ("agent_restarts", "Restarts by its supervisor.", {a.agent_id: a.restarts for a in agents}),
        (
            "agent_heartbeat_age_seconds",
            "Since the last heartbeat.",
            {a.agent_id: None if a.last_heartbeat is None else max(0.0, now - a.last_heartbeat) for a in agents},
        ),
    ):
        gauge(name, text, ["agent_id"], [([key], float(value)) for key, value in values.items() if value is not None])
    counter("messages", "Messages heard.", fleet.counts.received)
    counter("messages_refused", "Messages that could not be read.", fleet.counts.refused)
    return found


def _used(fleet: Fleet) -> list[Metric]:
    """Return the day's usage, where the dispatcher has said it; a limit that is not set is left out, for it is no 0."""
    used = fleet.usage_today
    if used is None:
        return []
    tokens = GaugeMetricFamily("swarm_usage_today_tokens", "Tokens that this day's (UTC) work took.", labels=["kind"])
    for name, count in (("in", used.tokens_in), ("cached", used.tokens_cached), ("out", used.tokens_out)):
        tokens.add_metric([name], count)
    cost = GaugeMetricFamily("swarm_usage_today_dollars", "US dollars of it whose cost is known.", value=used.cost)
    unknown = GaugeMetricFamily("swarm_usage_today_unpriced", "Attempts whose cost nobody knows.", value=used.unpriced)
    budget = GaugeMetricFamily("swarm_budget_dollars", "Limits (day, month), what is spent, reserved.", labels=["of"])
    for name, amount in (used.budget or {}).items():
        if amount is not None:
            budget.add_metric([name], amount)
    return [tokens, cost, unknown, budget]
