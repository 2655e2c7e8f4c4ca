"""What the compiled part of a wheel must not hold: symbols for debugging, and paths of the machine that built it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from elftools.elf.elffile import ELFFile

# The compiler's own sources have the path /rustc/..., which is the same everywhere.
SOURCE = re.compile(rb"(?:/|[A-Za-z]:\\)[\w.+@~-]+(?:[/\\][\w.+@~-]+)*\.rs\b")
OF_THE_COMPILER = (b"/rustc/", b"/rust/deps/")


def foreign_paths(binary: bytes) -> set[str]:
    """Give the absolute paths of sources in a binary, but for the compiler's."""
    # A path that begins within another is the rest of a relative one: `src/lib.rs` holds `/lib.rs`.
    found = (match for match in SOURCE.finditer(binary) if not re.match(rb"[\w.+@~>-]", binary[match.start() - 1 : match.start()]))
    return {match[0].decode() for match in found if not match[0].startswith(OF_THE_COMPILER)}


def debug_sections(binary: bytes) -> set[str]:
    """Give the names of an ELF file's sections that only a debugger needs; other formats have none that are looked at."""
    if not binary.startswith(b"\x7fELF"):
        return set()
    names: set[str] = {section.name for section in ELFFile(io.BytesIO(binary)).iter_sections()}
    return {name for name in names if name == ".symtab" or name.startswith(".debug")}


def wrong_in_extension(binary: bytes) -> Iterator[str]:
    """Tell what is wrong in an extension."""
    if paths := foreign_paths(binary):
        yield f"the extension names {len(paths)} files of the machine that built it, such as {min(paths)}: see REMAP in the Makefile"
    if sections := debug_sections(binary):
        yield f"the extension is not stripped: it has {sorted(sections)}"
