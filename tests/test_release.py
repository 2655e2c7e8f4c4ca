"""What is looked at in wheels and source distributions is looked at: each fault of one is told."""

import json
import re
import shutil
import struct
import tomllib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.checkout,
    pytest.mark.unsent,
    pytest.mark.skipif(not (ROOT / "Cargo.lock").is_file(), reason="the suite runs with a wheel, without the sources"),
]
pytest.importorskip("readme_renderer", reason="readme-renderer is in the group `release`")
pytest.importorskip("trove_classifiers", reason="trove-classifiers is in the group `release`")
pytest.importorskip("elftools", reason="pyelftools is in the group `release`")

from packaging.requirements import Requirement  # noqa: E402
from release import check, floors, from_sdist, notes, third_party  # noqa: E402
from release.extension import debug_sections, foreign_paths, wrong_in_extension  # noqa: E402
from release.metadata import EXTRAS, LICENCE_FILES, RUNTIME, wrong_in_metadata  # noqa: E402

METADATA = "\n".join(
    [
        "Metadata-Version: 2.4",
        "Name: ollama_fast",
        "Version: 1.2.3",
        "Classifier: Typing :: Typed",
        *(f"Requires-Dist: {name}>=1" for name in RUNTIME),
        *(f"Requires-Dist: {name}>=1 ; extra == '{extra}'" for extra, names in EXTRAS.items() for name in names),
        *(f"Provides-Extra: {extra}" for extra in EXTRAS),
        *(f"License-File: {name}" for name in LICENCE_FILES),
        "License-Expression: MIT",
        "Requires-Python: >=3.11",
        "Description-Content-Type: text/markdown; charset=UTF-8; variant=GFM",
        "",
        "# A page",
    ]
)


def elf(*sections: str) -> bytes:
    """Make an ELF file that has sections of these names, and nothing in them."""
    names = b"\0" + b"\0".join(name.encode() for name in (*sections, ".shstrtab")) + b"\0"
    named = [(names.index(name.encode() + b"\0"), 1, 0) for name in sections]
    named.append((names.index(b".shstrtab"), 3, len(names)))
    rows = [bytes(64), *(struct.pack("<IIQQQQIIQQ", at, kind, 0, 0, 64, size, 0, 0, 1, 0) for at, kind, size in named)]
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    counts = (0, 64, 0, 0, 64, len(rows), len(rows) - 1)
    head = identity + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64 + len(names), *counts)
    return head + names + b"".join(rows)


CHECKOUT = {
    "python/ollama_fast/__init__.py": b"",
    "src/lib.rs": b"",
    "Cargo.toml": b"[package]",
    "LICENSE": b"MIT License",
    "THIRD-PARTY-LICENSES.txt": b"Some crates.\n\nmio 1.2.5, log 0.4.35\n\nMIT License\n",
}
SBOM = {"components": [{"name": "mio", "version": "1.2.5"}, {"name": "log", "version": "0.4.35"}]}
INFO = "ollama_fast-1.2.3.dist-info"
WHEEL = {
    "ollama_fast/__init__.py": b"",
    "ollama_fast/_core.abi3.so": elf(".text"),
    f"{INFO}/METADATA": METADATA.encode(),
    f"{INFO}/RECORD": b"",
    f"{INFO}/WHEEL": b"",
    f"{INFO}/entry_points.txt": b"",
    f"{INFO}/licenses/LICENSE": CHECKOUT["LICENSE"],
    f"{INFO}/licenses/THIRD-PARTY-LICENSES.txt": CHECKOUT["THIRD-PARTY-LICENSES.txt"],
    f"{INFO}/sboms/ollama_fast.cyclonedx.json": json.dumps(SBOM).encode(),
}
SDIST = {**CHECKOUT, "PKG-INFO": METADATA.encode()}


