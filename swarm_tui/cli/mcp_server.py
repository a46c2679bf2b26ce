"""The MCP server: tools and resources over a connection to the swarm. Needs the extra `mcp`."""

import asyncio
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from msgspec import Struct

from swarm_tui import __version__
from swarm_tui.cli.common import FAILED, Failure, Target
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.cli.run_acts import submit
from swarm_tui.client.hosts_output import hosts_online, joined, last_attempt, output_of_hosts
from swarm_tui.client.ids import new_id
from swarm_tui.client.operator import Operator
from swarm_tui.client.publication_policy import Stage
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.workflows import find_workflow, load_workflow
from swarm_tui.domain.fleet.runs import REJECTED
from swarm_tui.domain.states import ENDED
from swarm_tui.domain.summary import status_json, task_json
from swarm_tui.domain.workflows.model import RUNNING
from swarm_tui.identity.open import open_agent
from swarm_tui.identity.store import IdentityError
from swarm_tui.processes.workers import TASK, worker_of
from swarm_tui.protocol.bodies import Progress, Task
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.names import InvalidNameError, is_task_id
from swarm_tui.protocol.rows import RunRow, TaskRow
from swarm_tui.protocol.run_bodies import new_run
from swarm_tui.protocol.topics import Kind

#: Seconds that a call waits at most: clients give a call up after sixty by default.
LONGEST_WAIT = 50.0
#: Seconds between two words of progress to the client, and for which a task is asked to be accepted.
TELL_EVERY, ACCEPT_WITHIN = 2.0, 20.0
_ENDED = frozenset(state.value for state in ENDED)
Row = TypeVar("Row")


class Caller(Struct, frozen=True, kw_only=True):
    """The caller: the agent whose program it is, None for a person, and the attempt that it serves."""

    found: Target
    agent_id: str | None = None
    task_id: str | None = None
    attempt: int | None = None
    epoch: int | None = None

    def speak_as_agent(self, operator: Operator) -> None:
        """Let all that is said be the agent's own word, with its proof; nothing where a person is the caller.

        An agent's word is no order: its key proves none, so nothing that only a person may do counts. Raises Failure.
        """
        if self.agent_id is None:
            return
        try:
            keys = open_agent(str(self.found.state.root), self.agent_id)
        except IdentityError as error:
            raise Failure(str(error), FAILED) from None
        writer = Writer(operator.swarm, self.agent_id, "agent", new_id=new_id, clock=time.time, prove=keys.prove)
        operator.speak_by(writer)


def caller(found: Target, environ: Mapping[str, str] = os.environ) -> Caller:
    """Return who calls: by the marks of the processes around, and which attempt by the variables that it gets."""
    agent_id, task_id = worker_of(str(found.state.root.absolute())), environ.get(TASK, "")
    attempt, _, epoch = environ.get("SWARM_FENCE", "").partition(".")
    return Caller(
        found=found,
        agent_id=agent_id or None,
        task_id=task_id if agent_id and is_task_id(task_id) else None,
        attempt=int(attempt) if attempt.isdecimal() else None,
        epoch=int(epoch) if epoch.isdecimal() else None,
    )


INSTRUCTIONS = """\
A swarm of agents that do tasks. publish_task gives it a task, run_workflow several that follow one another; wait_task
and wait_run wait for the end, and answer "still running" before your client gives the call up: call them again then.
describe_type shows a type's payload. Nothing here approves: what waits for approval waits for a person."""


