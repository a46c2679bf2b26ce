"""Small private files, written whole or not at all."""

import os
from contextlib import contextmanager, suppress
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def remove(path: Path) -> None:
    """Remove whatever is there under that name, as far as that can be done."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        from shutil import rmtree  # Only what is damaged needs it.

        rmtree(path, ignore_errors=True)


@contextmanager
def named(path: Path) -> "Iterator[None]":
    """Have an OSError name the file: the kernel names none when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_private(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, 0600, in one step; its folder is made 0700. Raises OSError."""
    with named(path):
        _replace(path, data)


def _replace(path: Path, data: bytes) -> None:
    from tempfile import mkstemp  # It brings much along, and most agents never write.

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_dir():
        remove(path)
    handle, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
