"""
What `doctor` finds, and that it raises nothing, waits for nobody and tells no secret.

What facts mean is tested by values; the way to a server by servers on loopback, in both colours.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import pickle
import re
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ollama_fast
from colours import Colour
from exchange import load_all
from ollama_fast import Finding, Host, Report, _doctor, _findings, _probe, _server_findings, aio
from ollama_fast._request import Answered
from ollama_fast._steps import At, Course, Outcome, Try
from ollama_fast.errors import HostError
from replay import HangUpError, Received, replay

SECRET = "geheim"
NOW = 1_800_000_000.0

Answer = Callable[[Received], Generator[bytes]]


FACTS = {
    topic: set(facts.replace("`", "").split())
    for topic, facts in re.findall(
        r"(?m)^\| `(\w+)` \| (`.*`) \|$", (Path(__file__).parent.parent / "docs/public.md").read_text("utf-8")
    )
}
"""The topics and facts that the page of what is public promises."""


def levels(report: Report) -> dict[str, str]:
    """Give the worst level of each topic."""
    for finding in report.findings:
        assert set(finding.facts) <= FACTS[finding.topic], finding
    order = ["ok", "note", "problem"]
    found: dict[str, str] = {}
    for finding in report.findings:
        found[finding.topic] = max(finding.level, found.get(finding.topic, "ok"), key=order.index)
    return found


def the(report: Report, topic: str, level: str = "problem") -> Finding:
    """Give the only finding of a topic and level."""
    found = [finding for finding in report.findings if (finding.topic, finding.level) == (topic, level)]
    assert len(found) == 1, str(report)
    assert set(found[0].facts) <= FACTS[topic]
    return found[0]


def response(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def says(bodies: Mapping[str, Any], *headers: str, status: int = 200) -> Answer:
    """Answer paths with JSON, and others with 404."""

    def respond(request: Received) -> Generator[bytes]:
        if request.path in bodies:
            yield response(status, json.dumps(bodies[request.path]).encode(), *headers)
        else:
            yield response(404, b"404 page not found")

    return respond


HEALTHY: Mapping[str, Any] = {
    "/api/version": {"version": "0.24.0"},
    "/api/tags": {"models": [{"model": "smollm2:latest"}]},
    "/api/ps": {"models": []},
}


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Generator[int]:
    """Give the port of a server that treats each connection by *serve*, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(30)
                    if not stop.is_set():
                        try:
                            serve(connection)
                        except OSError:
                            continue

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def free_port() -> int:
    """Give a port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


# --- servers that are well -------------------------------------------------------------------------------------------


def test_a_healthy_server_is_ok(every: Colour) -> None:
    with replay(respond=says(HEALTHY, f"Date: {formatdate(usegmt=True)}")) as server:
        report: Report = every.whole("doctor", server.url)
    assert report.ok
    assert report.host == server.url
    assert set(levels(report).values()) == {"ok"}, str(report)
    assert the(report, "server", "ok").facts["version"] == "0.24.0"
    assert the(report, "models", "ok").facts == {"count": 1, "models": ["smollm2:latest"]}
    topics = {"package", "server", "models", "memory", "clock"}
    assert set(levels(report)) == topics | (
        {"client"} if every.way != "host" else {"host", "credentials", "proxy", "connection"}
    )


def test_a_recorded_server_is_understood(both: Colour) -> None:
    with replay(load_all().values(), pace="fast") as server:
        report: Report = both.whole("doctor", server.url)
    assert report.ok
    on_cpu = the(report, "memory", "note")
    assert on_cpu.facts["in_vram"] == 0
    assert on_cpu.facts["context_length"] == 2048
    assert "CPU alone" in on_cpu.what


def test_the_environment_says_which_host_it_is(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    with replay(respond=says(HEALTHY)) as server:
        port = server.url.rpartition(":")[2]
        monkeypatch.setenv("OLLAMA_HOST", f"0.0.0.0:{port}")
        report: Report = both.whole("doctor", None)
        assert report.host == server.url
        assert "what a server listens at" in the(report, "host", "note").what
        assert report.ok


def test_without_a_host_it_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with replay(respond=says(HEALTHY)) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        assert ollama_fast.doctor().host == server.url
        assert asyncio.run(aio.doctor()).host == server.url


def test_the_settings_of_a_host_count(both: Colour) -> None:
    with replay(respond=says(HEALTHY)) as server:
        host = Host(server.url, headers={"X-Team": "search"}, auth=SECRET, timeout=None)
        report: Report = both.whole("doctor", host)
        assert report.ok
        assert {request.header("x-team") for request in server.requests} == {"search"}
        assert {request.header("authorization") for request in server.requests} == {f"Bearer {SECRET}"}
    assert SECRET not in str(report) + repr(report)


# --- servers that are not --------------------------------------------------------------------------------------------


def test_nothing_listens_there(both: Colour, free_port: int) -> None:
    report: Report = both.whole("doctor", f"127.0.0.1:{free_port}")
    refused = the(report, "connection")
    assert "nothing listens at that port" in refused.what
    assert "ollama serve" in refused.todo
    assert report.findings[-1] == refused
    assert not report.ok


def test_a_wrong_port_is_told_from_a_server_that_is_not_there(
    both: Colour, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with replay(respond=says(HEALTHY)) as server:
        usual = int(server.url.rpartition(":")[2])
        monkeypatch.setattr(_doctor, "DEFAULT_PORT", usual)
        report: Report = both.whole("doctor", f"127.0.0.1:{free_port}")
    assert "something listens at port" in the(report, "connection").todo


def test_a_server_that_says_nothing_is_given_up_in_time(both: Colour) -> None:
    def be_silent(request: Received) -> Generator[bytes | float]:
        yield 60.0

    with replay(respond=be_silent) as server:
        began = time.monotonic()
        report: Report = both.whole("doctor", server.url, seconds=2)
        took = time.monotonic() - began
    assert "says nothing" in the(report, "server").what
    assert took < 20, f"2 seconds were given, and it took {took:.1f}"


def test_a_server_that_never_comes_to_an_end_is_given_up_in_time(both: Colour) -> None:
    def drip(request: Received) -> Generator[bytes | float]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        while True:
            yield b" "
            yield 0.1

    with replay(respond=drip) as server:
        began = time.monotonic()
        report: Report = both.whole("doctor", server.url, seconds=2)
        took = time.monotonic() - began
    assert not report.ok
    assert took < 20, f"2 seconds were given, and it took {took:.1f}"


@pytest.mark.parametrize("part", [1.0, 0.9])
def test_each_step_that_takes_its_time_leaves_less_for_the_next(part: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def take(seconds: float) -> None:
        nonlocal now
        now += seconds * part

    def look_up(name: str, port: int, seconds: float) -> _probe.Lookup:
        take(seconds)
        return _probe.Lookup((_probe.Place(socket.AF_INET, ("192.0.2.1", port)),), seconds)

    def connect(places: tuple[_probe.Place, ...], seconds: float) -> list[_probe.Attempt]:
        take(seconds)
        return [_probe.Attempt(place, seconds) for place in places]

    def shake_hands(_place: Any, name: str, _verify: Any, seconds: float) -> _probe.Shaken:
        take(seconds)
        return _probe.Shaken("TLSv1.3", (name,), time.time() + 1e8, seconds)

    for probe in (look_up, connect, shake_hands):
        monkeypatch.setattr(_probe, probe.__name__, probe)
    monkeypatch.setattr(_doctor, "perf_counter", lambda: now)

    def server(effect: Any) -> Any:
        if isinstance(effect, Try):
            return [effect.view(0, Outcome(job())) for job in effect.jobs]
        assert isinstance(effect, At)
        limits = effect.host.timeout
        assert limits.total is not None
        assert limits.total == limits.connect == limits.first_part == limits.idle
        take(limits.total)
        body = HEALTHY[effect.request.path]
        return Answered(200, (), json.dumps(body).encode()) if effect.request.raw else body

    course = Course(_doctor.doctor("https://gpu.example", seconds=8))
    while (effect := course.advance()) is not None:
        with course:
            course.reply = server(effect)
    assert the(course.result, "server", "ok").facts["version"] == "0.24.0"
    assert now <= 8.2, f"8 seconds were given, and it took {now:.1f}"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_names_where_to(both: Colour, status: int) -> None:
    def send_away(request: Received) -> Generator[bytes]:
        place = f"https://ada:{SECRET}@gpu.example/ollama/api/version?key={SECRET}"
        yield response(status, b"", f"Location: {place}")

    with replay(respond=send_away) as server:
        report: Report = both.whole("doctor", server.url)
        assert len(server.requests) == 1
    away = the(report, "server")
    assert away.facts["location"] == "https://gpu.example/ollama/api/version"
    assert away.todo == "give that address: https://gpu.example/ollama"
    assert SECRET not in str(report) + json.dumps(report.as_dict())


OTHERS = {
    "a web server": (response(200, b"<html>", "Server: nginx", "Content-Type: text/html"), "calls itself nginx"),
    "JSON": (response(200, b'{"object": "list"}'), "not as Ollama does"),
    "a list": (response(200, b"[]"), "not as Ollama does"),
    "a version of its own": (response(200, b'{"version": 5}'), "not as Ollama does"),
    "not found": (response(404, b"404 page not found"), "status 404"),
    "unauthorized": (response(401, b'{"error": "unauthorized"}'), "wants to know who asks"),
    "forbidden": (response(403, b""), "wants to know who asks"),
    "a bad gateway": (response(502, b"<html>Bad Gateway"), "cannot reach what is behind it"),
    "a server for https": (
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        "speaks TLS",
    ),
    "nginx for https": (
        response(400, b"<center>The plain HTTP request was sent to HTTPS port</center>", "Server: nginx"),
        "speaks TLS",
    ),
    "a TLS alert": (b"\x15\x03\x01\x00\x02\x02\x46", "https://"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "HTTP"),
    "nothing": (b"", "HTTP"),
}


@pytest.mark.parametrize(("answer", "words"), OTHERS.values(), ids=OTHERS)
def test_what_is_not_ollama_is_told(every: Colour, answer: bytes, words: str) -> None:
    def respond(request: Received) -> Generator[bytes]:
        yield answer
        raise HangUpError

    with replay(respond=respond) as server:
        report: Report = every.whole("doctor", server.url)
        assert words in the(report, "server").what, str(report)
        assert "models" not in levels(report)


@pytest.mark.parametrize("path", ["/api", "/v1", "/api/chat", "/ollama/api"])
def test_a_path_that_is_doubled_is_found(both: Colour, path: str) -> None:
    with replay(respond=says(HEALTHY)) as server:
        report: Report = both.whole("doctor", server.url + path)
        right = server.url + "/ollama" * path.startswith("/ollama")
    assert the(report, "host").todo.endswith(f": {right}")
    assert [finding.topic for finding in report.problems] == ["host", "server"]
    assert levels(report) == dict.fromkeys(levels(report), "ok") | {"host": "problem", "server": "problem"}
    assert sum(finding.topic == "host" for finding in report.findings) == 1
    assert the(report, "server").todo == "the path of the host is why"


def test_a_path_at_which_nothing_is_found_is_named(both: Colour) -> None:
    with replay(respond=says(HEALTHY)) as server:
        report: Report = both.whole("doctor", f"{server.url}/ollama")
    assert the(report, "server").todo == f"is the path /ollama right? Ollama itself has none: {server.url}"


def test_a_path_that_is_doubled_is_found_where_nothing_listens(both: Colour, free_port: int) -> None:
    report: Report = both.whole("doctor", f"http://127.0.0.1:{free_port}/v1")
    assert [finding.topic for finding in report.problems] == ["host", "connection"]
    assert the(report, "host").todo.endswith(f": http://127.0.0.1:{free_port}")


def test_a_client_whose_path_is_doubled(both: Colour) -> None:
    colour = dataclasses.replace(both, way="client-mock")
    with replay(respond=says(HEALTHY)) as server:
        report: Report = colour.whole("doctor", f"{server.url}/v1")
    assert [finding.topic for finding in report.problems] == ["host", "server"]


@pytest.mark.parametrize("url", ["http://api", "https://v1:443", "http://api/ollama", "http://h:80/apis"])
def test_a_host_of_such_a_name_has_no_such_path(url: str) -> None:
    assert _findings.of_path(url, {}) is None


def test_a_path_with_such_a_name_at_which_ollama_answers_is_none() -> None:
    bodies = {f"/api{path}": body for path, body in HEALTHY.items()}
    with replay(respond=says(bodies)) as server:
        assert ollama_fast.doctor(f"{server.url}/api").ok


def test_what_the_server_lacks_is_told(both: Colour) -> None:
    bodies = {**HEALTHY, "/api/version": {"version": "0.4.7"}, "/api/tags": {"models": []}}
    with replay(respond=says(bodies, "Date: Thu, 01 Jan 2026 00:00:00 GMT")) as server:
        report: Report = both.whole("doctor", server.url)
    assert "think" in the(report, "server", "note").what
    assert "pull" in the(report, "models").todo
    assert "behind ours" in the(report, "clock", "note").what


def test_a_question_that_fails_leaves_the_others(both: Colour) -> None:
    bodies = {name: body for name, body in HEALTHY.items() if name != "/api/tags"}
    with replay(respond=says(bodies)) as server:
        report: Report = both.whole("doctor", server.url)
    assert "404" in the(report, "models").what
    the(report, "memory", "ok")


# --- the way ---------------------------------------------------------------------------------------------------------


def test_a_name_that_is_none_is_told_from_a_server_that_is_not_there(both: Colour) -> None:
    report: Report = both.whole("doctor", "http://no-such-host.invalid:11434", seconds=20)
    assert the(report, "dns").facts["kind"] in ("name", "dns")
    assert "connection" not in levels(report)


def test_a_name_that_nobody_looks_up_is_given_up(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    def wait(*_: Any, **__: Any) -> Any:
        asked.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "late")

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    report: Report = both.whole("doctor", "http://slow.example:11434", seconds=1)
    asked.set()
    assert the(report, "dns").facts["kind"] == "dns"


def test_an_address_that_takes_no_connection_is_seen_beside_one_that_does(
    both: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = socket.getaddrinfo

    def both_families(name: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        found = genuine("127.0.0.1", port, *args, **kwargs)
        return [(*one[:4], ("127.0.0.3", port)) for one in found] + found

    with replay(respond=says(HEALTHY)) as server:
        port = server.url.rpartition(":")[2]
        monkeypatch.setattr(socket, "getaddrinfo", both_families)
        report: Report = both.whole("doctor", f"http://two.example:{port}")
        attempts = the(report, "connection", "note").facts["attempts"]
    assert [(one["address"], one["error"] is None) for one in attempts] == [("127.0.0.3", False), ("127.0.0.1", True)]


def test_https_at_a_port_for_http_is_told(both: Colour) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(response(400, b"400 Bad Request"))

    def wait(connection: socket.socket) -> None:
        while connection.recv(65536):  # until the client leaves
            pass

    with listening(refuse) as port:
        report: Report = both.whole("doctor", f"https://127.0.0.1:{port}")
    assert "speaks no TLS" in the(report, "tls").what
    assert "http://" in the(report, "tls").todo
    with listening(wait) as port:
        silent: Report = both.whole("doctor", f"https://127.0.0.1:{port}", seconds=2)
    assert "says nothing to a greeting in TLS" in the(silent, "tls").what
    assert "http://" in the(silent, "tls").todo


@contextmanager
def over_tls(name: str, **options: Any) -> Generator[tuple[str, trustme.CA]]:
    """Give the URL of a server with TLS, and who vouches for it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **options).configure_cert(context)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            if head := secured.recv(65536):
                path = head.split(b" ")[1].decode()
                secured.sendall(response(200, json.dumps(HEALTHY[path]).encode(), "Connection: close"))

    with listening(serve) as port:
        yield f"https://127.0.0.1:{port}", authority