def without(files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    return {other: text for other, text in files.items() if other != name}


# --- what a wheel and a source distribution hold ---------------------------------------------------------------------


def test_nothing_is_wrong_in_a_wheel_and_a_source_distribution_as_they_should_be() -> None:
    assert list(check.wrong_in_wheel(WHEEL, CHECKOUT)) == []
    assert list(check.wrong_in_sdist(SDIST, CHECKOUT)) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param(without(WHEEL, "ollama_fast/__init__.py"), "missing: ollama_fast/__init__.py", id="a module"),
        pytest.param({**WHEEL, "tests/x.py": b""}, "does not belong: tests/x.py", id="a test"),
        pytest.param(without(WHEEL, "ollama_fast/_core.abi3.so"), "there must be one extension", id="no extension"),
        pytest.param({**WHEEL, "ollama_fast/_core.pyd": b"MZ"}, "there must be one extension", id="two extensions"),
        pytest.param({**WHEEL, f"{INFO}/licenses/LICENSE": b""}, "is not the checkout's LICENSE", id="a licence"),
        pytest.param(
            {**WHEEL, f"{INFO}/sboms/ollama_fast.cyclonedx.json": b'{"components": []}'},
            "the SBOM does not name ['log 0.4.35', 'mio 1.2.5']",
            id="an SBOM",
        ),
        pytest.param({**WHEEL, "ollama_fast/_core.abi3.so": elf(".symtab")}, "is not stripped", id="symbols"),
    ],
)
def test_a_fault_of_a_wheel_is_told(files: dict[str, bytes], said: str) -> None:
    assert any(said in what for what in check.wrong_in_wheel(files, CHECKOUT))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param(without(SDIST, "src/lib.rs"), "missing: src/lib.rs", id="a source"),
        pytest.param({**SDIST, ".github/workflows/ci.yml": b""}, "does not belong: .github", id="a workflow"),
        pytest.param({**SDIST, "src/lib.rs": b"fn f() {}"}, "not as in the checkout: src/lib.rs", id="another text"),
        pytest.param({**SDIST, "PKG-INFO": b"Name: x"}, "the metadata is not valid", id="the metadata"),
    ],
)
def test_a_fault_of_a_source_distribution_is_told(files: dict[str, bytes], said: str) -> None:
    assert any(said in what for what in check.wrong_in_sdist(files, CHECKOUT))


def test_a_file_that_is_too_large_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = tmp_path / "ollama_fast-1.2.3-cp311-abi3-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in WHEEL.items():
            archive.writestr(name, text)
        archive.writestr("ollama_fast/large.bin", bytes(check.LARGEST))
    assert check.main([wheel]) == 1
    assert f"bytes are more than {check.LARGEST}" in capsys.readouterr().out
    assert check.main([]) == 1


# --- metadata --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Requires-Dist: httpx>=1", "Requires-Dist: httpx>=1\nRequires-Dist: requests", "run-time dependencies are"),
        ("Requires-Dist: orjson>=1\n", "", "run-time dependencies are"),
        ("Requires-Dist: click>=1 ; extra == 'cli'", "Requires-Dist: rich>=1 ; extra == 'cli'", "the extras are"),
        ("Provides-Extra: cli", "Provides-Extra: cli\nProvides-Extra: all", "the extras are"),
        ("Provides-Extra: cli\n", "", "the extras are"),
        ("License-Expression: MIT", "License-Expression: Apache-2.0", "the licence is 'Apache-2.0'"),
        ("License-Expression: MIT", "License-Expression: no licence", "the metadata is not valid"),
        ("License-File: LICENSE\n", "", "the licence files are"),
        ("Requires-Python: >=3.11", "Requires-Python: >=3.10", "Python is to be >=3.11"),
        ("Typing :: Typed", "Typing :: Tpyed", "'Typing :: Tpyed' is no classifier"),
        ("Typing :: Typed", "License :: OSI Approved :: MIT License", "is no classifier"),
        ("# A page", "", "PyPI cannot show the README"),
    ],
)
def test_a_fault_of_the_metadata_is_told(old: str, new: str, said: str) -> None:
    assert old in METADATA
    assert any(said in what for what in wrong_in_metadata(METADATA.replace(old, new).encode()))


