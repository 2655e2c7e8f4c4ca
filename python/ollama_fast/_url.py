"""Text that people write for a host, and the URL that it becomes; pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from ._zones import zone_of
from .errors import HostError

DEFAULT_PORT: Final = 11434

Auth: TypeAlias = str | tuple[str, str]
"""A str is a bearer token, a pair is a user name and a password."""

# Text, not compiled: most programs use few of them, and compiling takes longer than importing this module.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,62})"
_NAME = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_INTERFACE = r"[A-Za-z0-9._-]+"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*"


def read(text: str, source: str) -> tuple[str, Auth | None]:
    """
    Turn what people write for a host into `scheme://address:port[/path]` and credentials.

    The rules are those of Ollama's own client, except where it goes on with something that nobody can have meant: a
    port out of range, a scheme that is not HTTP, a query. Addresses that only a server can use, such as 0.0.0.0,
    become the loopback address.
    """
    from urllib.parse import unquote

    def refuse(why: str) -> HostError:
        return HostError(f"{shown(text)!r}, {source}, is not a host: {why}")

    if not isinstance(text, str):
        raise TypeError(f"a host's URL must be a str, not {type(text).__name__}")
    trimmed = text.strip().strip("\"'").strip()
    scheme, has_scheme, rest = trimmed.partition("://")
    if has_scheme:
        scheme = scheme.lower()
        if scheme not in ("http", "https"):
            known = re.fullmatch(_SCHEME, scheme)  # else it is of a password with a "://"
            raise refuse(f"the scheme {f'{scheme!r} ' if known else ''}is neither http nor https")
        default_port = 443 if scheme == "https" else 80
    else:
        scheme, rest, default_port = "http", trimmed, DEFAULT_PORT
        if re.match(r"https?(?::/|//)", trimmed, re.IGNORECASE):
            raise refuse("a scheme is followed by a colon and two slashes")
    if "?" in rest or "#" in rest:
        raise refuse("a host has no query and no fragment")

    place, _, path = rest.partition("/")
    if "@" in path:
        raise refuse("a '/' in a user name or password is written %2F, and an '@' in a path %40")
    userinfo, _, place = place.rpartition("@")
    address, port_text = _split_port(place, refuse)
    if not has_scheme and address.lower() == "ollama.com" and not port_text:
        scheme, default_port = "https", 443
    port = _port(port_text, refuse) or default_port
    url = f"{scheme}://{_address(address, refuse)}:{port}{_path(path, refuse)}"
    user, _, password = userinfo.partition(":")
    if not is_unicode(userinfo):
        raise refuse("its user name or password holds half a surrogate pair, which is no Unicode text")
    return url, (unquote(user), unquote(password)) if userinfo else None


def onward(url: str, location: str) -> str | None:
    """
    Give where *location*, in an answer from *url*, leads, without user, password and fragment.

    None if that is nowhere, by the rules for hosts, or if it may be a secret that nobody encoded: no error shall show
    that as a name or a path.
    """
    has_place = re.match(r"(?:https?:)?//([^/?#]+)", location, re.IGNORECASE)
    if re.match(r"[^?#]*\\", location) or (not has_place and re.match(rf"{_SCHEME}:|//", location)):
        return None  # as in "http:\\ada:secret@h" or "http:/ada:secret@h"
    if has_place and _may_end_later(has_place[1], location[has_place.end() :]):
        return None
    from urllib.parse import urljoin

    try:
        scheme, _, rest = urljoin(url, location).partition("#")[0].partition("://")
    except ValueError:
        return None
    place = _beginning(r"[^/?]*", rest)
    tail = rest[len(place) :]
    address = place.rpartition("@")[2]
    try:
        return f"{scheme}://{checked_place(address)}{tail}"
    except ValueError:
        return None


def _may_end_later(place: str, behind: str) -> bool:
    """Whether a password that nobody encoded may go on *behind* what looks like the *place* of a URL."""
    usual = re.fullmatch(r"(?:\[[^]@]*]|[^]@:[]*)(:[0-9]+)?", place)
    if usual is None:
        return "@" in behind  # as in "//ada:/secret@h"
    # As in "//ada:1/secret@h". A query may well have an "@".
    return usual[1] is not None and "@" in re.split("[?#]", behind, maxsplit=1)[0]


def checked_place(place: str) -> str:
    """Give *place*, an address with or without a port, in one form of all that mean it. Raises ValueError."""

    def refuse(why: str) -> ValueError:
        return ValueError(f"{place!r} is no address: {why}")

    address, port_text = _split_port(place, refuse)
    if not address:
        raise refuse("it names no host")
    port = _port(port_text, refuse)
    return _address(address, refuse) + (f":{port}" if port else "")


def _port(text: str, refuse: Callable[[str], ValueError]) -> int | None:
    """Read a port; None if there is none."""
    if not text:
        return None
    digits = re.fullmatch(r"0*([0-9]{1,5})", text)
    if digits is None or not 0 < int(digits[1]) < 65536:
        raise refuse(f"the port {text!r} is not a number from 1 to 65535")
    return int(digits[1])


def _path(path: str, refuse: Callable[[str], ValueError]) -> str:
    from urllib.parse import quote

    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            segments = segments[:-1]  # as httpx does it, so that what is shown is what is asked
        elif segment not in ("", "."):
            segments.append(segment)
    try:
        return "".join("/" + quote(segment, safe="%:@!$&'()*+,;=~") for segment in segments)
    except UnicodeEncodeError as exc:
        raise refuse("its path is not Unicode text") from exc


def _split_port(place: str, refuse: Callable[[str], ValueError]) -> tuple[str, str]:
    if place.startswith("["):
        address, bracket, rest = place[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise refuse("the brackets of an IPv6 address do not match")
        return f"[{address}]", rest[1:]
    if place.count(":") > 1:  # an IPv6 address without brackets has no port
        written = re.sub("%([0-9]+)$", r"%25\1", place)  # nor is the number behind its "%" written as in a URL
        return f"[{written}]", ""
    address, _, port = place.partition(":")
    return address, port


def _address(address: str, refuse: Callable[[str], ValueError]) -> str:
    if address.startswith("["):
        import ipaddress

        literal, percent, zone = address[1:-1].partition("%")
        try:
            number = ipaddress.IPv6Address(literal)
        except ValueError as exc:
            raise refuse(f"{literal!r} is not an IPv6 address") from exc
        compressed = "::1" if number.is_unspecified else number.compressed
        zone = zone_of(zone)
        if percent and re.fullmatch(_INTERFACE, zone) is None:
            raise refuse(f"{zone!r} is not the name of a network interface")
        return f"[{compressed}%25{zone}]" if zone else f"[{compressed}]"
    name = address.lower() or "127.0.0.1"
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError as exc:
            raise refuse(f"{address!r} is not a domain name") from exc
    if name == "0.0.0.0":  # noqa: S104 - what a server binds, never what a client reaches
        return "127.0.0.1"
    if re.fullmatch(_NAME, name) is None:
        raise refuse(f"{address!r} is neither a name nor an address")
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+){3}", name) and not is_address(name):
        raise refuse(f"{address!r} is not an IPv4 address")
    return name


def shown(text: str, mark: str = "...") -> str:
    """
    Give *text*, which is a URL or shall be one, with *mark* for what may be secret: user, password, query and fragment.

    A password that nobody encoded holds whatever it holds, a slash or a question mark, so it ends at the last `@`.
    """
    scheme = _beginning(r"[\s\"'(]*" + _SCHEME + "://", text)
    secret, at, place = text[len(scheme) :].rpartition("@")
    if re.search(r"[?#]", secret):  # of a password, or before a query with an @: then what follows is no place
        place = mark or "..."
    address = _beginning(r"[^?#]*", place)
    query = place[len(address) : len(address) + 1]
    if not mark:
        return scheme + address
    return scheme + (mark + at if at else "") + address + (query + mark if query else "")


def told(text: str) -> str:
    """Give *text*, which somebody else wrote and in which URLs may stand, with what may be secret in them left out."""
    return re.sub(r"\S*(?:@|//\S*[?#])\S*", lambda url: shown(url[0]), text)


def _beginning(pattern: str, text: str) -> str:
    found = re.match(pattern, text, re.IGNORECASE)
    return found[0] if found else ""


@lru_cache(maxsize=256)
def origin(url: str) -> str:
    """Give the `scheme://address:port` of a URL, with the port that people leave out."""
    scheme, _, rest = url.lower().partition("://")
    place = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    if not re.search(r":[0-9]+$", place):
        place = f"{place.removesuffix(':')}:{443 if scheme == 'https' else 80}"
    return f"{scheme}://{place}"


def path_of(url: str) -> str:
    """Give what follows the address in *url*, of a host; or ""."""
    _, slash, path = url.partition("://")[2].partition("/")
    return slash + path


def api_path(url: str) -> str:
    """Give the end of *url*, of a host, that begins with a path of the API's own, which is too much; or ""."""
    path = path_of(url)
    found = re.search(r"/(?:api|v1)(?:/|$)", path, re.IGNORECASE)
    return "" if found is None else path[found.start() :]


def is_bare(text: str) -> bool:
    """Whether it is a host without scheme and port, and so may be another name that somebody gave in its place."""
    return ":" not in text


def is_unicode(text: str) -> bool:
    """Whether *text* can be encoded: it has no half of a surrogate pair."""
    return not any("\ud800" <= char < "\ue000" for char in text)  # no error of a codec, which holds all of a secret


def is_address(name: str) -> bool:
    """Whether it is an address, and no name that has to be looked up."""
    import ipaddress

    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


@lru_cache(maxsize=256)
def is_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    name = origin(url).partition("://")[2].rpartition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(name.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False
