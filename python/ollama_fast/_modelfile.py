"""
Modelfiles: their text to a value, and that to the arguments of `create`.

The text is read as Ollama's own command reads it (parser/parser.go), which sends it to no server: servers since 0.5.5
know fields only. tests/modelfiles/answers.json holds what that parser makes of many texts.
"""

from __future__ import annotations

import errno
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from . import _option_texts, _upload
from .errors import ModelfileError

_ONE: Final = ("template", "system", "renderer", "parser", "requires")
"""Instructions whose last one counts."""
_SEVERAL: Final = ("from", "adapter", "draft", "license")
_INSTRUCTIONS: Final = (*_SEVERAL, *_ONE, "parameter", "message")
_ROLES: Final = ("system", "user", "assistant")
_GONE: Final = (
    "penalize_newline",
    "low_vram",
    "f16_kv",
    "logits_all",
    "vocab_only",
    "use_mlock",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
)
"""Parameters that servers no longer know, and that old files have."""

# Text, not compiled: this module is imported with `create`, and few programs have a Modelfile.
_BLANK = r"[ \t\r\n]*"
_WORD = r"[^ \t\r\n]*"
_NUMBER = r"(?:0|[1-9][0-9]*)"
_VERSION = rf"v?{_NUMBER}(?:\.{_NUMBER}(?:\.{_NUMBER}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)?)?"
_LIKE_A_PATH = r"[./~\\].*|.*\.(?:gguf|safetensors|bin)"


