"""An agent's RunSpec as a file: 0600, because the broker's password is in it."""

from contextlib import suppress
from pathlib import Path

import msgspec

from swarm_tui.config.errors import ConfigError, whole_file
from swarm_tui.config.files import write_private
from swarm_tui.config.model import RunSpec


def write_spec(path: Path, spec: RunSpec) -> None:
    """Write the spec, 0600, in one step. Raises OSError."""
    write_private(path, msgspec.json.encode(spec))


def keep_spec(path: Path, spec: RunSpec) -> None:
    """Write the spec where the file does not hold it already. Raises OSError."""
    with suppress(ConfigError):
        if read_spec(path) == spec:
            return
    write_spec(path, spec)


def read_spec(path: Path) -> RunSpec:
    """Read a spec. Raises ConfigError when it is missing or is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunSpec)
    except OSError as error:
        raise whole_file(str(path), f"cannot be read: {error.strerror or error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise whole_file(str(path), f"is no agent's spec: {error}") from None
