"""`swarm-tui publish`: give the swarm a task, and follow it to its end if asked."""

import sys
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click
import msgspec

from swarm_tui.cli.common import (
    FAILED,
    USAGE,
    Failure,
    Target,
    any_shard,
    broker_option,
    json_option,
    note,
    print_json,
    swarm_option,
    target,
)
from swarm_tui.cli.compare import compare
from swarm_tui.cli.completers import agents, fields, task_types
from swarm_tui.cli.existence import check_agent_exists, is_heard_of
from swarm_tui.cli.number_types import SPAN, WAIT, Whole
from swarm_tui.cli.payload import build_payload, check_message, describe_payload
from swarm_tui.cli.shards import for_task
from swarm_tui.cli.task_follower import TaskFollower, follow_to_end
from swarm_tui.client.publication_policy import Stage
from swarm_tui.config.paths import disk_trouble
from swarm_tui.domain.outcome import outcome, verdict_failed
from swarm_tui.domain.states import ENDED, TaskState
from swarm_tui.domain.summary import task_json, task_row
from swarm_tui.domain.views import TaskView
from swarm_tui.protocol.bodies import Task
from swarm_tui.protocol.names import InvalidNameError, check_agent_id, check_task_id, check_task_type
from swarm_tui.protocol.text import clean

if TYPE_CHECKING:
    from swarm_tui.bus.port import Link

#: Seconds that a task gets once the broker is there, however long that took; a shorter wait for it does not count.
_AT_LEAST = 1.0


class PublishCommand(click.Command):
    """Its help, given a TYPE, also shows the fields of that type's payload."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        before = args[: args.index("--")] if "--" in args else args
        if "--help" in before or "-h" in before:
            rest = [word for word in before if word not in ("--help", "-h")]
            click.echo(ctx.get_help())
            task_type = self.make_parser(ctx).parse_args(rest)[0].get("task_type") if rest else None
            if isinstance(task_type, str):
                click.echo(f"\n{describe_payload(task_type)}")
            ctx.exit(0)
        return super().parse_args(ctx, args)


@click.command(
    cls=PublishCommand,
    epilog="Example: swarm-tui publish testing.run -p path=tests --wait   "
    "(swarm-tui publish testing.run --help shows that type's payload)",
)
@click.argument("task_type", metavar="TYPE", shell_complete=task_types)
@click.option(
    "-p",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=fields,
    help="A field; dots nest, a value is JSON unless the type says text.",
)
@click.option("--payload", metavar="JSON|@FILE|-", help="The whole payload; -p fields are put into it.")
@click.option("--to", "assigned_to", metavar="AGENT", shell_complete=agents, help="Only this agent may do it.")
@click.option("--resume", metavar="TASK", help="Go on with the conversation of this task (AI agents).")
@click.option(
    "--with", "clis", metavar="A,B", help="Have each of these agent CLIs do it, and compare: AI agents' types."
)
@click.option("--priority", type=click.Choice(["low", "medium", "high"]), default="medium", show_default=True)
@click.option("--timeout", type=SPAN, metavar="S", help="Seconds an attempt may take.")
@click.option("--max-attempts", type=Whole(min=1), metavar="N", help="How often it may be tried.")
@click.option("--task-id", metavar="ID", help="Its id (default: a new one); the same again is the same task.")
@click.option("--idempotency-key", metavar="KEY", help="Tasks with the same key are one task.")
@click.option("--delay", type=WAIT, metavar="S", help="Not before this many seconds from now.")
@click.option("--expires", type=SPAN, metavar="S", help="Not after that many seconds.")
@click.option("--accept-timeout", type=SPAN, default=30.0, show_default=True)
@click.option("--wait", is_flag=True, help="Follow it to its end; exit 0 only on success.")
@swarm_option
@broker_option
@json_option
def command(task_type: str, wait: bool, swarm: str | None, broker: str | None, as_json: bool, **options: Any) -> int:
    """Publish a task of TYPE and print its id once the swarm has accepted it.

    It is repeated until it is accepted, for at most --accept-timeout seconds, also while the broker is away.
    """
    from swarm_tui.agent.handlers import registry
    from swarm_tui.config.resolve import doers
    from swarm_tui.supervisor.plan import load_plan

    found = target(swarm, broker)
    here = found.running or any_shard(found)
    plan = load_plan(here.state) if here is not None else None
    handlers = doers(plan.layout).get(task_type, []) if plan is not None else []
    spec = handlers[0] if handlers else None
    properties = registry.schema(task_type, spec).get("properties", {}) if options["pairs"] else {}
    task = _task(task_type, options, properties)
    found = for_task(found, task, broker)
    check_message(found.swarm, task)
    if why := registry.misfit(task_type, handlers, task.payload):
        raise Failure(
            f"the payload does not fit {task_type}: {clean(why, 200)}; "
            f"`swarm-tui publish {task_type} --help` shows its fields",
            USAGE,
        )
    if not handlers and registry.can_do(task_type) and (why := registry.slip(task_type, None, task.payload)):
        # Of a swarm elsewhere nobody here knows who does it.
        note(f"the payload does not fit {task_type} as this machine knows it: {clean(why, 200)}")
    if options["clis"] is not None:
        if "cli" not in registry.schema(task_type, spec).get("properties", {}):
            raise Failure(f"{task_type} is done by no agent CLI: --with is for those, such as code.generate", USAGE)
        known = doers(plan.layout) if plan is not None else {}
        checks = [check for check in ("testing.run", "code.review") if check in known]
        names = [name.strip() for name in options["clis"].split(",") if name.strip()]
        return compare(found, task, names, checks, options["accept_timeout"], wait, as_json)
    return _publish(found, task, options["accept_timeout"], wait, as_json)


def _resuming(payload: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return the payload, with the task whose conversation it goes on with."""
    return payload if options["resume"] is None else {**payload, "resume": options["resume"]}


