"""`swarm-tui status`: the agents, the broker, the dispatcher and the tasks, as they are now."""

import time
from typing import Any

import click
import msgspec
import psutil

from swarm_tui.cli import formatting
from swarm_tui.cli.common import (
    NO_SUCH,
    UNREACHABLE,
    Failure,
    Target,
    broker_option,
    json_option,
    note,
    print_json,
    style,
    swarm_option,
    target,
)
from swarm_tui.cli.existence import nothing_heard
from swarm_tui.cli.follow import Follower, follow, has_record
from swarm_tui.cli.journal_reader import journal_counts, journal_is_current, journal_run_counts
from swarm_tui.cli.supervisor_client import UNSCALED
from swarm_tui.client.record import recorded_rows
from swarm_tui.config.home import host_name
from swarm_tui.config.paths import disk_trouble
from swarm_tui.config.urls import shown_url
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.states import AgentState
from swarm_tui.domain.summary import status_json
from swarm_tui.domain.usage import DayUsage, day_of
from swarm_tui.domain.views import state_word
from swarm_tui.identity.acl import GUESTS_MAY
from swarm_tui.identity.acl import told as guarded
from swarm_tui.journal.recorder_port import heard_then
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import Heartbeat, HostStatus
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.rows import ask_rows
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind, topic

#: How far back heartbeats are asked for, in seconds: three of them and a little.
_BEATS = 35.0
#: How many problems are printed.
_MOST = 20
#: Of the last words of one that gave up.
_MOST_LINES = 4
#: Of what the supervisors did, which is told, how much of it, and for how long; seconds.
_TOLD = frozenset(
    {"scale", "hung", "machine", "crashloop", "orphan", "double", "stray", "elsewhere", "stall", "mistake", "tmux"}
)
_MOST_TOLD, _LATELY = 5, 3600.0


@click.command(epilog="Example: swarm-tui status --json | jq '.agents[].state'")
@click.argument("name", metavar="[SWARM]", required=False)
@swarm_option
@broker_option
@json_option
def command(name: str | None, swarm: str | None, broker: str | None, as_json: bool) -> int:
    """The agents of a swarm and how they are.

    What this machine knows is read from its state folder; the rest is asked over the bus. Exit 3 while the broker is
    away, also when this machine knows enough to print.
    """
    found = target(swarm if name is None else name, broker)
    facts = gather(found)
    if not facts["agents"] and facts["dispatcher"] is None and not facts["hosts"] and found.running is None:
        raise Failure(nothing_heard(found), NO_SUCH)
    if as_json:
        print_json(facts)
    else:
        _print(facts)
    _say_trouble(found)
    return 0 if facts["broker"]["connected"] else UNREACHABLE


def _say_trouble(found: Target) -> None:
    """Say on stderr what keeps the supervisor of this host, or the whole swarm's journals, from their work."""
    if found.running is None:
        return
    from swarm_tui.supervisor.host_access import supervisor_trouble

    for trouble in (supervisor_trouble(found.state), disk_trouble()):
        if trouble:
            note(trouble)


def gather(found: Target) -> dict[str, Any]:
    """The facts of `status --json`. Raises Failure (exit 3) when the broker is away and nothing is known here."""
    try:
        with follow(found) as follower:
            settled = follower.settle()
            if follower.operator.forbidden:
                note(follower.operator.forbidden)
            elif not settled:
                where = shown_url(found.broker.url)
                note(f"{where} brings nothing of what we say back: its access rules must let us read `{found.swarm}/#`")
            hear_beats(follower)
            if not journal_is_current(found.state):
                _ask_tasks(follower)
            fleet = follower.fleet
            with follower.lock:
                fleet.tick(time.time())
                facts = _facts(found, fleet)
            facts |= _guard(follower)
            facts["asks"], facts["usage_today"] = _of_agents(follower)
    except Failure as failure:
        if failure.exit_code != UNREACHABLE or found.running is None:
            raise
        facts = {
            **_facts(found, _from_disk(found, failure.reason)),
            "guests": None,
            "refused": {},
            "other_versions": [],
        }
    _measure(facts["agents"], found.running.host if found.running else host_name())
    return facts


