"""`~` and `~user` at the beginning of a path."""

import os
from pathlib import Path


def at_home(name: str) -> Path:
    """`name` with its `~` filled in; one of a user who is not there stays, and is then no path that is found."""
    return Path(os.path.expanduser(name))


def homeless(name: str) -> str:
    """A sentence when `name` begins in the home of nobody; else empty."""
    if not name.startswith("~") or os.path.expanduser(name) != name:
        return ""
    who = name.partition("/")[0]
    return f"`{who}` is nobody's home here: write `./{who}` for a folder of that name"
