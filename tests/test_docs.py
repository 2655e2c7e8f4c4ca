"""What the docs say is true: their Python runs and is well typed, and the targets, files and headings named exist."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

import ollama_fast
from docs_server import docs_server
from dropin import differences
from ollama_fast import Limits, compat, errors
from ollama_fast._stand_in import uninstall

ROOT = Path(__file__).parent.parent
DOCS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
WITH_EXAMPLES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
TREES = ("python", "src", "tests", "benches", "examples", "docs", "website", ".ci", ".github")
SOURCES = (".py", ".pyi", ".rs", ".md", ".toml", ".lock", ".sh", ".yml")
PACKAGE = ROOT / "python" / "ollama_fast"

needs_the_sources = pytest.mark.skipif(not PACKAGE.is_dir(), reason="the suite runs with a wheel, without the sources")

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")


# --- what a page holds -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A Python block of a page."""

    page: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str, text: str) -> Iterator[Block]:
    for fence in FENCE.finditer(text):
        if fence[1] == "python":
            yield Block(page, text.count("\n", 0, fence.start(2)) + 1, fence[2])


def code_of(text: str) -> Iterator[str]:
    """Give what a page shows as code, in fences and in lines."""
    yield from (fence[2] for fence in FENCE.finditer(text))
    yield from (span[1] for span in SPAN.finditer(FENCE.sub("", text)))


def missing_targets(text: str, makefile: str) -> set[str]:
    targets = set(re.findall(r"^\.PHONY: (\S+)", makefile, re.MULTILINE))
    return {name for code in code_of(text) for name in re.findall(r"\bmake ([a-z][\w-]*)", code)} - targets


def anchors(text: str) -> set[str]:
    """Give the names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> set[str]:
    broken: set[str] = set()
    for link in LINK.findall(FENCE.sub("", text)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        known = not anchor or (target.is_file() and anchor in anchors(target.read_text("utf-8")))
        if not target.exists() or not known:
            broken.add(link)
    return broken


def missing_files(text: str, root: Path) -> set[str]:
    """Give the files and folders that *text* names in code and that are not below *root*."""
    named = {name for code in code_of(text) for name in re.findall(r"(?<![\w/.*<-])[\w.-]+(?:/[\w.-]+)*/?", code)}
    paths = {name for name in named if "/" in name and name.startswith(TREES) and name.partition("/")[0] in TREES}
    missing = {path for path in paths if not (root / path.rstrip(".")).exists()}
    bare = {name for name in named if "/" not in name and name.endswith(SOURCES)}
    there = {file.name for file in root.glob("*")}
    there |= {file.name for tree in TREES if tree != "docs" for file in (root / tree).rglob("*")}
    return missing | (bare - there)


# --- examples --------------------------------------------------------------------------------------------------------


def run(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run *block* on its own, in *folder*, with the files that the docs name, and with a server of its own."""
    (folder / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(16))
    (folder / "model.gguf").write_bytes(b"GGUF" + bytes(1000))
    (folder / "my-model").mkdir()
    (folder / "my-model" / "model.safetensors").write_bytes(bytes(100))
    (folder / "my-model" / "config.json").write_text("{}")
    with docs_server() as port:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{port}")
        monkeypatch.delenv("OLLAMA_API_KEY", raising=False)
        # A reader's server is at localhost:11434; this one is wherever there was room.
        code = re.sub(r"\blocalhost(:11434)?\b", f"127.0.0.1:{port}", block.code)
        try:
            exec(compile("\n" * (block.line - 1) + code, block.page, "exec"), {"__name__": "__main__"})
        finally:
            ollama_fast.close()
            uninstall()
            # The functions of `compat` keep their client for good, and this server ends.
            if (client := vars(compat._client).pop("_client", None)) is not None:
                client.close()


EXAMPLES = [
    block for page in WITH_EXAMPLES for block in blocks(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_an_example_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(block, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("page", "number"),
    [("README.md", 5), ("docs/tutorial.md", 9), ("docs/calls.md", 8), ("docs/hosts.md", 5), ("docs/vectors.md", 4)],
)
def test_a_page_has_examples(page: str, number: int) -> None:
    assert sum(block.page == page for block in EXAMPLES) >= number


def test_all_examples_are_found() -> None:
    for page in WITH_EXAMPLES:
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"^ *```", text, re.MULTILINE)) == 2 * len(FENCE.findall(text)), page
        assert {fence[0] for fence in FENCE.findall(text)} <= {"", "python", "sh", "text", "yaml"}, page


