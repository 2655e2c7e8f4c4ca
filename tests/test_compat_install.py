"""Programs that import `ollama` and get `ollama_fast.compat`, each in a process of its own."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import py_compile
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

import ollama_fast

pytestmark = pytest.mark.unsent

INSTALL: Final = "from ollama_fast.compat import install, uninstall; import sys\n"
OURS: Final = "ollama_fast.compat"


class Place:
    """Where programs run: with all that is installed here but `ollama`, or with another `ollama`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages = folder / "packages"
        self.packages.mkdir()
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            if entry.name.partition("-")[0] not in ("ollama", "ollama_fast") and entry.suffix != ".pth":
                (self.packages / entry.name).symlink_to(entry)
        (self.packages / "ollama_fast").symlink_to(Path(str(ollama_fast.__file__)).parent)
        self.other = folder / "other"
        for name in ("ollama/__init__.py", "ollama/_client.py", "ollama/_types.py", "ollama-0.5.4.dist-info/METADATA"):
            (self.other / name).parent.mkdir(parents=True, exist_ok=True)
            (self.other / name).write_text("")
        (self.other / "ollama/__init__.py").write_text("from . import _client as module\nClient = list")
        (self.other / "ollama-0.5.4.dist-info/METADATA").write_text(
            "Metadata-Version: 2.1\nName: ollama\nVersion: 0.5.4\n"
        )

    def run(
        self, *arguments: str, present: bool = False, cwd: Path | None = None, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run python, with its warnings as errors, and *given* as its standard input."""
        paths = [str(self.other)] if present else []
        return subprocess.run(
            [sys.executable, "-S", "-W", "error", *arguments],
            cwd=cwd or self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*paths, str(self.packages)])},
            capture_output=True,
            text=True,
            input=given,
            timeout=60,
            check=False,
        )

    def say(self, code: str, *, present: bool = False) -> list[str]:
        """Give the lines that a program says, which must end well."""
        ended = self.run("-c", code, present=present)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout.splitlines()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


present = pytest.mark.parametrize("present", [False, True], ids=["hidden", "present"])

# --- install ---------------------------------------------------------------------------------------------------------


@present
@pytest.mark.parametrize("before", ["", "import ollama, ollama._types; old = ollama.Client\n"], ids=["first", "late"])
def test_every_way_to_import_gives_ours(place: Place, present: bool, before: str) -> None:
    if before and not present:
        assert place.run("-c", before).stderr.endswith("ModuleNotFoundError: No module named 'ollama'\n")
        before = ""
    said = place.say(
        f"""{before}{INSTALL}install()
import importlib, importlib.util
import ollama, ollama._client, ollama._types, ollama._utils
from ollama import AsyncClient, Client, chat
from ollama._client import Client as same
from ollama._types import ChatRequest
from ollama._utils import convert_function_to_tool
import {OURS} as ours
print(ollama is ours, Client is same is ours.Client is ollama.Client, AsyncClient is ours.AsyncClient)
print(ChatRequest.__module__, convert_function_to_tool.__module__, Client.__module__)
print([sys.modules["ollama." + part].__name__ for part in ("_client", "_types", "_utils")])
print(type(ollama._client).__mro__[1].__name__, importlib.import_module("ollama._types").__name__)
print(importlib.util.find_spec("ollama") is not None, importlib.util.find_spec("ollama._types") is not None)
print([name for name, module in sys.modules.items() if "{place.other}" in str(getattr(module, "__file__", ""))])
{"print(old is list)" if before else ""}""",
        present=present,
    )
    assert said[:6] == [
        "True True True",
        f"{OURS}._types {OURS}._utils {OURS}._client",
        str([f"{OURS}.{part}" for part in ("_client", "_types", "_utils")]),
        f"Client {OURS}._types",
        "True True",
        "[]",
    ]
    assert said[6:] == (["True"] if before else [])  # what was bound stays


@present
def test_the_metadata_have_the_version_that_is_installed_or_else_ours(place: Place, present: bool) -> None:
    said = place.say(
        f"""{INSTALL}install()
from importlib import metadata
found = [one for one in metadata.distributions() if one.metadata["Name"] == "ollama"]
print(metadata.version("ollama"), metadata.version("Ollama"), [one.version for one in found])
print(metadata.packages_distributions().get("ollama"))
print(metadata.version("httpx") != metadata.version("ollama"))
print([one.version for one in metadata.distributions(name="ollama", path=[])])
uninstall()
try:
    print(metadata.version("ollama"))
except metadata.PackageNotFoundError:
    print("none")
""",
        present=present,
    )
    version = "0.5.4" if present else "0.6.3"
    # The other package of these tests has no list of its files, nor of its modules.
    listed = None if present else ["ollama"]
    after = version if present else "none"
    assert said == [f"{version} {version} {[version]}", str(listed), "True", "[]", after]


@pytest.mark.skipif(importlib.util.find_spec("importlib_metadata") is None, reason="the backport is not installed")
@present
def test_the_backport_of_the_metadata_tells_the_same(place: Place, present: bool) -> None:
    code = f"{INSTALL}install()\nimport importlib_metadata\nprint(importlib_metadata.version('ollama'))"
    assert place.say(code, present=present) == ["0.5.4" if present else "0.6.3"]


@present
def test_it_can_be_undone_and_done_again(place: Place, present: bool) -> None:
    said = place.say(
        f"""
try:
    import ollama as old
except ModuleNotFoundError:
    old = None
{INSTALL}before = [*sys.meta_path]
install()
install()
print(len(sys.meta_path) - len(before))
uninstall()
uninstall()
print(sys.meta_path == before)
try:
    import ollama
except ModuleNotFoundError:
    ollama = None
print(ollama is old)
import multiprocessing.spawn
print(multiprocessing.spawn.get_preparation_data.__module__)
install()
import ollama
print(ollama.__name__)
""",
        present=present,
    )
    assert said == ["1", "True", "True", "multiprocessing.spawn", OURS]


@present
def test_a_name_that_is_dropped_is_found_again(place: Place, present: bool) -> None:
    said = place.say(
        f"""{INSTALL}install()
import ollama
client = ollama._client
for names in (["ollama"], ["ollama._types"], ["ollama", "ollama._client", "ollama._types", "ollama._utils"]):
    for name in names:
        del sys.modules[name]
    import ollama
    from ollama._types import Message
    from ollama._client import Client
    print(ollama.__name__, Message.__module__, Client is ollama.Client, ollama._client is client)
print(ollama.__spec__.name)
try:
    import ollama._install
except ModuleNotFoundError as exc:
    print(exc, exc.name)
""",
        present=present,
    )
    assert said == [
        *[f"{OURS} {OURS}._types True True"] * 3,
        OURS,
        "No module named 'ollama._install' ollama._install",
    ]


def test_pickles_of_the_other_package_are_read(place: Place) -> None:
    code = f"""{INSTALL}install()
import pickle
print(pickle.loads(b"collama._types\\nMessage\\n.").__module__)
import ollama
message = ollama.Message(role="user", content="hello")
print(pickle.loads(pickle.dumps(message)) == message)"""
    assert place.say(code) == [f"{OURS}._types", "True"]


def test_threads_may_all_install_it_and_import(place: Place) -> None:
    said = place.say(
        f"""{INSTALL}import threading
names, together = [], threading.Barrier(8)
def work():
    together.wait()
    install()
    import ollama
    from ollama._types import Message
    names.append((ollama.__name__, Message.__module__))
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(names), set(names) == {{("{OURS}", "{OURS}._types")}})
print(len([finder for finder in sys.meta_path if type(finder).__module__ == "ollama_fast._stand_in"]))
"""
    )
    assert said == ["8 True", "1"]


CHILD: Final = """
import multiprocessing, sys
import ollama
def work():
    print("child", ollama.Client.__module__, flush=True)
