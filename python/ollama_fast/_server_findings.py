"""What a server's answers to questions about itself mean, as findings: who it is, its models, its clock; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from . import _amounts, _core
from ._reasons import ONLY_TLS, of_status
from ._report import Finding, Level
from ._retry import moment
from ._url import DEFAULT_PORT, api_path, origin, path_of, shown, told
from .errors import AuthenticationError, ConnectError, HostError, TimeoutError

if TYPE_CHECKING:
    from ._request import Answered

_LATE: Final = 60.0
"""Seconds by which two clocks may differ."""
_MOST: Final = 2**63
"""What no size reaches: Ollama's are Go's int64."""
_SINCE: Final = (
    ((0, 2, 6), "embed"),
    ((0, 5, 0), "JSON schemas as format"),
    ((0, 9, 0), "think"),
    ((0, 12, 6), "errors with their true status, truncate and shift"),
)
"""What older servers lack, by the version that brought it."""


def of_no_answer(error: Exception, seconds: float) -> Finding:
    """Say why a request had no answer."""
    kind = type(error).__name__
    text = told(str(error))
    facts = {"error": kind}
    if isinstance(error, TimeoutError):
        what = f"it takes connections, and says nothing: {text}"
        todo = "is it Ollama that listens there, and is it not stuck? (asked for its version, waited "
        todo += f"{seconds:.1f} s: a slow one needs more `seconds`)"
        return Finding("server", "problem", what, todo, facts)
    todo = "" if isinstance(error, ConnectError | HostError) else "is it Ollama that listens there?"
    return Finding("server", "problem", text, todo, facts)


def of_only_tls(url: str, broken: Finding) -> Finding:
    """Say that what broke a plain connection to *url*, as *broken* says, speaks TLS."""
    todo = f"{ONLY_TLS.todo}: https{url.removeprefix('http')}"
    return replace(broken, what=f"{ONLY_TLS.what}; {broken.what}", todo=todo)


def of_answer(url: str, answered: Answered, version: str | None) -> list[Finding]:
    """
    Say who answered the question for the version.

    Args:
        url: Where it was asked.

        answered: Whatever came.

        version: The version, if it is what Ollama answers.
    """
    server = answered.header("server")
    facts: dict[str, Any] = {"status": answered.status, "server": server or None, "version": version}
    facts["content_type"] = answered.header("content-type") or None
    if version is not None:
        return _of_version(version, facts)
    who = f" (it calls itself {server})" if server else ""
    status = answered.status
    todo = f"is that the address of Ollama? It listens at port {DEFAULT_PORT} unless told otherwise"
    what = f"an HTTP server answers, but not as Ollama does{who}: status {status}"
    if status == 404 and api_path(url):
        todo = "the path of the host is why"
    elif status == 404 and (path := path_of(url)):
        todo = f"is the path {path} right? Ollama itself has none: {origin(url)}"
    elif status in (301, 302, 303, 307, 308):
        place = shown(answered.header("location"), "")
        what, todo = (
            f"it redirects to {place or 'nowhere'} (status {status})",
            f"give that address: {_base_of(place, url)}",
        )
        facts["location"] = place
    elif status in (401, 403):
        what = f"it wants to know who asks{who}: status {status}"
        todo = "Host(url, auth=token) or auth=(user, password)"
        if status == 403:
            todo += "; Ollama itself says 403 for an unknown Host or Origin header: set OLLAMA_ORIGINS there"
    elif (why := of_status(status, answered.body)) is ONLY_TLS and url.startswith("http:"):
        what, todo = f"{why.what}: status {status}", f"{why.todo}: https{url.removeprefix('http')}"
    elif why.what and why is not ONLY_TLS:
        what, todo = f"{why.what}{who}: status {status}", why.todo
    return [Finding("server", "problem", what, todo, facts)]


def _base_of(location: str, url: str) -> str:
    if "://" not in location:
        return origin(url)
    return location.removesuffix("/").removesuffix("/api/version") or location


def version_in(answered: Answered) -> str | None:
    """Give the version that is in an answer of Ollama's kind."""
    if answered.status != 200:
        return None
    try:
        said = _core.decode(answered.body)
    except ValueError:
        return None
    version = said.get("version") if isinstance(said, dict) else None
    return version if isinstance(version, str) else None


