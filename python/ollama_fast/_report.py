"""What a look at a host found, as values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from textwrap import fill
from typing import Any, Final, Literal, TypeAlias

Level: TypeAlias = Literal["ok", "note", "problem"]

_WIDTH: Final = 110
_INDENT: Final = " " * 23
_LONGEST: Final = 1500
"""Characters of a paragraph, in which there may be what a server says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that was looked at.

    Args:
        topic: Such as "host", "proxy", "connection" or "models".

        level: "ok"; "note" for what may surprise; "problem" for what keeps calls from succeeding.

        what: What was found, in plain words.

        todo: What to do about it; "" if nothing.

        facts: The same for programs, as JSON has it. It counts for equality, and not for the hash: a dict has none.
    """

    topic: str
    level: Level
    what: str
    todo: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)

    def __str__(self) -> str:
        text = _paragraph(f"  {self.level:<8} {self.topic:<11} ", self.what)
        return f"{text}\n{_paragraph(f'{_INDENT}-> ', self.todo)}" if self.todo else text


@dataclass(frozen=True, slots=True)
class Report:
    """
    What `doctor` found; its text is for people, and `as_dict()` for JSON. There are no secrets in it.

    Args:
        host: The URL that was looked at, or what was given for it if that is none.

        findings: In the order in which they were looked at, from this program to the server's models.

        seconds: How long it took.
    """

    host: str
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that keep calls from succeeding."""
        return tuple(finding for finding in self.findings if finding.level == "problem")

    def as_dict(self) -> dict[str, Any]:
        """Give it as dicts, lists, texts and numbers."""
        findings = [*map(asdict, self.findings)]
        found: dict[str, Any] = _written(
            {"host": self.host, "ok": self.ok, "seconds": self.seconds, "findings": findings}
        )
        return found

    def __str__(self) -> str:
        levels = Counter(finding.level for finding in self.findings)
        counted = [
            f"{levels[level]} {level}{'s' * (levels[level] > 1)}" for level in ("problem", "note") if levels[level]
        ]
        head = f"{_written(self.host)}: {', '.join(counted) or 'all is well'} ({self.seconds:.1f} s)"
        return "\n".join((head, *map(str, self.findings)))


def _written(value: Any) -> Any:
    """Give *value*, in whose texts what no file or terminal takes, such as half of a surrogate pair, is escaped."""
    match value:
        case str():
            return "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in value)
        case Mapping():
            return {_written(key): _written(one) for key, one in value.items()}
        case list() | tuple():
            return [_written(one) for one in value]
        case _:
            return value


def _paragraph(first: str, text: str) -> str:
    return fill(
        _written(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
