"""Proofs of what a party says, and judgements of what it hears. Pure: keys in, MACs and verdicts out.

An issuer's name says which key to look for: `agent:<id>@<host>`, `host:<host>`, `operator:<name>`, `swarm` (whoever
holds the swarm's secret).
"""

import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Protocol

from swarm_tui.domain.liveness import LOST_AFTER
from swarm_tui.identity.keys import ACT, ORDER, ORDERS, WORD, agent_key, common_key, host_key, operator_key
from swarm_tui.identity.kinds import ANSWERS, ASKED, IN_OWN_NAME, JUDGED, NO_PERSONS, ORDERED, TO_ALL, TOLD, VERDICTS
from swarm_tui.identity.registry import Registry
from swarm_tui.protocol import proof as proofs
from swarm_tui.protocol.proof import Proof
from swarm_tui.protocol.raw import UnprovedError
from swarm_tui.protocol.topics import Kind

SWARM = proofs.SWARM
#: Why something counts for nothing. They name nobody: whoever forges chooses the names, and each is counted.
NO_PROOF = "an order without proof"
NOT_HOLDING = "a proof that does not hold"
FOR_ANOTHER = "a word for another agent"
NO_ANSWER = "an agent's word without its proof"
ELSEWHERE = "a word for an agent that lives on another host"
NO_GUESTS = "a task or a message of a guest, and this swarm takes none of guests"
NO_QUESTIONS = "a question of a guest, and this swarm answers none of guests"
NO_VERDICT = "a verdict on a task that is not the dispatcher's"
NO_REPLY = "a reply without proof"
NOT_TOLD = "an alert or a broadcast without proof"
#: Seconds for which a host has an agent's name after its last word: no other host may take it meanwhile.
HELD_FOR = LOST_AFTER
MANY_KEYS = 10_000


class Keyring(Protocol):
    """A party's keys, and what it does with them."""

    def prove(self, kind: Kind, key: str, topic: str, raw: bytes) -> bytes:
        """`raw`, a message of this party's own, with its proof; as it is where there is nobody to prove it to."""
        ...

    def judge(self, kind: Kind, key: str, topic: str, proof: Proof | None, agent_id: str) -> str:
        """Return who proved the message, as an issuer's name, or `""` when nobody did and nobody had to.

        `proof` is the one at its end (`proof.split`), `agent_id` the agent for which it speaks, or in whose name; of
        `tasks/assigned` empty where it is the dispatcher's word, no claim. Raises UnprovedError for what is not proved
        and has to be.
        """
        ...


class Guest:
    """No keys at all: it proves nothing, and has nothing to judge by."""

    def prove(self, kind: Kind, key: str, topic: str, raw: bytes) -> bytes:
        return raw

    def judge(self, kind: Kind, key: str, topic: str, proof: Proof | None, agent_id: str) -> str:
        return ""


GUEST = Guest()


def _stamp(raw: bytes, issuer: str, topic: str, verifiers: Iterable[tuple[str, bytes, str]]) -> bytes:
    """`raw` with a proof for each (verifier, key, purpose), of which there may be many."""
    part = proofs.signed_part(raw)
    return proofs.attach(raw, issuer, [(who, proofs.mac(key, why, topic, part)) for who, key, why in verifiers])


@lru_cache(maxsize=4096)
def _speaker(issuer: str) -> tuple[str, str, str]:
    """An issuer's kind, name and host (`""` where it has none)."""
    kind, _, rest = issuer.partition(":")
    name, _, host = rest.partition("@")
    return kind, name, host


def is_remote_operator(issuer: str) -> bool:
    """Return whether the issuer is an added operator: whoever holds the secret itself is named `<user>@<host>`."""
    kind, _, host = _speaker(issuer)
    return kind == "operator" and not host


