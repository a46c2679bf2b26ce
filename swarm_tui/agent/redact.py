"""Secrets kept out of what an agent says and prints."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIAL|ACCESS_?KEY", re.IGNORECASE)
#: Shorter values would blank out ordinary words.
_SHORTEST = 6


class Redactor:
    """Replaces the values of secret variables by `***`, in text and in JSON values."""

    def __init__(self, environ: Mapping[str, str], more: Iterable[str | None] = ()) -> None:
        values = [value for name, value in environ.items() if _SECRET_NAME.search(name)]
        values += [value for value in more if value]
        known = sorted({value for value in values if len(value) >= _SHORTEST}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        return self._pattern.sub("***", text) if self._pattern is not None else text

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets in its strings."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(name): self.value(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value
