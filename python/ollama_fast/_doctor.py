"""The steps of a look at a host, from this program to the server's models; for both colours."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import replace
from functools import partial
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from . import _endpoints
from ._host import Host, Timeout
from ._steps import Outcome, Steps, ask_at, try_all
from ._url import DEFAULT_PORT, is_address, shown
from ._zones import with_index, without_zone
from .errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._exchange import AnyHost
    from ._findings import Package
    from ._probe import Place
    from ._report import Finding, Report
    from ._request import Request
    from ._routes import Way


def doctor(host: AnyHost = None, /, *, seconds: float = 10.0) -> Steps[Report]:
    """
    Look at a host, the way to it and the server there, and say in plain words what is wrong and what to do.

    Args:
        host: Where Ollama is: a Host, its URL, an httpx client of your own, or None for what OLLAMA_HOST says.

        seconds: Most time for all of it; each step of the way (names, connections, TLS, a request) has a quarter. A
            client of your own keeps its own timeouts.

    Gives a Report: `print` shows it, `as_dict()` is for JSON, and `ok` says whether there is no problem. It holds no
    secrets. What it looks at raises nothing; only an argument of a wrong type is a TypeError, or a ValueError.

    See https://github.com/ollama/ollama/blob/main/docs/faq.md
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"seconds must be a number, not {type(seconds).__name__}")
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds must be more than 0, and an end, not {seconds!r}")
    return _look(host, _Time(float(seconds)))


class _Time:
    """How much is left of the time for all of it."""

    def __init__(self, seconds: float) -> None:
        self._began = perf_counter()
        self._seconds = seconds

    @property
    def passed(self) -> float:
        return perf_counter() - self._began

    @property
    def share(self) -> float:
        """What the next step has; never nothing, so that each is tried."""
        return max(0.05, min(self._seconds / 4, self._seconds - self.passed))

    @property
    def is_over(self) -> bool:
        return self.passed >= self._seconds


def _look(host: AnyHost, left: _Time) -> Steps[Report]:
    from . import _findings
    from ._report import Report

    findings = _findings.of_package(_package())
    if isinstance(host, Host | str | None):
        url = yield from _look_at_host(host, left, findings)
    else:
        url = yield from _look_through_client(host, left, findings)
    return Report(url, tuple(findings), round(left.passed, 3))


def _look_at_host(host: Host | str | None, left: _Time, findings: list[Finding]) -> Steps[str]:
    from . import _findings

    text, source = _given(host)
    try:
        place = Host.of(host)
    except HostError as exc:
        findings.append(_findings.of_bad_host(exc))
        return shown(text)
    written = len(findings)
    findings += _findings.of_host(text, source, place.url)
    plain = findings[written]
    findings[written] = _findings.of_path(place.url, plain.facts) or plain
    has_own = place.auth is not None or any(name.lower() == "authorization" for name, _ in place.headers)
    findings += _findings.of_key(place.url, os.environ, has_own=has_own)
    reached = yield from _reach(place, left, findings)
    if reached is None:
        return place.url
    if (yield from _question(partial(_hurried, place, left), place.url, left, findings)):
        findings[written] = plain
    elif findings[-1].facts.get("error") == "TransportError" and place.url.startswith("http:"):
        yield from _greet(reached, place, left, findings)
    return place.url


def _hurried(host: Host, left: _Time) -> Host:
    """Give *host* for one request, which has its share of what is left."""
    share = left.share
    return host.with_options(timeout=replace(Timeout.of(share), total=share), retry=None)


def _look_through_client(client: Any, left: _Time, findings: list[Finding]) -> Steps[str]:
    from . import _findings

    base, timeout = client.base_url.copy_with(userinfo=b""), client.timeout.as_dict()
    url = str(base).rstrip("/")
    found = _findings.of_client(url, timeout, has_auth=client.auth is not None, trust_env=client.trust_env)
    findings += found
    if all(finding.level != "problem" for finding in found):
        doubled = _findings.of_path(url, {})
        findings += [] if doubled is None else [doubled]
        if (yield from _question(lambda: client, url, left, findings)) and doubled is not None:
            findings.remove(doubled)
    return url


# --- the way ---------------------------------------------------------------------------------------------------------


def _reach(host: Host, left: _Time, findings: list[Finding]) -> Steps[Place | None]:
    """Look at the way to *host*, and give where it leads: there, or to its proxy; None if nowhere."""
    import httpx

    from . import _findings
    from ._routes import way_to

    named = sorted(name for name, value in os.environ.items() if name.lower() in _PROXIES and value)
    try:
        way = way_to(host.url, host.proxy)
    except (ValueError, httpx.InvalidURL) as exc:
        findings.append(_findings.of_unusable_proxy(exc, named))
        return None
    findings.append(_findings.of_way(host.url, way, named))
    if way is not None and way.lacks_socks:
        return None
    target = httpx.URL(host.url if way is None else way.url)
    port = target.port or _PORTS.get(target.scheme, 80)
    name = with_index(target.raw_host.decode("ascii"))
    places = yield from _look_up(name, port, left, findings)
    if not places:
        return None
    reached = yield from _connect(places, port, way, left, findings)
    if reached is None or way is not None or target.scheme != "https":
        return reached
    return reached if (yield from _shake_hands(reached, name, host.verify, left, findings)) else None


