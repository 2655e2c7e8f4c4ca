"""
Files that the docs name and that are not in docs/: as pages of the site.

The docs are written for whoever reads them in a checkout, so they lead to `../CONTRIBUTING.md` or
`../examples/ray_embed.py`. The site has each of these as a page below project/, and its links lead there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

DOCS: Final = "docs"
PROJECT: Final = "project"
PICTURES: Final = (".svg", ".png")

_FENCE: Final = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(\]\()([^)\s]+)(\))")
_LANGUAGES: Final = {".py": "python", ".rs": "rust", ".sh": "sh", ".toml": "toml", ".yml": "yaml"}


def named(text: str, origin: str) -> set[str]:
    """Give the files, by their paths in the checkout, that the Markdown *text* of the file *origin* leads to."""
    return {path for link in _LINK.findall(_FENCE.sub("", text)) if (path := _target(link[1], origin)) is not None}


def reachable(origins: Mapping[str, str], root: Path) -> dict[str, str]:
    """
    Give the pages outside docs/ that *origins*, texts by their paths in the checkout, lead to, directly or not.

    What is neither a page, a text that can be shown, nor a picture is left out: then the link to it is broken.
    """
    found: dict[str, str] = {}
    waiting = dict(origins)
    while waiting:
        origin, text = waiting.popitem()
        for path in sorted(named(text, origin)):
            file = root / path
            if path in found or path in origins or path.startswith(f"{DOCS}/") or not file.is_file():
                continue
            found[path] = page_of(path)
            if path.endswith(".md"):
                waiting[path] = file.read_text(encoding="utf-8")
    return found


def page_of(path: str) -> str:
    """Give where in the site a file of the checkout is."""
    if path == "README.md":
        return "index.md"
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    plain = path.endswith((".md", *PICTURES)) or path == "LICENSE"
    return f"{PROJECT}/{path}" if plain and path != "LICENSE" else f"{PROJECT}/{path}.md"


def content(path: str, root: Path) -> str:
    """Give the Markdown of the page for a file outside docs/."""
    text = (root / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    language = _LANGUAGES.get(posixpath.splitext(path)[1], "text")
    return f"# `{path}`\n\n``````{language}\n{text}``````\n"


def redirected(text: str, origin: str, page: str, pages: Mapping[str, str]) -> str:
    """
    Lead the links of *text* to pages of the site.

    Args:
        text: Markdown of the file *origin*.

        origin: Its path in the checkout.

        page: Where in the site it is.

        pages: Where in the site each file of the checkout is, of those that are there.
    """

    def lead(link: re.Match[str]) -> str:
        target = _target(link[2], origin)
        where = None if target is None else pages.get(target, pages.get(f"{target}/README.md"))
        if where is None:
            return link[0]
        _, _, anchor = link[2].partition("#")
        way = posixpath.relpath(where, posixpath.dirname(page) or ".")
        return f"{link[1]}{way}{'#' if anchor else ''}{anchor}{link[3]}"

    pieces: list[str] = []
    end = 0
    for fence in _FENCE.finditer(text):
        pieces += [_LINK.sub(lead, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*pieces, _LINK.sub(lead, text[end:])])


def _target(link: str, origin: str) -> str | None:
    if link.startswith(("http://", "https://", "mailto:", "#")):
        return None
    name = link.partition("#")[0]
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), name))