def test_the_project_and_the_docs_have_the_extras_of_the_rule() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {Requirement(one).name for one in project["dependencies"]} == RUNTIME
    extras = {
        name: {Requirement(one).name for one in listed} for name, listed in project["optional-dependencies"].items()
    }
    assert extras == EXTRAS
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\w, -]+) \|", page, re.MULTILINE)
    assert {name: set(brought.split(", ")) for name, brought in rows} == EXTRAS


def test_the_oldest_versions_are_those_that_are_named() -> None:
    named = ["b>=2", "a>=1.5,<3", "b>=2; extra == 'x'", "c[d]>=0.27,<1"]
    assert floors.floors(named) == ["a==1.5", "b==2", "c==0.27"]
    for wrong in (["a"], ["a>=1", "a>=2"], ["a<2"]):
        with pytest.raises(ValueError, match="not one least version of a"):
            floors.floors(wrong)


# --- the extension ---------------------------------------------------------------------------------------------------


def test_paths_of_the_building_machine_are_found_in_a_binary() -> None:
    binary = b"".join(
        [
            b"\0/rustc/5980/library/std/src/path.rs\0crates/index-1/mio-1.2.5/src/lib.rs\0src/http/mod.rs",
            b"\0/home/anna/.cargo/registry/src/index-1/mio-1.2.5/src/lib.rs\0text/root/x.rs.txt",
            b"\0C:\\Users\\anna\\.cargo\\registry\\src\\index-1\\log-0.4.35\\src\\lib.rs\0",
        ]
    )
    assert foreign_paths(binary) == {
        "/home/anna/.cargo/registry/src/index-1/mio-1.2.5/src/lib.rs",
        "C:\\Users\\anna\\.cargo\\registry\\src\\index-1\\log-0.4.35\\src\\lib.rs",
    }
    assert any("such as /home/anna/x.rs" in what for what in wrong_in_extension(b"\0/home/anna/x.rs\0"))


def test_sections_for_debuggers_are_found_in_an_elf_file() -> None:
    assert debug_sections(elf(".text", ".debug_info", ".symtab")) == {".debug_info", ".symtab"}
    assert debug_sections(elf(".text", ".dynsym")) == set()


# --- the licences of what is linked ----------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("cargo") is None, reason="no cargo to ask which crates are linked")
def test_the_licences_are_those_of_the_crates_in_cargo_lock() -> None:
    text = (ROOT / "THIRD-PARTY-LICENSES.txt").read_text(encoding="utf-8")
    assert text == third_party.third_party(), "make licences"


def test_the_platforms_are_the_same_everywhere() -> None:
    deny = tomllib.loads((ROOT / "deny.toml").read_text(encoding="utf-8"))
    assert deny["graph"]["targets"] == list(third_party.PLATFORMS)
    workflow = (ROOT / ".github" / "workflows" / "wheels.yml").read_text(encoding="utf-8")
    linux = re.findall(r"machine: (\w+), runner: .*, libc: (many|musl)linux,", workflow)
    built = {f"{machine}-unknown-linux-{'gnu' if libc == 'many' else 'musl'}" for machine, libc in linux}
    built |= set(re.findall(r"target: (\w+-apple-darwin)", workflow))
    built |= {"x86_64-pc-windows-msvc"} if "name: windows-x86_64" in workflow else set()
    assert built == set(third_party.PLATFORMS)


def crate(name: str, licence: str = "MIT", kind: str = "lib", manifest: str = "") -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "version": "1.0.0",
        "license": licence,
        "targets": [{"kind": [kind]}],
        "manifest_path": manifest,
    }


