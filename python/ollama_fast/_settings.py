"""The settings of a Host besides its URL and limits, each checked where the Host is made; no error shows a secret."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from ._url import Auth, is_unicode

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

# Text, not compiled: most programs use few of them, and compiling takes longer than importing this module.
_HEADER_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_VALUE: Final = r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?"


def pairs(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Give *headers* as pairs. Raises TypeError or ValueError."""
    wanted = "headers must be a mapping or pairs of names and values, as str"
    if isinstance(headers, str | bytes) or not isinstance(headers, Iterable):
        raise TypeError(f"{wanted}, not {kind_of(headers)}")
    given: Any = headers.items() if isinstance(headers, Mapping) else headers
    found: list[tuple[str, str]] = []
    for number, one in enumerate(given, 1):
        # A str of two characters could be taken for a pair. Neither a name nor a value is shown as long as it may be a
        # secret, as where somebody confuses the two.
        pair = tuple(one) if isinstance(one, Iterable) and not isinstance(one, str | bytes) else ()
        if len(pair) != 2:
            raise TypeError(f"{wanted}; number {number} is no pair")
        name, value = pair
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"{wanted}; of header number {number} they are {kind_of(name)} and {kind_of(value)}")
        name, value = _plain(name), _plain(value)
        if re.fullmatch(_HEADER_NAME, name) is None:
            wrong = re.sub(_HEADER_NAME, "", name)[:1]
            why = f"a name that holds {wrong!r}, which none may" if wrong else "no name"
            raise ValueError(f"header number {number} has {why}")
        if name.lower() in ("content-length", "transfer-encoding"):
            raise ValueError(f"the header {name!r} follows from each request's body")
        check_value(value, f"the header {name!r}")
        found.append((name, value))
    return tuple(found)


def credentials(auth: Auth | None) -> Auth | None:
    """Give *auth*. Raises TypeError or ValueError."""
    if isinstance(auth, str):
        if not auth:
            raise ValueError("auth is an empty token; None sends none")
        check_value(auth, "auth")
        return _plain(auth)
    if auth is None:
        return None
    if not (isinstance(auth, tuple) and len(auth) == 2 and all(isinstance(text, str) for text in auth)):
        raise TypeError("auth must be a bearer token, as a str, or a pair of user name and password")
    if not all(map(is_unicode, auth)):
        raise ValueError("auth holds half a surrogate pair, which is no Unicode text")
    return _plain(auth[0]), _plain(auth[1])


def trust(verify: bool | str | os.PathLike[str]) -> bool | str:
    """Give *verify*, with a path as a str. Raises TypeError or ValueError: what is only falsy switches nothing off."""
    if isinstance(verify, bool):
        return verify
    path = os.fspath(verify) if isinstance(verify, os.PathLike) else verify
    if not isinstance(path, str):
        # httpx takes contexts, also of the classes by which truststore and gevent replace that of `ssl`.
        if _is(verify, "_ssl", "_SSLContext"):
            return verify  # pyright: ignore[reportReturnType]
        raise TypeError(f"verify must be True, False or the path of certificates, not {kind_of(verify)}")
    if not path or "\0" in path:
        raise ValueError("verify must be True, False or the path of certificates, not an empty one or one with a NUL")
    return _plain(path)


def proxy_from(proxy: str | None) -> str | None:
    """Give *proxy*, whose URL is read when a connection is made. Raises TypeError or ValueError."""
    if proxy is None:
        return None
    if not isinstance(proxy, str):
        if _is(proxy, "httpx", "URL", "Proxy"):  # which httpx takes
            return proxy
        raise TypeError(f"proxy must be a URL, as a str, or None, not {kind_of(proxy)}")
    if not proxy.strip():
        raise ValueError("proxy is empty; None leaves it to the environment")
    return _plain(proxy)


def check_value(value: str, what: str) -> None:
    """Raise ValueError if *value* cannot be that of a header. It may be a secret, so it is not shown."""
    if value and re.fullmatch(_HEADER_VALUE, value) is None:
        raise ValueError(f"{what} holds a line break or another control or non-ASCII character, or a space at an end")


def _plain(text: str) -> str:
    return str.__str__(text)  # of a subclass, such as a member of an enumeration, its own text and not its name


def _is(value: object, module: str, *names: str) -> bool:
    """Whether *value* is of one of these classes; where the module is not imported, or half of it, there are none."""
    known = sys.modules.get(module)
    return isinstance(value, tuple(getattr(known, name, ()) for name in names))


def kind_of(value: object) -> str:
    """Name the type of *value*, which itself may be a secret, with its module where that tells it from another."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
