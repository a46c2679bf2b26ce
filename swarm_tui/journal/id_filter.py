"""A filter of the ids that a table may hold: to ask it for one that is not there costs each new task a read."""

_BITS = 2**23


class IdFilter:
    """A Bloom filter of a mebibyte: what it does not hold was never added; of a million ids, it takes one other in
    twenty for one of them."""

    def __init__(self) -> None:
        self._bits = bytearray(_BITS // 8)

    def add(self, name: str) -> None:
        for at in _places(name):
            self._bits[at >> 3] |= 1 << (at & 7)

    def may_hold(self, name: str) -> bool:
        """False: it was never added."""
        return all(self._bits[at >> 3] & 1 << (at & 7) for at in _places(name))


def _places(name: str) -> tuple[int, int]:
    number = hash(name)
    return number % _BITS, (number >> 32) % _BITS
