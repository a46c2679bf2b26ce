"""The page at `/`: the swarm at a glance, live over the same WebSocket; what comes from outside is never markup."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

_FOLDER = Path(__file__).parent / "assets"
_STYLE = (_FOLDER / "page.css").read_text("utf-8")
_SCRIPT = (_FOLDER / "page.js").read_text("utf-8")

PAGE = (_FOLDER / "index.html").read_text("utf-8").replace("/*style*/", _STYLE).replace("/*script*/", _SCRIPT)


def _hash(text: str) -> str:
    return "'sha256-" + b64encode(sha256(text.encode()).digest()).decode() + "'"


PAGE_POLICY = (
    f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
