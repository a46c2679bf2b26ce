"""The door's rules: the right name, no foreign page, and the token. Pure, so that each rule is tested alone."""

import hmac
from urllib.parse import urlsplit

from msgspec import Struct

from swarm_tui.agent.roles.api_gateway.settings import DoorSettings, is_loopback

#: Served to anybody who reaches the door by its right name: they show nothing of the swarm.
PUBLIC = frozenset({"/healthz", "/openapi.json"})


class Visit(Struct, frozen=True, kw_only=True):
    """A request's words of itself; `peer` is the address it comes from."""

    path: str
    peer: str
    host: str
    upgrade: bool = False
    answers: bool = False
    """It speaks for a person: what an AI agent asks is answered, mail is written, a run or a schedule acted on."""
    origin: str | None = None
    authorization: str | None = None
    query_token: str | None = None


def refuse(visit: Visit, settings: DoorSettings, token: str) -> tuple[int, str] | None:
    """Return the status and the reason of a refusal; None when it may pass."""
    name = _name(visit.host)
    if name not in settings.hosts:
        # A page of another site whose name now points here (DNS rebinding) comes with its own name.
        return 421, "this door is not reached by that name: list it in SWARM_HTTP_HOSTS"
    if visit.origin is not None and not _own_page(visit, settings):
        return 403, "a page of another origin may not call: list its origin in SWARM_HTTP_ORIGINS"
    if visit.path in PUBLIC or (visit.path == "/" and not visit.upgrade):
        return None
    if settings.open_to_loopback and is_loopback(visit.peer) and not visit.answers:
        return None
    if _is_token(_bearer(visit.authorization) or visit.query_token, token):
        return None
    # An AI agent reaches this door over loopback as anybody does, and must not say yes to itself.
    why = " to speak for a person" if visit.answers else ""
    return 401, f"a bearer token is needed{why}: it is in the gateway's token file"


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _own_page(visit: Visit, settings: DoorSettings) -> bool:
    origin = (visit.origin or "").lower()
    return origin in settings.origins or origin in (f"http://{visit.host.lower()}", f"https://{visit.host.lower()}")


def _bearer(header: str | None) -> str | None:
    kind, _, value = (header or "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else None


def _is_token(given: str | None, token: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
