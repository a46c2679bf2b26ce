"""To whom a message goes: an agent, those of a role or all who do tasks, or somebody who reads what is kept."""

from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.model import GUEST
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.mail.model import ALL, PERSON, ROLE
from swarm_tui.protocol.mail_bodies import MessageNew
from swarm_tui.protocol.names import canonical_role, is_agent_id
from swarm_tui.protocol.text import clean

#: Sorts of receivers: an agent, the agents of a role or all, and who has no inbox and reads what is kept.
AGENT, WIDE, KEPT = "agent", "wide", "kept"
#: Seconds of a dispatcher's lead after which it has heard of all who are there.
BY_NOW = 60.0


def whom(turn: Turn, body: MessageNew) -> tuple[str, str]:
    """Return the sort of receiver, and why there is none; one of the two is empty. An agent's name comes first."""
    state, to = turn.state, body.to
    name = to.removeprefix(GUEST)
    if not to:
        return "", "it says not to whom: `to` is an agent, a role, `all`, or a person"
    if to == ALL:
        return WIDE, ""
    if not to.startswith(ROLE) and (name in state.agents or name in state.settings.agents):
        why = _no_reader(turn, name)
        return "" if why else AGENT, why
    asked = state.post.mails.get(body.reply_to or "")
    if to.startswith((PERSON, GUEST)) or (asked is not None and asked.sender == to):
        return KEPT, ""
    role = canonical_role(to.removeprefix(ROLE))
    if state.settings.has_role(role) or any(one.role == role for one in state.agents.values()):
        return WIDE, ""
    if not state.settings.agents and is_agent_id(to) and (not state.leading or turn.now - state.led_since < BY_NOW):
        # Where no layout names the agents, those that are there may not have been heard yet.
        return AGENT, ""
    return "", f"there is no agent and no role {clean(to, 80)!r} in this swarm"


def _no_reader(turn: Turn, name: str) -> str:
    """Return why an agent reads no mail; empty when it does."""
    record = turn.state.agents.get(name)
    if record is not None and record.foreign:
        return f"{name} speaks another dialect, which has no mail: give it a task"
    if record is not None and record.incarnation is not None and not _reads(turn, record):
        return f"{name} does no tasks, so that nobody there would read it"
    return ""


def receivers_of(turn: Turn, sort: str, to: str, who: str) -> list[str]:
    """Return the agents that there are now of those it is for."""
    if sort == KEPT:
        return []
    if sort == AGENT:
        return [to.removeprefix(GUEST)]
    return sorted(record.agent_id for record in turn.state.agents.values() if is_meant(turn, to, who, record))


def _reads(turn: Turn, record: AgentRecord) -> bool:
    """Return whether the agent does tasks: it is they that read."""
    rules = turn.state.settings.rules.values()
    return bool(record.types) or any(record.role in rule.roles or record.agent_id in rule.agents for rule in rules)


def is_meant(turn: Turn, to: str, sender: str, record: AgentRecord) -> bool:
    """Return whether the agent, which is there, is one of the role or all, and not the sender itself."""
    if record.foreign or record.agent_id == sender.removeprefix(GUEST):
        return False
    if not is_there(turn, record) or not _reads(turn, record):
        return False
    return to == ALL or record.role == canonical_role(to.removeprefix(ROLE))


def is_there(turn: Turn, record: AgentRecord) -> bool:
    """Return whether the agent was heard lately, and has not left."""
    return (
        record.status != "offline"
        and record.seen is not None
        and turn.now - record.seen < turn.state.settings.suspect_after
    )
