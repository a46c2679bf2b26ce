"""How many examples a property is tried with: all of them in `make test`, some of them in `make quick`."""

from typing import Any

from hypothesis import HealthCheck, settings

#: The profile of `make quick`, and how many examples a property is tried with there that does not say.
QUICK, FEW = "quick", 20
_ALL = 100
#: How long an example takes says how busy the machine is, and no more.
_ANY_PACE: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile(QUICK, max_examples=FEW, **_ANY_PACE)
# Before pytest heeds `--hypothesis-profile`, which replaces it.
settings.register_profile("whole", max_examples=_ALL, **_ANY_PACE)
settings.load_profile("whole")


def examples(most: int) -> int:
    """Return how many of `most` examples, or seeds, this run tries: as many of them as its profile does of 100."""
    return max(1, most * settings.default.max_examples // _ALL)
