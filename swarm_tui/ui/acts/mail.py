"""Writing to agents."""

from swarm_tui.client.ids import new_message_id
from swarm_tui.domain.mail.model import MAX_TEXT
from swarm_tui.protocol.mail_bodies import MessageNew
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.acts.subjects import names, some
from swarm_tui.ui.desk.actions import AGENTS, Action
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.look.text import flat


def _write(context: Context) -> None:
    receivers = [agent.agent_id for agent in context.agents]
    whom = names(context.agents)

    def typed(line: str) -> None:
        asks, text = line.startswith("?"), line.removeprefix("?").strip()
        if not text:
            context.say("nothing was written")
            return
        if len(text.encode()) > MAX_TEXT:
            context.say(f"a message has at most {MAX_TEXT:,} bytes", bad=True)
            return
        for agent_id in receivers:
            body = MessageNew(message_id=new_message_id(), to=agent_id, text=text, expects_answer=asks)
            context.desk.source.act(Kind.MESSAGE_NEW, body)
            context.desk.sent_mail.expect(body, context.model.clock())
        context.unmark()
        context.say(f"{'asked' if asks else 'wrote to'} {whom}: {flat(text, 100)}; its page shows how far it is")

    context.screen.ask(f"to {whom} (? first: wants an answer):", "", typed)


MAIL_ACTS = (
    Action(
        name="write",
        keys=("M",),
        label="write",
        group="agents",
        scopes=AGENTS,
        writes=True,
        rank=65,
        can=some("agent", lambda context: context.agents),
        run=_write,
        help="Write to the agent: its next task reads it, or the next turn of an AI agent's. Its page shows the talk. "
        "A question mark first asks for an answer.",
    ),
)
