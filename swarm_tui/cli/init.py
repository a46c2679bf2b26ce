"""`swarm-tui init`: a layout with comments, to be made one's own."""

from pathlib import Path

import click

from swarm_tui.bus.broker_address import parse_url
from swarm_tui.bus.port import BusError
from swarm_tui.cli.common import USAGE, Failure, note
from swarm_tui.config.document import parse_document
from swarm_tui.config.errors import ConfigError
from swarm_tui.identity import acl
from swarm_tui.protocol.names import InvalidNameError, check_swarm
from swarm_tui.protocol.text import clean

TEMPLATE = """\
# A swarm as a file. `swarm-tui validate {session}` checks it, `swarm-tui up {session}` starts it.
# ${{VAR}} and ${{VAR:-default}} are filled in from the environment; $VAR without braces stays as it is.
swarm: {name}                     # the prefix of every topic on the broker
session: {session}                   # the tmux session

broker:
{broker}

tmux:
  socket: swarm-tui               # a tmux server of our own; `default` is yours
  arrange: tiled                  # or `windows`: one window an agent

workdir: .                        # where agents work; relative to the folder `up` is called in

defaults:                         # for every agent that does not say otherwise
  restart: on-failure             # never, on-failure, always
  capacity: 1                     # tasks at once
  timeout: 900                    # seconds a task may take
  max_attempts: 3

agents:
  # One that dispatches: tasks are journaled, leased and retried. Without it the swarm is best effort.
  - {{role: task-manager, id: task-manager-01}}

  # One to four that run tests; their ids are testing-01, testing-02 …, their number follows the queue.
  - {{role: testing, min: 1, max: 4}}

  # A task type of your own: what it runs is written here, never in the task.
  - role: general
    id: builder
    depends_on: {{task-manager-01: registered}}
    env: {{LANG: C.UTF-8}}
    handlers:
      site.build:
        command: [make, -C, "{{payload.dir}}", site]
        timeout: 600
        max_attempts: 3
        idempotent: true          # false: after an unknown outcome it is held until a person decides
        templates:
          docs: {{dir: docs}}       # offered by the publish form

  # Any other program as an agent. `wrap: true` when it does not speak MQTT by itself.
  # - role: general
  #   id: worker
  #   command: [my-agent, --id, "{{agent_id}}", --swarm, "{{swarm}}", --broker, "{{broker}}"]
  #   wrap: true

policy:
  approve: []                     # types a person must approve, e.g. ["deployment.*", database.migrate]
  approve_within: 3600            # seconds; silence is a no
  record_age: 604800              # seconds that the monitoring agent keeps every message
  record_size: 268435456          # bytes that its record never exceeds
"""

#: The broker's part of a layout: one of our own, or an endpoint of AWS IoT Core.
HERE = """\
  url: mqtt://127.0.0.1:1883      # mqtt, mqtts, ws, wss or unix; MQTT_BROKER wins over this
  embedded: auto                  # auto: start mosquitto here when nothing listens; always; never
  # secure: true                  # with mqtts://…: TLS with an authority of our own, and nobody without a name
  # username: me
  # password: "${MQTT_PASSWORD}" # or `password_file: secret`, a file that only you may read (chmod 600)
  # tls: {ca: ca.pem, cert: me.pem, key: me.key}  # paths start in the folder of this file"""
AWS = """\
  # A certificate of AWS IoT Core, on 8883, or on 443 where the network lets nothing else out (`…:443`). Other ways in,
  # by a custom authorizer or signed with your AWS credentials: docs/aws.md.
  url: mqtts://ENDPOINT:8883
  embedded: never
  tls: {cert: SESSION-aws/cert.pem, key: SESSION-aws/private.key}"""
#: The identities that a policy is written for.
POLICIES = ("swarm", "host", "agent", "operator", "guest")
#: Characters that AWS takes in a policy, spaces aside.
LONGEST_POLICY = 2048


def _aws_broker(endpoint: str, session: str) -> str:
    """Return the layout's part for the endpoint. Raises Failure for what is none."""
    try:
        at = parse_url(f"mqtts://{endpoint}")
    except BusError as error:
        raise Failure(str(error), USAGE) from None
    if not at.aws or at.port != 8883:
        raise Failure(
            f"`{clean(endpoint, 100)}` is no endpoint of AWS IoT Core: `aws iot describe-endpoint --endpoint-type "
            "iot:Data-ATS` says yours, as ID-ats.iot.REGION.amazonaws.com",
            USAGE,
        )
    return AWS.replace("ENDPOINT", at.host).replace("SESSION", session)


def _write_policies(folder: Path, swarm: str, force: bool) -> None:
    """Write a policy for each kind of identity. Raises Failure, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in POLICIES:
        granted = acl.grant(swarm, kind, "*" if kind in ("host", "agent") else "")
        text = acl.aws(granted, swarm)
        if len("".join(text.split())) > LONGEST_POLICY:
            raise Failure(f"the policy of a {kind} is longer than AWS takes: give the swarm a shorter name", USAGE)
        with open(folder / f"{kind}.json", "w" if force else "x", encoding="utf-8") as file:
            file.write(text + "\n")


AI_TEMPLATE = """\
# A swarm of AI agents: docs/agents.md. `swarm-tui validate {session}` checks it, `swarm-tui up {session}` starts it.
swarm: {name}
session: {session}

