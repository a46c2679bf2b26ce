"""Mail: a message is written down, brought to each of its receivers until that has it, and given up when it expires.

On the wire each step comes at least once; by its id the receiver reads it once. What an agent says of it counts for
that agent alone.
"""

from hashlib import sha256

from msgspec.structs import replace

from swarm_tui.domain.dispatch.digests import canonical_json
from swarm_tui.domain.dispatch.freshness import REPLAYED
from swarm_tui.domain.dispatch.mail_receivers import AGENT, WIDE, is_meant, is_there, receivers_of, whom
from swarm_tui.domain.dispatch.model import GUEST
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.mail.model import (
    AGAIN,
    AGAIN_MOST,
    LIFE,
    LONGEST_LIFE,
    MAX_RECEIVERS,
    MAX_TEXT,
    MAX_WAITING,
    MAX_WIDE,
    WIDE_LIFE,
    WINDOW,
    Mail,
    MailState,
    Receipt,
    UnreadMail,
    follows,
)
from swarm_tui.protocol.bodies import Inbox
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.mail_bodies import (
    MessageAccepted,
    MessageAnswered,
    MessageDead,
    MessageNew,
    MessageReceipt,
    MessageRejected,
)
from swarm_tui.protocol.text import clean, clean_block
from swarm_tui.protocol.topics import Kind

#: Receivers that are told by name in one message.
MAX_TOLD = 200
NOT_YOURS = "a receipt of one to whom the message is not"


def submit(turn: Turn, event: Event, body: MessageNew) -> None:
    """Hear messages/new: take it, answer it again, or refuse it with a reason."""
    post, who = turn.state.post, turn.who(event)
    if event.proved_by and turn.wall - event.at > LONGEST_LIFE:
        # The journal may have forgotten it, so that its id tells nothing.
        turn.refuse(event, REPLAYED)
        return
    body = _whole(turn, body)
    mark = sha256(
        canonical_json([who, body.to, body.text, body.reply_to, body.expects_answer, body.task_id])
    ).hexdigest()
    known = post.mails.get(body.message_id)
    if known is not None and known.digest == mark:
        _accepted(turn, known, duplicate=True)
        return
    sort, why = whom(turn, body)
    why = _refusal(turn, body, who) or why
    if known is not None:
        why = "this message id is taken by another message"
    receivers = receivers_of(turn, sort, body.to, who) if not why else []
    why = why or _full(turn, sort, receivers)
    if why:
        turn.say(Kind.MESSAGE_REJECTED, MessageRejected(message_id=body.message_id, reason=why))
        _tell(turn, who, body.message_id, "rejected", why)
        return
    mail = _make(turn, body, who, mark, wide=sort == WIDE)
    post.mails[mail.message_id] = mail
    if mail.wide:
        post.wide[mail.message_id] = None
    turn.save_mail(mail.message_id)
    for agent_id in receivers:
        _add(turn, mail, agent_id)
    if mail.ended and mail.message_id not in post.past:
        post.past.append(mail.message_id)
    _accepted(turn, mail)
    if mail.reply_to:
        _answers(turn, mail)
    for agent_id in receivers:
        deliver(turn, agent_id)


def _whole(turn: Turn, body: MessageNew) -> MessageNew:
    """Return the message with its receiver: an answer goes to who sent what it answers."""
    if not body.to and body.reply_to is not None and (asked := turn.state.post.mails.get(body.reply_to)) is not None:
        return replace(body, to=asked.sender)
    return body


def _refusal(turn: Turn, body: MessageNew, who: str) -> str:
    """Return why a message is not taken, whoever is to get it; empty when it is."""
    size = len(body.text.encode("utf-8", "replace"))
    if not body.text.strip():
        return "it says nothing: `text` is empty"
    if size > MAX_TEXT:
        return f"its text has {size:,} bytes, at most {MAX_TEXT:,}: hand a file on, and say where it is"
    if body.reply_to == body.message_id:
        return "it answers itself: `reply_to` is the message that it answers"
    if body.sender not in (None, who, who.removeprefix(GUEST)):
        return f"it says it is from {clean(body.sender or '', 100)}, and {who} sent it: each speaks as itself only"
    if body.expires_at is not None and body.expires_at <= turn.wall:
        return f"it expired {turn.wall - body.expires_at:.0f} s ago, before it could be heard (or a clock is off)"
    return ""


def _full(turn: Turn, sort: str, receivers: list[str]) -> str:
    """Return what there is too much of already; empty when there is room."""
    post = turn.state.post
    if sort == WIDE and len(post.wide) >= MAX_WIDE:
        return f"{MAX_WIDE} messages to a role or to all are open already: send it to an agent, or later"
    if len(receivers) > MAX_RECEIVERS:
        return f"{len(receivers):,} agents would get it, at most {MAX_RECEIVERS:,}"
    if sort == AGENT and _is_full(turn, receivers[0]):
        return f"{MAX_WAITING:,} messages wait for {receivers[0]} already, unread: send it later"
    return ""


