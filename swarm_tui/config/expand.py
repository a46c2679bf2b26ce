"""`${VAR}` and `${VAR:-default}` in the values of a file."""

import re
from collections.abc import Callable, Mapping

_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(:-((?:[^{}])*))?\}|\$\{")


def expand(text: str, environ: Mapping[str, str], mistake: Callable[[str], None]) -> str:
    """`text` with its variables filled in.

    `$VAR` without braces stays as it is, `$${` is a literal `${`; an empty variable takes the default, as in a shell.
    `mistake` is told of a variable that is not set and has no default, and of a `${` that is no reference.
    """

    def fill(match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        name, default = match.group(1), match.group(3)
        if name is None:
            mistake("`${` without a variable's name and `}`; write `$${` for a literal `${`")
            return ""
        value = environ.get(name)
        if match.group(2) is not None:
            return value or default
        if value is None:
            mistake(f"${{{name}}} is not set; export {name}, or write ${{{name}:-default}}")
            return ""
        return value

    return _REFERENCE.sub(fill, text) if "${" in text else text
