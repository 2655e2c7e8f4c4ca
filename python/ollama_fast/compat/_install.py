"""
Serve this package's surface wherever a program imports `ollama`.

`sys.modules` says what a name of a module stands for, so that is where the names are given away. The finder is for
what looks past it: imports after a name was dropped from it, and `importlib.metadata`, which some programs ask for the
version of `ollama` before they use it.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_NAME: Final = "ollama"
_OURS: Final = __name__.rpartition(".")[0]
_STANDS_FOR: Final = {_NAME: _OURS} | {f"{_NAME}.{part}": f"{_OURS}.{part}" for part in ("_client", "_types", "_utils")}
"""What each name of a module stands for."""

_lock: Final = threading.RLock()
_replaced: Final[dict[str, ModuleType]] = {}
"""The modules that had the names before."""


def install() -> None:
    """
    Make `import ollama` and `from ollama import ...` give this package, from now on and in the whole process.

    Processes that multiprocessing starts are told, too. What a module bound by an earlier import stays as it was, so
    call it before others import `ollama`. Doing it again does nothing.
    """
    with _lock:
        if _finder in sys.meta_path:
            return
        modules = _import_ours()
        _replaced.update((name, module) for name, module in list(sys.modules.items()) if _is_for_us(name))
        _drop_the_names()
        sys.modules.update(modules)
        sys.meta_path.insert(0, _finder)
        _tell_children(True)


def uninstall() -> None:
    """Undo `install`: imports give the installed `ollama` again, while what is bound stays as it is."""
    with _lock:
        if _finder not in sys.meta_path:
            return
        _tell_children(False)
        sys.meta_path.remove(_finder)
        _drop_the_names()
        sys.modules.update(_replaced)
        _replaced.clear()


def _is_for_us(name: str) -> bool:
    return name == _NAME or name.startswith(f"{_NAME}.")


def _import_ours() -> dict[str, ModuleType]:
    return {name: importlib.import_module(ours) for name, ours in _STANDS_FOR.items()}


def _drop_the_names() -> None:
    for name in filter(_is_for_us, list(sys.modules)):
        del sys.modules[name]


class _Finder:
    """Finds this package under the names of `ollama`, and the metadata of `ollama` where that is not installed."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if not _is_for_us(fullname):
            return None
        if fullname not in _STANDS_FOR:
            # Its parent has files of other names, which would be loaded a second time under this one.
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        loader: Any = self  # a Loader by its methods; the class costs the import of importlib.abc
        return ModuleSpec(fullname, loader, origin=_OURS, is_package=fullname == _NAME)

    def create_module(self, _spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # The import gives what sys.modules has under the name afterwards, not the empty module that it made.
        modules = _import_ours()
        if module.__name__ == _NAME:
            # All together: the import of a submodule alone binds its name in the package, where `_client` is the
            # client that the functions use.
            sys.modules.update(modules)
        else:
            sys.modules[module.__name__] = modules[module.__name__]

    def find_distributions(self, context: Any = None) -> Iterator[Distribution]:
        from ollama_fast.compat._metadata import found

        return found(context, others=[finder for finder in sys.meta_path if finder is not self])


_finder: Final = _Finder()

# --- children --------------------------------------------------------------------------------------------------------

_preparations: Final[list[Callable[[str], dict[str, Any]]]] = []
"""What made the data that a child gets before it imports the main module."""


class _Install:
    """What installs where it is unpickled."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = list(paths)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return exec, (f"import sys; sys.path[:] = {self._paths!r}; from {__name__} import install; install()",)


def _prepare(name: str) -> dict[str, Any]:
    data = _preparations[-1](name)
    return {**data, _OURS: _Install(data.get("sys_path", sys.path))}


def _tell_children(tell: bool) -> None:
    # A child that was not forked knows of its parent only what multiprocessing sends.
    import multiprocessing.spawn

    spawn: Any = multiprocessing.spawn
    if tell:
        _preparations.append(spawn.get_preparation_data)
        spawn.get_preparation_data = _prepare
    else:
        spawn.get_preparation_data = _preparations.pop()