def _is_full(turn: Turn, agent_id: str) -> bool:
    unread = turn.state.post.unread.get(agent_id)
    return unread is not None and len(unread.ids) >= MAX_WAITING


def _is_no_answer(turn: Turn, body: MessageNew, who: str) -> bool:
    """Return whether it says that it answers a message which was to others: nobody answers for another."""
    asked = turn.state.post.mails.get(body.reply_to or "")
    return asked is not None and asked.to != who and who.removeprefix(GUEST) not in asked.receivers


def _make(turn: Turn, body: MessageNew, who: str, mark: str, *, wide: bool) -> Mail:
    post = turn.state.post
    post.seq += 1
    life = body.expires_at - turn.wall if body.expires_at is not None else WIDE_LIFE if wide else LIFE
    return Mail(
        message_id=body.message_id,
        sender=who,
        to=body.to,
        text=clean_block(body.text),
        digest=mark,
        seq=post.seq,
        accepted_at=turn.wall,
        expires_at=turn.wall + min(life, LONGEST_LIFE),
        # Else an agent that waits for an answer would take it for that.
        reply_to="" if _is_no_answer(turn, body, who) else body.reply_to or "",
        expects_answer=body.expects_answer,
        task_id=body.task_id or "",
        wide=wide,
        closed=not wide,
    )


def _add(turn: Turn, mail: Mail, agent_id: str) -> None:
    """Let the agent get it; of what is for many it is a dead letter to one for whom too many wait."""
    full = _is_full(turn, agent_id)
    mail.receivers[agent_id] = Receipt(at=turn.wall)
    turn.state.post.unread_of(agent_id).waiting[mail.message_id] = turn.now
    if full:
        _dead(turn, mail, agent_id, f"{MAX_WAITING:,} messages wait for it already, unread")


def _accepted(turn: Turn, mail: Mail, *, duplicate: bool = False) -> None:
    told = MessageAccepted(
        message_id=mail.message_id,
        sender=mail.sender,
        to=mail.to,
        receivers=sorted(mail.receivers)[:MAX_TOLD],
        expires_at=mail.expires_at,
        duplicate=duplicate,
    )
    say = turn.say if duplicate else turn.tell
    say(Kind.MESSAGE_ACCEPTED, told)
    _tell(turn, mail.sender, mail.message_id, "accepted")


def _tell(turn: Turn, sender: str, message_id: str, state: str, reason: str = "", *, patient: bool = False) -> None:
    """Tell an agent what became of a message of its own, or that what it said of one is written down."""
    name = sender.removeprefix(GUEST)
    if name in turn.state.agents and not turn.state.agents[name].foreign:
        answer = {"message_id": message_id, "state": state, **({"reason": reason} if reason else {})}
        turn.say(Kind.INBOX, Inbox(command="receipt", answer=answer), name, patient=patient)


def _answers(turn: Turn, answer: Mail) -> None:
    """Note that a message is answered by one of its receivers, or by the person whom it was to."""
    asked = turn.state.post.mails.get(answer.reply_to)
    name = answer.sender.removeprefix(GUEST)
    if asked is None:
        return
    receipt = asked.receivers.get(name)
    if receipt is not None:
        if receipt.state is not MailState.ANSWERED:
            # The first answer counts; others are mail too.
            receipt.answer_id = answer.message_id
        _move(turn, asked, name, MailState.ANSWERED, lazy=False)
    told = MessageAnswered(
        message_id=asked.message_id, answer_id=answer.message_id, sender=answer.sender, text=answer.text
    )
    turn.tell(Kind.MESSAGE_ANSWERED, told)


def heard(turn: Turn, event: Event, body: MessageReceipt) -> None:
    """Hear messages/delivered and messages/read, of a receiver."""
    mail = turn.state.post.mails.get(body.message_id)
    if mail is None or body.agent_id not in mail.receivers:
        turn.refuse(event, NOT_YOURS)
        if event.kind is Kind.MESSAGE_READ:
            # It was another dispatcher's, perhaps: unanswered, the agent would say it for ever.
            _tell(turn, body.agent_id, body.message_id, "unknown")
        return
    state = MailState.READ if event.kind is Kind.MESSAGE_READ else MailState.DELIVERED
    if (unread := turn.state.post.unread.get(body.agent_id)) is not None:
        unread.arrived(mail.message_id)
    _move(turn, mail, body.agent_id, state)
    if state is MailState.READ:
        # Patient: the agent forgets that it read it only once that is written down.
        _tell(turn, body.agent_id, mail.message_id, "read", patient=True)
    deliver(turn, body.agent_id)


