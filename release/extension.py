"""What the compiled part of a wheel must not hold: symbols for debugging, and paths of the machine that built it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from elftools.elf.elffile import ELFFile

# The compiler's own sources have the path /rustc/..., which is the same everywhere.
# A slash behind a name is within a relative path, as in `src/lib.rs`.
SOURCE = re.compile(rb"(?<![\w.+@~>-])(?:/|[A-Za-z]:\\)[\w.+@~-]+(?:[/\\][\w.+@~-]+)*\.rs\b")
OF_THE_COMPILER = (b"/rustc/", b"/rust/deps/")


def foreign_paths(binary: bytes) -> set[str]:
    """Give the absolute paths of sources in a binary, but for the compiler's."""
    return {path.decode() for path in SOURCE.findall(binary) if not path.startswith(OF_THE_COMPILER)}


def debug_sections(binary: bytes) -> set[str]:
    """Give the names of an ELF file's sections that only a debugger needs; other formats are not looked at."""
    if not binary.startswith(b"\x7fELF"):
        return set()
    names: set[str] = {section.name for section in ELFFile(io.BytesIO(binary)).iter_sections()}
    return {name for name in names if name == ".symtab" or name.startswith(".debug")}


def wrong_in_extension(binary: bytes) -> Iterator[str]:
    """Tell what is wrong in an extension."""
    if paths := foreign_paths(binary):
        yield f"the extension names files of the machine that built it, such as {min(paths)}: see REMAP in the Makefile"
    if sections := debug_sections(binary):
        yield f"the extension is not stripped: it has {sorted(sections)}"