def _of_version(version: str, facts: Mapping[str, Any]) -> list[Finding]:
    numbers = re.match(r"v?([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})(?![0-9])", version)
    if numbers is None or numbers[0].endswith("0.0.0"):
        return [Finding("server", "ok", f"Ollama answers, of version {version}: one that somebody built", facts=facts)]
    number = tuple(map(int, numbers.groups()))
    missing = [what for since, what in _SINCE if number < since]
    what = f"Ollama {version} answers"
    if not missing:
        return [Finding("server", "ok", what, facts=facts)]
    return [Finding("server", "note", f"{what}, which is old: it lacks {'; '.join(missing)}", "update it", facts)]


def of_models(answer: Mapping[str, Any]) -> Finding:
    """Say which models the server has."""
    names = [str(model.get("model") or model.get("name")) for model in _dicts(answer.get("models"))]
    facts = {"count": len(names), "models": names}
    if not names:
        return Finding(
            "models", "problem", "the server has none yet", "ollama_fast.pull(host, 'smollm2'), for example", facts
        )
    some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return Finding("models", "ok", f"{len(names)}: {some}", facts=facts)


def of_placement(answer: Mapping[str, Any], now: float) -> list[Finding]:
    """Say where the models in memory are."""
    models = _dicts(answer.get("models"))
    if not models:
        what = "no model is in memory: the next call waits until one is loaded"
        return [Finding("memory", "ok", what, facts={"models": []})]
    return [_of_placed(model, now) for model in models]


def _of_placed(model: Mapping[str, Any], now: float) -> Finding:
    name = str(model.get("model") or model.get("name"))
    size, vram, context = (_number(model.get(key)) for key in ("size", "size_vram", "context_length"))
    share = None if not size else min(1.0, vram / size)
    left = _seconds_until(model.get("expires_at"), now)
    facts = {
        "model": name,
        "size": int(size),
        "size_vram": int(vram),
        "in_vram": None if share is None else round(share, 4),
        "context_length": int(context) or None,
        "expires_in": None if left is None else round(left),
    }
    what = f"{name}: "
    if share is None:
        what += "of no size here, so it runs elsewhere"
    elif share == 0:
        what += f"on the CPU alone, {_amounts.size(size)}"
    else:
        what += (
            f"{share:.0%} of {_amounts.size(size)} in VRAM" if share < 1 else f"all of {_amounts.size(size)} in VRAM"
        )
    if context:
        what += f", context of {context:.0f} tokens"
    if left is not None and 0 < left < 366 * 86400:
        what += f", stays for {_amounts.span(left)}"
    if share is None or share == 1:
        return Finding("memory", "ok", what, facts=facts)
    if share == 0:
        todo = "that is slow; if the server has a GPU, its log says why it is not used"
    else:
        todo = "the rest is on the CPU, which sets the pace: a smaller model, quantization or num_ctx fits"
    return Finding("memory", "note", what, todo, facts)


def of_unanswered(topic: str, error: Exception) -> Finding:
    """Say that a further question had no answer."""
    text = told(str(error))
    level: Level = "problem" if isinstance(error, AuthenticationError) or topic == "models" else "note"
    return Finding(topic, level, text, facts={"error": type(error).__name__})


def of_clock(date: str, now: float) -> list[Finding]:
    """Say whether the server's clock, by the Date header of its answer, and ours agree."""
    theirs = moment(date)
    if theirs is None:
        return []
    ahead = theirs - now
    facts = {"ahead": round(ahead)}
    if abs(ahead) <= _LATE:
        return [Finding("clock", "ok", "the server's and ours agree", facts=facts)]
    which = "ahead of" if ahead > 0 else "behind"
    what = f"the server's is {_amounts.span(abs(ahead))} {which} ours"
    off = abs(ahead) % 1800
    if min(off, 1800 - off) <= _LATE and abs(ahead) < 15 * 3600:
        what += ", as if one of them were set to the time of another zone"
    todo = "set the one that is wrong (NTP): certificates, signed requests and `expires_at` depend on it"
    return [Finding("clock", "note", what, todo, facts)]


def _dicts(found: Any) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _number(found: Any) -> float:
    """Give an amount; 0 for what is none, such as 1e999."""
    is_one = isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < _MOST
    return float(found) if is_one else 0.0


def _seconds_until(text: Any, now: float) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp() - now
    except (ValueError, OverflowError, OSError):
        return None
