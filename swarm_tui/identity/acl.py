"""The rights of each identity on a broker: one table, which mosquitto, AWS IoT and NATS get in their words."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from swarm_tui.protocol.kind_groups import ACTS, OF_WORK, PRESENCE, WISHES
from swarm_tui.protocol.names import swarm_hash
from swarm_tui.protocol.topics import TRIALS, Kind

Guests = Literal["none", "publish", "work"]

#: What guests may do, in words.
GUESTS_MAY: dict[str, str] = {
    "none": "do nothing",
    "publish": "read and publish tasks",
    "work": "read, publish tasks, and work on what is offered to them",
}


def told(guests: str | None) -> str:
    """Return in a few words how a swarm is guarded: `guests` is its policy, None where nothing is proved in it."""
    if guests not in GUESTS_MAY:
        return "unguarded"
    return "closed" if guests == "none" else f"open to guests: {guests}"


_ANSWERS = (Kind.TASK_ASSIGNED, *OF_WORK)
_ORDERS = (*ACTS, Kind.BROADCAST, Kind.INBOX, Kind.STATUS)
_BESIDES = (Kind.DEPLOYMENT_STATUS, Kind.ALERT)


class Grant(Struct, frozen=True):
    """The MQTT filters, whole topics with their swarm, that somebody may publish to and read."""

    write: tuple[str, ...]
    read: tuple[str, ...]


def _filters(swarm: str, kinds: Sequence[Kind], own: str = "+") -> tuple[str, ...]:
    return tuple(f"{swarm}/{kind.value.replace('+', own)}" for kind in kinds)


def grant(swarm: str, kind: str, name: str = "", *, guests: Guests = "work") -> Grant:
    """Return what the identity `name` of `kind` (swarm, host, agent, foreign, operator, guest) may do in `swarm`.

    A `foreign` one is an agent that knows only another dialect.

    The broker's rules are the outer fence: they know topics, not payloads. Proofs decide within them.
    """
    everything = (f"{swarm}/#",)
    trials = (f"{swarm}/{TRIALS}/#",)
    if kind == "swarm":
        return Grant(everything, everything)
    if kind == "host":
        own = _filters(swarm, (Kind.HOST_STATUS,), name) + _filters(swarm, (Kind.STATUS, Kind.INBOX, Kind.REPLY))
        shared = _filters(swarm, (*PRESENCE, *_ANSWERS, *WISHES, *_BESIDES, Kind.QUERY))
        return Grant(own + shared + trials + (f"{swarm}/_a/#",), everything)
    if kind == "foreign":
        return Grant((f"{swarm}/_a/{name}/#",), (f"{swarm}/_a/{name}/#",))
    if kind == "agent":
        # Monitoring answers who asks for the past, the gateway asks.
        shared = _filters(swarm, (*PRESENCE, *_ANSWERS, *WISHES, *_BESIDES, Kind.QUERY, Kind.REPLY))
        return Grant(_filters(swarm, (Kind.STATUS,), name) + shared, everything)
    if kind == "operator":
        return Grant(_filters(swarm, (*WISHES, *_ORDERS, Kind.QUERY)) + trials, everything)
    if guests == "none":
        return Grant((), ())
    if guests == "publish":
        return Grant(_filters(swarm, (*WISHES, Kind.QUERY)) + trials, everything)
    # A guest keeps no record of conversations here, and a policy of AWS has no room for a filter more.
    answers = [kind for kind in _ANSWERS if kind is not Kind.TASK_USAGE]
    shared = _filters(swarm, (*WISHES, Kind.QUERY, *PRESENCE, Kind.STATUS, *answers, *_BESIDES))
    return Grant(shared + trials + (f"{swarm}/_a/#",), everything)


def mosquitto(users: Sequence[tuple[str, Grant]], guests: Grant) -> str:
    """A mosquitto ACL file: what anonymous clients may do first, then each user."""
    lines = [*mosquitto_rules(guests)]
    for user, granted in users:
        lines += ["", f"user {user}", *mosquitto_rules(granted)]
    return "\n".join([*lines, ""])


def mosquitto_rules(granted: Grant) -> list[str]:
    """The lines of a mosquitto ACL file for one who has the grant."""
    return [f"topic write {one}" for one in granted.write] + [f"topic read {one}" for one in granted.read]


def aws(granted: Grant, swarm: str, *, region: str = "*", account: str = "*") -> str:
    """An AWS IoT policy of `swarm`, JSON: connecting under our client ids, and what is granted.

    A policy holds at most 2,048 characters that are no space.
    """
    arn = f"arn:aws:iot:{region}:{account}"
    # The ids of short visits hold no swarm.
    clients = [f"*{swarm_hash(swarm)}*", "visit-*"]
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": [f"{arn}:client/{one}" for one in clients]},
        {
            "Effect": "Allow",
            "Action": ["iot:Publish", "iot:RetainPublish"],
            "Resource": [f"{arn}:topic/{_aws(one)}" for one in _brief(granted.write, swarm)],
        },
        {
            "Effect": "Allow",
            "Action": "iot:Subscribe",
            "Resource": [f"{arn}:topicfilter/{one.removesuffix('#')}*" for one in granted.read],
        },
        {"Effect": "Allow", "Action": "iot:Receive", "Resource": [f"{arn}:topic/{_aws(one)}" for one in granted.read]},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": [s for s in statements if s["Resource"]]}, indent=2)


def _brief(patterns: Sequence[str], swarm: str) -> list[str]:
    """The filters, with one for a whole branch in place of all that is in it; of mail and runs in any case.

    What of those is another's word is told from it by its proof.
    """
    found = list(patterns)
    for name, whole in (("agents", True), ("deployment", True), ("messages", False), ("paths", False), ("runs", False)):
        branch = f"{swarm}/{name}/"
        inside = {pattern for pattern in found if pattern.startswith(branch)}
        every = {f"{swarm}/{kind.value}" for kind in Kind if f"{swarm}/{kind.value}".startswith(branch)}
        if every <= inside or (len(inside) > 1 and not whole):
            found = [*(one for one in found if one not in inside), f"{branch}#"]
    return found


def _aws(pattern: str) -> str:
    """A filter as the wildcard of an AWS resource: its `*` stands for any text, slashes too."""
    return pattern.replace("+", "*").replace("#", "*")


def nats(granted: Grant) -> str:
    """A NATS `permissions` block; its subjects have dots where topics have slashes."""
    shown = {
        "publish": [_nats(one) for one in granted.write],
        "subscribe": [_nats(one) for one in granted.read],
    }
    return "permissions: " + json.dumps(shown, indent=2)


def _nats(pattern: str) -> str:
    # A dot within a level travels as `//` there, as NATS maps topics.
    levels = [level.replace(".", "//") for level in pattern.split("/")]
    return ".".join({"+": "*", "#": ">"}.get(level, level) for level in levels)