broker:
{broker}

workdir: .                        # the repository; `up` is called in it

agents:
  - {{role: task-manager, id: task-manager-01}}

  # Writes code, each task on a branch in a worktree of its own: `publish code.generate -p prompt='…'`.
  - role: general
    id: builder
    handlers:
      code.generate:
        timeout: 3600             # seconds; the time in which people are asked does not count
        options: {{cli: {builder}, allow: {allow}}}
      agent-cli:
        timeout: 3600
        options: {{cli: {builder}, mode: edit, allow: {allow}}}

  # Reads, reviews and plans; it changes nothing.
  - role: code-review
    id: reviewer
    handlers:
      code.review: {{}}
      code.plan:
        options: {{cli: {reviewer}}}

  - {{role: testing, id: tester}}

  # Keeps the record, for `history` and the screen's way back in time; a page at http://localhost:8080, for a phone too.
  - {{role: monitoring, id: monitoring}}
  - {{role: api-gateway, id: gateway}}

policy:
  ask_within: 600                 # seconds that an AI agent waits for a yes; silence is a no
  # budget: {{task: 2, day: 20}}    # US dollars
"""
#: Commands that nobody need be asked about.
_HARMLESS = '["Bash(git status)", "Bash(git diff*)", "Bash(git log*)", "Bash(ls*)", "Bash(pytest*)"]'


def _ai_clis() -> list[str]:
    """Return the agent CLIs that are installed and logged in; what is missing of the others is said."""
    from swarm_tui.agent.conversation.programs import find
    from swarm_tui.agent.handlers.models.cli_spec import known_clis

    ready, missing = [], []
    for name, cli in known_clis().items():
        programs = [argv[0] for argv in (cli.acp.argv if cli.acp is not None else [], cli.argv) if argv]
        if not any(map(find, programs)):
            missing.append(f"{name} is not installed: {cli.install}, or `make clis`")
        elif not cli.is_logged_in():
            missing.append(f"{name} is not logged in: {cli.login}")
        else:
            ready.append(name)
            if cli.acp is not None and find(cli.acp.argv[0]) is None:
                missing.append(f"{name} cannot ask without {cli.acp.argv[0]}: {cli.install}")
    for line in missing:
        note(line)
    return ready


def _is_plain(name: str) -> bool:
    """Return whether YAML reads the name, as the template has it, as that name and as nothing else."""
    try:
        return bool(parse_document(f"swarm: {name}  # x".encode(), "name", None).value == {"swarm": name})
    except ConfigError:
        return False


@click.command(epilog="Example: swarm-tui init my-swarm")
@click.argument("name", required=False, default="my-swarm")
@click.option("--output", "-o", metavar="FILE", help="Where to write (default: layouts/NAME.yml; - for stdout).")
@click.option("--aws", "endpoint", metavar="ENDPOINT", help="For AWS IoT Core: also write its policies, beside it.")
@click.option("--ai", is_flag=True, help="With AI agents, of the CLIs that are installed and logged in here.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def command(name: str, output: str | None, endpoint: str | None, ai: bool, force: bool) -> int:
    """Write a layout with comments to layouts/NAME.yml.

    With --aws its broker is that endpoint, and NAME-aws/ beside it gets a policy for each kind of identity.
    """
    try:
        check_swarm(name)
    except InvalidNameError as error:
        raise Failure(str(error), USAGE) from None
    if "${" in name or not _is_plain(name):
        raise Failure(f"`{clean(name, 60)}` is no name for a layout: write letters, digits and - _ . / only", USAGE)
    session = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
    broker = HERE if endpoint is None else _aws_broker(endpoint, session)
    if ai:
        found = _ai_clis()
        if not found:
            raise Failure("no agent CLI is installed and logged in here: do one of these, then try again")
        # Another pair of eyes sees more: the reviewer is of another make where there is one.
        names = {"builder": found[0], "reviewer": found[-1], "allow": _HARMLESS}
        text = AI_TEMPLATE.format(name=name, session=session, broker=broker, **names)
    else:
        text = TEMPLATE.format(name=name, session=session, broker=broker)
    if output == "-":
        click.echo(text, nl=False)
        return 0
    path = Path(output) if output else Path("layouts") / f"{session}.yml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w" if force else "x", encoding="utf-8") as file:
            file.write(text)
        if endpoint is not None:
            _write_policies(path.parent / f"{session}-aws", name, force)
    except FileExistsError as error:
        raise Failure(
            f"{error.filename} is there already; --force overwrites it, -o names another file", USAGE
        ) from None
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None
    click.echo(str(path))
    if endpoint is not None:
        note(f"next: attach {session}-aws/swarm.json to a certificate, whose files go beside it: see docs/aws.md")
    note(f"next: swarm-tui validate {path}; swarm-tui up {path}")
    return 0
