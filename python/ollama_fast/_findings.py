"""What facts about this program, a host and the way to it mean, as findings; pure: facts in, findings out."""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ._amounts import took
from ._host import api_key
from ._reasons import NO_TLS, reason, words
from ._report import Finding, Level
from ._url import DEFAULT_PORT, api_path, is_loopback, origin, path_of, shown, told

if TYPE_CHECKING:
    from ._probe import Attempt, Lookup, Shaken
    from ._routes import Way
    from .errors import HostError

_BOUND: Final = r"0\.0\.0\.0|\[?::\]?(?=[:/]|$)"
"""Addresses that a server listens at, not ones that a client reaches."""
_SOON: Final = 14 * 86400.0
"""Seconds before its end in which a certificate is worth a word."""


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


def of_path(url: str, facts: Mapping[str, Any]) -> Finding | None:
    """Say that *url*, of which there are *facts*, ends with a path of the API's own, to which another is added."""
    found = api_path(url)
    if not found:
        return None
    path = path_of(url)
    what = f"{url} ends with {path}, and functions add theirs to it, as in {path}/api/chat"
    todo = f"leave {found} out: {url.removesuffix(found)}"
    return Finding("host", "problem", what, todo, {**facts, "path": path})


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


def of_unusable_proxy(error: Exception, named: Sequence[str]) -> Finding:
    """Say that a proxy cannot be used, be it the host's own or one that is *named* in the environment."""
    what = f"the setting cannot be used: {told(str(error))}"
    todo = f"look at the host's proxy{', and at ' * bool(named)}{', '.join(named)}"
    return Finding("proxy", "problem", what, todo, {"variables": list(named)})


def of_lookup(name: str, lookup: Lookup) -> Finding:
    """Say what a name stands for."""
    addresses = [str(place) for place in lookup.places]
    what = f"{name} is {', '.join(addresses)} ({took(lookup.seconds)})"
    return Finding("dns", "ok", what, facts={"addresses": addresses, "seconds": round(lookup.seconds, 4)})


def of_failed_lookup(name: str, error: Exception) -> Finding:
    """Say why a name stands for nothing."""
    why = reason(error, name)
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
        what = "connected to " + whose + ", ".join(f"{one.place} port {port} ({took(one.seconds)})" for one in made)
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
    what, todo = f"no TLS connection with {name}: {detail}", why.todo
    if "expired" in detail:
        todo = "have the certificate renewed; if it is not that old, set this machine's clock"
    elif "cannot be read" in detail:
        todo = "give a file in PEM, or a folder of them, that is there: as verify, or in SSL_CERT_FILE or SSL_CERT_DIR"
    elif "match" in detail:
        todo = "give the host by a name that the certificate is for"
    elif why.what:
        what += f" ({why.what})"
    return Finding("tls", "problem", what, todo, {"error": detail, "kind": why.kind})
