"""The guards of a swarm with keys, each to be taken away alone: what an attack does then tells which one stops it."""

from collections.abc import Callable
from typing import Any

import pytest

from swarm_tui.client.operator import Operator
from swarm_tui.domain.dispatch import adopted_claims, agent_reports, core, freshness, offer, operators, processes
from swarm_tui.domain.dispatch.retained_topics import RetainedTopics
from swarm_tui.domain.fleet import reducer
from swarm_tui.domain.fleet.doubts import Doubts
from swarm_tui.domain.leadership import Leadership
from swarm_tui.domain.worker import Leader, Worker, worker_state
from swarm_tui.identity import keyring
from swarm_tui.identity.keyring import AgentKeyring, HostKeyring, SwarmKeyring
from swarm_tui.protocol import proof as proofs
from swarm_tui.protocol.raw import UnprovedError
from swarm_tui.protocol.topics import Address

Patch = pytest.MonkeyPatch
Remove = Callable[[Patch], None]


def _forgiving(*reasons: str, of: tuple[str, ...]) -> Remove:
    """Believe what is refused for one of these reasons, of issuers of these kinds; `""`: of what nobody proved."""

    def remove(patch: Patch) -> None:
        for party in (SwarmKeyring, AgentKeyring, HostKeyring):
            patch.setattr(party, "judge", forgiving(party.judge))

    def forgiving(judge: Callable[..., str]) -> Callable[..., str]:
        def judged(self: Any, kind: Any, key: str, topic: str, proof: proofs.Proof | None, agent_id: str) -> str:
            try:
                return judge(self, kind, key, topic, proof, agent_id)
            except UnprovedError as error:
                issuer = "" if proof is None else proof.issuer
                if str(error) in reasons and issuer.partition(":")[0] in of:
                    return issuer
                raise

        return judged

    return remove


def _always(owner: Any, name: str, value: object) -> Remove:
    """Have a decision of `owner` always come out so."""
    return lambda patch: patch.setattr(owner, name, lambda *_, **__: value)


def _read_on(patch: Patch) -> None:
    """Read a proof as if nothing could stand behind it."""

    def split(raw: bytes) -> proofs.Proof | None:
        at = raw.rfind(b',"proof":"')
        if at <= 0 or not raw.endswith(b'"}'):
            return None
        issuer, *pairs = raw[at + 10 : -2].split(b" ")
        macs = {who.decode(): value for who, _, value in (pair.partition(b"=") for pair in pairs)}
        return proofs.Proof(issuer.decode(), macs, raw[:at])

    patch.setattr(proofs, "split", split)


def _every_word(patch: Patch) -> None:
    """A publisher and a person go by any word, whoever said it."""
    real = Operator.__init__

    def made(self: Any, *given: Any, **named: Any) -> None:
        real(self, *given, **named)
        self._proved = False

    patch.setattr(Operator, "__init__", made)


_ANYBODY = ("",)
_RIGHTS = (keyring.NO_PROOF, keyring.NO_VERDICT, keyring.NO_ANSWER)

#: Name of each guard, and what takes it away.
GUARDS: dict[str, Remove] = {
    # The keys.
    "an order is proved": _forgiving(keyring.NO_PROOF, of=_ANYBODY),
    "a verdict is proved": _forgiving(keyring.NO_VERDICT, of=_ANYBODY),
    "an agent's word is proved": _forgiving(keyring.NO_ANSWER, of=_ANYBODY),
    "a reply is proved": _forgiving(keyring.NO_REPLY, of=_ANYBODY),
    "what is told to all is proved": _forgiving(keyring.NOT_TOLD, of=_ANYBODY),
    "a proof holds": _always(proofs, "holds", True),
    "nothing stands behind a proof": _read_on,
    "who speaks speaks for itself": _forgiving(keyring.FOR_ANOTHER, of=("agent",)),
    "a name lives on one host": _forgiving(keyring.ELSEWHERE, of=("agent",)),
    "an agent orders nobody": _forgiving(*_RIGHTS, of=("agent",)),
    "a host orders nobody": _forgiving(*_RIGHTS, of=("host",)),
    "a person leads nobody": _forgiving(*_RIGHTS, of=("operator",)),
    # Time.
    "an act is done once": _always(freshness, "is_said_again", False),
    "the newest halt and scale count": _always(freshness, "is_old_order", False),
    "the newest birth counts": _always(agent_reports, "_is_older", False),
    "who has left comes back by a new word": _always(agent_reports, "is_former_life", False),
    "the newest panes count": _always(processes, "is_older_host", False),
    "a task is begun once": _always(worker_state.Recent, "__contains__", False),
    # What the parts know.
    "an empty message takes nothing back": _always(freshness, "proves_nothing", False),
    "who has a dispatcher waits for it": lambda patch: patch.setattr(Worker, "_nobody", Leader.NONE),
    "a claim is its agent's own": _always(adopted_claims, "_is_its_own", True),
    "a task ends after it was published": _always(adopted_claims, "_counts_beforehand", True),
    "only a person approves": _always(operators, "_is_person", True),
    "a host tells of its own agents": _always(processes, "_may_tell_of", True),
    "what a person approved is for who has keys": lambda patch: patch.setattr(
        offer, "_trusted", lambda turn, key, agents: agents
    ),
    "an alert is for who raised it to end": _always(reducer, "_may_change", True),
    "a claim that was overwritten is said again": _always(Leadership, "contested", []),
    "what is forged stays on no topic": _always(RetainedTopics, "heard_wrong", None),
    "what is said again puts nothing right": lambda patch: patch.setattr(
        RetainedTopics, "heard_right", lambda self, kind, key, at: self.wrong.pop(Address(kind, key), None)
    ),
    "what is emptied is said again": _always(RetainedTopics, "emptied", None),
    "an answer is by whom it was given to": _always(core, "_was_asked", True),
    "the screen knows who has a task": _always(Doubts, "why_not", ""),
    "a publisher goes by the dispatcher's word": _every_word,
}