def test_the_examples_are_well_typed(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is in the group `check`")
    broken = Block("broken", 1, "from ollama_fast import generate\ngenerate(None, 'm', options={'temprature': 0})\n")
    for number, block in enumerate([*EXAMPLES, broken]):
        (tmp_path / f"example_{number}.py").write_text(f"# {block}\n{block.code}", encoding="utf-8")
    # A process of its own: what mypy leaves in memory makes each later collection of garbage take a second.
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    report = ran.stdout
    found = [line for line in report.splitlines() if ": error: " in line]
    assert len(found) == 1, report + ran.stderr
    assert f"example_{len(EXAMPLES)}.py:3: " in found[0], report
    assert '"Options | None"' in found[0]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import ollama_fast\nollama_fast.generat(None, 'smollm2', 'Hi')", AttributeError),
        ("import ollama_fast\nollama_fast.generate(None, 'smollm2', promt='Hi')", TypeError),
        ("import ollama_fast\nollama_fast.generate(None, 'nope', 'Hi')", ollama_fast.errors.ModelNotFoundError),
        ("import ollama_fast\nprint(ollama_fast.generate('localhost', 'smollm2', 'Hi')['text'])", KeyError),
        (
            "import ollama_fast\nollama_fast.generate(None, 'smollm2', 'Hi', think=True)",
            ollama_fast.errors.ResponseError,
        ),
        ("import ollama_fast\nollama_fast.create_blob(None, 'other.gguf')", FileNotFoundError),
        ("for part in", SyntaxError),
    ],
)
def test_a_broken_example_is_caught(
    code: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = blocks("page.md", f"# Page\n\n```python\n{code}\n```\n")
    with pytest.raises(error):
        run(block, tmp_path, monkeypatch)


def test_an_error_names_page_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = blocks("page.md", "# Page\n\n```python\nx = 1\nraise LookupError\n```\n")
    with pytest.raises(LookupError) as caught:
        run(block, tmp_path, monkeypatch)
    assert (str(caught.traceback[-1].path).rpartition("/")[2], caught.traceback[-1].lineno + 1) == ("page.md", 5)


# --- commands --------------------------------------------------------------------------------------------------------


def commands(text: str) -> list[str]:
    """Give the calls of `ollama-fast` that *text* shows for a shell."""
    shown = "\n".join(fence[2] for fence in FENCE.finditer(text) if fence[1] == "sh").replace("\\\n", " ")
    return re.findall(r"\bollama-fast (\w.*?) *(?=$|\||\d?>|<|#|&|;)", shown, re.MULTILINE)


def wrong(command: str) -> str:
    """Say what is wrong with a call of `ollama-fast`; nothing is run, and no file is looked for."""
    click = pytest.importorskip("click", reason="click is in the extra `cli`")
    from ollama_fast.cli._group import ollama_fast as group

    name, *arguments = shlex.split(command)
    found = group.get_command(click.Context(group), name)
    if found is None:
        return f"no command {name}"
    try:
        _, rest, _ = found.make_parser(click.Context(found)).parse_args(arguments)
    except click.UsageError as error:
        return str(error.format_message())
    return f"too many arguments: {rest}" if rest else ""


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_are_known(page: Path) -> None:
    shown = commands(page.read_text(encoding="utf-8"))
    assert len(shown) >= (6 if page == ROOT / "README.md" else 0)
    assert {command: wrong(command) for command in shown if wrong(command)} == {}


def not_there_yet(text: str) -> list[str]:
    """Give the commands that *text* shows and that would install this package from PyPI, where it is not yet."""
    return [code for code in code_of(text) if re.search(r"\b(pip|uv|pipx)\b.* install .*\bollama[_-]fast\b", code)]


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_installs_what_is_not_there_yet(page: Path) -> None:
    may = {"install.md": ["pip install 'ollama_fast[cli]'"], "releasing.md": ["pip install ollama_fast==1.2.3"]}
    """What errors say, and what is done after a release."""
    assert not_there_yet(page.read_text(encoding="utf-8")) == may.get(page.name, [])


def test_an_install_from_pypi_is_caught() -> None:
    text = "```sh\npip install 'ollama_fast[cli]'\n```\nor `uv pip install ollama-fast` or `pip install '.[cli]'`\n"
    assert len(not_there_yet(text)) == 2


def test_a_wrong_command_is_caught() -> None:
    text = "```sh\ncat x | ollama-fast generate m 'a b' --stat > y  # so\nollama-fast lsit\nollama-fast ps m\n```\n"
    assert commands(text) == ["generate m 'a b' --stat", "lsit", "ps m"]
    option, *others = map(wrong, commands(text))
    assert option.startswith("No such option '--stat'.")
    assert others == ["no command lsit", "too many arguments: ['m']"]


# --- targets, links and files ----------------------------------------------------------------------------------------


@needs_the_sources
@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert missing_targets(text, (ROOT / "Makefile").read_text(encoding="utf-8")) == set()
    assert broken_links(page, text) == set()
    assert missing_files(text, ROOT) == set()


def test_what_is_not_there_is_caught(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = (
        "# A page\n\n[one](other.md) [two](#a-page) [three](#nowhere) [four](page.md#a-page) [five](https://example.com/x)\n"
        "Do `make test` or `make tets`, see `src/lib.rs`, `src/bil.rs`, `_host.py`, `_hots.py`, `application/json`.\n\n"
        "```sh\nmake demo\nmake omed\n```\n"
    )
    page.write_text(text, encoding="utf-8")
    assert missing_targets(text, ".PHONY: test  ## Test\n.PHONY: demo  ## Show\n") == {"tets", "omed"}
    assert broken_links(page, text) == {"other.md", "#nowhere"}
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "lib.rs").touch()
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "_host.py").touch()
    assert missing_files(text, tmp_path) == {"src/bil.rs", "_hots.py"}


