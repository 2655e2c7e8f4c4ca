"""
Serve `ollama_fast.compat` wherever a program imports `ollama`.

`sys.modules` says what a name of a module stands for, so that is where the names are given away. The finder is for
what looks past it: imports after a name was dropped from it, and `importlib.metadata`, which some programs ask for the
version of `ollama` before they use it. It is no part of `compat`, so that a child can have it without that.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.metadata import Distribution

VERSION: Final = "0.6.3"
"""The version of `ollama` whose surface `compat` has."""

_NAME: Final = "ollama"
_OURS: Final = "ollama_fast.compat"
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
        if _finder not in sys.meta_path:
            _give_away(_import_ours())


def uninstall() -> None:
    """Undo `install`: imports give the installed `ollama` again, while what is bound stays as it is."""
    with _lock:
        if _finder not in sys.meta_path:
            return
        sys.meta_path.remove(_finder)
        _drop_the_names()
        sys.modules.update(_replaced)
        _replaced.clear()
        spawn: Any = sys.modules.get(_SPAWN)
        if spawn and isinstance(spawn.get_preparation_data, _Prepare):  # and not what another has put around it
            spawn.get_preparation_data = spawn.get_preparation_data.before


def _give_away(modules: Mapping[str, ModuleType]) -> None:
    _replaced.update(_drop_the_names())
    sys.modules.update(modules)
    sys.meta_path.insert(0, _finder)
    if _SPAWN in sys.modules:
        _tell_children()


def _is_for_us(name: str) -> bool:
    return name == _NAME or name.startswith(f"{_NAME}.")


def _import_ours() -> dict[str, ModuleType]:
    return {name: importlib.import_module(ours) for name, ours in _STANDS_FOR.items()}


def _drop_the_names() -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if _is_for_us(name)}


class _Finder:
    """Finds `compat` under the names of `ollama`, and the metadata of `ollama` where that is not installed."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if fullname.startswith(_STARTERS):
            _tell_children()
        if not _is_for_us(fullname):
            return None
        if fullname not in _STANDS_FOR:
            # Its parent has files of other names, which would be loaded a second time under this one.
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        loader: Any = self  # a Loader by its methods; the class costs the import of importlib.abc
        return ModuleSpec(fullname, loader, origin=_OURS, is_package=fullname == _NAME)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        modules = _import_ours()
        if spec.name == _NAME:
            # All together: the import of a submodule alone binds its name in the package, where `_client` is the
            # client that the functions use.
            sys.modules.update(modules)
        spec.loader_state = modules[spec.name].__spec__
        return modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        # It has been executed; the import has given it the spec of the other name.
        module.__spec__ = module.__spec__ and module.__spec__.loader_state

    def find_distributions(self, context: Any = None) -> Iterator[Distribution]:
        from ._stand_in_metadata import found

        return found(context, others=[finder for finder in sys.meta_path if finder is not self])


_finder: Final = _Finder()

# --- children: those that are not forked know of their parent only what multiprocessing sends ------------------------

_SPAWN: Final = "multiprocessing.spawn"
_STARTERS: Final = ("multiprocessing.popen_spawn", "multiprocessing.popen_forkserver")
"""What is imported with the first such child. To import more than that beforehand would take 15 ms of each program."""


class _Install:
    """What installs where it is unpickled."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = list(paths)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        # By a text, and no reference: this is unpickled before the child has the paths on which a reference is found.
        return exec, (
            f"import sys; sys.path[:] = {self._paths!r}; from {__name__} import _give_away; _give_away({{}})",
        )


class _Prepare:
    """What makes the data that a child gets before it imports the main module."""

    def __init__(self, before: Callable[[str], dict[str, Any]]) -> None:
        self.before = before

    def __call__(self, name: str) -> dict[str, Any]:
        data = self.before(name)
        return {**data, _OURS: _Install(data.get("sys_path", sys.path))} if _finder in sys.meta_path else data


def _tell_children() -> None:
    spawn: Any = importlib.import_module(_SPAWN)
    if not isinstance(spawn.get_preparation_data, _Prepare):
        spawn.get_preparation_data = _Prepare(spawn.get_preparation_data)