def _task(task_type: str, options: dict[str, Any], properties: dict[str, Any]) -> Task:
    now = time.time()
    task_id = options["task_id"] or f"task_{uuid4().hex[:12]}"
    try:
        check_task_type(task_type)
        check_task_id(task_id)
        if options["assigned_to"] is not None:
            check_agent_id(options["assigned_to"])
        if options["resume"] is not None:
            check_task_id(options["resume"])
    except InvalidNameError as error:
        raise Failure(str(error), USAGE) from None
    return Task(
        task_id=task_id,
        type=task_type,
        payload=_resuming(build_payload(options["payload"], options["pairs"], sys.stdin.buffer, properties), options),
        priority=options["priority"],
        assigned_to=options["assigned_to"],
        timeout=options["timeout"],
        max_attempts=options["max_attempts"],
        not_before=now + options["delay"] if options["delay"] else None,
        expires_at=now + options["expires"] if options["expires"] else None,
        idempotency_key=options["idempotency_key"],
    )


def _publish(found: Target, task: Task, accept_timeout: float, wait: bool, as_json: bool) -> int:
    began = time.monotonic()
    with follow_to_end(found, task.task_id, None if as_json else note, accept_timeout) as task_follower:
        told: set[str] = set()
        task_follower.operator.on_link(lambda link: _tell_what_is_forbidden(link, told))
        # One of which nothing is heard may be a swarm of agents that retain nothing: it gets its task all the same.
        if task.assigned_to is not None and is_heard_of(task_follower.follower, found):
            doubt = check_agent_exists(task_follower.follower, found, task.assigned_to, task.type)
            if doubt:
                note(doubt)
        waited = time.monotonic() - began
        left = accept_timeout if waited < _AT_LEAST else round(max(_AT_LEAST, accept_timeout - waited), 1)
        publication = task_follower.operator.submit(task, accept_timeout=left)
        publication.wait(Stage.QUEUED, left + 5.0)
        if not publication.accepted:
            full = disk_trouble() if found.running is not None and publication.stage is not Stage.REJECTED else ""
            why = "; ".join(filter(None, (_refusal(publication.stage, publication.reason), full)))
            raise Failure(f"{task.task_id}: {why}", FAILED)
        if publication.original:
            task_follower.task_id = publication.original
            note(f"a task with this idempotency key is known already, so nothing new runs: {task_follower.task_id}")
        if not as_json:
            click.echo(task_follower.task_id)
        if not wait:
            if as_json:
                print_json(
                    {"task_id": task_follower.task_id, "stage": publication.stage.value, "reason": publication.reason}
                )
            return _accepted(task_follower, publication.reason if publication.stage is Stage.QUEUED else "")
        view = task_follower.wait(known=publication.stage is Stage.QUEUED and bool(publication.reason))
    return _outcome(view, as_json)


def _tell_what_is_forbidden(link: "Link", told: set[str]) -> None:
    if link.kind == "forbidden" and link.reason not in told:
        told.add(link.reason)
        note(f"{link.reason}; trying on")


def _accepted(task_follower: TaskFollower, state: str) -> int:
    """Say what a person would else wait for in vain; `state` is the one it was accepted in, when that is not the queue.

    Raises Failure when the task had ended badly at once, such as one of a type that nobody does.
    """
    if state == TaskState.AWAITING_APPROVAL:
        note(f"it waits for approval: swarm-tui approve {task_follower.task_id}")
    if state not in ENDED or state == TaskState.COMPLETE:
        return 0
    task_follower.ask()
    raise Failure(_ended_badly(task_follower.wait()))


def _ended_badly(view: TaskView) -> str:
    why = view.error or view.reason
    return (
        f"{view.task_id} is {view.state}{f': {why}' if why else ''}; `swarm-tui tasks {view.task_id}` shows each step"
    )


def _refusal(stage: Stage, reason: str) -> str:
    return f"rejected: {reason}" if stage is Stage.REJECTED else reason or f"it got no further than {stage.value}"


def _outcome(view: TaskView, as_json: bool) -> int:
    """Print how it ended; 0 only for a success whose verdict is not `failed`."""
    if as_json:
        print_json(task_json(task_row(view), hops=True))
    elif view.result is not None:
        click.echo(msgspec.json.format(msgspec.json.encode(view.result), indent=2).decode())
    if view.state != "complete":
        raise Failure(_ended_badly(view))
    if verdict_failed(view.result):
        raise Failure(f"{view.task_id} is complete, and its verdict is {outcome(view.result)}")
    return 0
