"""Importing paho without what it never uses here: a third of its start is `urllib.request`, for proxies."""

import importlib.util
import sys


def defer(name: str) -> None:
    """Let the module `name` load at its first use instead of at its import; nothing when it is loaded already."""
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
