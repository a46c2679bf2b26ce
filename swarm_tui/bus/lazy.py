"""Importing paho without what it never uses here: a third of its start is `urllib.request`, for proxies."""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """Stands for a module until someone wants something of it; importlib's own lazy module loads at its import."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), attribute)


def defer(name: str) -> None:
    """Let the module `name` load at its first use instead of at its import; nothing when it is loaded already."""
    if name in sys.modules or find_spec(name) is None:
        return
    module = _Deferred(name)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
