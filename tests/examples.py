"""How many examples a property is tried with: all of them in `make test`, some of them in `make quick`."""

from hypothesis import settings

#: The profile of `make quick`, and how many examples a property is tried with there that does not say.
QUICK, FEW = "quick", 20
_ALL = 100
settings.register_profile(QUICK, max_examples=FEW, deadline=None)


def examples(most: int) -> int:
    """Return how many of `most` examples, or seeds, this run tries: as many of them as its profile does of 100."""
    return max(1, most * settings.default.max_examples // _ALL)