def test_what_only_builds_or_tests_is_not_linked() -> None:
    def node(name: str, **needs: str | None) -> dict[str, Any]:
        return {"id": name, "deps": [{"pkg": dep, "dep_kinds": [{"kind": kind}]} for dep, kind in needs.items()]}

    metadata = {
        "packages": [*map(crate, ("own", "a", "b", "built", "tested", "of_built")), crate("macro", kind="proc-macro")],
        "resolve": {
            "root": "own",
            "nodes": [
                node("own", a=None, built="build", tested="dev", macro=None),
                node("a", b=None),
                node("b", a=None),
                node("built", of_built=None),
                *map(node, ("tested", "of_built", "macro")),
            ],
        },
    }
    assert set(third_party.linked(metadata)) == {"a", "b"}


def test_the_licence_of_a_crate_is_the_mit_one(tmp_path: Path) -> None:
    manifest = str(tmp_path / "Cargo.toml")
    (tmp_path / "LICENSE-APACHE").write_text("Apache")
    with pytest.raises(LookupError, match=r"one 1\.0\.0 has no file of its MIT licence"):
        third_party.licence_text(crate("one", "MIT OR Apache-2.0", manifest=manifest))
    (tmp_path / "license-mit").write_text("MIT")
    assert third_party.licence_text(crate("one", "Apache-2.0/MIT", manifest=manifest)) == "MIT"
    with pytest.raises(LookupError, match=r"one 1\.0\.0 is under 'MPL-2\.0'"):
        third_party.licence_text(crate("one", "MPL-2.0", manifest=manifest))
    with pytest.raises(LookupError, match="'MIT AND BSD-3-Clause'"):
        third_party.licence_text(crate("one", "MIT AND BSD-3-Clause", manifest=manifest))


def test_a_text_that_several_crates_have_is_there_once() -> None:
    text = third_party.rendered([("b 1.0.0", "same \n"), ("a 1.0.0", "\nsame"), ("c 1.0.0", "other")])
    assert "a 1.0.0, b 1.0.0\n\nsame\n" in text
    assert text.count("same") == 1
    assert "c 1.0.0\n\nother\n" in text


# --- building from the source distribution ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda files: without(files, "ollama_fast/__init__.py"),
            ["only one of the wheels has ollama_fast/__init__.py"],
        ),
        (lambda files: {**files, "ollama_fast/__init__.py": b"x"}, ["not the same in both: ollama_fast/__init__.py"]),
        (lambda files: {**files, f"{INFO}/WHEEL": b"Tag: other", f"{INFO}/RECORD": b"x"}, []),
    ],
    ids=["missing", "changed", "of the build"],
)
def test_wheels_that_differ_are_told(change: Callable[[dict[str, bytes]], dict[str, bytes]], said: list[str]) -> None:
    assert list(from_sdist.differences(change(WHEEL), WHEEL)) == said


# --- a release -------------------------------------------------------------------------------------------------------

CHANGELOG = """
# Changelog

## [Unreleased]

- soon

## [1.2.3] - 2026-11-29

### Added

- this

## [1.2.2] - 2026-01-01

- that
"""


def test_the_notes_of_a_release_are_its_section_of_the_changelog() -> None:
    assert notes.notes("v1.2.3", "1.2.3", CHANGELOG) == "### Added\n\n- this\n"
    assert notes.notes("v1.2.2", "1.2.2", CHANGELOG) == "- that\n"


@pytest.mark.parametrize(
    ("tag", "version", "said"),
    [
        ("v1.2.4", "1.2.3", r"the tag v1\.2\.4 is not v1\.2\.3"),
        ("1.2.3", "1.2.3", r"the tag 1\.2\.3 is not v1\.2\.3"),
        ("v1.2.4", "1.2.4", r"has no section \[1\.2\.4\] with a date"),
    ],
)
def test_a_tag_that_does_not_fit_is_refused(tag: str, version: str, said: str) -> None:
    with pytest.raises(LookupError, match=said):
        notes.notes(tag, version, CHANGELOG)


def test_the_version_is_that_of_cargo() -> None:
    import ollama_fast

    assert notes.version() == ollama_fast.__version__
