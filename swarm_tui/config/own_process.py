"""Build the command lines of our own processes: what lies in the folder they start in is on no import path of theirs.

`-P` and not PYTHONSAFEPATH, which the programs of people's handlers would inherit.
"""

import os
import sys
from collections.abc import Mapping


def own_argv(module: str, *words: str) -> list[str]:
    """Return the command line that runs `module` of our package, whatever a project's folder has by that name."""
    return [sys.executable, "-P", "-m", module, *words]


def import_path(environ: Mapping[str, str]) -> dict[str, str]:
    """Return PYTHONPATH as our processes get it: without empty and relative entries, which mean the folder they run in.

    Empty when there is nothing to pass on.
    """
    entries = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(entry)]
    return {"PYTHONPATH": os.pathsep.join(entries)} if entries else {}
