"""The docs site: its reference shows what functions are, its links lead somewhere, its pictures are of the records."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs_server import docs_server
from ollama_fast import aio

pytestmark = pytest.mark.checkout
pytest.importorskip("griffe", reason="griffe is in the group `docs`")
pytest.importorskip("mkdocs", reason="mkdocs is in the group `docs`")

import griffe  # noqa: E402 - it may be missing
from mkdocs.config.defaults import MkDocsConfig  # noqa: E402 - the same
from mkdocs.exceptions import PluginError  # noqa: E402 - the same
from website import hooks, links, outside, pictures, plots, public, reference, terminal  # noqa: E402 - they need both

ROOT = Path(__file__).parent.parent


def config_of(site: Path) -> MkDocsConfig:
    made = MkDocsConfig()
    assert isinstance(made, MkDocsConfig)  # its type says that it may be another
    made.site_dir = str(site)
    return made


# --- the reference ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package() -> griffe.Module:
    return reference.load("ollama_fast", public.MODULES, search=[str(ROOT / "python")])


def test_the_reference_lacks_nothing(package: griffe.Module) -> None:
    assert reference.complaints(package, public.MODULES) == []


@pytest.mark.parametrize("path", ["generate", "chat_stream", "aio.chat", "doctor", "embed_many", "aio.close"])
def test_an_assigned_function_is_shown_with_what_it_takes_and_gives(package: griffe.Module, path: str) -> None:
    shown = package[path]
    assert isinstance(shown, griffe.Function)
    assert shown.parameters[0].name in {"host", "hosts"}
    assert shown.parameters[0].kind is griffe.ParameterKind.positional_only
    assert "Host" in str(shown.parameters[0].annotation)
    assert shown.returns is not None


def test_descriptions_of_parameters_with_blank_lines_between_them_are_told_apart(package: griffe.Module) -> None:
    docstring = package["generate"].docstring
    assert docstring is not None
    (section,) = [s for s in docstring.parse("google") if s.kind is griffe.DocstringSectionKind.parameters]
    told = {item.name: item.description for item in section.value}
    assert told["keep_alive"].startswith("How long the model stays loaded")
    assert told["images"].endswith("a PIL image is encoded.")
    assert "\n\n" not in "".join(told.values())


def test_names_in_a_signature_lead_to_where_they_are_documented(package: griffe.Module) -> None:
    options = package["generate"].parameters["options"].annotation
    assert isinstance(options, griffe.Expr)
    assert "ollama_fast.types.Options" in {
        part.canonical_path for part in options.iterate() if isinstance(part, griffe.ExprName)
    }


def test_without_inspection_the_functions_have_no_signature() -> None:
    read = griffe.load("ollama_fast", search_paths=[str(ROOT / "python")])
    assert isinstance(read, griffe.Module)
    assert "ollama_fast.generate has no signature" in reference.complaints(read, ["ollama_fast"])


PLANTED = '''
"""A package with what a reference must not show."""

__all__ = ["Value", "fine", "no_doc", "no_gift", "no_parameter", "no_type", "unknown"]


class Value:
    pass


def fine(host: str, /, *rest: int) -> int:
    """
    Do it.

    Args:
        host: Where.

        rest: What else.
    """
    return len(rest)


def no_doc(host: str) -> int:
    return 1


def no_gift(host: str):
    """
    Do it.

    Args:
        host: Where.
    """


def no_parameter(host: str, model: str) -> int:
    """
    Do it.

    Args:
        host: Where.
    """
    return 1


def no_type(host) -> int:
    """
    Do it.

    Args:
        host: Where.
    """
    return 1


def _unknown(host: str) -> int:
    """
    Do it.

    Args:
        host: Where.

        port: Gone.
    """
    return 1


unknown = _unknown
'''


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "planted_package.py").write_text(PLANTED, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "planted_package"
    sys.modules.pop("planted_package", None)


def test_what_a_function_lacks_is_a_complaint(planted: str, tmp_path: Path) -> None:
    read = reference.load(planted, (planted,), search=[str(tmp_path)])
    assert set(reference.complaints(read, [planted])) == {
        "planted_package.Value has no doc",
        "planted_package.no_doc has no doc",
        "planted_package.no_gift does not say what it gives",
        "planted_package.no_parameter says nothing of its parameters model",
        "planted_package.no_type has parameters without a type: host",
        "planted_package.unknown tells of parameters that it does not have: port",
    }


def test_a_complaint_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("ollama_fast.aio")

    def planted(host: str) -> int:
        return len(host)

    hooks.on_pre_build(config_of(tmp_path))
    monkeypatch.setattr(module, "planted", planted, raising=False)
    monkeypatch.setattr(module, "__all__", [*module.__all__, "planted"])
    with pytest.raises(PluginError, match=r"ollama_fast\.aio\.planted has no doc"):
        hooks.on_pre_build(config_of(tmp_path))


def test_a_function_that_is_in_no_group_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / public.GROUPS_PAGE).read_text(encoding="utf-8")
    assert public.ungrouped(page) == set()
    assert public.ungrouped(page.replace("`embed_many`", "`embed_much`")) == {"embed_many", "embed_much"}
    with monkeypatch.context() as patched:  # both colours have what the page names
        patched.setattr(aio, "__all__", [name for name in aio.__all__ if name != "check_context"])
        assert public.ungrouped(page) == {"check_context"}
    monkeypatch.setattr(hooks, "_groups_page", lambda: page.replace("`embed_many` ", ""))
    with pytest.raises(PluginError, match=r"embed_many is not in the table of docs/functions\.md"):
        hooks.on_pre_build(config_of(tmp_path))


def test_the_modules_of_the_reference_are_those_that_are_public() -> None:
    page = (ROOT / "docs" / "public.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\* `(ollama_fast[\w.]*)`:", page, re.MULTILINE))
    assert set(public.MODULES) == named | {"ollama_fast.compat.errors"}


# --- links -----------------------------------------------------------------------------------------------------------


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "there.svg").touch()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">x</h1><a href="deep/page.html#here">1</a><a href="deep/page.html#gone">2</a><a href="#top">3</a>'
        '<a href="gone.html">4</a><a href="https://example.com/x">5</a><a href="/x.html">6</a><a href="../x">7</a>'
        '<img src="there.svg"><img src="gone.svg"><script src="https://example.com/x.js"></script>'
        '<link rel="canonical" href="https://example.com/">',
        encoding="utf-8",
    )
    (tmp_path / "deep" / "page.html").write_text('<a name="here" href="../index.html#top">8</a>', encoding="utf-8")
    assert set(links.faults(links.pages(tmp_path), tmp_path)) == {
        "index.html leads to deep/page.html#gone, which has no such anchor",
        "index.html leads to gone.html, which is not there",
        "index.html leads to /x.html, which depends on where the site is",
        "index.html leads to ../x, which is not there",
        "index.html loads gone.svg, which is not there",
        "index.html loads https://example.com/x.js from elsewhere",
    }


def test_a_broken_site_ends_the_build(tmp_path: Path) -> None:
    anchors = "".join(f'<i id="{anchor}"></i>' for anchor in reference.expected())
    (tmp_path / "index.html").write_text(anchors, encoding="utf-8")
    config = config_of(tmp_path)
    hooks.on_post_build(config)
    (tmp_path / "index.html").write_text(anchors.replace('"ollama_fast.aio.chat"', '"x"'), encoding="utf-8")
    with pytest.raises(PluginError, match=r"no page shows ollama_fast\.aio\.chat$"):
        hooks.on_post_build(config)
    (tmp_path / "index.html").write_text(f'{anchors}<a href="gone.html">x</a>', encoding="utf-8")
    with pytest.raises(PluginError, match=r"index\.html leads to gone\.html"):
        hooks.on_post_build(config)


def test_links_to_files_outside_docs_lead_to_pages_of_the_site(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "a.py").write_text("print()\n", encoding="utf-8")
    (tmp_path / "NEWS.md").write_text("[script](examples/a.py) [picture](b.svg) [gone](gone.md)", encoding="utf-8")
    (tmp_path / "b.svg").touch()
    text = "[news](../NEWS.md#top) [own](#x) [far](https://example.com)\n\n```text\n[code](../NEWS.md)\n```\n"
    pages = outside.reachable({"docs/deep/page.md": text.replace("../", "../../")}, tmp_path)
    assert pages == {
        "NEWS.md": "project/NEWS.md",
        "examples/a.py": "project/examples/a.py.md",
        "b.svg": "project/b.svg",
    }
    assert outside.redirected(text, "docs/page.md", "page.md", pages) == text.replace("../NEWS", "project/NEWS", 1)
    news = outside.content("NEWS.md", tmp_path)
    assert outside.redirected(news, "NEWS.md", pages["NEWS.md"], pages) == (
        "[script](examples/a.py.md) [picture](b.svg) [gone](gone.md)"
    )
    assert outside.content("examples/a.py", tmp_path) == "# `examples/a.py`\n\n``````python\nprint()\n``````\n"


# --- pictures --------------------------------------------------------------------------------------------------------


def test_the_pictures_are_those_of_the_records() -> None:
    for name, text in pictures.drawn().items():
        assert (pictures.PICTURES / name).read_text(encoding="utf-8") == text, f"{name}: run `make pictures`"


def test_a_program_is_recorded_as_it_prints() -> None:
    with docs_server() as port:
        kept = terminal.record(f"http://127.0.0.1:{port}", "smollm2", "A test.")
    printed = "".join(text for _, text in kept.chunks)
    assert re.fullmatch(r"Light is scattered\.\n\n4 parts, the first after [\d.]+ s\n100 tokens/s\n", printed)
    moments = [seconds for seconds, _ in kept.chunks]
    assert moments == sorted(moments)
    assert moments[0] > 0


def test_the_picture_of_a_terminal_shows_each_text_when_it_came() -> None:
    chunks = [(0.5, "Birds sing"), (1.25, " & fly.\n\n4 parts"), (5.0, " x" * terminal.COLUMNS)]
    picture = terminal.draw(terminal.Record("A test.", "print(1 < 2)\n", "python ask.py", chunks))
    assert "print(1 &lt; 2)</text>" in picture
    rules = dict(re.findall(r"@keyframes (t\d)\{0%\{opacity:0\}([\d.]+)%", picture))
    length = float(re.findall(r"animation:([\d.]+)s step-end infinite", picture)[0])
    assert [float(share) * length / 100 for share in rules.values()] == pytest.approx([0.5, 1.25, 5.0], abs=0.001)
    shown = re.findall(r'moving (t\d)" x="[\d.]+" y="(\d+)" textLength="[\d.]+">([^<]+)<', picture)
    assert [text for name, _, text in shown if name == "t1"] == ["&amp;", "fly.", "4", "parts"]
    assert len({row for name, row, _ in shown if name == "t2"}) == 3  # of the row where it begins, and two more
    widths = [float(x) for x in re.findall(r'class="output[^>]* x="([\d.]+)"', picture)]
    assert max(widths) <= terminal.LEFT + terminal.COLUMNS * terminal.WIDTH


def test_a_table_of_the_results_is_found_by_its_headings() -> None:
    results = "# A\n\n## B\n\n| row | us |\n| --- | ---: |\n| x | 1.5 (1.0..2.0) |\n| `y` | 3 |\n\n## C\n\n| row |\n"
    panel = plots.Panel("", ("A", "B"), "us", "")
    assert plots.figures(panel, results) == {"x": plots.Measured(1.5, 1.0, 2.0), "y": plots.Measured(3, 3, 3)}
    with pytest.raises(LookupError, match="no table below A / D"):
        plots.table(results, ("A", "D"))
    with pytest.raises(ValueError, match="'fast' is no figure"):
        plots.measured("fast")


STREAMS, BENCH = plots.STREAMS, "Results of the benches"
NUMBERS = {
    "a part of a burst": ((STREAMS, "A burst", "blocking"), "CPU us/part", "ollama_fast", "official client"),
    "the same, asyncio": ((STREAMS, "A burst", "asyncio"), "CPU us/part", "ollama_fast", "official client"),
    "a token of 400 live streams": (
        (STREAMS, "Live streams", "400 streams"),
        "CPU us/token",
        "ollama_fast",
        "official client",
    ),
    "from the call to the first part, asyncio, by the clock": (
        (STREAMS, "The first part", "asyncio"),
        "us",
        "ollama_fast",
        "official client",
    ),
    "512 vectors of 1024 numbers, with `embed_array`": (
        (BENCH, "Many vectors"),
        "CPU ms",
        "ollama_fast, `embed_array`",
        "official client, `embed`",
    ),
    "import, by the clock, more than a bare interpreter": (
        (BENCH, "import"),
        "more than bare, ms",
        "ollama_fast",
        "official client",
    ),
}


def test_the_numbers_of_the_readme_are_those_of_the_results() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    results = (ROOT / "benches" / "RESULTS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+) \| ([\d.]+) [um]s \| ([\d.]+) [um]s \| `make bench\S*` \|$", readme, re.MULTILINE)
    assert [what for what, _, _ in rows] == list(NUMBERS)
    for what, official, ours in rows:
        heading, column, our_row, official_row = NUMBERS[what]
        found = plots.table(results, heading)
        assert ours == found[our_row][column].partition(" ")[0]
        assert official == found[official_row][column].partition(" ")[0]