class Tools:
    """The tools, over one connection. Methods block, and raise ToolError with a sentence."""

    def __init__(self, follower: Follower, who: Caller) -> None:
        self._follower, self._who = follower, who

    def swarm_status(self) -> dict[str, Any]:
        with self._follower.lock:
            return status_json(self._follower.fleet, now=time.time())

    def rows(self, args: dict[str, object]) -> list[dict[str, Any]]:
        return [task_json(row) for row in self._ask(self._follower.load_tasks("tasks", args))]

    def task(self, task_id: str) -> TaskRow:
        rows = self._ask(self._follower.load_tasks("task", {"task_id": task_id}))
        if not rows:
            raise ToolError(f"no task `{task_id}`; list_tasks shows those known")
        return rows[0]

    def run(self, run_id: str) -> RunRow:
        rows = self._ask(self._follower.load_runs("run", {"run_id": run_id}))
        if not rows:
            raise ToolError(f"no run `{run_id}`")
        return rows[0]

    @staticmethod
    def _ask(rows: list[Row] | None) -> list[Row]:
        if rows is None:
            raise ToolError("no dispatcher answers in this swarm now: try again in a moment")
        return rows

    def publish(self, task: Task) -> dict[str, Any]:
        """Publish, and wait until the swarm has accepted it."""
        from swarm_tui.agent.handlers import registry
        from swarm_tui.config.resolve import doers
        from swarm_tui.supervisor.plan import load_plan

        plan = load_plan(self._who.found.state) if self._who.found.running is not None else None
        specs = doers(plan.layout).get(task.type, []) if plan is not None else []
        why = registry.misfit(task.type, specs, task.payload) or (
            registry.check(task.type, None, task.payload) if registry.can_do(task.type) and not specs else None
        )
        if why:
            raise ToolError(f"the payload does not fit {task.type}: {why}; describe_type shows it")
        try:
            publication = self._follower.operator.submit(task, accept_timeout=ACCEPT_WITHIN)
        except InvalidNameError as error:
            raise ToolError(str(error)) from None
        publication.wait(Stage.QUEUED, ACCEPT_WITHIN + 5.0)
        if not publication.accepted:
            raise ToolError(f"{task.task_id} was not accepted: {publication.reason or publication.stage.value}")
        return {"task_id": publication.original or task.task_id, "state": publication.stage.value}

    def start(self, workflow: str | dict[str, Any], inputs: dict[str, Any], run_id: str | None) -> dict[str, Any]:
        """Begin a run, and wait until the swarm has taken it."""
        whole = _from_file(workflow) if isinstance(workflow, str) else workflow
        stem = re.sub(r"[^A-Za-z0-9_-]", "-", str(whole.get("workflow", "run")))[:40].strip("-") or "run"
        body = new_run(run_id or f"{stem}-{new_id()[:8]}", whole, inputs)
        view = submit(self._follower, body, ACCEPT_WITHIN)
        if view is None:
            raise ToolError("no dispatcher took the run: is one there?")
        if view.state == REJECTED:
            raise ToolError(f"the run was rejected: {view.reason}")
        return {"run_id": body.run_id, "state": view.state}

    def describe(self, task_type: str) -> dict[str, Any]:
        from swarm_tui.agent.handlers import registry

        return {"type": task_type, "about": registry.about(task_type), "payload": registry.schema(task_type)}

    def progress(self, percent: float | None, message: str) -> str:
        """Say how far the caller's own task is."""
        who = self._who
        if who.task_id is None:
            raise ToolError("this session serves no task: progress is of the task whose program started this server")
        body = Progress(
            task_id=who.task_id,
            agent_id=who.agent_id or "",
            attempt=who.attempt,
            epoch=who.epoch,
            progress=percent,
            message=message,
        )
        self._follower.operator.act(Kind.TASK_PROGRESS, body)
        return "said"

    def output(self, task_id: str) -> str:
        with self._follower.lock:
            hosts = hosts_online(self._follower.fleet)
        args: dict[str, Any] = {"task_id": task_id, "lines": 1000}
        pages = last_attempt([msgspec.to_builtins(output_of_hosts(self._follower.operator, args, hosts))])
        return joined(pages, pages[0].start) if pages else ""


def _from_file(name_or_path: str) -> dict[str, Any]:
    try:
        whole: dict[str, Any] = msgspec.to_builtins(load_workflow(find_workflow(name_or_path, Path.cwd())).workflow)
    except ConfigError as error:
        raise ToolError(str(error)) from None
    return whole


async def _wait(
    context: "Context[Any, Any]", seconds: float, look: Callable[[], dict[str, Any]], is_over: Callable[[str], bool]
) -> dict[str, Any]:
    """Look until it is over, telling the client of progress, for at most `seconds`."""
    end = time.monotonic() + min(max(0.0, seconds), LONGEST_WAIT)
    while True:
        row = await asyncio.to_thread(look)
        if is_over(str(row["state"])):
            return {"ended": True, **row}
        left = end - time.monotonic()
        if left <= 0:
            return {"ended": False, "note": "still running: call this again to go on waiting", **row}
        await context.report_progress(float(row.get("progress") or 0.0), 100.0, str(row.get("message") or row["state"]))
        await asyncio.sleep(min(TELL_EVERY, left))


