"""What facts about a host, the way to it and its server mean, as findings; pure: facts in, findings out."""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from . import _core
from ._host import api_key
from ._reasons import NO_TLS, ONLY_TLS, of_status, reason, words
from ._report import Finding, Level
from ._url import DEFAULT_PORT, is_loopback, origin, shown, told
from .errors import AuthenticationError, ConnectError, HostError, TimeoutError

if TYPE_CHECKING:
    from ._probe import Attempt, Lookup, Shaken
    from ._request import Answered
    from ._routes import Way

_BOUND: Final = r"0\.0\.0\.0|\[?::\]?(?=[:/]|$)"
"""Addresses that a server listens at, not ones that a client reaches."""
_API_PATH: Final = r"/(api|v1)(/|$)"
_LATE: Final = 60.0
"""Seconds by which two clocks may differ."""
_SOON: Final = 14 * 86400.0
"""Seconds before its end in which a certificate is worth a word."""
_SINCE: Final = (
    ((0, 2, 6), "embed"),
    ((0, 5, 0), "JSON schemas as format"),
    ((0, 9, 0), "think"),
    ((0, 12, 6), "errors with their true status, truncate and shift"),
)
"""What older servers lack, by the version that brought it."""
_SIZES: Final = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Package:
    """The package, as it runs here."""

    version: str
    python: str
    httpx: str
    debug: bool
    has_sockets: bool
    forced: bool
    """Whether the environment asks for httpx's own transport."""
    patched: bool
    """Whether a tool has replaced what a request passes."""
    unknown: str = ""
    """What is wrong with how the environment asks for a transport."""


def of_package(package: Package) -> list[Finding]:
    """Say which build this is, and what serves requests for http:// URLs."""
    why = (
        "httpx's own transport, because OLLAMA_FAST_TRANSPORT asks for it"
        if package.forced
        else "httpx's own transport, because the core has no sockets on this system"
        if not package.has_sockets
        else "httpx's own transport, because a tool has replaced parts of httpx or of sockets"
        if package.patched
        else "the core's own transport"
    )
    facts = {
        "version": package.version,
        "python": package.python,
        "httpx": package.httpx,
        "debug": package.debug,
        "fast": not (package.forced or package.patched) and package.has_sockets,
    }
    what = f"ollama_fast {package.version} under Python {package.python}; http:// goes over {why}"
    if package.unknown:
        return [Finding("package", "problem", package.unknown, "unset it, or set one of these", facts)]
    if package.debug:
        todo = "build the core with --release"
        return [Finding("package", "note", f"{what}; the core is a debug build, many times slower", todo, facts)]
    return [Finding("package", "ok", what, facts=facts)]


# --- the host, as it was given ---------------------------------------------------------------------------------------


def of_bad_host(error: HostError) -> Finding:
    """Say why there is no such host."""
    return Finding("host", "problem", str(error), "write it as localhost, 10.0.0.5:11434 or https://example.com/ollama")


def of_host(text: str, source: str, url: str) -> list[Finding]:
    """
    Say what *text*, where *source* says that it comes from, became.

    Args:
        text: What was given; "" for the default.

        source: Such as "OLLAMA_HOST".

        url: What it means.
    """
    given = shown(text)
    facts = {"url": url, "given": given, "by": source}
    bare = shown(text.strip().strip("\"'").strip(), "")
    if not bare:
        what = "OLLAMA_HOST is not set, so it is the default" if source == "OLLAMA_HOST" else "the default is meant"
        return [Finding("host", "ok", f"{url}: {what}", facts=facts)]
    findings = [Finding("host", "ok", url if given == url else f"{url} ({source}: {given!r})", facts=facts)]
    if bound := re.match(rf"(?:https?://)?({_BOUND})", bare, re.IGNORECASE):
        what = f"{bound[1]} is what a server listens at; a client asks this machine, {url}"
        findings.append(Finding("host", "note", what))
    port = origin(url).rpartition(":")[2]
    if "://" in bare and f":{port}" not in bare and not bare.lower().startswith("https"):
        what = (
            f"http:// without a port means {port}, and not {DEFAULT_PORT}, where Ollama listens unless told otherwise"
        )
        findings.append(
            Finding("host", "note", what, f"write {origin(url).rpartition(':')[0]}:{DEFAULT_PORT} if it does")
        )
    return findings


