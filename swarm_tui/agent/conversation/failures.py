"""Failures of a conversation: what a CLI said, as one of a few codes, a sentence, and whether a retry helps. Pure."""

import re
from typing import Any

from msgspec import Struct

from swarm_tui.agent.conversation.reset_times import reset_time


class Failure(Struct, frozen=True, kw_only=True):
    """A failure's code, its sentence, and whether another attempt may do better."""

    code: str
    sentence: str
    retryable: bool = False

    def retry_at(self, now: float) -> float | None:
        """Return when the limit is reset that is used up, in seconds since the epoch; None where it does not say."""
        return reset_time(self.sentence, now) if self.code == "quota" else None


#: Code to what a person is told to do, and whether a retry helps.
_CODES: dict[str, tuple[str, bool]] = {
    "authentication": ("it is not logged in, or its key is not accepted: set the key, or log in once by hand", False),
    "quota": ("its quota or rate limit is used up: it works again later", True),
    "overload": ("the model's server is overloaded or failed: it works again later", True),
    "model-missing": ("the model is not known there: name another with `model`", False),
    "refused": ("the model or a rule refused it", False),
    "limit": ("a limit that the layout or the task sets is reached", False),
    "context-full": ("the conversation no longer fits the model: begin a new one with less", False),
    "network": ("the model's server cannot be reached: look at the network and the proxy", True),
    "stopped": ("a person interrupted it at its terminal, and said nothing more", False),
    "loop": ("it goes round in circles", False),
    "unpaid": ("what its killed conversation took is not known, and the task's budget asks for that first", True),
    "silent": ("it said nothing for too long", True),
    "agent-cli": ("it failed", False),
}
#: First match counts: what is more special stands before what is more general.
_SIGNS: tuple[tuple[str, str], ...] = (
    (r"context.{0,20}(length|window|full|exceed)|prompt is too long|too many tokens|maximum context", "context-full"),
    (r"max(imum)?[_ ](number of )?turns|max_budget|budget.{0,20}exceeded|turn limit", "limit"),
    (r"\b401\b|\b403\b|unauthori[sz]ed|authenticat|api[_ ]?key|\blog ?in\b|logged in|credential|permission_error",
     "authentication"),
    (r"model.{0,60}(not found|does not exist|not exist|unknown|not supported|may not)|\bno such model|unknown model"
     r"|\b404\b", "model-missing"),
    (r"\b529\b|overloaded|server_error|\b50[0-4]\b|internal server|service unavailable|high demand|bad gateway",
     "overload"),
    (r"\b429\b|rate.?limit|quota|usage limit|hit your .{0,20}limit|limit reached|limit will reset|too many requests"
     r"|resource.?exhausted|credit balance|insufficient.{0,12}(quota|credit|balance|funds)", "quota"),
    (r"econn|enotfound|etimedout|eai_again|network|fetch failed|connection (error|refused|reset|closed)|socket"
     r"|dns|unable to connect|error sending request|disconnected|stream (closed|ended|error)|^terminated$"
     r"|timed? ?out", "network"),
)  # fmt: skip
_COMPILED = tuple((re.compile(sign, re.IGNORECASE), code) for sign, code in _SIGNS)


def failure(code: str, said: str = "") -> Failure:
    """Return the failure of that code, with the words of the CLI."""
    what, retryable = _CODES[code]
    return Failure(code=code, sentence=f"{what} ({said})" if said else what, retryable=retryable)


def read_error(words: str, *, code: int | None = None, kind: str = "") -> Failure:
    """Return what an error means: `code` is JSON-RPC's or HTTP's, `kind` the CLI's own word for it."""
    said = " ".join(words.split())[:600]
    if code in (-32000, 401, 403):
        return failure("authentication", said)
    if code in (429, 529, 502, 503, 504):
        return failure("quota" if code == 429 else "overload", said)
    # Its own words say more than the kind under which it files them.
    for text in (said, kind):
        for sign, name in _COMPILED:
            if text and sign.search(text):
                return failure(name, said)
    # Some say 500 of whatever went wrong: their words count before it does.
    return failure("overload" if code == 500 else "agent-cli", said)


#: What the adapters of some CLIs file a failure under, in words that say the same here.
_FILED = {"limit": "rate limit", "access": "unauthorized", "service": "overloaded", "connection": "network"}


def told_failure(meta: Any) -> tuple[str, bool, Failure] | None:
    """Return what `_meta` of an update or an answer tells of a failure: its words, whether it is tried again, its code.

    None where it tells of none.
    """
    for part in meta.values() if isinstance(meta, dict) else ():
        if not isinstance(part, dict):
            continue
        error, air = part.get("error"), part.get("air")
        failed = air.get("sessionFailure") if isinstance(air, dict) else None
        if isinstance(failed, dict) and isinstance(title := failed.get("title"), str):
            filed = _FILED.get(str(failed.get("category")))
            if filed is None:
                continue
            words = "; ".join(filter(None, (title, str(failed.get("details") or ""))))
            return words, failed.get("severity") == "warning", read_error(words, kind=filed)
        if isinstance(error, dict) and isinstance(message := error.get("message"), str):
            words = "; ".join(filter(None, (message, str(error.get("additionalDetails") or ""))))
            return words, bool(error.get("willRetry")), read_error(words)
    return None


def read_rpc(code: int, message: str, data: Any) -> Failure:
    """Return what a JSON-RPC error means: its `data` often says more than its message."""
    kind, details = "", ""
    if isinstance(data, dict):
        kind = str(data.get("errorKind") or data.get("codexErrorInfo") or "")
        details = _words(data)
    elif data is not None:
        details = str(data)
    if details and details not in message:
        message = details if message in ("Internal error", "") else f"{message}: {details}"
    return read_error(message, code=code, kind=kind)


def _words(data: dict[str, Any]) -> str:
    found = []
    for name in ("message", "details", "error", "reason"):
        value = data.get(name)
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, str) and value and value not in found:
            found.append(value)
    return "; ".join(found)


def is_error_text(text: str) -> Failure | None:
    """Return the failure that an answer's text tells of, where it ends as one; None for any other answer."""
    short = text.strip()
    if not short or len(short) > 2000:
        return None
    begins = re.search(
        r"(^|\n)\s*(?:⚠️?|■|API Error|Error:|error:|unexpected status|exceeded retry|stream (?:error|disconnected)"
        r"|We're currently|(?:Claude (?:AI )?|Your |[0-9]+-hour )(?:usage )?limit|Request failed|Selected model is"
        r"|You(?:'ve| have) hit)",
        short,
    )
    if begins is None:
        return None
    return read_error(short[begins.start() :])


def of_rpc(error: Exception) -> Failure:
    """Return what a request's error means: the CLI's own, or one of the way to it."""
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return read_rpc(code, str(error), getattr(error, "data", None))
    return failure("agent-cli", f"{type(error).__name__}: {error}")