@dataclass(frozen=True, slots=True)
class Modelfile:
    """
    What a Modelfile says, as `create` takes it.

    Args:
        from_: What the model is made of, as it is written: a model's name, or paths of files or folders.

        adapters: Paths of adapters, as they are written; the last one counts.

        drafts: Paths of files of a draft model.

        template: Prompt template.

        system: System message.

        license: Texts of licences.

        parameters: Options of every run, by their names, in their types.

        messages: A conversation that comes before every chat.

        renderer: Name of a built-in renderer of prompts.

        parser: Name of a built-in parser of answers.

        requires: Oldest version of Ollama that can run the model.

        folder: What relative paths start from.

        dropped: What was left out, as a sentence each: parameters that Ollama no longer knows.

    Mappings in it are copied, and read-only. They count for equality, and not for the hash.
    """

    from_: tuple[str, ...]
    adapters: tuple[str, ...] = ()
    drafts: tuple[str, ...] = ()
    template: str | None = None
    system: str | None = None
    license: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    messages: tuple[Mapping[str, str], ...] = field(default=(), hash=False)
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None
    folder: Path = Path()
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        settle = object.__setattr__  # the way of frozen dataclasses to fill themselves
        settle(self, "parameters", MappingProxyType({name: _frozen(value) for name, value in self.parameters.items()}))
        settle(self, "messages", tuple(MappingProxyType(dict(message)) for message in self.messages))

    def __reduce__(self) -> tuple[type[Modelfile], tuple[Any, ...]]:
        """Let it be copied and pickled, which read-only mappings cannot be."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        found |= {"parameters": dict(self.parameters), "messages": tuple(map(dict, self.messages))}
        return Modelfile, tuple(found.values())


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class _Instruction(NamedTuple):
    line: int
    name: str
    key: str
    """A parameter's name, or a message's role."""
    value: str


def parse_modelfile(text: str, *, folder: str | os.PathLike[str] = ".") -> Modelfile:
    """
    Read the text of a Modelfile.

    Args:
        text: Of the Modelfile.

        folder: What relative paths in it start from.

    Nothing is looked at but the text. Raises ModelfileError, which says in which line what is wrong. Parameters that
    Ollama no longer knows are left out, with a warning.

    See https://github.com/ollama/ollama/blob/main/docs/modelfile.mdx
    """
    found = parsed(text, folder)
    for sentence in found.dropped:
        warnings.warn(sentence, stacklevel=2)
    return found


def parsed(text: str, folder: str | os.PathLike[str]) -> Modelfile:
    """Do the same without a warning."""
    if not isinstance(text, str):
        raise TypeError(f"the text of a Modelfile is a str, not {type(text).__name__}; a file is given to create")
    lists: dict[str, list[str]] = {name: [] for name in _SEVERAL}
    single: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    messages: list[Mapping[str, str]] = []
    dropped: list[str] = []
    for one in _instructions(text):
        match one.name:
            case "parameter" if one.key in _GONE:
                dropped.append(f"line {one.line}: Ollama no longer has the parameter {one.key!r}; left out")
            case "parameter":
                _add_parameter(parameters, one)
            case "message":
                role, _, content = f"{one.key}: {one.value}".partition(": ")
                messages.append({"role": role, "content": content})
            case "requires":
                if re.fullmatch(_VERSION, one.value) is None:
                    raise ModelfileError(f"{one.value!r} is no version, such as 0.14.0", line=one.line)
                single[one.name] = one.value.removeprefix("v")
            case name if name in _ONE:
                single[name] = one.value
            case name:
                lists[name].append(one.value)
    if not lists["from"]:
        raise ModelfileError("there is no FROM, which says what the model is made of")
    return Modelfile(
        tuple(lists["from"]),
        tuple(lists["adapter"]),
        tuple(lists["draft"]),
        license=tuple(lists["license"]),
        parameters=parameters,
        messages=tuple(messages),
        folder=Path(folder),
        dropped=tuple(dropped),
        **single,
    )


def read(path: os.PathLike[str]) -> Modelfile:
    """Read the Modelfile at *path*; its relative paths start from its folder. Raises OSError or ModelfileError."""
    content = Path(path).read_bytes()
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return parsed(content.decode(encoding, errors="replace"), Path(path).parent)
    except ModelfileError as exc:
        exc.args = (f"{os.fspath(path)!r}, {exc}",)
        raise


def arguments(modelfile: Modelfile) -> dict[str, Any]:
    """
    Give the arguments of `create` that *modelfile* means; those that it does not mention are missing.

    FROM names a file or folder if there is one, else a model. Raises FileNotFoundError for what can only be a path and
    is none, and ValueError for a folder without a model.
    """
    found: dict[str, Any] = {"files": {}}
    for text in modelfile.from_:
        path = _path(text, modelfile.folder)
        if _is_there(path) or re.fullmatch(_LIKE_A_PATH, text):
            found["files"].update(_upload.named(path))
        else:
            found["from_"] = text
    if modelfile.adapters:
        found["adapters"] = _upload.named(_path(modelfile.adapters[-1], modelfile.folder))
    found["draft_files"] = {}
    for text in modelfile.drafts:
        found["draft_files"].update(_upload.named(_path(text, modelfile.folder)))
    for name in ("template", "system", "license", "parameters", "messages", "renderer", "parser", "requires"):
        found[name] = getattr(modelfile, name)
    found["parameters"], found["messages"] = dict(modelfile.parameters), list(map(dict, modelfile.messages))
    return {name: value for name, value in found.items() if value}


def _path(text: str, folder: Path) -> Path:
    try:
        return folder / Path(text).expanduser()
    except RuntimeError as exc:  # of a user who is not known
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), text) from exc


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as exc:
        if exc.errno != errno.ENAMETOOLONG:
            raise
        return False  # a model's name may be longer than a file's


# --- the text --------------------------------------------------------------------------------------------------------


def _instructions(text: str) -> Iterator[_Instruction]:
    # What cannot be printed is in no value, as in Ollama's own; nor is it seen by people who look for a mistake.
    text = "".join(character for character in text if character.isprintable() or character in "\t\r\n")
    place, line, counted = 0, 1, 0
    while (place := _after(_BLANK, text, place)) < len(text):
        if text[place] == "#":
            place = _line_end(text, place)
            continue
        line += text.count("\n", counted, place)
        counted = place
        word, place = _word(text, place)
        name = word.lower()
        if name not in _INSTRUCTIONS:
            known = ", ".join(each.upper() for each in _INSTRUCTIONS)
            raise ModelfileError(f"{word!r} is no instruction; there are {known}", line=line)
        if place == len(text) or text[place] in "\r\n":
            raise ModelfileError(f"{word} has no value", line=line)
        place += 1
        key = ""
        if name in ("parameter", "message"):
            key, place = _word(text, place)
            _check_key(name, key, text[place : place + 1], line)
            place += 1
        value, place = _value(text, place, line)
        yield _Instruction(line, name, key, value)


def _check_key(name: str, key: str, behind: str, line: int) -> None:
    if name == "message" and key not in _ROLES:
        raise ModelfileError(f"{key!r} is no role of a message; there are {', '.join(_ROLES)}", line=line)
    if not key or behind not in (" ", "\t"):
        raise ModelfileError(f"{name.upper()} needs a name and a value, with one space before each", line=line)


def _value(text: str, place: int, line: int) -> tuple[str, int]:
    """Give the value that begins at *place*, and where it ends: with its line, or with the line that ends a quote."""
    end = _line_end(text, place)
    first = text[place:end].strip()
    quote = next((each for each in ('"""', '"') if first.startswith(each)), None)
    if quote is None:
        return first, end
    begin = text.index(quote, place)
    within, start = begin + len(quote), begin
    while True:
        last = start + len(text[start:end].rstrip())
        if text.endswith(quote, start, last) and last - begin >= 2 * len(quote):
            return text[within : last - len(quote)], end
        if end == len(text):
            raise ModelfileError("the quotation that begins here does not end", line=line)
        start = end + 1
        end = _line_end(text, start)


def _after(pattern: str, text: str, place: int) -> int:
    found = re.compile(pattern).match(text, place)
    return place if found is None else found.end()


def _word(text: str, place: int) -> tuple[str, int]:
    end = _after(_WORD, text, place)
    return text[place:end], end


def _line_end(text: str, place: int) -> int:
    return _after(r"[^\r\n]*", text, place)


# --- parameters ------------------------------------------------------------------------------------------------------


def _add_parameter(parameters: dict[str, Any], one: _Instruction) -> None:
    kind = _option_texts.kinds().get(one.key)
    if kind is None:
        raise ModelfileError(
            f"Ollama has no parameter {one.key!r}; there are {', '.join(sorted(_option_texts.kinds()))}", line=one.line
        )
    try:
        value = _option_texts.typed(kind, one.value)
    except ValueError as exc:
        raise ModelfileError(f"the parameter {one.key!r} is {exc}", line=one.line) from exc
    if isinstance(value, list):
        parameters.setdefault(one.key, []).extend(value)
    else:
        parameters[one.key] = value