class AgentKeyring:
    """An agent's own key, and the common one of its host: it answers for itself and reads what it is ordered."""

    def __init__(self, agent_id: str, host: str, key: bytes, common: bytes) -> None:
        self._id, self._host, self._key, self._common = agent_id, host, key, common
        self._issuer = f"agent:{agent_id}@{host}"

    def prove(self, kind: Kind, key: str, topic: str, raw: bytes) -> bytes:
        return proofs.stamp(raw, self._issuer, SWARM, self._key, WORD, topic)

    def judge(self, kind: Kind, key: str, topic: str, proof: Proof | None, agent_id: str) -> str:
        if kind is Kind.INBOX and key == self._id:
            return _must(proof, self._id, self._key, ORDER, topic)
        if kind in TO_ALL:
            return _must(proof, self._host, self._common, ORDERS, topic)
        if kind is Kind.STATUS and key == self._id:
            # By another's word of it, it would take itself for a second process of its id.
            return _must(proof, SWARM, self._key, WORD, topic)
        return ""


class HostKeyring:
    """A joined host's key: it speaks for itself and for its agents, and obeys the swarm."""

    def __init__(self, host: str, key: bytes, own: frozenset[str] = frozenset()) -> None:
        """`own`: the agents that it runs, for whom nobody speaks without their key."""
        self._host, self._key, self._common, self._own = host, key, common_key(key), own
        self._issuer = f"host:{host}"

    def agent(self, agent_id: str) -> AgentKeyring:
        """The keys of one of its agents."""
        return AgentKeyring(agent_id, self._host, agent_key(self._key, agent_id), self._common)

    def prove(self, kind: Kind, key: str, topic: str, raw: bytes) -> bytes:
        if kind is Kind.INBOX:
            return proofs.stamp(raw, self._issuer, key, agent_key(self._key, key), ORDER, topic)
        return proofs.stamp(raw, self._issuer, SWARM, self._key, WORD, topic)

    def judge(self, kind: Kind, key: str, topic: str, proof: Proof | None, agent_id: str) -> str:
        if kind is Kind.HOST_CONTROL and key == self._host:
            return _must(proof, self._host, self._key, ORDER, topic)
        if kind in TO_ALL:
            return _must(proof, self._host, self._common, ORDERS, topic)
        if kind in ANSWERS:
            issuer, name, host = _speaker("" if proof is None else proof.issuer)
            if issuer == "agent" and host == self._host and name == agent_id:
                return _must(proof, SWARM, agent_key(self._key, name), WORD, topic)
            if agent_id in self._own:
                raise UnprovedError(NO_ANSWER)
        return ""


class OperatorKeyring:
    """An operator's key on another host: the dispatcher judges what it says, and passes orders on."""

    def __init__(self, name: str, key: bytes) -> None:
        self._issuer, self._key = f"operator:{name}", key

    def prove(self, kind: Kind, key: str, topic: str, raw: bytes) -> bytes:
        return proofs.stamp(raw, self._issuer, SWARM, self._key, ACT, topic)

    def judge(self, kind: Kind, key: str, topic: str, proof: Proof | None, agent_id: str) -> str:
        return ""


