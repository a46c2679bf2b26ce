"""Ask the kernel who runs us and where that person's home is, whatever USER, LOGNAME and HOME say or do not say."""

import os
from pathlib import Path


def user_name() -> str:
    """Return the name of the user whose rights we have; the number where no name belongs to it."""
    name = _entry("pw_name")
    return name or str(os.geteuid())


def home() -> Path:
    """Return the home: HOME, else the user's own; `/`, which refuses what is written, where there is none."""
    return Path(os.environ.get("HOME") or _entry("pw_dir") or "/")


def at_home(name: str) -> Path:
    """Return `name` with its `~` filled in; one of a user who is not there stays, and is then no path that is found."""
    if name == "~" or name.startswith("~/"):
        return home() / name[2:]
    return Path(os.path.expanduser(name))


def homeless(name: str) -> str:
    """Return a sentence when `name` begins in the home of nobody; else empty."""
    if not name.startswith("~") or str(at_home(name)) != name:
        return ""
    who = name.partition("/")[0]
    return f"`{who}` is nobody's home here: write `./{who}` for a folder of that name"


def _entry(field: str) -> str:
    """Return a field of our user's entry in the password file; empty when there is no entry, or no such file."""
    try:
        import pwd  # Many processes never ask.

        return str(getattr(pwd.getpwuid(os.geteuid()), field))
    except (ImportError, KeyError):
        return ""