def of_path(url: str, *, answers: bool) -> list[Finding]:
    """Say whether the path of *url* is one of the API's own, to which another is added, if Ollama does not answer."""
    path = url.removeprefix(origin(url))
    found = re.search(_API_PATH, path, re.IGNORECASE)
    if answers or found is None:
        return []
    what = f"the URL ends with {path}, and functions add theirs to it, as in {path}/api/chat"
    todo = f"leave {path[found.start() :]} out: {url[: len(url) - len(path) + found.start()]}"
    return [Finding("host", "problem", what, todo, {"path": path})]


def of_key(url: str, environ: Mapping[str, str], *, has_own: bool) -> list[Finding]:
    """Say whether OLLAMA_API_KEY is sent to *url*; *has_own*: the host has credentials of its own."""
    try:
        key, withheld = api_key(url, environ)
    except ValueError as exc:
        return [Finding("credentials", "problem", str(exc), "set OLLAMA_API_KEY anew, without quotes and line ends")]
    facts = {"own": has_own, "api_key": "sent" if key and not has_own else "withheld" if withheld else "not sent"}
    if has_own:
        return [Finding("credentials", "ok", "the host's own are sent", facts=facts)]
    if withheld:
        what = (
            "OLLAMA_API_KEY is set, and not sent: it goes to ollama.com, this machine and the host of OLLAMA_HOST only"
        )
        return [Finding("credentials", "note", what, "if this host shall have it: Host(url, auth=key)", facts)]
    what = "OLLAMA_API_KEY is sent" if key else "none are sent"
    return [Finding("credentials", "ok", what, facts=facts)]


def of_client(url: str, timeout: Mapping[str, float | None], *, has_auth: bool, trust_env: bool) -> list[Finding]:
    """Say what can be seen of a caller's own client."""
    facts = {"url": url, "timeout": dict(timeout), "auth": has_auth, "trust_env": trust_env}
    if not url:
        todo = "give it one: httpx.Client(base_url='http://localhost:11434')"
        return [Finding("client", "problem", "it has no base_url, so it is not known where Ollama is", todo, facts)]
    what = "it is used as it is: its proxies, certificates, transport and hooks cannot be seen, only what comes of them"
    findings = [Finding("client", "ok", f"{url}: {what}", facts=facts)]
    if timeout.get("read") is None:
        what = "it waits for ever for a silent server, so nothing is asked through it here"
        findings.append(Finding("client", "problem", what, "give it a timeout, or give `doctor` its URL", facts))
    elif (timeout["read"] or 0) < 30:
        what = f"it gives up after {timeout['read']:g} s without a byte; a model can take minutes to load"
        findings.append(Finding("client", "note", what, "httpx.Timeout(600, connect=10), for example", facts))
    return findings


# --- the way ---------------------------------------------------------------------------------------------------------


def of_way(url: str, way: Way | None, named: Sequence[str]) -> Finding:
    """
    Say which proxy requests to *url* pass, and why.

    Args:
        url: Where to.

        way: What they pass, if anything.

        named: The variables of the environment that name proxies.
    """
    facts: dict[str, Any] = {"proxy": None if way is None else way.url, "by": None if way is None else way.given_by}
    facts["variables"] = list(named)
    if way is None:
        why = ""
        if named:
            why = " (not for this machine)" if is_loopback(url) else " (not for this host; NO_PROXY may name it)"
            why = f", though the environment has {', '.join(named)}{why}"
        return Finding("proxy", "ok", f"none is asked{why}", facts=facts)
    if way.lacks_socks:
        what = f"requests pass {way}, {way.url}; that needs the package socksio, which is not installed"
        return Finding("proxy", "problem", what, "pip install 'httpx[socks]'", facts)
    level: Level = "ok" if way.given_by == "the host" else "note"
    todo = "" if level == "ok" else "if it should not, name the host in NO_PROXY"
    return Finding("proxy", level, f"requests pass {way}, {way.url}", todo, facts)