def test_a_certificate_is_looked_at(both: Colour, tmp_path: Path) -> None:
    trusted = tmp_path / "ca.pem"
    with over_tls("127.0.0.1") as (url, authority):
        authority.cert_pem.write_to_path(str(trusted))
        report: Report = both.whole("doctor", Host(url, verify=str(trusted)))
        assert report.ok, str(report)
        assert the(report, "tls", "ok").facts["names"] == ["127.0.0.1"]
        unknown: Report = both.whole("doctor", url)
        assert the(unknown, "tls").facts["kind"] == "certificate"
        unchecked: Report = both.whole("doctor", Host(url, verify=False))
        assert "nobody checks" in the(unchecked, "tls", "note").what


@pytest.mark.parametrize("by", ["the host", "the environment"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_are_named(
    both: Colour, content: str | None, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "nowhere.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    if by == "the environment":
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with over_tls("127.0.0.1") as (url, _):
        host = Host(url, verify=str(file) if by == "the host" else True)
        report: Report = both.whole("doctor", host)
        with pytest.raises(HostError, match=re.escape(f"the certificates in {file} cannot be read: ")):
            both.whole("version", host)
    assert f"the certificates in {file} cannot be read: " in the(report, "tls").what
    assert "SSL_CERT_FILE" in the(report, "tls").todo


def test_http_at_a_port_for_https_is_told_also_where_the_server_does_not_say_so(both: Colour) -> None:
    with over_tls("127.0.0.1") as (url, _):
        report: Report = both.whole("doctor", url.replace("https:", "http:"))
    assert the(report, "server").what.startswith("what listens there speaks TLS; ")
    assert the(report, "server").todo == f"write https:// in place of http://: {url}"


def test_a_certificate_for_another_name_is_told(both: Colour, tmp_path: Path) -> None:
    trusted = tmp_path / "ca.pem"
    with over_tls("gpu.example") as (url, authority):
        authority.cert_pem.write_to_path(str(trusted))
        report: Report = both.whole("doctor", Host(url, verify=str(trusted)))
    assert "a name that the certificate is for" in the(report, "tls").todo


def test_a_certificate_that_has_expired_is_told(both: Colour, tmp_path: Path) -> None:
    trusted = tmp_path / "ca.pem"
    with over_tls("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC)) as (url, authority):
        authority.cert_pem.write_to_path(str(trusted))
        report: Report = both.whole("doctor", Host(url, verify=str(trusted)))
    assert the(report, "tls").what.endswith(": certificate has expired")
    assert "have the certificate renewed" in the(report, "tls").todo


@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_named(both: Colour, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with replay(respond=says({f"http://gpu.example:11434{path}": body for path, body in HEALTHY.items()})) as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("//", f"//ada:{SECRET}@"))
        report: Report = both.whole("doctor", "http://gpu.example:11434")
    passed = the(report, "proxy", "note")
    assert (passed.facts["by"], passed.facts["proxy"]) == (variable, proxy.url)
    assert "the proxy" in the(report, "connection", "ok").what
    assert report.ok, str(report)
    assert SECRET not in str(report) + json.dumps(report.as_dict())


def test_proxies_that_are_not_for_this_host_are_mentioned(
    both: Colour, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    here: Report = both.whole("doctor", f"127.0.0.1:{free_port}")
    assert "not for this machine" in the(here, "proxy", "ok").what
    monkeypatch.setenv("NO_PROXY", ".invalid")
    there: Report = both.whole("doctor", "http://gpu.invalid:11434")
    assert "NO_PROXY" in the(there, "proxy", "ok").what


def test_a_proxy_that_is_not_there_is_what_is_wrong(both: Colour, free_port: int) -> None:
    report: Report = both.whole("doctor", Host("http://gpu.example", proxy=f"http://127.0.0.1:{free_port}"))
    assert "the proxy" in the(report, "connection").what


@pytest.mark.parametrize("proxy", ["socks4://127.0.0.1:1", "ftp://127.0.0.1", "http://x:y", f"http://ada:{SECRET}@x:y"])
def test_a_proxy_that_cannot_be_used_is_told(both: Colour, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    report: Report = both.whole("doctor", "http://gpu.example:11434")
    assert "ALL_PROXY" in the(report, "proxy").todo
    assert SECRET not in str(report)


def test_a_proxy_that_wants_a_password_says_so_to_a_connect(both: Colour) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with listening(refuse) as port:
        report: Report = both.whole("doctor", Host("https://gpu.example", proxy=f"http://127.0.0.1:{port}"))
    assert "the proxy wants user name and password" in the(report, "server").what
    assert "put them into the URL of the proxy" in the(report, "server").what


def test_socks_without_its_package_is_told(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    report: Report = both.whole("doctor", Host("http://gpu.example", proxy="socks5://127.0.0.1:1"))
    assert the(report, "proxy").todo == "pip install 'httpx[socks]'"


# --- what is hostile --------------------------------------------------------------------------------------------------

HOSTILE: Mapping[str, tuple[str, bytes, bytes]] = {
    "a year of five digits": ("Date: Mon, 01 Jan 99999 00:00:00 GMT", b'"0.24.0"', b"1"),
    "a zone that is far away": ("Date: Mon, 01 Jan 2024 00:00:00 +999999999999999", b'"0.24.0"', b"1"),
    "the last hour of all": ("Date: Fri, 31 Dec 9999 23:59:59 -2359", b'"0.24.0"', b"1"),
    "a size of 400 digits": ("X: x", b'"0.24.0"', b"1" * 400),
    "a size without an end": ("X: x", b'"0.24.0"', b"1e999"),
    "a size below nothing": ("X: x", b'"0.24.0"', b"-1e999"),
    "a version of 5,000 digits": ("X: x", b'"' + b"1" * 5000 + b'.0.0"', b"1"),
}


@pytest.mark.parametrize(("header", "version", "size"), HOSTILE.values(), ids=HOSTILE)
def test_what_a_hostile_server_says_is_no_error(both: Colour, header: str, version: bytes, size: bytes) -> None:
    bodies = {
        "/api/version": b'{"version":%s}' % version,
        "/api/tags": b'{"models":[{"model":"m"}]}',
        "/api/ps": b'{"models":[{"model":"m","size":%s,"size_vram":%s,"context_length":%s}]}' % (size, size, size),
    }

    def respond(request: Received) -> Generator[bytes]:
        yield response(200, bodies[request.path], header)

    with replay(respond=respond) as server:
        report: Report = both.whole("doctor", server.url)
    assert {"server", "models", "memory"} < set(levels(report))
    check_form(report)


def check_form(report: Report) -> None:
    """Raise what keeps a report from a terminal, or from any encoder of JSON."""
    text = str(report).encode()
    assert max(map(len, text.splitlines())) < 20_000
    assert len(text) < 100_000
    assert b"\x1b" not in text
    assert json.loads(json.dumps(report.as_dict(), ensure_ascii=False, allow_nan=False).encode())["host"]


TEXTS = st.text(max_size=8) | st.sampled_from(
    ["\x1b[2J", "\ud800", "0" * 5000, "1.2.3", "99999999999.1.1", "http://[", "//@"]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | TEXTS,
    lambda found: st.lists(found, max_size=3) | st.dictionaries(TEXTS, found, max_size=3),
    max_leaves=4,
)
MODELS = st.lists(
    st.dictionaries(st.sampled_from(["model", "name", "size", "size_vram", "context_length", "expires_at"]), JSON)
)
ANSWERS = st.fixed_dictionaries({"version": TEXTS}) | st.fixed_dictionaries({"models": MODELS | JSON}) | JSON
DATES = st.from_regex(
    r"(Mon, )?[0-9]{1,3} (Jan|Dec) [0-9]{1,6} [0-9]{1,3}:[0-9]{2}:[0-9]{2} ([+-][0-9]{1,12}|GMT|)", fullmatch=True
)
HEADERS = st.fixed_dictionaries(
    {}, optional={"Date": DATES | TEXTS, "Server": TEXTS, "Location": TEXTS, "Content-Type": TEXTS}
)


@pytest.mark.mocked
@settings(max_examples=30)
@given(st.lists(ANSWERS, min_size=3, max_size=3), HEADERS, st.sampled_from([200, 200, 200, 307, 403, 502]))
@example([{"version": "1.2.3"}, {"models": []}, {"models": [{"size": 10**400}]}], {}, 200)
def test_no_answer_is_an_error(bodies: list[Any], headers: dict[str, str], status: int) -> None:
    answers = iter(bodies)

    def answer(_request: httpx.Request) -> httpx.Response:
        said = [(name.encode(), value.encode("utf-8", "surrogatepass")) for name, value in headers.items()]
        return httpx.Response(status, content=json.dumps(next(answers)).encode(), headers=said)

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://h") as client:
        check_form(ollama_fast.doctor(client))


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from(["models"]), MODELS | JSON), TEXTS, DATES | TEXTS)
def test_no_fact_about_a_server_is_an_error(answer: dict[str, Any], version: str, date: str) -> None:
    findings = _server_findings.of_answer("http://h", Answered(200, (), b""), version)
    findings += _server_findings.of_placement(answer, NOW)
    findings += _server_findings.of_clock(date, NOW)
    check_form(Report("http://h", (*findings, _server_findings.of_models(answer)), 0.1))


def test_no_free_file_descriptor_is_a_finding(both: Colour, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    both.whole("doctor", f"127.0.0.1:{free_port}")  # what is imported at first needs one, too

    def look_up(*args: Any) -> _probe.Lookup:
        found = _look_up(*args)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        return found

    monkeypatch.setattr(_probe, "look_up", look_up)
    try:
        report: Report = both.whole("doctor", f"127.0.0.1:{free_port}")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "as many files and connections open as it may" in the(report, "connection").what


_look_up = _probe.look_up

# --- the host, as it is given ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "",
        "x y",
        "ftp://x",
        "http://x:99999",
        "http:/x",
        "[::1",
        "a?b",
        "http://",
        "..",
        "x" * 64 + ".example",
        "\ud800",
        "http://256.256.256.256",
        "http://\x1b[2J",
        "http://ada:\ud800@h",
    ],
    ids=ascii,
)
def test_no_text_is_an_error(both: Colour, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_probe, "look_up", _probe.look_up if host in ("", "http://") else _no_name)
    check_form(both.whole("doctor", host, seconds=1))
    monkeypatch.setenv("OLLAMA_HOST", "http://garbage:-1?")
    report: Report = both.whole("doctor", None)
    assert "OLLAMA_HOST" in the(report, "host").what
    json.dumps(report.as_dict())


def _no_name(name: str, port: int, seconds: float) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    "password", [SECRET, f"{SECRET}/x", f"x/{SECRET}", f"a@{SECRET}", f"a#{SECRET}/", f"{SECRET}?"]
)
@pytest.mark.parametrize("form", ["http://ada:{}@x y", "http://ada:{}@127.0.0.1:1", "ada:{}@127.0.0.1:1/a b"])
def test_credentials_in_a_host_are_not_shown(
    both: Colour, form: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = form.format(password)
    monkeypatch.setenv("OLLAMA_HOST", host)
    for one in (host, None):
        report: Report = both.whole("doctor", one)
        assert SECRET not in str(report) + repr(report) + json.dumps(report.as_dict()), one


@pytest.mark.parametrize("host", [5, b"localhost", ["localhost"], httpx.URL("http://h")], ids=repr)
def test_a_host_of_another_type_is_a_type_error(both: Colour, host: Any) -> None:
    with pytest.raises(TypeError, match="host must be"):
        both.whole("doctor", host)


def test_a_client_of_the_other_colour_is_a_type_error() -> None:
    with httpx.Client() as client, pytest.raises(TypeError, match="ollama_fast"):
        asyncio.run(aio.doctor(client))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"ollama_fast\.aio"):
        ollama_fast.doctor(httpx.AsyncClient())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("seconds", "kind"), [("5", TypeError), (True, TypeError), (0, ValueError), (float("inf"), ValueError)]
)
def test_seconds_that_are_none_are_refused(both: Colour, seconds: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="seconds must be"):
        both.whole("doctor", "localhost", seconds=seconds)


def test_an_unknown_transport_is_told(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_FAST_TRANSPORT", "quick")
    with replay(respond=says(HEALTHY)) as server:
        report: Report = both.whole("doctor", server.url)
    assert "OLLAMA_FAST_TRANSPORT" in the(report, "package").what


def test_a_key_that_goes_nowhere_is_told(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_probe, "look_up", _no_name)
    monkeypatch.setenv("OLLAMA_API_KEY", SECRET)
    report: Report = both.whole("doctor", "http://gpu.example")
    assert "not sent" in the(report, "credentials", "note").what
    monkeypatch.setenv("OLLAMA_API_KEY", f"{SECRET}\nX-Evil: 1")
    with replay(respond=says(HEALTHY)) as server:
        wrong: Report = both.whole("doctor", server.url)
    assert the(wrong, "credentials").facts == {}
    assert SECRET not in str(report) + str(wrong)


# --- a caller's own client -------------------------------------------------------------------------------------------


@pytest.mark.mocked
def test_a_client_is_asked_as_it_is(both: Colour) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=HEALTHY[request.url.path])

    client = both.mock(answer, base_url=f"http://ada:{SECRET}@gpu.example", headers={"X-Team": "search"})
    report: Report = both.whole("doctor", client)
    assert report.host == "http://gpu.example"
    assert "cannot be seen" in the(report, "client", "ok").what
    assert "minutes to load" in the(report, "client", "note").what
    assert {request.headers["x-team"] for request in seen} == {"search"}
    assert SECRET not in str(report)


@pytest.mark.mocked
def test_a_client_that_would_wait_for_ever_is_not_asked(both: Colour) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise AssertionError("it was asked")

    report: Report = both.whole("doctor", both.mock(fail, base_url="http://h", timeout=None))
    assert "for ever" in the(report, "client").what
    nowhere: Report = both.whole("doctor", both.mock(fail))
    assert "base_url" in the(nowhere, "client").what


@pytest.mark.mocked
def test_what_a_hook_of_a_client_raises_is_a_finding(both: Colour) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise KeyError("mine")

    report: Report = both.whole("doctor", both.mock(fail, base_url="http://h"))
    assert the(report, "server").facts == {"error": "KeyError"}


# --- the report ------------------------------------------------------------------------------------------------------

REPORT = Report(
    "http://h:1",
    (Finding("host", "ok", "fine"), Finding("dns", "problem", "word " * 40, "look again", {"n": [1]})),
    0.25,
)


def test_a_report_is_a_value() -> None:
    assert pickle.loads(pickle.dumps(REPORT)) == REPORT
    assert json.loads(json.dumps(REPORT.as_dict())) == REPORT.as_dict()
    assert json.loads(json.dumps(dataclasses.asdict(REPORT)))["host"] == "http://h:1"
    assert REPORT.as_dict()["ok"] is REPORT.ok is False
    assert REPORT.problems == REPORT.findings[1:]
    assert {REPORT: 1}[pickle.loads(pickle.dumps(REPORT))] == 1
    other = dataclasses.replace(REPORT.findings[1], facts={"n": [2]})
    assert len({other, *REPORT.findings}) == 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        REPORT.host = "x"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_the_text_of_a_report_is_for_people() -> None:
    lines = str(REPORT).splitlines()
    assert lines[0] == "http://h:1: 1 problem (0.2 s)"
    assert lines[1] == "  ok       host        fine"
    assert lines[-1].strip() == "-> look again"
    assert max(map(len, lines)) <= 110
    assert str(Report("h", (), 1.0)) == "h: all is well (1.0 s)"


def test_each_finding_of_every_report_is_json(both: Colour) -> None:
    with replay(load_all().values(), pace="fast") as server:
        report: Report = both.whole("doctor", server.url)
    assert json.loads(json.dumps(report.as_dict()))["findings"][0]["topic"] == "package"


def test_each_fact_that_is_promised_is_one_that_findings_have() -> None:
    assert {"package", "host", "server", "clock"} < set(FACTS)
    source = "".join(Path(room.__file__ or "").read_text("utf-8") for room in (_findings, _server_findings))
    assert [name for names in FACTS.values() for name in names if f'"{name}"' not in source] == []


# --- what facts mean -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "level", "words"),
    [
        ("0.33.0", "ok", "0.33.0"),
        ("0.33.0-rc2", "ok", "0.33.0-rc2"),
        ("0.12.5", "note", "truncate"),
        ("0.1.20", "note", "embed; JSON schemas"),
        ("0.0.0", "ok", "somebody built"),
        ("main", "ok", "somebody built"),
        ("10.0.0", "ok", "10.0.0"),
    ],
)
def test_a_version_says_what_is_missing(version: str, level: str, words: str) -> None:
    (finding,) = _server_findings.of_answer("http://h", Answered(200, (), b""), version)
    assert finding.level == level
    assert words in finding.what


@pytest.mark.parametrize(
    ("size", "vram", "level", "words"),
    [
        (8_000_000_000, 8_000_000_000, "ok", "all of 8 GB in VRAM"),
        (8_000_000_000, 6_000_000_000, "note", "75% of 8 GB in VRAM"),
        (8_000_000_000, 0, "note", "on the CPU alone, 8 GB"),
        (8_000_000_000, 9_000_000_000, "ok", "all of"),
        (0, 0, "ok", "runs elsewhere"),
        (None, "much", "ok", "runs elsewhere"),
    ],
)
def test_where_a_model_is_says_how_fast_it_is(size: Any, vram: Any, level: str, words: str) -> None:
    model = {
        "model": "m",
        "size": size,
        "size_vram": vram,
        "context_length": 4096,
        "expires_at": "2027-01-15T08:05:00Z",
    }
    (finding,) = _server_findings.of_placement({"models": [model]}, NOW)
    assert finding.level == level
    assert words in finding.what
    assert "context of 4096 tokens" in finding.what
    assert finding.facts["expires_in"] == 300
    assert "stays for 5 minutes" in finding.what


@pytest.mark.parametrize("answer", [{}, {"models": None}, {"models": ["m"]}, {"models": [{}]}, {"models": 5}], ids=repr)
def test_answers_of_odd_shapes_are_no_errors(answer: dict[str, Any]) -> None:
    assert _server_findings.of_models(answer).topic == "models"
    assert _server_findings.of_placement(answer, NOW)[0].topic == "memory"


@pytest.mark.parametrize(
    ("ahead", "level", "words"),
    [
        (0, "ok", "agree"),
        (-59, "ok", "agree"),
        (90, "note", "90 seconds ahead of ours"),
        (-600, "note", "10 minutes behind ours"),
        (3605, "note", "another zone"),
        (-5 * 3600 - 1800, "note", "another zone"),
        (40 * 86400, "note", "5 weeks ahead"),
    ],
)
def test_a_clock_is_compared(ahead: float, level: str, words: str) -> None:
    (finding,) = _server_findings.of_clock(formatdate(NOW + ahead, usegmt=True), NOW)
    assert finding.level == level
    assert words in finding.what
    assert ("zone" in finding.what) is (words == "another zone")


@pytest.mark.parametrize("date", ["", "yesterday", "0"])
def test_a_date_that_is_none_is_no_finding(date: str) -> None:
    assert _server_findings.of_clock(date, NOW) == []


@pytest.mark.parametrize(("days", "level"), [(90, "ok"), (5, "note"), (None, "note")])
def test_a_certificate_that_ends_soon_is_noted(days: float | None, level: str) -> None:
    ends = None if days is None else NOW + days * 86400
    finding = _findings.of_handshake("h", _probe.Shaken("TLSv1.3", ("h",), ends, 0.1), NOW)
    assert finding.level == level
    assert finding.facts["expires_in_days"] == days


@pytest.mark.parametrize(
    ("text", "url", "words"),
    [
        ("", "http://127.0.0.1:11434", "not set"),
        ("0.0.0.0", "http://127.0.0.1:11434", "server listens"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434", "server listens"),
        ("[::]:11434", "http://[::1]:11434", "server listens"),
        ("http://gpu", "http://gpu:80", "without a port means 80"),
        ("http://ada:pw@gpu", "http://gpu:80", "without a port means 80"),
    ],
)
def test_what_people_write_and_do_not_mean_is_told(text: str, url: str, words: str) -> None:
    assert Host(text).url == url
    assert words in " ".join(finding.what for finding in _findings.of_host(text, "OLLAMA_HOST", url))


@pytest.mark.parametrize("text", ["gpu", "gpu:11434", "http://gpu:80", "https://gpu", "[::1]:11434", "::1", "10.0.0.5"])
def test_what_people_write_and_mean_is_only_shown(text: str) -> None:
    assert [finding.level for finding in _findings.of_host(text, "given", Host(text).url)] == ["ok"]


PACKAGE = _findings.Package("1.0", "3.13.0", "0.28.1", debug=False, has_sockets=True, forced=False, patched=False)


@pytest.mark.parametrize(
    ("changes", "level", "words", "fast"),
    [
        ({}, "ok", "the core's own", True),
        ({"forced": True}, "ok", "OLLAMA_FAST_TRANSPORT asks", False),
        ({"has_sockets": False}, "ok", "no sockets", False),
        ({"patched": True}, "ok", "a tool has replaced", False),
        ({"debug": True}, "note", "debug build", True),
    ],
)
def test_the_package_says_what_serves(changes: dict[str, bool], level: str, words: str, *, fast: bool) -> None:
    (finding,) = _findings.of_package(dataclasses.replace(PACKAGE, **changes))  # type: ignore[arg-type]
    assert finding.level == level
    assert words in finding.what
    assert finding.facts["fast"] is fast


def test_the_text_of_a_bad_host_is_that_of_the_error() -> None:
    with pytest.raises(HostError) as caught:
        Host("ftp://x")
    assert _findings.of_bad_host(caught.value).what == str(caught.value)


def test_importing_the_package_loads_nothing_of_the_doctor() -> None:
    program = (
        "import sys, ollama_fast; print(sorted(n for n in sys.modules if n.endswith(('_doctor', '_probe', '_report'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "[]\n"
