"""Bounded keepers of a program's output."""

from collections.abc import Callable

from swarm_tui.protocol.text import as_read, clean_block

#: Bytes of one line; a longer one is passed on cut.
LINE_LIMIT = 4_000_000
#: Bytes of one line beyond which a block ends before the line does.
BLOCK_LIMIT = 64 * 1024


class Capped:
    """Keeps the first and the last half of `limit` bytes, and says how many it left out between."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, chunk: bytes) -> None:
        room = self._half - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:] if room > 0 else chunk
        over = len(self._tail) - self._half
        # Trimmed in big steps: a trim for each chunk would copy the tail each time.
        if over > self._half:
            del self._tail[:over]
            self._dropped += over

    @property
    def truncated(self) -> bool:
        return self._dropped > 0 or len(self._tail) > self._half

    def text(self, errors: str = "replace") -> str:
        """Return what was kept, as text; bytes that are no UTF-8 are replaced, or kept with `surrogateescape`."""
        tail = self._tail[-self._half :]
        dropped = self._dropped + len(self._tail) - len(tail)
        between = f"\n[… {dropped} bytes left out …]\n".encode() if dropped else b""
        return (bytes(self._head) + between + bytes(tail)).decode("utf-8", errors)


class Lines:
    """Cuts a stream of bytes into lines and hands each on as text."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = bytearray()

    def add(self, chunk: bytes) -> None:
        self._rest += chunk
        if b"\n" in chunk:
            *whole, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
            for line in whole:
                self._on_line(line.decode("utf-8", "replace"))
        elif len(self._rest) > LINE_LIMIT:
            self._on_line(self._rest.decode("utf-8", "replace"))
            self._rest.clear()

    def end(self) -> None:
        if self._rest:
            self._on_line(self._rest.decode("utf-8", "replace"))
            self._rest.clear()


class LineBlocks:
    """Cuts a stream of bytes after its last whole line, and hands on blocks of lines as text."""

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self._rest = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take bytes; a line of more than 64 KiB is handed on before it ends."""
        self._rest += chunk
        end = self._rest.rfind(b"\n") + 1
        if not end and len(self._rest) > BLOCK_LIMIT:
            end = len(self._rest)
        if end:
            block = bytes(self._rest[:end])
            del self._rest[:end]
            self._on_text(block.decode("utf-8", "replace"))

    def end(self) -> None:
        """Hand on the last line, which has no end."""
        if self._rest:
            self._on_text(self._rest.decode("utf-8", "replace") + "\n")
            self._rest.clear()


def as_shown(text: str) -> str:
    """Return a program's output as a person reads it on a terminal: no colours, no orders, no control characters."""
    return clean_block("\n".join(as_read(line).rstrip() for line in text.split("\n")))


def quoted(text: str, *, lines: int = 12, limit: int = 2000) -> str:
    """Return the last `lines` of a program's output, at most `limit` characters, as an error message quotes them."""
    # Orders to a terminal are many characters that nobody sees: it is cut behind them.
    shown = as_shown(text[-16 * limit :]).strip()[-limit:]
    return "\n".join([line for line in shown.split("\n") if line.strip()][-lines:])
