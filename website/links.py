"""Whether the links of a built site lead to files and anchors that are there; its pages load nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

_LOADED: Final = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
"""What a browser loads of itself, by the tag that says so."""
_TOLD: Final = ("canonical", "next", "prev")
"""What a <link> may say beside what is loaded."""


@dataclass
class Page:
    """What a page has: anchors, links, and what a browser loads for it."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.page.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.page.links.append(given["href"])
        if (name := _LOADED.get(tag)) and given.get(name) and given.get("rel") not in _TOLD:
            self.page.loads.append(given[name])


def read(html: str) -> Page:
    """Give what the text of a page has."""
    reader = _Reader()
    reader.feed(html)
    return reader.page


def pages(site: Path) -> dict[Path, Page]:
    """Give what each page of a built site has, but that for what is not there, which is served at any path."""
    files = [file for file in sorted(site.rglob("*.html")) if file.name != "404.html"]
    return {file: read(file.read_text(encoding="utf-8")) for file in files}


def faults(found: dict[Path, Page], site: Path) -> Iterator[str]:
    """Say which links are broken, and what is loaded from elsewhere."""
    for file, page in found.items():
        name = file.relative_to(site)
        for url in page.loads:
            if urlsplit(url).netloc:
                yield f"{name} loads {url} from elsewhere"
            elif why := _broken(url, file, site, found):
                yield f"{name} loads {url}, {why}"
        for url in dict.fromkeys(page.links):
            if why := _broken(url, file, site, found):
                yield f"{name} leads to {url}, {why}"


def _broken(url: str, file: Path, site: Path, found: dict[Path, Page]) -> str:
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        return ""
    path = unquote(parts.path)
    if path.startswith("/"):
        return "which depends on where the site is"
    target = (file.parent / path).resolve() if path else file
    target = target / "index.html" if target.is_dir() else target
    if not target.is_relative_to(site.resolve()) or not target.is_file():
        return "which is not there"
    anchor = unquote(parts.fragment)
    if anchor and target in found and anchor not in found[target].anchors:
        return "which has no such anchor"
    return ""
