"""Parties of other versions of swarm-tui, known by what they say: a sentence on each that cannot be understood.

It is a guess, for whoever proves nothing may call itself anything: nothing follows from it but what people read.
"""

from typing import Any

from swarm_tui.protocol.proof import looks_proved, split
from swarm_tui.protocol.topics import COMMANDS, Kind

#: The version of the envelope that we write and read.
WIRE = 1
#: Name of the one alert that tells of another version.
OTHER_VERSION = "another-version"


def other_version(kind: Kind, who: str, raw: bytes, body: dict[str, Any], payload: dict[str, Any]) -> str:
    """Return why the message of `who` may prove nothing to us, and what to do; empty where nothing tells.

    `body` is its whole object, `payload` what is said in it.
    """
    wire, version = body.get("v"), payload.get("version")
    if isinstance(wire, int) and wire > WIRE:
        return f"{who} speaks version {wire} of the wire, and {WIRE} is read here: bring this side to its version"
    if looks_proved(raw):
        if split(raw) is None:
            return f"{who} proves in a form that is not known here: it is of a newer version, or the message is damaged"
        return ""
    if isinstance(version, str) and version:
        host = payload.get("host") if kind is Kind.STATUS else None
        where = f" on {host}" if isinstance(host, str) and host else ""
        return (
            f"{who}{where} is of version {version} and proves nothing, so nothing that it says counts: bring its host "
            "to this version, by `swarm-tui up --renew` there (another host needs its join file)"
        )
    if kind is Kind.DISPATCHER:
        return (
            "a dispatcher claims to lead and proves nothing: one of a version before 0.2, or a stranger; "
            "`swarm-tui up --renew` on its host brings it to this version"
        )
    if kind in COMMANDS and body.get("role") == "operator":
        return (
            f"{who} orders and proves nothing: by a version before 0.2, or without a key; order by this version, from "
            "another host with `--identity FILE`"
        )
    return ""