if __name__ == "__main__":
    print("parent", ollama.Client.__module__, flush=True)
    process = multiprocessing.get_context(sys.argv[1]).Process(target=work)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""


METHODS: Final = multiprocessing.get_all_start_methods()
STARTS: Final = [*(("program", method) for method in METHODS), ("-m", METHODS[-1]), ("itself", "spawn")]


@pytest.mark.parametrize(("how", "method"), STARTS)
def test_children_have_it_too(place: Place, tmp_path: Path, how: str, method: str) -> None:
    # Also where a path is known to the parent alone.
    program = tmp_path / "with_child.py"
    program.write_text(CHILD)
    if how == "itself":
        guarded = "if __name__ == '__main__':\n    from ollama_fast.compat import install\n    install()\n"
        program.write_text(guarded + CHILD)
        arguments = [str(program)]
    else:
        arguments = ["-m", OURS, *([str(program)] if how == "program" else ["-m", "with_child"])]
    ended = place.run(*arguments, method, present=True, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [f"parent {OURS}._client", f"child {OURS}._client"]


ANOTHERS_WRAP: Final = """
import multiprocessing.spawn as spawn
before = spawn.get_preparation_data
def wrapped(name):
    return {**before(name), "wrapped": name}
spawn.get_preparation_data = wrapped
"""


def test_what_another_puts_around_the_data_of_children_stays(place: Place) -> None:
    said = place.say(
        f"""import multiprocessing.spawn
{INSTALL}install()
{ANOTHERS_WRAP}
def sent():
    return [key for key in spawn.get_preparation_data("x") if key in ("wrapped", "{OURS}")]
print(sent())
uninstall()
print(spawn.get_preparation_data is wrapped, sent())
install()
print(sorted(sent()))
uninstall()
print(spawn.get_preparation_data is wrapped, sent())
"""
    )
    assert said == [f"['{OURS}', 'wrapped']", "True ['wrapped']", f"['{OURS}', 'wrapped']", "True ['wrapped']"]


LAZY_CHILD: Final = f"""
import multiprocessing, sys
def work():
    from importlib import metadata
    print([name in sys.modules for name in ("{OURS}", "pydantic", "ollama")], metadata.version("ollama"))
    import threading
    names, together = [], threading.Barrier(8)
    def ask():
        together.wait()
        import ollama._types
        names.append((ollama.Client.__module__, ollama.__spec__.name, ollama._types.__spec__.name))
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(len(names), *set(names), flush=True)
if __name__ == "__main__":
    print([name for name in sys.modules if name == "multiprocessing.spawn"], flush=True)
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""


def test_a_child_imports_it_when_it_imports_ollama(place: Place, tmp_path: Path) -> None:
    (tmp_path / "with_child.py").write_text(LAZY_CHILD)
    ended = place.run("-m", OURS, "with_child.py", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    modules = (f"{OURS}._client", OURS, f"{OURS}._types")
    assert ended.stdout.splitlines() == ["[]", "[False, False, False] 0.6.3", f"8 {modules}"]


def test_to_know_of_it_costs_little(place: Place) -> None:
    heavy = ["httpx", "importlib.abc", "importlib.metadata", "multiprocessing", "runpy"]
    code = f"{INSTALL}print([name for name in {heavy} if name in sys.modules])"
    assert place.say(code) == ["[]"]


# --- python -m ollama_fast.compat ------------------------------------------------------------------------------------

REPORT: Final = '''"""Its doc."""
import sys, threading, atexit
names = {name: globals().get(name, "missing") for name in ("__name__", "__file__", "__package__", "__doc__")}
print(names, getattr(__spec__, "name", None), getattr(__loader__, "__name__", type(__loader__).__name__))
print(sys.argv, sys.path, sys.flags.safe_path)
print(sys.modules["__main__"].__dict__ is globals(), type(__builtins__).__name__)
def later(): print("later", names is sys.modules["__main__"].names)
atexit.register(later)
'''
FAILURES: Final = {
    "exception": "def f():\n    1 / 0\nf()",
    "chained": "try:\n    1 / 0\nexcept ZeroDivisionError as exc:\n    raise ValueError('more') from exc",
    "group": "raise ExceptionGroup('several', [ValueError(1), ValueError(2)])",
    "status": "import sys; sys.exit(3)",
    "message": "import sys; sys.exit('why')",
    "quit": "raise SystemExit",
    "interrupt": "def f():\n    raise KeyboardInterrupt\nf()",
    "syntax": "def f(:\n    pass",
    "encoding": "# coding: latin-1\nraise ValueError('ä')",
    "hook": "import sys\nsys.excepthook = lambda kind, exc, trace: print(kind, trace.tb_frame.f_code.co_name)\n1 / 0",
    "thread": "import threading\nthread = threading.Thread(target=lambda: 1 / 0)\nthread.start()\nthread.join()",
}


def compare(place: Place, cwd: Path, arguments: Sequence[str], options: Sequence[str] = ()) -> Any:
    """Run it by python and by us, which must not differ."""
    theirs = place.run(*options, *arguments, cwd=cwd)
    ours = place.run(*options, "-m", OURS, *arguments, cwd=cwd)
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)
    return ours


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    for name in ("program.py", "deep/program.py", "package/__init__.py", "package/__main__.py", "folder/__main__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if "__init__" in name else REPORT)
    (tmp_path / "deep" / "link.py").symlink_to(tmp_path / "program.py")
    py_compile.compile(str(tmp_path / "program.py"), str(tmp_path / "compiled.pyc"))
    with zipfile.ZipFile(tmp_path / "archive.pyz", "w") as archive:
        archive.writestr("__main__.py", REPORT)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["program.py"],
        ["program.py", "-m", "x", "--", "-h"],
        ["--", "program.py", "--", "x"],
        ["deep/program.py"],
        ["deep/link.py"],
        ["compiled.pyc", "x"],
        ["folder", "x"],
        ["archive.pyz", "x"],
        ["-m", "program", "-m", "x"],
        ["-mprogram", "x"],
        ["-m", "package", "x"],
        ["-m", "deep.program"],
        ["-c", REPORT, "-c", "x"],
        ["-cimport sys; print(sys.argv, sys.path)", "x"],
        ["nowhere.py"],
        ["deep"],
        ["-m", "nowhere"],
        ["-m", "deep"],
        ["-m", "nowhere.deep"],
    ],
    ids=" ".join,
)
def test_a_program_starts_as_by_python(place: Place, programs: Path, arguments: list[str]) -> None:
    compare(place, programs, arguments)


@pytest.mark.parametrize(
    "arguments", [["deep/program.py"], ["folder"], ["-m", "program"], ["-c", "import sys; print(sys.path)"]], ids=str
)
def test_a_program_starts_with_a_safe_path_as_by_python(place: Place, programs: Path, arguments: list[str]) -> None:
    compare(place, programs, arguments, ["-P"])


def test_an_absolute_path_is_kept(place: Place, programs: Path) -> None:
    assert compare(place, place.folder, [str(programs / "program.py")]).returncode == 0


@pytest.mark.parametrize("kind", FAILURES)
def test_a_program_ends_as_by_python(place: Place, tmp_path: Path, kind: str) -> None:
    (tmp_path / "failing.py").write_text(FAILURES[kind], encoding="latin-1")
    assert OURS not in compare(place, tmp_path, ["failing.py"]).stderr


@pytest.mark.parametrize("kind", ["exception", "status", "syntax", "interrupt"])
def test_a_module_ends_as_by_python(place: Place, tmp_path: Path, kind: str) -> None:
    (tmp_path / "failing.py").write_text(FAILURES[kind], encoding="latin-1")
    assert OURS not in compare(place, tmp_path, ["-m", "failing"]).stderr


@pytest.mark.parametrize("kind", ["exception", "status", "syntax", "interrupt"])
def test_code_ends_as_by_python(place: Place, kind: str) -> None:
    theirs = place.run("-c", FAILURES[kind])
    ours = place.run("-m", OURS, "-c", FAILURES[kind])
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)
    assert ours.stderr.splitlines()[-1:] == theirs.stderr.splitlines()[-1:]
    assert "__main__.py" not in ours.stderr


@pytest.mark.parametrize("options", [[], ["-P"]], ids=str)
@pytest.mark.parametrize("code", [REPORT, "", *(FAILURES[kind] for kind in FAILURES if kind != "encoding")])
def test_what_standard_input_says_runs_as_by_python(place: Place, code: str, options: list[str]) -> None:
    theirs = place.run(*options, "-", "x", "-y", given=code)
    ours = place.run(*options, "-m", OURS, "-", "x", "-y", given=code)
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)


@present
@pytest.mark.parametrize("how", ["program", "-m", "-c", "-", "folder"])
def test_however_it_is_started_a_program_has_it(place: Place, tmp_path: Path, how: str, present: bool) -> None:
    code = "import ollama; from ollama import _types; print(ollama.__name__, _types.__name__)"
    (tmp_path / "asks.py").write_text(code)
    (tmp_path / "__main__.py").write_text(code)
    arguments = {"program": ["asks.py"], "-m": ["-m", "asks"], "-c": ["-c", code], "-": ["-"], "folder": ["."]}[how]
    ended = place.run("-m", OURS, *arguments, present=present, cwd=tmp_path, given=code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{OURS} {OURS}._types\n", "")


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ([], "usage: "),
        (["--"], "a PROGRAM is missing\nusage: "),
        (["-m"], "a MODULE is missing\nusage: "),
        (["-c"], "CODE is missing\nusage: "),
        (["-x", "program.py"], "unknown option: -x\nusage: "),
        (["--version"], "unknown option: --version\nusage: "),
    ],
    ids=str,
)
def test_a_command_line_that_names_no_program_is_told_how_to(place: Place, arguments: list[str], wrong: str) -> None:
    ended = place.run("-m", OURS, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(wrong)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_no_failure(place: Place, option: str) -> None:
    ended = place.run("-m", OURS, option)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: python -m ollama_fast.compat ")
