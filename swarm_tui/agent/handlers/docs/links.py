"""Finds links in Markdown that point at nothing in the project: files that are not there, headings that no page has."""

import itertools
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from swarm_tui.agent.handlers.findings import Finding

if TYPE_CHECKING:
    from markdown_it.token import Token

#: A tag of HTML, and an attribute in one. Each begins where no other can, so that neither is tried twice on a text.
_TAG = re.compile(r"""<([A-Za-z][A-Za-z0-9-]*+)((?:[^<>"']++|"[^"]*+"|'[^']*+')*+)>""")
_ATTRIBUTE = re.compile(r"""(?<![\w:.-])([\w:.-]++)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""")
#: Attributes that point somewhere, by tag; `srcset` holds several, each with a size after a space.
_POINTERS = {
    "a": ("href",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "link": ("href",),
    "object": ("data",),
}


def broken_links(root: Path, page: str, text: str) -> Iterator[Finding]:
    """Give each broken local link of `page` (relative to `root`) on its line; links to elsewhere are not followed."""
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
    """Give (line, target) of each link and image, in Markdown and in HTML within it."""
    for token in _tokens(text):
        if token.map is None:
            continue
        line = token.map[0] + 1
        if token.type == "html_block":
            yield from _html_links(token.content, line)
        for child in token.children or []:
            if child.type in ("softbreak", "hardbreak"):
                line += 1
            elif child.type == "html_inline":
                yield from _html_links(child.content, line)
                line += child.content.count("\n")
            elif child.type in ("link_open", "image"):
                target = child.attrGet("href") if child.type == "link_open" else child.attrGet("src")
                yield line, str(target)


def _tokens(text: str) -> "list[Token]":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").parse(text)


def _html_links(html: str, first: int) -> Iterator[tuple[int, str]]:
    for tag, attributes, start in _tags(html):
        for name in _POINTERS.get(tag, ()):
            value = attributes.get(name)
            if value is None:
                continue
            targets = [part.split()[0] for part in value.split(",") if part.strip()] if name == "srcset" else [value]
            for target in targets:
                yield first + html.count("\n", 0, start), target.strip()


def _tags(html: str) -> Iterator[tuple[str, dict[str, str], int]]:
    """Give (name, attributes, place) of each opening tag outside of comments."""
    at = 0
    while (match := _TAG.search(html, at)) is not None:
        comment = html.find("<!--", at, match.start())
        if comment >= 0:
            end = html.find("-->", comment)
            if end < 0:
                return
            at = end + 3
            continue
        at = match.end()
        found = {m[1].lower(): unescape(m[2] or m[3] or m[4] or "") for m in _ATTRIBUTE.finditer(match[2])}
        yield match[1].lower(), found, match.start()


def anchors(text: str) -> set[str]:
    """Return the names that links to places of a page use: its headings', as forges make them, and its HTML's own."""
    found: set[str] = set()
    seen: dict[str, int] = {}
    tokens = _tokens(text)
    for opening, inline in itertools.pairwise([*tokens, *tokens[-1:]]):
        for html in [opening, *(opening.children or [])]:
            if html.type in ("html_block", "html_inline"):
                for _, attributes, _ in _tags(html.content):
                    found |= {attributes[name].lower() for name in ("id", "name") if attributes.get(name)}
        if opening.type == "heading_open":
            words = "".join(child.content for child in inline.children or [] if child.type != "html_inline")
            name = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
            number = seen.get(name, 0)
            seen[name] = number + 1
            found.add(f"{name}-{number}" if number else name)
    return found