def of_unusable(error: Exception, topic: str) -> Finding:
    """Say that settings cannot be used."""
    text = told(str(error))
    return Finding(
        topic, "problem", f"the setting cannot be used: {text}", "look at the host, and at *_PROXY and NO_PROXY"
    )


def of_lookup(name: str, lookup: Lookup) -> Finding:
    """Say what a name stands for."""
    addresses = [str(place) for place in lookup.places]
    what = f"{name} is {', '.join(addresses)} ({_took(lookup.seconds)})"
    return Finding("dns", "ok", what, facts={"addresses": addresses, "seconds": round(lookup.seconds, 4)})


def of_failed_lookup(name: str, error: Exception) -> Finding:
    """Say why a name stands for nothing."""
    why = reason(error)
    what = f"{name} has no address: {words(error)}" + (f" ({why.what})" if why.what else "")
    return Finding("dns", "problem", what, why.todo, {"name": name, "kind": why.kind})


def of_attempts(
    attempts: Sequence[Attempt], port: int, *, of_proxy: bool, at_usual_port: bool = False
) -> list[Finding]:
    """
    Say which addresses can be connected to.

    Args:
        attempts: One for each address.

        port: That was tried.

        of_proxy: Whether they are those of a proxy.

        at_usual_port: Whether something listens at Ollama's usual port there instead.
    """
    facts = {
        "port": port,
        "attempts": [
            {
                "address": str(one.place),
                "seconds": round(one.seconds, 4),
                "error": None if one.error is None else words(one.error),
            }
            for one in attempts
        ],
    }
    made = [one for one in attempts if one.error is None]
    failed = [one for one in attempts if one.error is not None]
    whose = "the proxy, " if of_proxy else ""
    if made:
        what = "connected to " + whose + ", ".join(f"{one.place} port {port} ({_took(one.seconds)})" for one in made)
        if not failed:
            return [Finding("connection", "ok", what, facts=facts)]
        what += "; not to " + ", ".join(f"{one.place} ({words(one.error)})" for one in failed if one.error)
        todo = "calls try the addresses in turn, so each may wait: give the address that answers"
        return [Finding("connection", "note", what, todo, facts)]
    whys = dict.fromkeys(reason(one.error) for one in failed if one.error)
    what = f"no connection to {whose}port {port}: " + "; ".join(
        f"{one.place}: {words(one.error)}" for one in failed if one.error
    )
    what += "".join(f" ({why.what})" for why in whys if why.what)
    todo = next((why.todo for why in whys if why.todo), "")
    if not todo:
        todo = (
            "is the proxy right?" if of_proxy else "start Ollama there (`ollama serve`), or give the port it listens at"
        )
    if at_usual_port:
        todo = f"something listens at port {DEFAULT_PORT} there: give that port"
    elif any(why.kind == "refused" for why in whys) and not of_proxy and not _is_here(failed):
        todo += "; one that listens at 127.0.0.1 is for its own machine alone: OLLAMA_HOST=0.0.0.0 there is for all"
    return [Finding("connection", "problem", what, todo, facts)]


def _is_here(attempts: Sequence[Attempt]) -> bool:
    return all(
        is_loopback(f"http://[{one.place}]" if ":" in str(one.place) else f"http://{one.place}") for one in attempts
    )


