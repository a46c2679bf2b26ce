"""Ask the kernel who runs us, on which machine, and where that person's home is.

Whatever USER, LOGNAME and HOME say or do not say.
"""

import os
from collections.abc import Mapping
from pathlib import Path

#: The base folders that we use, and what each of them is in a home where the environment names no other.
_BASES = {"XDG_STATE_HOME": ".local/state", "XDG_CONFIG_HOME": ".config"}


def user_name() -> str:
    """Return the name of the user whose rights we have; the number where no name belongs to it."""
    name = _entry("pw_name")
    return name or str(os.geteuid())


def host_name() -> str:
    """Return this machine's short name, without its domain."""
    import socket  # Many processes never ask.

    return socket.gethostname().split(".")[0] or "localhost"


def home() -> Path:
    """Return the home: HOME, else the user's own; `/`, which refuses what is written, where there is none."""
    said = os.environ.get("HOME", "")
    return Path(said if said.startswith("/") else _entry("pw_dir") or "/")


def base_folder(variable: str, environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder that `variable` (of XDG's) names; the usual one where it names none, or not from the root on.

    Its specification wants a relative one ignored: it would be another folder wherever a command is called.
    """
    said = (os.environ if environ is None else environ).get(variable, "")
    return Path(said) if said.startswith("/") else home() / _BASES[variable]


def ignored_folders(environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each base folder that the environment names in vain."""
    return [
        f"{variable} is {said[:200]!r}, which is no absolute path, so {base_folder(variable, environ)} is used"
        for variable in _BASES
        if (said := environ.get(variable, "")) and not said.startswith("/")
    ]


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