_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
_PORTS = {"https": 443, "socks5": 1080, "socks5h": 1080}


def _look_up(name: str, port: int, left: _Time, findings: list[Finding]) -> Steps[tuple[Place, ...]]:
    from . import _findings, _probe

    found = yield from _tried(partial(_probe.look_up, name, port, left.share))
    if found.error is not None:
        findings.append(_findings.of_failed_lookup(name, found.error))
        return ()
    if not is_address(name):
        findings.append(_findings.of_lookup(name, found.result))
    places: tuple[Place, ...] = found.result.places
    return places


def _connect(
    places: tuple[Place, ...], port: int, way: Way | None, left: _Time, findings: list[Finding]
) -> Steps[Place | None]:
    from . import _findings, _probe
    from ._reasons import reason

    attempts = (yield from _tried(partial(_probe.connect, places, left.share))).result
    reached: list[Place] = [one.place for one in attempts if one.error is None]
    elsewhere = False
    refused = any(one.error is not None and reason(one.error).kind == "refused" for one in attempts)
    if not reached and refused and way is None and port != DEFAULT_PORT:
        usual = [place._replace(address=(place.address[0], DEFAULT_PORT, *place.address[2:])) for place in places]
        others = (yield from _tried(partial(_probe.connect, usual, left.share))).result
        elsewhere = any(one.error is None for one in others)
    findings += _findings.of_attempts(attempts, port, of_proxy=way is not None, at_usual_port=elsewhere)
    return reached[0] if reached else None


def _shake_hands(place: Place, name: str, verify: bool | str, left: _Time, findings: list[Finding]) -> Steps[bool]:
    from . import _findings, _probe

    found = yield from _tried(partial(_probe.shake_hands, place, without_zone(name), verify, left.share))
    if found.error is not None:
        findings.append(_findings.of_failed_handshake(name, found.error))
        return False
    findings.append(_findings.of_handshake(name, found.result, time()))
    return True


def _greet(place: Place, host: Host, left: _Time, findings: list[Finding]) -> Steps[None]:
    """Look whether what broke a plain connection, as the last finding says, speaks TLS."""
    import httpx

    from . import _probe, _server_findings
    from ._routes import way_to

    if way_to(host.url, host.proxy) is None:
        name = without_zone(httpx.URL(host.url).raw_host.decode("ascii"))
        found = yield from _tried(partial(_probe.shake_hands, place, name, False, left.share))
        if found.error is None:
            findings[-1] = _server_findings.of_only_tls(host.url, findings[-1])


def _tried(job: Callable[[], Any]) -> Steps[Outcome[Any]]:
    (outcome,) = yield from try_all(job, view=lambda _place, outcome: outcome)
    return outcome


# --- the server ------------------------------------------------------------------------------------------------------


def _question(host: Callable[[], AnyHost], url: str, left: _Time, findings: list[Finding]) -> Steps[bool]:
    """
    Ask the server about itself, and give whether it is Ollama.

    Args:
        host: Gives the host for the next question.

        url: Where that is.

        left: How much time.

        findings: To which what is found is added.
    """
    from . import _server_findings

    began = left.passed
    answered, error = yield from _asked(host(), _endpoints.look())
    if error is not None:
        findings.append(_server_findings.of_no_answer(error, left.passed - began))
        return False
    version = _server_findings.version_in(answered)
    findings += _server_findings.of_answer(url, answered, version)
    findings += _server_findings.of_clock(answered.header("date"), time())
    if version is None:
        return False
    questions = (("models", _endpoints.list_models()), ("memory", _endpoints.ps()))
    for topic, request in questions:
        if left.is_over:
            break
        answer, error = yield from _asked(host(), request)
        if error is not None:
            findings.append(_server_findings.of_unanswered(topic, error))
        elif topic == "models":
            findings.append(_server_findings.of_models(answer))
        else:
            findings += _server_findings.of_placement(answer, time())
    return True


def _asked(host: AnyHost, request: Request[Any]) -> Steps[Outcome[Any]]:
    """Give an answer, or why there is none: also what a hook or transport of a caller's client raises."""
    try:
        return Outcome((yield from ask_at(host, request)))
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is what came of asking
        return Outcome(None, exc)


# --- where this runs -------------------------------------------------------------------------------------------------


def _given(host: Host | str | None) -> tuple[str, str]:
    """Give how the host was given: what was written, and where."""
    if isinstance(host, Host):
        return host.url, "a Host"
    return (os.environ.get("OLLAMA_HOST", ""), "OLLAMA_HOST") if host is None else (host, "given")


def _package() -> Package:
    import httpx

    from . import _core
    from ._delegation import forced, patched, transports_patched
    from ._findings import Package
    from ._plan import HERE

    asks_for_httpx, unknown = False, ""
    try:
        asks_for_httpx = forced(os.environ)
    except HostError as exc:
        unknown = str(exc)
    version = ".".join(map(str, sys.version_info[:3]))
    replaced = patched() or transports_patched()
    return Package(_core.__version__, version, httpx.__version__, _core.DEBUG, HERE, asks_for_httpx, replaced, unknown)
