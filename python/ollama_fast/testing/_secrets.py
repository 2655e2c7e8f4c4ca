"""What lets somebody in, as far as names show it, and texts without it. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

HIDDEN: Final = "hidden"
"""What is written in its place."""

_WORDS: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")
_SECRET: Final = re.compile(
    r"auth|authorization|bearer|cookie2?|credentials?|jwt|otp|pass(phrase|wd|word)|pwd|secret|sessionid|signature|token|apikey"
)
_KEYS: Final = frozenset({"access", "api", "auth", "encryption", "license", "private", "secret", "service", "signing"})
"""What makes a key one to a door; others are to a map."""
_IN_QUERIES: Final = re.compile(r"(?i)key|tok|secret|pass|pwd|auth|sig|cred|jwt|code|access|session|ticket|otp")
"""Queries say little, so what is hidden without need does no harm there."""
_USER: Final = re.compile(r"(?i)((?:^|[a-z][a-z0-9+.-]*:)//)[^/?#\s\"]*@")
_PAIR: Final = re.compile(r"([?&;#]([^=&;#\s\"]+)=)[^&;#\s\",>]+")


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether a header or a field of that name lets somebody in: `X-Auth-Token`, `apiKey`, but not `max_tokens`."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words:
        return False
    *before, last = words
    return (
        _SECRET.fullmatch(last) is not None
        or (last == "key" and not _KEYS.isdisjoint(before))
        or (last == "id" and "session" in before)
    )


def without_secrets(text: str) -> str:
    """Give a path, a URL or a header's value without users and passwords, and what in a query seems to be a secret."""
    return _PAIR.sub(_without_value, _USER.sub(rf"\1{HIDDEN}@", text))


def without_secret_fields(value: Any) -> Any:
    """Give decoded JSON whose texts that let somebody in are hidden."""
    if isinstance(value, dict):
        return {
            name: HIDDEN if isinstance(of, str) and is_secret(name) else without_secret_fields(of)
            for name, of in value.items()
        }
    return [without_secret_fields(each) for each in value] if isinstance(value, list) else value


def _without_value(found: re.Match[str]) -> str:
    return found[1] + HIDDEN if _IN_QUERIES.search(unquote(found[2])) else found[0]
