"""Finds links in Markdown that point at nothing in the project: files that are not there, headings that no page has."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from swarm_tui.agent.handlers.findings import Finding

_ANCHOR_TAG = re.compile(r"""<a\s[^>]*?(?:id|name)=["']([^"']+)["']""")


def broken_links(root: Path, page: str, text: str) -> Iterator[Finding]:
    """Each broken local link of `page` (relative to `root`) on its line; links to elsewhere are not followed."""
    for line, target in _links(text):
        reason = _why_broken(root.resolve(), root.resolve() / page, text, target)
        if reason is not None:
            yield Finding(file=page, line=line, severity="error", code="broken-link", message=reason, tool="docs")


def _why_broken(root: Path, page: Path, text: str, target: str) -> str | None:
    try:
        parts = urlsplit(target)
    except ValueError:
        return f"{target} is no link"
    if parts.scheme or parts.netloc:
        return None
    path, anchor = unquote(parts.path), unquote(parts.fragment)
    # On a forge a leading slash is the repository's own root.
    full = root / path.lstrip("/") if path.startswith("/") else page.parent / path
    if not path:
        full = page
    try:
        full = full.resolve()
        there = full == page or full.exists()
    except (OSError, ValueError, RuntimeError):
        return f"{target[:200]} is no path"
    if not full.is_relative_to(root):
        return f"{target} leads out of the project"
    if not there:
        return f"{target} is not there"
    if anchor and full.suffix == ".md" and full.is_file():
        body = text if full == page else full.read_text("utf-8", "replace")
        if anchor.lower() not in anchors(body):
            return f"{target}: no heading of that name"
    return None


def _links(text: str) -> Iterator[tuple[int, str]]:
    """(line, target) of each link and image."""
    from markdown_it import MarkdownIt

    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type != "inline" or token.map is None:
            continue
        line = token.map[0] + 1
        for child in token.children or []:
            if child.type in ("softbreak", "hardbreak"):
                line += 1
            elif child.type in ("link_open", "image"):
                target = child.attrGet("href") if child.type == "link_open" else child.attrGet("src")
                yield line, str(target)


def anchors(text: str) -> set[str]:
    """The names that links to a page's headings use, as forges make them."""
    from markdown_it import MarkdownIt

    found: set[str] = {name.lower() for name in _ANCHOR_TAG.findall(text)}
    seen: dict[str, int] = {}
    tokens = MarkdownIt("commonmark").parse(text)
    for opening, inline in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            words = "".join(child.content for child in inline.children or [])
            name = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
            number = seen.get(name, 0)
            seen[name] = number + 1
            found.add(f"{name}-{number}" if number else name)
    return found
