"""Which redirects are followed, and where to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._outgoing import parsed
from ._said import shorten
from ._url import onward, shown

if TYPE_CHECKING:
    import httpx

_KEEP_METHOD: Final = frozenset({307, 308})
_BECOME_GET: Final = frozenset({301, 302, 303})


def locations(response: httpx.Response) -> list[str]:
    """Give where *response* says that it is to be looked for: each Location once, of which there should be one."""
    return list(dict.fromkeys(response.headers.get_list("location")))


def refusal(found: list[str]) -> str:
    """Say that the redirect to what was *found* is not followed."""
    first, *others = (shorten(shown(each, "")) for each in found)
    if not others:
        return f"redirects to {first}, which is not followed; give that address as host"
    said = f"redirects to {len(found)} addresses at once, {first} and {others[0]}"
    return f"{said}, none of which is followed; give the right one as host"


def next_url(method: str, url: str, status: int, location: str) -> str | None:
    """
    Give where a response with this *status* and *location* sends a request to *url*; None if it is not followed.

    One that would turn a POST into a GET, and lose its body, is not; nor one into the clear of what is encrypted.
    """
    is_safe = method in ("GET", "HEAD")
    if not (status in _KEEP_METHOD or (is_safe and status in _BECOME_GET)):
        return None
    target = onward(url, location)  # what is written in front of the host is sent to nobody
    if target is None or not _can_be_asked(target):
        return None
    return target if target.startswith("https://" if url.startswith("https://") else ("http://", "https://")) else None


def _can_be_asked(url: str) -> bool:
    """Whether httpx makes requests for *url*."""
    import httpx

    try:
        parsed(url)
    except (ValueError, httpx.InvalidURL):
        return False
    return True