ORDER, VERDICT, WORD, TOLD = (
    "an order is proved",
    "a verdict is proved",
    "an agent's word is proved",
    "what is told to all is proved",
)
HOLDS, SAID_AGAIN, PERSON = "a proof holds", "a claim that was overwritten is said again", "only a person approves"
AGENT, HOST, LEADS = "an agent orders nobody", "a host orders nobody", "a person leads nobody"
NEWEST, EMPTY = "the newest halt and scale count", "an empty message takes nothing back"
ASKED, SCREEN = "an answer is by whom it was given to", "the screen knows who has a task"
PUBLISHER = "a publisher goes by the dispatcher's word"
PLANTED = "what is forged stays on no topic"

#: What mends, within milliseconds, what these attacks did: to see them at all, it must be away too.
MENDED_BY = {"no_leader": SAID_AGAIN, "away": SAID_AGAIN}
#: What stops each attack. Where several guards do, each of them does alone.
STOPPED_BY: dict[str, tuple[str, ...]] = {
    "offer": (ORDER,),
    "offer_under_a_copied_proof": (HOLDS,),
    "offer_with_members_behind_its_proof": ("nothing stands behind a proof",),
    "drain": (ORDER,),
    "cancel": (ORDER,),
    "approve": (ORDER, PERSON),
    "deny": (ORDER,),
    "halt": (ORDER,),
    "lift": (EMPTY,),
    "lead": (ORDER,),
    "no_leader": ("who has a dispatcher waits for it",),
    "away": (ORDER,),
    "complete": (WORD,),
    "fail": (WORD,),
    "gone": (WORD,),
    "crashed": (ORDER,),
    "claim": ("a claim is its agent's own",),
    "result_beforehand": (ASKED, "a task ends after it was published"),
    "old_halt": (NEWEST,),
    "old_lift": (NEWEST,),
    "old_cancel": ("an act is done once",),
    "old_offer": ("a task is begun once",),
    "old_birth": ("the newest birth counts",),
    "old_life": ("who has left comes back by a new word",),
    "old_panes": ("the newest panes count",),
    "anothers_pane": ("a host tells of its own agents",),
    "anothers_name": ("a name lives on one host",),
    "neighbours_name": ("who speaks speaks for itself",),
    "guests_share": ("what a person approved is for who has keys",),
    "old_scale": (NEWEST,),
    "no_scale": (EMPTY,),
    "reply": ("a reply is proved", PUBLISHER),
    "rejected": (VERDICT, PUBLISHER),
    "shown_assigned": (VERDICT, SCREEN),
    "shown_claim": (SCREEN,),
    "shown_result": (SCREEN,),
    "shown_ask": (SCREEN,),
    "shown_deployment": (SCREEN,),
    "shown_alert": (TOLD,),
    "alert_ended": ("an alert is for who raised it to end",),
    "broadcast": (TOLD,),
    "said_assigned": (VERDICT, PUBLISHER),
    "agents_approval": (AGENT, PERSON),
    "hosts_approval": (HOST, PERSON),
    "agents_halt": (AGENT,),
    "hosts_halt": (HOST,),
    "agent_leads": (AGENT,),
    "host_leads": (HOST,),
    "person_leads": (LEADS,),
    "persons_offer": (HOLDS,),
    "hosts_offer": (HOLDS,),
    "planted": (PLANTED,),
    "planted_bytes": (PLANTED,),
    "planted_before": (PLANTED,),
    "planted_behind_a_repeat": ("what is said again puts nothing right",),
    "emptied": ("what is emptied is said again",),
}
