"""The MCP server: tools and resources over a connection to the swarm. Needs the extra `mcp`."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from swarm_tui import __version__
from swarm_tui.cli.caller import Caller, caller
from swarm_tui.cli.common import Failure, Target
from swarm_tui.cli.follow import Follower, follow
from swarm_tui.cli.mail_acts import PathClaims, answer_of, read_own, send
from swarm_tui.cli.run_acts import submit
from swarm_tui.client.hosts_output import hosts_online, joined, last_attempt, output_of_hosts
from swarm_tui.client.ids import new_id, new_message_id
from swarm_tui.client.publication_policy import Stage
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.workflows import find_workflow, load_workflow
from swarm_tui.domain.fleet.runs import REJECTED
from swarm_tui.domain.states import ENDED
from swarm_tui.domain.summary import status_json, task_json
from swarm_tui.domain.workflows.model import RUNNING
from swarm_tui.protocol.bodies import Progress, Task
from swarm_tui.protocol.mail_bodies import MessageNew, PathsClaimed
from swarm_tui.protocol.names import InvalidNameError
from swarm_tui.protocol.rows import RunRow, TaskRow
from swarm_tui.protocol.run_bodies import new_run
from swarm_tui.protocol.topics import Kind

#: Seconds that a call waits at most: clients give a call up after sixty by default.
LONGEST_WAIT = 50.0
#: Seconds between two words of progress to the client, and for which a task is asked to be accepted.
TELL_EVERY, ACCEPT_WITHIN = 2.0, 20.0
_ENDED = frozenset(state.value for state in ENDED)
Row = TypeVar("Row")


INSTRUCTIONS = """\
A swarm of agents that do tasks. publish_task gives it a task, run_workflow several that follow one another; wait_task
and wait_run wait for the end, and answer "still running" before your client gives the call up: call them again then.
describe_type shows a type's payload. send_message writes to other agents, ask_agent waits for an answer, read_messages
gives what others wrote to you, each message once: look now and then, and answer with reply_to what wants an answer.
claim_files before you change what others may be at. Nothing here approves: that waits for a person."""


class Tools:
    """The tools, over one connection. Methods block, and raise ToolError with a sentence."""

    def __init__(self, follower: Follower, who: Caller) -> None:
        self._follower, self._who = follower, who
        self._claims = PathClaims(follower, who)
        self._read: set[str] = set()
        """Messages to the person whose session it is that were given out."""

    def swarm_status(self) -> dict[str, Any]:
        with self._follower.lock:
            return status_json(self._follower.fleet, now=time.time())

    def rows(self, args: dict[str, object]) -> list[dict[str, Any]]:
        return [task_json(row) for row in self._ask(self._follower.load_tasks("tasks", args))]

    def schedules(self) -> list[dict[str, Any]]:
        return [msgspec.to_builtins(row) for row in self._ask(self._follower.schedules())]

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

    def send(self, message: MessageNew) -> dict[str, Any]:
        """Send mail, and wait until the swarm has written it down."""
        view = _told(lambda: send(self._follower, message, ACCEPT_WITHIN))
        return {"message_id": view.message_id, "state": view.state, "receivers": sorted(view.receipts)}

    def answer(self, message_id: str) -> dict[str, Any]:
        """Return the answer to a message of the caller's, where there is one by now."""
        came = _told(lambda: answer_of(self._follower, self._who, message_id, 0.0))
        if came is None:
            with self._follower.lock:
                view = self._follower.fleet.mails.get(message_id)
            return {"message_id": message_id, "state": "waiting", "message": view.state if view is not None else "sent"}
        text, sender = (came.text, came.sender) if isinstance(came, MessageNew) else (came.answer, came.answered_by)
        return {"message_id": message_id, "state": "answered", "from": sender, "text": text}

    def read(self) -> list[dict[str, Any]]:
        """Take out what the caller's agent has not read; for a person, who has no mailbox, what is new here."""
        if self._who.agent_id is None:
            me = self._follower.operator.sender
            rows = self._ask(self._follower.load_mails({"agent_id": me, "limit": 50}))
            new = [row for row in rows if row.sender != me and row.message_id not in self._read]
            self._read |= {row.message_id for row in new}
            return [msgspec.to_builtins(row) for row in new]
        found = _told(lambda: read_own(self._follower, self._who))
        return [{k: v for k, v in msgspec.to_builtins(one).items() if v is not None} for one in found]

    def claim(self, paths: list[str]) -> dict[str, Any]:
        """Claim paths for the caller's task."""
        answer = _told(lambda: self._claims.claim(paths, ACCEPT_WITHIN))
        if answer is None:
            raise ToolError("no dispatcher answered the claim: try again in a moment")
        told: dict[str, Any] = msgspec.to_builtins(answer)
        return {"granted": isinstance(answer, PathsClaimed), **{k: v for k, v in told.items() if v is not None}}

    def release(self) -> str:
        """Let go of the paths that the caller's task holds."""
        if self._who.task_id is None:
            raise ToolError("only a task holds paths: this session serves none")
        self._claims.release()
        return "said"

    def message(self, to: str, text: str, **more: Any) -> MessageNew:
        """Return a message of the caller's. Raises ToolError for one that cannot be."""
        try:
            said = {"to": to, "text": text, "task_id": self._who.task_id, **more}
            return msgspec.convert({"message_id": new_message_id(), **said}, MessageNew)
        except msgspec.ValidationError as error:
            raise ToolError(str(error)) from None

    def output(self, task_id: str) -> str:
        with self._follower.lock:
            hosts = hosts_online(self._follower.fleet)
        args: dict[str, Any] = {"task_id": task_id, "lines": 1000}
        pages = last_attempt([msgspec.to_builtins(output_of_hosts(self._follower.operator, args, hosts))])
        return joined(pages, pages[0].start) if pages else ""