def _move(turn: Turn, mail: Mail, agent_id: str, state: MailState, reason: str = "", *, lazy: bool = True) -> None:
    """Take a receiver's part of a message further; nothing else changes it."""
    receipt = mail.receivers[agent_id]
    if not follows(state, receipt.state):
        return
    before = mail.ended
    receipt.state, receipt.at, receipt.reason = state, turn.wall, clean(reason, 500)
    unread = turn.state.post.unread_of(agent_id)
    unread.arrived(mail.message_id)
    unread.delivered.discard(mail.message_id)
    if state is MailState.DELIVERED:
        unread.delivered.add(mail.message_id)
    if not unread.waiting and not unread.delivered:
        del turn.state.post.unread[agent_id]
    _settled(turn, mail, before)
    turn.save_mail(mail.message_id, lazy=lazy)


def _settled(turn: Turn, mail: Mail, before: bool) -> None:
    """Keep the ended ones in order, once nothing more happens to the message."""
    if mail.ended and not before:
        turn.state.post.past.append(mail.message_id)


def deliver(turn: Turn, agent_id: str) -> None:
    """Say what is due of an agent's mail, oldest first, so many at a time."""
    state = turn.state
    unread, record = state.post.unread.get(agent_id), state.agents.get(agent_id)
    if unread is None or record is None or not state.leading or not state.link_up or not is_there(turn, record):
        return
    for message_id, due in list(unread.waiting.items())[:WINDOW]:
        if due <= turn.now:
            _send(turn, unread, agent_id, message_id)


def _send(turn: Turn, unread: UnreadMail, agent_id: str, message_id: str) -> None:
    mail, sends = turn.state.post.mails[message_id], unread.sends.get(message_id, 0)
    unread.waiting[message_id] = turn.now + min(AGAIN_MOST, AGAIN * 2 ** min(sends, 8))
    unread.sends[message_id] = sends + 1
    body = MessageNew(
        message_id=message_id,
        sender=mail.sender,
        to=mail.to,
        text=mail.text,
        reply_to=mail.reply_to or None,
        expects_answer=mail.expects_answer,
        task_id=mail.task_id or None,
        expires_at=mail.expires_at,
        at=mail.accepted_at,
    )
    turn.say(Kind.INBOX, Inbox(command="message", message=body), agent_id)


def again(turn: Turn, agent_id: str) -> None:
    """Say what waits again at once: a connection began anew, the agent's or ours."""
    unread = turn.state.post.unread.get(agent_id)
    if unread is not None:
        unread.waiting, unread.sends = dict.fromkeys(unread.waiting, turn.now), {}
        deliver(turn, agent_id)


def look(turn: Turn) -> None:
    """Let time pass: who has come since gets what is for its role, what is due is said, what expired is given up."""
    post = turn.state.post
    for message_id in list(post.wide):
        _join(turn, post.mails[message_id])
    for agent_id in list(post.unread):
        unread = post.unread[agent_id]
        for message_id in unread.ids:
            mail = post.mails[message_id]
            if mail.expires_at <= turn.wall:
                how = (
                    "it was not read in time" if message_id in unread.delivered else "it could not be delivered in time"
                )
                _dead(turn, mail, agent_id, how)
        deliver(turn, agent_id)


def _join(turn: Turn, mail: Mail) -> None:
    post = turn.state.post
    if mail.expires_at > turn.wall:
        come = [
            record.agent_id
            for record in turn.state.agents.values()
            if record.agent_id not in mail.receivers and is_meant(turn, mail.to, mail.sender, record)
        ]
        for agent_id in sorted(come)[: MAX_RECEIVERS - len(mail.receivers)]:
            _add(turn, mail, agent_id)
            # Before it is said: else one could read it of whom no record knows.
            turn.save_mail(mail.message_id)
        return
    mail.closed = True
    post.wide.pop(mail.message_id, None)
    turn.save_mail(mail.message_id)
    _settled(turn, mail, before=False)
    if not mail.receivers:
        _say_dead(turn, mail, None, "nobody whom it is for was there")


def _dead(turn: Turn, mail: Mail, agent_id: str, reason: str) -> None:
    _move(turn, mail, agent_id, MailState.DEAD, reason, lazy=False)
    _say_dead(turn, mail, agent_id, reason)


def _say_dead(turn: Turn, mail: Mail, agent_id: str | None, reason: str) -> None:
    turn.tell(Kind.MESSAGE_DEAD, MessageDead(message_id=mail.message_id, agent_id=agent_id, reason=reason))
    _tell(turn, mail.sender, mail.message_id, "dead", reason)
