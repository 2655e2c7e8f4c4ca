"""
The pages of the reference, and what must hold of them.

The pages are lists of names for mkdocstrings. A public function without a signature, a text, a described parameter or
a type of what it gives is a complaint, and a complaint ends the build.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, Final

import griffe

from . import public
from .faces import Faces

_UNTYPED_SELF: Final = ("self", "cls")
_OF_SHAPES: Final = """\
    options:
      inherited_members: true
      show_bases: false
"""
"""A reader wants all keys of a dict, and not which private class brings some of them."""


def load(package: str, modules: tuple[str, ...], search: Iterable[str] = ("python",)) -> griffe.Module:
    """Read *package* as the build of the site does."""
    found = griffe.load(package, extensions=griffe.load_extensions(Faces(modules)), search_paths=list(search))
    if not isinstance(found, griffe.Module):
        raise TypeError(f"{package} is no module")
    return found


def complaints(package: griffe.Module, modules: Iterable[str]) -> list[str]:
    """Say what public functions, and what classes, lack for the reference."""
    return [
        complaint
        for name in modules
        for complaint in _of_module(
            package if name == package.name else package[name.partition(".")[2]], import_module(name)
        )
    ]


def _of_module(module: griffe.Module, runtime: ModuleType) -> Iterator[str]:
    for name in public.functions(runtime):
        shown, path = module.members.get(name), f"{runtime.__name__}.{name}"
        if not isinstance(shown, griffe.Function):
            yield f"{path} has no signature"
            continue
        yield from (f"{path} {what}" for what in _of_function(shown, getattr(runtime, name)))
    for name in public.values(runtime):
        shown = module.members.get(name)
        if shown is None:
            yield f"{runtime.__name__}.{name} is nowhere in the source"
        elif shown.docstring is None and _could_have_a_doc(getattr(runtime, name)):
            yield f"{runtime.__name__}.{name} has no doc"


def _of_function(shown: griffe.Function, found: Any) -> Iterator[str]:
    true = [name for name in inspect.signature(found).parameters if name not in _UNTYPED_SELF]
    parameters = [parameter for parameter in shown.parameters if parameter.name not in _UNTYPED_SELF]
    if [parameter.name for parameter in parameters] != true:
        yield f"is shown with other parameters than it has: {', '.join(true)}"
    if untyped := [parameter.name for parameter in parameters if parameter.annotation is None]:
        yield f"has parameters without a type: {', '.join(untyped)}"
    if shown.returns is None:
        yield "does not say what it gives"
    if shown.docstring is None or not shown.docstring.value.strip():
        yield "has no doc"
        return
    told = {
        item.name.lstrip("*")
        for section in shown.docstring.parse("google", warnings=False)
        if section.kind is griffe.DocstringSectionKind.parameters
        for item in section.value
        if item.description.strip()
    }
    if untold := [name for name in true if name not in told]:
        yield f"says nothing of its parameters {', '.join(untold)}"
    if unknown := sorted(told - set(true)):
        yield f"tells of parameters that it does not have: {', '.join(unknown)}"


def _could_have_a_doc(found: Any) -> bool:
    return inspect.isclass(found)


# --- pages -----------------------------------------------------------------------------------------------------------


def pages(groups_page: str) -> dict[str, str]:
    """Give the pages of the reference: the path of each in the site, and its Markdown."""
    groups = public.groups(groups_page)
    return {
        "reference/functions.md": _functions_page(
            "Functions",
            "ollama_fast",
            "The blocking functions. [`ollama_fast.aio`](aio.md) has the same ones for asyncio, and"
            " [all functions](../functions.md) are on one page.",
            groups,
        ),
        "reference/aio.md": _functions_page(
            "Functions for asyncio",
            "ollama_fast.aio",
            "What takes a host is awaited, and a stream is iterated over by `async for`. Parameters are those of"
            " [`ollama_fast`](functions.md), but a client of your own is an `httpx.AsyncClient`.",
            groups,
            values=True,
        ),
        "reference/values.md": _values_page(
            "Values", "ollama_fast", "What the functions take and give, beside the plain dicts of `types`."
        ),
        "reference/types.md": _module_page("Shapes", "ollama_fast.types"),
        "reference/tools.md": _module_page("Tools", "ollama_fast.tools"),
        "reference/errors.md": _module_page("Errors", "ollama_fast.errors"),
        "reference/testing.md": _module_page("Testing", "ollama_fast.testing"),
        "reference/telemetry.md": _module_page("Telemetry", "ollama_fast.telemetry"),
        "reference/bench.md": _module_page("Benchmarks", "ollama_fast.bench"),
        "reference/compat.md": _module_page("The drop-in module", "ollama_fast.compat", "ollama_fast.compat.errors"),
    }


def expected(modules: Iterable[str] = public.MODULES) -> set[str]:
    """Give the anchors that the built pages must have: one for each public name."""
    return {f"{name}.{member}" for name in modules for member in public.names(import_module(name))}


def _shown(path: str) -> str:
    return f"::: {path}\n{_OF_SHAPES}" if path.startswith("ollama_fast.types.") else f"::: {path}\n"


def _functions_page(title: str, module: str, about: str, groups: dict[str, list[str]], *, values: bool = False) -> str:
    runtime = import_module(module)
    there = public.functions(runtime)
    parts = [f"# {title}\n", f"{about}\n"]
    for group, members in groups.items():
        if shown := [name for name in members if name in there]:
            parts += [f"## {group[0].upper()}{group[1:]}\n", *(_shown(f"{module}.{name}") for name in shown)]
    if values:
        parts += ["## Values\n", *(_shown(f"{module}.{name}") for name in public.values(runtime))]
    return "\n".join(parts)


def _values_page(title: str, module: str, about: str) -> str:
    runtime = import_module(module)
    return "\n".join([f"# {title}\n", f"{about}\n", *(_shown(f"{module}.{name}") for name in public.values(runtime))])


def _module_page(title: str, *modules: str) -> str:
    parts = [f"# {title}\n"]
    for module in modules:
        runtime = import_module(module)
        parts += [f"## `{module}`\n", f"{_markdown(inspect.getdoc(runtime) or '')}\n"]
        members = [*public.functions(runtime), *public.values(runtime)]
        parts += [_shown(f"{module}.{name}") for name in members]
    return "\n".join(parts)


def _markdown(doc: str) -> str:
    """Give the docstring of a module as Markdown: a tree that is drawn in it stays drawn."""
    lines = doc.replace(":class:", "").replace(":mod:", "").splitlines()
    drawn = [number for number, line in enumerate(lines) if line.lstrip().startswith(("* ", "+ ", "- "))]
    if drawn:
        lines.insert(drawn[-1] + 1, "```")
        lines.insert(drawn[0], "```text")
    return "\n".join(lines)