def _facts(found: Target, fleet: Fleet) -> dict[str, Any]:
    session = found.running.session if found.running else next((h.session for h in fleet.hosts.values()), None)
    facts = status_json(fleet, now=time.time(), session=session, url=shown_url(found.broker.url))
    facts["broker"]["embedded"] = None if found.running is None else found.running.embedded
    if journal_is_current(found.state):
        facts["tasks"] = {**dict.fromkeys(facts["tasks"], 0), **journal_counts(found.state)}
        facts["runs"] = {**dict.fromkeys(facts["runs"], 0), **journal_run_counts(found.state)}
    return facts


def _guard(follower: Follower) -> dict[str, Any]:
    """Return what guests may do (None where nobody says), what the dispatcher refused, by why, and what halt stands."""
    leader = follower.fleet.dispatcher
    reply = follower.operator.query("guard", timeout=3.0) if leader is not None and leader.online else None
    row = reply.rows[0] if reply is not None and reply.rows and isinstance(reply.rows[0], dict) else {}
    refused, hints = row.get("refused"), row.get("hints")
    # A broker need not bring what it retains to whoever comes late.
    halted = {"halted": clean(row["halted"], 300)} if isinstance(row.get("halted"), str) else {}
    return {
        **halted,
        "guests": row.get("guests"),
        "refused": refused if isinstance(refused, dict) else {},
        "other_versions": [clean(str(hint), 400) for hint in hints] if isinstance(hints, list) else [],
    }


def _of_agents(follower: Follower) -> tuple[int, dict[str, Any] | None]:
    """Return how many asks wait for a person, and the day's usage (None where nobody says), from the dispatcher."""
    fleet = follower.fleet
    leader = fleet.dispatcher
    if leader is None or not leader.online:
        return len(fleet.asks.open), None
    asks, usage = (follower.operator.query(name, timeout=1.0) for name in ("asks", "usage"))
    with follower.lock:
        fleet.load_asks(ask_rows(asks.rows if asks is not None else ()))
        fleet.usage_today = day_of(usage.rows if usage is not None else (), fleet.usage_today)
        today = None if fleet.usage_today is None else msgspec.to_builtins(fleet.usage_today)
        return len(fleet.asks.open), today


def hear_beats(follower: Follower) -> None:
    """Hear the last heartbeats from whoever keeps the record, so that their ages are known at once."""
    fleet = follower.fleet
    if not has_record(follower):
        return
    for event in _recorded(follower, Kind.HEARTBEAT):
        with follower.lock:
            # Whoever of ours is unknown by now has left and was forgotten; other programs retain nothing.
            gone = isinstance(event.body, Heartbeat) and event.body.incarnation is not None
            if event.sender in fleet.agents or not gone:
                fleet.apply(event, event.received)
    for event in _recorded(follower, Kind.SHUTDOWN):
        with follower.lock:
            agent = fleet.agents.get(event.sender)
            if agent is not None and (agent.last_heartbeat or 0.0) <= event.received:
                fleet.apply(event, event.received)


def _recorded(follower: Follower, kind: Kind) -> list[Event]:
    """Return what the record has of the last seconds, the oldest first."""
    swarm = follower.fleet.swarm
    asked = {"topic": topic(swarm, kind), "since": time.time() - _BEATS, "limit": 1000}
    rows = recorded_rows(follower.operator.query("history", asked, 1.0))
    heard = (heard_then(swarm, row) for row in rows)
    return [event for event in heard if isinstance(event, Event)]


def _ask_tasks(follower: Follower) -> None:
    leader = follower.fleet.dispatcher
    if leader is not None and leader.online:
        follower.load_tasks("tasks", {"limit": 10_000}, 2.0)
        follower.load_runs("runs", {"limit": 1000}, 2.0)