@needs_the_sources
def test_the_architecture_has_a_line_for_every_source_file() -> None:
    told = set(re.findall(r"^\| `([\w./]+)` \|", (ROOT / "docs" / "architecture.md").read_text("utf-8"), re.MULTILINE))
    sources = {f"src/{file.relative_to(ROOT / 'src').as_posix()}" for file in (ROOT / "src").rglob("*.rs")}
    for kind in ("*.py", "*.pyi"):
        sources |= {file.relative_to(PACKAGE).as_posix() for file in PACKAGE.rglob(kind)}
    assert told == sources


def shown_differences(text: str) -> dict[str, str]:
    """Give what a page shows of how the drop-in module differs: the rows behind each head "What | Why"."""
    _, *tables = text.split("| What | Why |\n|---|---|\n")
    rows = [
        row
        for table in tables
        for row in re.findall(r"^\| (`.+`) \| (.+) \|$", table.partition("\n\n")[0], re.MULTILINE)
    ]
    return {what: why for names, why in rows for what in SPAN.findall(names)}


def test_the_page_of_the_drop_in_module_shows_all_differences() -> None:
    lists = [found for name, found in vars(differences).items() if name.isupper() and not name.startswith("_")]
    known = {what: why for found in lists for what, why in found.items()}
    assert shown_differences((ROOT / "docs" / "compat.md").read_text(encoding="utf-8")) == known


def missing_tests(text: str, root: Path) -> set[str]:
    """Give the tests that *text* names as `tests/test_x.py::test_y`, but that no such file has."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    return {
        f"{file}::{name}"
        for file, name in named
        if not (root / file).is_file()
        or re.search(rf"^ *(async )?def {name}\(", (root / file).read_text(), re.MULTILINE) is None
    }


def unshown_promises(text: str) -> set[str]:
    """Give the rows of the tables of promises that name no test."""
    rows = re.findall(r"^\| Promise \| Shown by \|\n\|---\|---\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return {
        row
        for table in rows
        for row in table.splitlines()
        if re.search(r"`tests/[\w/]+\.py", row.rpartition(" | ")[2]) is None
    }


def test_every_promise_names_tests_that_are_there() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    assert text.count("| Promise | Shown by |") >= 9
    text += (ROOT / "docs" / "observability.md").read_text()
    assert unshown_promises(text) == set()
    assert missing_tests(text, ROOT) == set()


def test_a_promise_without_a_test_is_caught() -> None:
    table = "| Promise | Shown by |\n|---|---|\n| a | `tests/test_docs.py::test_gone` |\n| b | hope |\n"
    assert unshown_promises(table) == {"| b | hope |"}
    assert missing_tests(table, ROOT) == {"tests/test_docs.py::test_gone"}


def test_the_page_of_what_is_public_has_the_tree_of_errors() -> None:
    tree = re.findall(r"^ *[*+-] .*", errors.__doc__ or "", re.MULTILINE)
    assert "\n".join(["```text", *tree, "```"]) in (ROOT / "docs" / "public.md").read_text(encoding="utf-8")


def test_the_default_limits_are_those_of_the_page() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    units = {"": 1, "s": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    said = re.findall(r"^\| `(\w+)` \| (\d+) ?(s|[KMG]iB|) \|$", text, re.MULTILINE)
    assert {name: int(number) * units[unit] for name, number, unit in said} == asdict(Limits())


def test_the_changelog_names_the_version() -> None:
    assert f"## [{ollama_fast.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