def of_handshake(name: str, shaken: Shaken, now: float) -> Finding:
    """Say what the server's certificate is like."""
    left = None if shaken.expires_at is None else shaken.expires_at - now
    facts = {
        "version": shaken.version,
        "names": list(shaken.names),
        "expires_in_days": None if left is None else round(left / 86400, 1),
        "seconds": round(shaken.seconds, 4),
    }
    if left is None:
        what = f"{shaken.version} with {name}, whose certificate nobody checks"
        return Finding("tls", "note", what, "give verify=True, or a file with the certificates to trust", facts)
    names = ", ".join(shaken.names[:5]) or name
    what = f"{shaken.version} with a certificate for {names}, for {left / 86400:.0f} more days"
    if left < _SOON:
        return Finding("tls", "note", what, "have the certificate renewed", facts)
    return Finding("tls", "ok", what, facts=facts)


def of_failed_handshake(name: str, error: Exception) -> Finding:
    """Say why there is no TLS connection."""
    if isinstance(error, builtins.TimeoutError):
        what = f"{name} takes connections, and says nothing to a greeting in TLS"
        return Finding("tls", "problem", what, NO_TLS.todo, {"error": "timeout", "kind": "timeout"})
    why = reason(error)
    detail = str(getattr(error, "verify_message", "") or words(error) or type(error).__name__)
    what = f"no TLS connection with {name}: {detail}" + (f" ({why.what})" if why.what else "")
    todo = why.todo
    if "expired" in detail:
        todo = "have the certificate renewed; if it is not that old, set this machine's clock"
    elif "match" in detail:
        todo = "give the host by a name that the certificate is for"
    return Finding("tls", "problem", what, todo, {"error": detail, "kind": why.kind})


# --- the server ------------------------------------------------------------------------------------------------------


def of_no_answer(error: Exception, seconds: float) -> Finding:
    """Say why a request had no answer."""
    kind = type(error).__name__
    text = told(str(error))
    facts = {"error": kind}
    if isinstance(error, TimeoutError):
        what = f"it takes connections, and says nothing: {text}"
        todo = f"is it Ollama that listens there, and is it not stuck? (asked for its version, waited {seconds:.1f} s)"
        return Finding("server", "problem", what, todo, facts)
    todo = "" if isinstance(error, ConnectError | HostError) else "is it Ollama that listens there?"
    return Finding("server", "problem", text, todo, facts)


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
    if status in (301, 302, 303, 307, 308):
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
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
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
        what += f"on the CPU alone, {_size(size)}"
    else:
        what += f"{share:.0%} of {_size(size)} in VRAM" if share < 1 else f"all of {_size(size)} in VRAM"
    if context:
        what += f", context of {context:.0f} tokens"
    if left is not None and 0 < left < 366 * 86400:
        what += f", stays for {left / 60:.0f} min" if left >= 90 else f", stays for {left:.0f} s"
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
    try:
        ahead = parsedate_to_datetime(date).timestamp() - now
    except ValueError:
        return []
    facts = {"ahead": round(ahead)}
    if abs(ahead) <= _LATE:
        return [Finding("clock", "ok", "the server's and ours agree", facts=facts)]
    which = "ahead of" if ahead > 0 else "behind"
    what = f"the server's is {_span(abs(ahead))} {which} ours"
    off = abs(ahead) % 1800
    if min(off, 1800 - off) <= _LATE and abs(ahead) < 15 * 3600:
        what += ", as if one of them were set to the time of another zone"
    todo = "set the one that is wrong (NTP): certificates, signed requests and `expires_at` depend on it"
    return [Finding("clock", "note", what, todo, facts)]


# --- numbers, in words -----------------------------------------------------------------------------------------------


def _dicts(found: Any) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _number(found: Any) -> float:
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else 0.0


def _seconds_until(text: Any, now: float) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _took(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _size(size: float) -> str:
    power = 0
    while size >= 1024 and power < len(_SIZES) - 1:
        size, power = size / 1024, power + 1
    return f"{size:.1f} {_SIZES[power]}"