def _from_disk(found: Target, reason: str) -> Fleet:
    """Return what the supervisor last wrote of its panes, while the broker is away."""
    from swarm_tui.supervisor.state_file import load

    fleet = Fleet(found.swarm)
    now = time.time()
    saved = load(found.state)
    if saved is not None:
        host = found.running.host if found.running else host_name()
        writer = codec.Writer(found.swarm, host, "supervisor", new_id=lambda: "local", clock=time.time)
        session = found.running.session if found.running else None
        status = HostStatus(panes=saved.rows, pid=saved.pid, session=session, events=saved.events)
        message = writer.message(Kind.HOST_STATUS, status, host)
        event = codec.decode(found.swarm, message.topic, message.payload, True, now)
        if event is not None:
            fleet.apply(event, now)
    fleet.link(False, reason, now)
    return fleet


def _measure(agents: list[dict[str, Any]], here: str) -> None:
    """Fill in what the machine knows of its own processes and no heartbeat has said yet."""
    from swarm_tui.supervisor.processes import agent_of

    for agent in agents:
        if not agent["pid"] or agent["host"] not in (here, None) or agent["state"] == AgentState.OFFLINE:
            continue
        try:
            process = psutil.Process(agent_of(agent["pid"]))
            if agent["memory_rss"] is None:
                agent["memory_rss"] = process.memory_info().rss
            if agent["uptime"] is None:
                agent["uptime"] = round(max(0.0, time.time() - process.create_time()), 1)
        except psutil.Error:
            continue


def _print(facts: dict[str, Any]) -> None:
    _print_swarm(facts)
    several = len(facts["hosts"]) > 1
    if several:
        hosts = (f"{host['host']}{'' if host['online'] else style(' (away)', fg='yellow')}" for host in facts["hosts"])
        click.echo(f"hosts: {', '.join(sorted(hosts))}")
    click.echo()
    _print_agents(facts["agents"], several=several)
    ended = {a["agent_id"]: a["tail"][-_MOST_LINES:] for a in facts["agents"] if a["state"] == AgentState.CRASHLOOP}
    _print_problems([problem for problem in facts["problems"] if problem["subject"] != "swarm"], ended)
    _print_lately(facts["hosts"])


def _print_swarm(facts: dict[str, Any]) -> None:
    """Print the broker, the dispatcher, the tasks, and what is wrong with the swarm as a whole."""
    broker = facts["broker"]
    link = style("connected", fg="green") if broker["connected"] else style(f"away: {broker['reason']}", fg="red")
    # One that is not ours has the figures of whoever runs it: queues, saving and delays are not as we measured them.
    whose = ", not ours" if broker["embedded"] is False and broker["connected"] else ""
    click.echo(f"swarm {facts['swarm']}  session {facts['session'] or '-'}  broker {broker['url']} ({link}{whose})")
    leader = facts["dispatcher"]
    if leader is None and not broker["connected"]:
        click.echo("dispatcher: not known while the broker is away")
    elif leader is None:
        click.echo("dispatcher: none, so tasks are best effort")
    else:
        where = "" if leader["online"] else style(" away, coming back", fg="yellow")
        click.echo(f"dispatcher: {leader['agent_id'] or leader['instance']} (epoch {leader['epoch']}){where}")
    click.echo(f"tasks: {_counted(facts['tasks']) or 'none'}")
    if runs := _counted(facts["runs"]):
        click.echo(f"runs: {runs}")
    _print_agents_work(facts["asks"], facts["usage_today"])
    if facts["halted"]:
        click.echo(style(f"halted: {facts['halted']}; `swarm-tui resume` lifts it", fg="red"))
    if facts["guests"] is not None:
        may = GUESTS_MAY.get(facts["guests"])
        what = f"who has no identity may {may}" if may else "nothing is proved here, and anybody may do anything"
        click.echo(f"{guarded(facts['guests'])}; {what}")
    if facts["refused"]:
        counts = ", ".join(f"{count:,} × {why}" for why, count in sorted(facts["refused"].items(), key=lambda p: -p[1]))
        click.echo(style(f"refused by the dispatcher: {counts}", fg="yellow"))
    elif facts["messages"]["refused"]:
        click.echo(
            style(f"refused messages: {facts['messages']['refused']}; `swarm-tui watch` shows them", fg="yellow")
        )
    for hint in facts["other_versions"]:
        click.echo(style(hint, fg="yellow"))