def _told(act: Callable[[], Row]) -> Row:
    """Return what `act` does. Raises ToolError with its reason where it fails."""
    try:
        return act()
    except Failure as failure:
        raise ToolError(failure.reason) from None


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
    end = time.monotonic() + max(0.0, seconds)
    while True:
        row = await asyncio.to_thread(look)
        if is_over(str(row["state"])):
            return {"ended": True, **row}
        left = end - time.monotonic()
        if left <= 0:
            return {"ended": False, "note": "still running: call this again to go on waiting", **row}
        await context.report_progress(float(row.get("progress") or 0.0), 100.0, str(row.get("message") or row["state"]))
        await asyncio.sleep(min(TELL_EVERY, left))


def make_server(tools: Tools, longest: float | None = None) -> MCPServer:
    """Return the server with its tools and resources; `longest` is the most seconds that a call waits."""
    most = LONGEST_WAIT if longest is None else longest
    server = MCPServer("swarm-tui", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    blocking = asyncio.to_thread

    async def wait(context: Context[Any, Any], seconds: float, *what: Any) -> dict[str, Any]:
        return await _wait(context, min(seconds, most), *what)

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
    async def list_schedules() -> list[dict[str, Any]]:
        """The layout's schedules with their next times, seconds since the epoch."""
        return await blocking(tools.schedules)

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
        return await wait(context, wait_seconds, lambda: task_json(tools.task(known)), _ENDED.__contains__)

    @server.tool()
    async def wait_task(context: Context[Any, Any], task_id: str, seconds: float = LONGEST_WAIT) -> dict[str, Any]:
        """Wait for a task's end, at most so many seconds; `ended` says whether it came."""
        return await wait(context, seconds, lambda: task_json(tools.task(task_id)), _ENDED.__contains__)

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
        return await wait(
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

    _add_mail(server, tools, wait)
    return server


def _add_mail(server: MCPServer, tools: Tools, wait: Callable[..., Awaitable[dict[str, Any]]]) -> None:
    """Add the tools of mail and of claims on paths."""
    blocking = asyncio.to_thread

    @server.tool()
    async def send_message(
        to: str, text: str, reply_to: str | None = None, task_id: str | None = None
    ) -> dict[str, Any]:
        """Write to an agent, each agent of a role, `all`, or who wrote to you; with reply_to it answers that."""
        more = {"reply_to": reply_to, **({"task_id": task_id} if task_id else {})}
        return await blocking(tools.send, tools.message(to, text, **more))

    @server.tool()
    async def ask_agent(
        context: Context[Any, Any],
        to: str = "",
        text: str = "",
        message_id: str | None = None,
        seconds: float = LONGEST_WAIT,
    ) -> dict[str, Any]:
        """Ask an agent and wait for its answer; with the message_id of an earlier question, wait for that one's."""
        asked = message_id
        if asked is None:
            sent = await blocking(tools.send, tools.message(to, text, expects_answer=True))
            asked = str(sent["message_id"])
        known = asked
        return await wait(context, seconds, lambda: tools.answer(known), lambda state: state == "answered")

    @server.tool()
    async def read_messages(context: Context[Any, Any], wait_seconds: float = 0.0) -> dict[str, Any]:
        """Read what others wrote to you, each message once; waits for some, if you say how long."""

        def look() -> dict[str, Any]:
            messages = tools.read()
            return {"state": "read" if messages or wait_seconds <= 0 else "none yet", "messages": messages}

        return await wait(context, wait_seconds, look, lambda state: state == "read")

    @server.tool()
    async def claim_files(paths: list[str]) -> dict[str, Any]:
        """Claim paths or globs of the workdir for your task, until it ends; if refused, it says who has them."""
        return await blocking(tools.claim, paths)

    @server.tool()
    async def release_files() -> str:
        """Let go of all files that your task has claimed."""
        return await blocking(tools.release)


def serve(found: Target, longest: float) -> None:
    """Serve over stdin and stdout until the client closes them. Raises Failure."""
    who = caller(found)
    with follow(found) as follower:
        who.speak_as_agent(follower.operator)
        if not follower.operator.link.up:
            raise Failure("the broker does not answer")
        make_server(Tools(follower, who), longest).run("stdio")
