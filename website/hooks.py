"""What mkdocs calls while it builds the site: pages from outside docs/, those of the reference, and what must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from website import links, outside, public, reference

ROOT: Final = Path(__file__).parent.parent

_pages: dict[str, str] = {}
"""Where in the site each file of the checkout is."""
_origins: dict[str, str] = {}
"""The same, the other way."""


def on_pre_build(config: MkDocsConfig, **_: Any) -> None:  # noqa: ARG001 - the interface of mkdocs
    """Refuse to build a reference that lacks something."""
    package = reference.load("ollama_fast", public.MODULES, search=[str(ROOT / "python")])
    found = reference.complaints(package, public.MODULES)
    found += [f"{name} is not in the table of {public.GROUPS_PAGE}, or is no function" for name in _ungrouped()]
    _fail("The reference lacks something", found)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference, and those that are not in docs/."""
    for path, text in reference.pages(_groups_page()).items():
        files.append(File.generated(config, path, content=text))
    texts = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    texts["README.md"] = (ROOT / "README.md").read_text(encoding="utf-8")
    found = outside.reachable(texts, ROOT)
    for path, page in found.items():
        if path.endswith(outside.PICTURES):
            files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
        else:
            files.append(File.generated(config, page, content=outside.content(path, ROOT)))
    _pages.clear()
    _pages.update({path: outside.page_of(path) for path in texts} | found)
    _pages.update({f"docs/{file.src_uri}": file.src_uri for file in files.media_files() if not file.generated_by})
    _origins.clear()
    _origins.update({page: path for path, page in _pages.items() if path != "README.md"})
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead a page's links to pages of the site."""
    origin = _origins.get(page.file.src_uri)
    return markdown if origin is None else outside.redirected(markdown, origin, page.file.src_uri, _pages)


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Refuse a site with broken links, or without an anchor for each public name."""
    site = Path(config.site_dir)
    found = links.pages(site)
    anchors = {anchor for page in found.values() for anchor in page.anchors}
    missing = sorted(reference.expected() - anchors)
    _fail("The site is broken", [*links.faults(found, site), *(f"no page shows {name}" for name in missing)])


def _groups_page() -> str:
    return (ROOT / public.GROUPS_PAGE).read_text(encoding="utf-8")


def _ungrouped() -> list[str]:
    return sorted(public.ungrouped(_groups_page()))


def _fail(what: str, found: list[str]) -> None:
    if found:
        raise PluginError("\n".join([f"{what}:", *(f"  {one}" for one in found)]))