def _print_agents_work(asks: int, used: dict[str, Any] | None) -> None:
    """Print what AI agents ask, what the day's conversations took, where any did, and where the budget stands."""
    if asks:
        count = f"{asks} asks wait" if asks > 1 else "1 ask waits"
        click.echo(style(f"{count} for you; `swarm-tui asks` lists", fg="yellow", bold=True))
    if used is None:
        return
    day = msgspec.convert(used, DayUsage)
    budget = day.budget or {}
    if not (day.tokens_in or day.cost or budget):
        return
    line = f"today: {day.money}, {day.tokens_in:,} tokens in ({day.tokens_cached:,} cached), {day.tokens_out:,} out"
    for name, spent in (("day", "spent_day"), ("month", "spent_month")):
        if (limit := budget.get(name)) is not None:
            line += f"; ${budget.get(spent) or 0:.4g} of the {name}'s ${limit:g}"
    if budget.get("reserved"):
        line += f", ${budget['reserved']:.4g} reserved"
    click.echo(line)


def _print_agents(agents: list[dict[str, Any]], *, several: bool) -> None:
    """Print a row an agent; `several` hosts have a column."""
    head = ["AGENT", "ROLE", "STATE", "PID", "PANE", "UP", "RESTARTS", "BEAT", "MEM", "TASK", "WHY"]
    rows = [_row(agent) for agent in agents]
    if several:
        head.insert(3, "HOST")
        for row, agent in zip(rows, agents, strict=True):
            row.insert(3, agent["host"] or "-")
    formatting.table(head, rows)


def _print_lately(hosts: list[dict[str, Any]]) -> None:
    """Print what the supervisors did of their own accord within the last hour, and why."""
    since = time.time() - _LATELY
    told = [(event, host["host"]) for host in hosts for event in host["events"] if event["what"] in _TOLD]
    # A wish goes to every host; that one of them does not scale the role is no news.
    told = [(event, host) for event, host in told if not event["reason"].startswith(UNSCALED)]
    told = sorted((pair for pair in told if pair[0]["at"] >= since), key=lambda pair: pair[0]["at"])[-_MOST_TOLD:]
    if told:
        click.echo()
    for event, host in told:
        at = time.strftime("%H:%M:%S", time.localtime(event["at"]))
        named = " ".join(part for part in (event["what"], event["agent_id"], event["reason"]) if part)
        click.echo(style(f"{at} {host if len(hosts) > 1 else ''}".rstrip(), dim=True) + f" {named}")


def _print_problems(found: list[dict[str, Any]], last_words: dict[str, list[str]]) -> None:
    for problem in found[:_MOST]:
        todo = f" -> {problem['todo']}" if problem["todo"] else ""
        colour = "red" if problem["severity"] == "critical" else "yellow"
        click.echo(style(f"{problem['severity']}: {problem['what']}", fg=colour) + todo)
        for line in last_words.get(problem["id"], []) if problem["subject"] == "agent" else []:
            click.echo(style(f"    {line}", dim=True))
    if len(found) > _MOST:
        click.echo(f"and {len(found) - _MOST} more: --json has them all")


def _disagreement(agent: dict[str, Any]) -> str:
    """Return the witnesses' word, but of an agent that was started by hand: its reason says that."""
    return "" if agent["witness"] in (None, "foreign") else str(agent["witness"])


def _row(agent: dict[str, Any]) -> list[str]:
    why = " ".join(part for part in (_disagreement(agent), agent["reason"]) if part)
    return [
        agent["agent_id"],
        agent["role"],
        formatting.state(agent["state"], state_word(agent["state"], busy=bool(agent["active"] or agent["task_id"]))),
        str(agent["pid"] or "-"),
        agent["pane_id"] or "-",
        formatting.age(agent["uptime"]),
        str(agent["restarts"]),
        formatting.age(agent["last_heartbeat_age"]),
        formatting.size(agent["memory_rss"]),
        agent["task_id"] or "-",
        why,
    ]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {formatting.state(name)}" for name, count in counts.items() if count)