def make_server(tools: Tools) -> MCPServer:
    """Return the server with its tools and resources."""
    server = MCPServer("swarm-tui", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    blocking = asyncio.to_thread

    @server.tool()
    async def swarm_status() -> dict[str, Any]:
        """The agents with their states and what they do, how many tasks wait and run, and who dispatches."""
        return await blocking(tools.swarm_status)

    @server.tool()
    async def list_tasks(state: str | None = None, type: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """The newest tasks, of one state or type if given."""
        args: dict[str, object] = {"limit": max(1, min(limit, 200))}
        args.update({name: value for name, value in (("state", state), ("type", type)) if value})
        return await blocking(tools.rows, args)

    @server.tool()
    async def get_task(task_id: str) -> dict[str, Any]:
        """A task with its payload, result, errors and every hop."""
        return task_json(await blocking(tools.task, task_id), hops=True)

    @server.tool()
    async def describe_type(type: str) -> dict[str, Any]:
        """Tell what a task type does, and the JSON Schema of its payload."""
        return await blocking(tools.describe, type)

    @server.tool()
    async def publish_task(
        context: Context[Any, Any],
        type: str,
        payload: dict[str, Any] | None = None,
        priority: str = "medium",
        assigned_to: str | None = None,
        needs: list[str] | None = None,
        task_id: str | None = None,
        wait_seconds: float = 0.0,
    ) -> dict[str, Any]:
        """Give the swarm a task; the payload is checked first. The same task_id again is the same task."""
        body = {
            "task_id": task_id or f"task_{new_id().replace('-', '')[:12]}",
            "type": type,
            "payload": payload or {},
            "priority": priority,
            "assigned_to": assigned_to,
            "needs": needs,
        }
        try:
            task = msgspec.convert(body, Task)
        except msgspec.ValidationError as error:
            raise ToolError(str(error)) from None
        accepted = await blocking(tools.publish, task)
        if wait_seconds <= 0:
            return accepted
        known = accepted["task_id"]
        return await _wait(context, wait_seconds, lambda: task_json(tools.task(known)), _ENDED.__contains__)

    @server.tool()
    async def wait_task(context: Context[Any, Any], task_id: str, seconds: float = LONGEST_WAIT) -> dict[str, Any]:
        """Wait for a task's end, at most so many seconds; `ended` says whether it came."""
        return await _wait(context, seconds, lambda: task_json(tools.task(task_id)), _ENDED.__contains__)

    @server.tool()
    async def run_workflow(
        workflow: str | dict[str, Any], inputs: dict[str, Any] | None = None, run_id: str | None = None
    ) -> dict[str, Any]:
        """Run a workflow: the name or path of its file, or itself. The same run_id again is the same run."""
        return await blocking(tools.start, workflow, inputs or {}, run_id)

    @server.tool()
    async def get_run(run_id: str) -> dict[str, Any]:
        """A run with the state of each step, and its tasks' ids."""
        return msgspec.to_builtins(await blocking(tools.run, run_id))  # type: ignore[no-any-return]

    @server.tool()
    async def wait_run(context: Context[Any, Any], run_id: str, seconds: float = LONGEST_WAIT) -> dict[str, Any]:
        """Wait for a run's end, at most so many seconds; `ended` says whether it came."""
        return await _wait(
            context, seconds, lambda: msgspec.to_builtins(tools.run(run_id)), lambda state: state != RUNNING
        )

    @server.tool()
    async def report_progress(message: str, percent: float | None = None) -> str:
        """Say how far the task is whose program started this server."""
        return await blocking(tools.progress, percent, message)

    @server.resource("swarm://tasks/{task_id}/result", mime_type="application/json")
    async def task_result(task_id: str) -> str:
        """A task's result."""
        return msgspec.json.encode((await blocking(tools.task, task_id)).result).decode()

    @server.resource("swarm://tasks/{task_id}/output", mime_type="text/plain")
    async def task_output(task_id: str) -> str:
        """Lines that a task's last attempt printed."""
        return await blocking(tools.output, task_id)

    return server


def serve(found: Target) -> None:
    """Serve over stdin and stdout until the client closes them. Raises Failure."""
    who = caller(found)
    with follow(found) as follower:
        who.speak_as_agent(follower.operator)
        if not follower.operator.link.up:
            raise Failure("the broker does not answer")
        make_server(Tools(follower, who)).run("stdio")
