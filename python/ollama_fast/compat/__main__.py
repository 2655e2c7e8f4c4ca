"""Run a program with `ollama` replaced by this package: `python -m ollama_fast.compat PROGRAM`."""

from __future__ import annotations

import builtins
import io
import runpy
import sys
from collections.abc import Callable
from functools import partial
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader
from pathlib import Path
from pkgutil import get_importer
from types import ModuleType, TracebackType
from typing import Any, Final, NoReturn, TypeAlias

from ollama_fast._stand_in import install

_USAGE: Final = """\
usage: python -m ollama_fast.compat [--] PROGRAM [ARGUMENT ...]
       python -m ollama_fast.compat -m MODULE [ARGUMENT ...]
       python -m ollama_fast.compat -c CODE [ARGUMENT ...]
       python -m ollama_fast.compat - [ARGUMENT ...]

Run a program, unchanged and as python itself would, with ollama_fast.compat wherever it imports ollama.
The last form reads it from standard input, to its end.
"""


def main(arguments: list[str]) -> None:
    """
    Run, as the main module of this process, what a command line asks for.

    Args:
        arguments: Of the command line; those behind the program's name are the program's own.
    """
    if not arguments:
        _give_up(_USAGE)
    first, rest = arguments[0], arguments[1:]
    if first in ("-h", "--help"):
        sys.stdout.write(_USAGE)
    elif first == "-":
        _run(_standard_input, arguments, "")
    elif first == "--" or not first.startswith("-"):
        _run(_program, rest if first == "--" else arguments, "a PROGRAM")
    elif first.startswith("-m"):
        _run(_module, [first[2:], *rest] if first[2:] else rest, "a MODULE")
    elif first.startswith("-c"):
        _run(_code, [first[2:], *rest] if first[2:] else rest, "CODE")
    else:
        _give_up(f"unknown option: {first}\n{_USAGE}")


_Start: TypeAlias = Callable[[], object]
"""What runs in the program's own main module."""


def _run(find: Callable[[str, list[str]], _Start], words: list[str], wanted: str) -> None:
    if not words:
        _give_up(f"{wanted} is missing\n{_USAGE}")
    install()
    try:
        find(words[0], words[1:])()
    except BaseException as exc:
        _hide_our_frames(exc)
        raise


def _program(path: str, arguments: list[str]) -> _Start:
    sys.argv = [path, *arguments]
    path = str(Path(path).absolute())
    if get_importer(path) is not None:  # a folder or an archive with a file __main__.py
        if not sys.flags.safe_path:
            del sys.path[0]
        sys.path.insert(0, path)
        _new_main()
        return partial(_run_module_as_main, "__main__", alter_argv=False)
    _put_first(str(Path(path).resolve().parent))
    names = _new_main(__file__=path, __cached__=None)
    if path.endswith(".pyc"):
        loader: Any = SourcelessFileLoader("__main__", path)
        names["__loader__"] = loader
        return partial(exec, loader.get_code("__main__"), names)
    names["__loader__"] = SourceFileLoader("__main__", path)
    try:
        with io.open_code(path) as file:
            text = file.read()
    except OSError as exc:
        _give_up(f"{sys.executable}: can't open file {path!r}: [Errno {exc.errno}] {exc.strerror}\n")
    return partial(exec, compile(text, path, "exec", dont_inherit=True), names)


def _module(name: str, arguments: list[str]) -> _Start:
    sys.argv = ["-m", *arguments]  # until it is found, as with python itself
    _new_main()
    return partial(_run_module_as_main, name)


def _code(text: str, arguments: list[str]) -> _Start:
    return _text(text, ["-c", *arguments], "<string>")


def _standard_input(name: str, arguments: list[str]) -> _Start:
    text = sys.stdin.buffer.read()
    return _text(text, [name, *arguments], "<stdin>", __file__="<stdin>", __cached__=None)


def _text(text: str | bytes, words: list[str], place: str, **names: Any) -> _Start:
    sys.argv = words
    _put_first("")
    names = _new_main(__loader__=BuiltinImporter, **names)
    return partial(exec, compile(text, place, "exec", dont_inherit=True), names)


_run_module_as_main: Final[Callable[..., object]] = vars(runpy)["_run_module_as_main"]
"""What python itself calls for `-m`, for a folder and for an archive; it has no public name."""


def _new_main(**names: Any) -> dict[str, Any]:
    """Give the names of a new main module, which stays after the program's end: threads and exit handlers use it."""
    module = sys.modules["__main__"] = ModuleType("__main__")
    module.__dict__.update(names, __builtins__=builtins)
    return module.__dict__


def _put_first(folder: str) -> None:
    if not sys.flags.safe_path:  # otherwise the current folder is not there to be replaced
        sys.path[0] = folder


def _hide_our_frames(exc: BaseException) -> None:
    # Not printed here: python does that, and chooses the exit status, whatever the program did to the hook.
    theirs = exc.__traceback__
    while theirs and theirs.tb_frame.f_code.co_filename == __file__:
        theirs = theirs.tb_next
    show = sys.excepthook

    def show_theirs(kind: type[BaseException], exc: BaseException, _all: TracebackType | None) -> None:
        show(kind, exc.with_traceback(theirs), theirs)

    sys.excepthook = show_theirs


def _give_up(message: str) -> NoReturn:
    sys.stderr.write(message)
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