class SwarmKeyring:
    """The swarm's secret: it orders everybody and judges everybody. `issuer` is what its own words are signed with.

    `registry` gives the identities as they are now, `is_newer` looks again whether they are others, `guests` what those
    without one may do, `own` the agents that the layout names: nobody without their key speaks for them, also before
    they were heard.
    """

    def __init__(
        self,
        secret: bytes,
        registry: Callable[[], Registry],
        *,
        issuer: str,
        guests: str = "work",
        own: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
        is_newer: Callable[[], bool] = lambda: False,
    ) -> None:
        self._secret, self._registry, self._issuer, self._guests = secret, registry, issuer, guests
        self._is_newer = is_newer
        self._clock = clock
        self._homes: dict[str, str] = {}
        self._heard: dict[str, float] = {}
        """When each agent spoke last, with its own proof."""
        self._own = own
        self._own_key = proofs.derive(secret, "swarm")
        self._keys: dict[str, bytes] = {}
        self._agent_keys: dict[tuple[str, str], bytes] = {}
        """Keys of agents by (host, agent): to derive one costs as much as to prove with it."""
        self._lone: frozenset[str] = frozenset()
        """Agents that were added, each of which speaks for itself alone."""
        self._derived_of: Registry | None = None

    def hosts(self) -> dict[str, int]:
        """Return each live host with its generation: whom orders to all have a MAC for."""
        return dict(self._registry().hosts())

    def host(self, name: str) -> HostKeyring | None:
        """The keys of a host; None when it is none of this swarm's."""
        key = self._host_keys().get(name)
        return None if key is None else HostKeyring(name, key)

    def prove(self, kind: Kind, key: str, topic: str, raw: bytes) -> bytes:
        if kind not in JUDGED:
            return raw
        if kind is Kind.INBOX:
            agent = self._agent_key(key)
            return raw if agent is None else proofs.stamp(raw, self._issuer, key, agent, ORDER, topic)
        if kind not in TO_ALL and kind is not Kind.HOST_CONTROL:
            return proofs.stamp(raw, self._issuer, SWARM, self._own_key, WORD, topic)
        verifiers = [(SWARM, self._own_key, WORD)]
        if kind is Kind.HOST_CONTROL and (host := self._host_keys().get(key)) is not None:
            verifiers.append((key, host, ORDER))
        elif kind in TO_ALL:
            verifiers += [(name, common_key(host), ORDERS) for name, host in self._host_keys().items()]
        return _stamp(raw, self._issuer, topic, verifiers)

    def judge(self, kind: Kind, key: str, topic: str, proof: Proof | None, agent_id: str) -> str:
        if proof is None:
            return self._unproved(kind, agent_id)
        issuer, name, host = _speaker(proof.issuer)
        if not self._holds(kind, key, proof, topic) and not (
            # Whoever was added a moment ago speaks at once.
            self._is_newer() and self._holds(kind, key, proof, topic)
        ):
            raise UnprovedError(NOT_HOLDING)
        if kind is Kind.INBOX:
            return proof.issuer
        if issuer == "agent":
            if kind in IN_OWN_NAME and name != agent_id:
                raise UnprovedError(FOR_ANOTHER if agent_id else NO_VERDICT)
            self._reside(name, host)
            if kind in ORDERED:
                raise UnprovedError(NO_PROOF)
        elif issuer == "host" and not (kind is Kind.HOST_STATUS and key == name):
            return proof.issuer if kind in ASKED or kind is Kind.REPLY else self._unproved(kind, agent_id)
        elif issuer == "operator" and kind in NO_PERSONS:
            return self._unproved(kind, agent_id)
        return proof.issuer

    def _reside(self, name: str, host: str) -> None:
        """Note that the agent lives on that host. Raises UnprovedError while another host has an agent of that name.

        The swarm's own host takes the name of an agent of its own back from any other.
        """
        now, known = self._clock(), self._homes.get(name)
        if known is not None and known != host and known in self._host_keys() and now - self._heard[name] < HELD_FOR:
            at_home = host == self._registry().home and name in self._own
            if not at_home:
                raise UnprovedError(ELSEWHERE)
        self._homes[name], self._heard[name] = host, now

    def _holds(self, kind: Kind, key: str, proof: Proof, topic: str) -> bool:
        if kind is Kind.INBOX:
            return self._is_ordered(proof, key, topic)
        return self._held_by(proof, *_speaker(proof.issuer), topic)

    def _held_by(self, proof: Proof, issuer: str, name: str, host: str, topic: str) -> bool:
        hosts = self._host_keys()
        if issuer == "agent":
            if host not in hosts or (host in self._lone and name != host):
                return False
            key = self._agent_keys.get((host, name)) or self._key_on(host, name)
            return proofs.holds(proof, SWARM, key, WORD, topic)
        if issuer == "host":
            return name in hosts and proofs.holds(proof, SWARM, hosts[name], WORD, topic)
        # Whoever sits at the swarm's own host is named with it, and may have an added operator's name.
        known = self._registry().live("operator", name) if issuer == "operator" and not host else None
        if known is None:
            return proofs.holds(proof, SWARM, self._own_key, WORD, topic)
        return proofs.holds(proof, SWARM, operator_key(self._secret, name, known.generation), ACT, topic)

    def _unproved(self, kind: Kind, agent_id: str) -> str:
        """Return what may be said without a proof: reading, and what `policy.guests` allows. Raises UnprovedError."""
        if kind in ORDERED:
            raise UnprovedError(NO_VERDICT if kind in VERDICTS else NO_PROOF)
        if kind in IN_OWN_NAME and self._is_former(agent_id):
            return f"former:{agent_id}"
        if kind is Kind.TASK_ASSIGNED and not agent_id:
            raise UnprovedError(NO_VERDICT)
        if kind in TOLD:
            raise UnprovedError(NOT_TOLD)
        is_theirs = self._guests == "work" and agent_id not in self._own and agent_id not in self._homes
        if kind in IN_OWN_NAME and not is_theirs:
            raise UnprovedError(NO_ANSWER)
        if kind is Kind.REPLY:
            raise UnprovedError(NO_REPLY)
        if self._guests == "none" and kind in ASKED:
            raise UnprovedError(NO_QUESTIONS if kind is Kind.QUERY else NO_GUESTS)
        return ""

    def _is_former(self, agent_id: str) -> bool:
        """Return whether the agent runs since before there were keys."""
        return agent_id in self._registry().former and agent_id not in self._homes

    def _is_ordered(self, proof: Proof, agent_id: str, topic: str) -> bool:
        """Return whether an order to an agent holds; to one that was not heard of yet, by the key that any host has."""
        known = self._agent_key(agent_id)
        keys = [agent_key(host, agent_id) for host in self._host_keys().values()] if known is None else [known]
        return any(proofs.holds(proof, agent_id, one, ORDER, topic) for one in keys)

    def _agent_key(self, agent_id: str) -> bytes | None:
        """The key that the agent has; None for a guest, of whom no host that we know has spoken."""
        if agent_id not in self._homes and agent_id not in self._own:
            return None
        host = self._homes.get(agent_id) or self._registry().home
        return self._key_on(host, agent_id) if host in self._host_keys() else None

    def _key_on(self, host: str, agent_id: str) -> bytes:
        """The key that an agent of that name has on a live host."""
        key = self._agent_keys.get((host, agent_id))
        if key is None:
            if len(self._agent_keys) >= MANY_KEYS:
                # Names of agents are whoever's who has a host's key.
                self._agent_keys.clear()
            key = self._agent_keys[host, agent_id] = agent_key(self._keys[host], agent_id)
        return key

    def _host_keys(self) -> dict[str, bytes]:
        """Each live host's key, derived anew only when the registry is another."""
        registry = self._registry()
        if registry is not self._derived_of:
            self._keys = {name: host_key(self._secret, name, number) for name, number in registry.hosts().items()}
            self._agent_keys = {}
            self._lone = frozenset(name for name in registry.identities if registry.live("agent", name) is not None)
            self._derived_of = registry
        return self._keys


class WatcherKeyring(SwarmKeyring):
    """The keys of an agent of ours on the swarm's own host that tells others what it hears: it judges all of it.

    What it says itself is an agent's word.
    """

    def __init__(
        self,
        own: AgentKeyring,
        secret: bytes,
        registry: Callable[[], Registry],
        *,
        guests: str,
        agents: frozenset[str],
        is_newer: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(secret, registry, issuer="", guests=guests, own=agents, is_newer=is_newer)
        self._speaks = own

    def prove(self, kind: Kind, key: str, topic: str, raw: bytes) -> bytes:
        return self._speaks.prove(kind, key, topic, raw)


def _must(proof: Proof | None, verifier: str, key: bytes, purpose: str, topic: str) -> str:
    """The issuer of a proof that holds. Raises UnprovedError for any other, and for none."""
    if proof is None:
        raise UnprovedError(NO_PROOF)
    if not proofs.holds(proof, verifier, key, purpose, topic):
        raise UnprovedError(NOT_HOLDING)
    return proof.issuer
