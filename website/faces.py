"""
Show in the reference what objects are at run time, where their source does not say it.

A public function is an assignment, `show = call(_endpoints.show)`: whoever reads the source sees an attribute without
parameters. This extension of griffe puts a function in its place, whose parameters and text are those that `inspect`
finds. What the source does say, such as the keys of a TypedDict and their texts, stays as it was read.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, Final

import griffe

from . import public

_ROLE: Final = re.compile(r":(?:mod|class|func|meth):`([^`]+)`")
_KINDS: Final = {
    inspect.Parameter.POSITIONAL_ONLY: griffe.ParameterKind.positional_only,
    inspect.Parameter.POSITIONAL_OR_KEYWORD: griffe.ParameterKind.positional_or_keyword,
    inspect.Parameter.VAR_POSITIONAL: griffe.ParameterKind.var_positional,
    inspect.Parameter.KEYWORD_ONLY: griffe.ParameterKind.keyword_only,
    inspect.Parameter.VAR_KEYWORD: griffe.ParameterKind.var_keyword,
}
_BEFORE: Final = re.compile(r"\b(?:collections\.abc|typing|builtins|types)\.|\bollama_fast(?:\.\w+)*\.(?=[A-Z])")
"""What a signature says before the names of objects, and a reader does not need."""


class Faces(griffe.Extension):
    """Put true functions in the place of assigned ones, in each public module and class of a package."""

    def __init__(self, modules: tuple[str, ...] = public.MODULES) -> None:
        self.modules = modules

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Do it, once the source of *pkg* has been read."""
        rooms = _Rooms(pkg)
        for name in self.modules:
            if name.partition(".")[0] != pkg.name:
                continue
            module, runtime = pkg if name == pkg.name else pkg[name.partition(".")[2]], import_module(name)
            _show_functions(module, runtime, public.functions(runtime), rooms)
            for value in public.values(runtime):
                shown, found = module.members.get(value), getattr(runtime, value)
                if shown is not None and inspect.isclass(found):
                    _show_methods(shown, found, rooms)

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Write names in a docstring as Markdown does."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(r"`\1`", obj.docstring.value)


class _Rooms:
    """Which module of a package knows a name that an annotation has."""

    def __init__(self, pkg: griffe.Module) -> None:
        self.known: dict[tuple[bool, str], griffe.Module] = {}
        for module in _modules(pkg):
            for name, member in module.members.items():
                key = (_is_compat(module), name)
                if key not in self.known or not member.is_alias:
                    self.known[key] = module

    def expression(self, annotation: Any, scope: griffe.Module) -> griffe.Expr | str | None:
        """Turn an annotation, a text or an object, into an expression whose names lead to where they are documented."""
        if annotation is inspect.Parameter.empty:
            return None
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        text = _BEFORE.sub("", str(text)).replace("NoneType", "None")
        try:
            parsed = griffe.get_expression(ast.parse(text, mode="eval").body, parent=scope, parse_strings=False)
        except SyntaxError:
            return text
        if isinstance(parsed, griffe.Expr):
            for part in parsed.iterate(flat=True):
                if isinstance(part, griffe.ExprName) and isinstance(part.parent, griffe.Module):
                    part.parent = self.known.get((_is_compat(scope), part.name), scope)
        return parsed


def _is_compat(module: griffe.Module) -> bool:
    """Say whether names in *module* mean the models of `ollama`, of which many are called as our own shapes are."""
    return ".compat" in module.path


def _modules(module: griffe.Module) -> Iterator[griffe.Module]:
    yield module
    for member in module.members.values():
        if not member.is_alias and isinstance(member, griffe.Module):
            yield from _modules(member)


def _show_functions(module: griffe.Module, runtime: ModuleType, names: list[str], rooms: _Rooms) -> None:
    for name in names:
        found = getattr(runtime, name)
        known = module.members.get(name)
        lines = None if known is None or known.is_alias else (known.lineno, known.endlineno)
        module.set_member(name, _function(name, found, module, rooms, lines))


def _show_methods(shown: griffe.Object | griffe.Alias, found: type, rooms: _Rooms) -> None:
    target = shown.final_target if shown.is_alias and isinstance(shown, griffe.Alias) else shown
    if not isinstance(target, griffe.Class):
        return
    for name, member in list(target.members.items()):
        method = inspect.getattr_static(found, name, None)
        if member.is_attribute and inspect.isfunction(method) and not name.startswith("_"):
            target.set_member(name, _function(name, method, target.module, rooms, (member.lineno, member.endlineno)))


def _function(
    name: str, found: Any, module: griffe.Module, rooms: _Rooms, lines: tuple[int | None, int | None] | None
) -> griffe.Function:
    signature = inspect.signature(found)
    parameters = [
        griffe.Parameter(
            parameter.name,
            annotation=rooms.expression(parameter.annotation, module),
            kind=_KINDS[parameter.kind],
            default=_default(parameter),
        )
        for parameter in signature.parameters.values()
    ]
    function = griffe.Function(
        name,
        parameters=griffe.Parameters(*parameters),
        returns=rooms.expression(signature.return_annotation, module),
        lineno=lines and lines[0],
        endlineno=lines and lines[1],
    )
    if inspect.iscoroutinefunction(found):
        function.labels.add("async")
    if doc := inspect.getdoc(found):
        function.docstring = griffe.Docstring(_ROLE.sub(r"`\1`", doc), parent=function, parser="google")
    return function


def _default(parameter: inspect.Parameter) -> str | None:
    if parameter.default is inspect.Parameter.empty:
        return None
    text = repr(parameter.default)
    return "..." if " at 0x" in text else text  # a function has no text that would say more
