"""IPv6 addresses with a zone, as `fe80::1%eth0`: they are reached, by every transport, or refused at once."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

import ollama_fast
from colours import Colour
from echo import serve
from ollama_fast import Host
from ollama_fast._leashed_transport import _addresses
from ollama_fast._reasons import reason
from ollama_fast._zones import with_index, without_zone
from ollama_fast.errors import ConnectError, HostError
from ollama_fast.testing import record

_LIST: Final = Path("/proc/net/if_inet6")
_SCOPES: Final = {"loopback": 0x10, "link-local": 0x20}
"""The kinds of addresses that have a zone, and how `_LIST` marks them."""


@dataclass(frozen=True)
class Local:
    """An address of this machine, and its interface."""

    address: str
    name: str
    index: int


def _addresses_of(kind: str) -> list[tuple[str, str]]:
    """Give the addresses of that kind that this machine has now, with the names of their interfaces."""
    found: list[tuple[str, str]] = []
    for line in _LIST.read_text(encoding="ascii").splitlines() if _LIST.exists() else ():
        digits, _, _, scope, _, name = line.split()
        if int(scope, 16) == _SCOPES[kind]:
            found.append((str(ipaddress.IPv6Address(int(digits, 16))), name))
    return found


def _index_of_reachable(address: str, name: str) -> int:
    """Give the number of the interface. Raises OSError if no server on "::" is reached there, as in some containers."""
    index = socket.if_nametoindex(name)
    with socket.create_server(("::", 0), family=socket.AF_INET6) as listener:
        socket.create_connection((f"{address}%{index}", listener.getsockname()[1]), 5).close()
    return index


@pytest.fixture(params=_SCOPES)
def local(request: pytest.FixtureRequest) -> Local:
    """
    Give an address of each kind at which a server on "::" is reached. Skips a test if this machine has none.

    It is looked for in each test, for interfaces come and go, as those of containers do.
    """
    failures: list[str] = []
    for address, name in _addresses_of(request.param):
        try:
            return Local(address, name, _index_of_reachable(address, name))
        except OSError as exc:
            failures.append(f"{address}%{name}: {exc}")
    pytest.skip(f"no {request.param} IPv6 address is reached: {'; '.join(failures) or f'{_LIST} tells of none'}")


@pytest.mark.parametrize(
    "form", ["{0.address}%{0.name}", "[{0.address}%{0.name}]", "[{0.address}%25{0.name}]", "[{0.address}%{0.index}]"]
)
def test_an_address_with_a_zone_is_reached(both: Colour, local: Local, form: str, over: str) -> None:
    del over
    with serve(address="::") as server:
        port = server.url.rpartition(":")[2]
        host = Host(form.format(local)).url.replace("11434", port)
        for _ in range(2):
            assert both.whole("version", host) == {"version": "1"}
        assert [each["host"] for each in server.headers] == [f"[{local.address}]:{port}"] * 2  # RFC 6874, 4


def _vouched(address: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Give the context of a server at *address*, and the file of who vouches for it."""
    authority, trusted = trustme.CA(), folder / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(address).configure_cert(context)
    return context, trusted


def test_a_certificate_is_for_the_address_without_its_zone(both: Colour, local: Local, tmp_path: Path) -> None:
    context, trusted = _vouched(local.address, tmp_path)
    with serve(address="::", tls=context) as server:
        port = server.url.rpartition(":")[2]
        host = Host(f"https://[{local.address}%{local.name}]:{port}", verify=trusted)
        assert both.whole("version", host) == {"version": "1"}
        report: Any = both.whole("doctor", host)
    assert [finding.level for finding in report.findings if finding.topic == "tls"] == ["ok"]


def test_no_zone_is_told_to_a_port_for_https_that_is_asked_by_http(both: Colour, local: Local, tmp_path: Path) -> None:
    context, _ = _vouched(local.address, tmp_path)
    named: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: named.append(name)
    with serve(address="::", tls=context) as server:
        port = server.url.rpartition(":")[2]
        report: Any = both.whole("doctor", f"http://[{local.address}%{local.name}]:{port}")
    assert report.findings[-1].what.startswith("what listens there speaks TLS; "), str(report)
    assert named == [None]  # an address is no name for TLS: RFC 6066, 3


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_with_a_zone_is_recorded(local: Local, scheme: str, tmp_path: Path) -> None:
    context, trusted = _vouched(local.address, tmp_path)
    with serve(address="::", tls=context if scheme == "https" else None) as server:
        port = server.url.rpartition(":")[2]
        host = Host(f"{scheme}://[{local.address}%{local.name}]:{port}", verify=trusted)
        with record(host, tmp_path / "one.json") as recorder:
            assert ollama_fast.version(recorder.url) == {"version": "1"}
        assert server.headers[0]["host"] == f"[{local.address}]:{port}"


def test_an_interface_that_is_none_is_named(both: Colour, over: str) -> None:
    del over
    for text in ("http://[fe80::1%25nowhere]:1", "[::1%nowhere]:1"):
        one = both.attempt("version", text)
        assert type(one.error) is ConnectError
        assert "no network interface of that name" in str(one.error)
        assert "%25nowhere]" in str(one.error)
        assert "DNS" not in str(one.error)
        report: Any = both.whole("doctor", text)
        assert report.findings[-1].facts["kind"] == "zone", str(report)


def _unknown(*_args: object, **_options: object) -> list[Any]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("url", "proxy", "said"),
    [
        ("http://[fe80::1%25nowhere]:1", "http://nope.invalid:1", "the name is not known to DNS"),
        ("http://gpu:1", "http://[fe80::1%25nowhere]:1", "this machine has no network interface of that name"),
    ],
    ids=["of the host", "of the proxy"],
)
def test_a_zone_is_to_blame_only_if_it_is_that_of_who_is_looked_up(
    both: Colour, url: str, proxy: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _unknown)  # without a network the answer would be another
    one = both.attempt("version", Host(url, proxy=proxy))
    assert type(one.error) is ConnectError
    assert "cannot connect through the host's proxy: " in str(one.error)
    assert f"({said}); " in str(one.error)


def test_a_name_without_a_zone_is_still_one_for_dns() -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "x")
    assert reason(unknown, "http://gpu:80").kind == "name"
    assert reason(unknown, "http://[fe80::1%25eth0]:80").kind == "zone"
    assert reason(OSError(errno.ECONNREFUSED, "x"), "http://[fe80::1%25eth0]:80").kind == "refused"


@pytest.mark.parametrize(
    "text", ["fe80::1%", "[fe80::1%]:80", "[fe80::1%25 ]", "[fe80::1%a/b]", "[fe80::1%a@b]", "[::1%\r\n]"]
)
def test_a_zone_that_can_be_none_is_refused_at_once(text: str) -> None:
    with pytest.raises(HostError):
        Host(text)
    with pytest.raises(HostError):
        Host(f"http://{text}")


def test_a_zone_may_be_a_number_also_one_that_begins_as_an_encoded_percent_sign() -> None:
    assert Host("fe80::1%25").url == Host("[fe80::1%2525]").url == "http://[fe80::1%2525]:11434"
    assert Host("fe80::1%251").url == Host("[fe80::1%25251]").url == "http://[fe80::1%25251]:11434"  # 251, not 1
    assert Host("fe80::1%4").url == Host("http://[fe80::1%254]:11434").url == "http://[fe80::1%254]:11434"


def test_what_the_system_and_what_others_are_told() -> None:
    for address in ("127.0.0.1", "gpu.example", "::1", "a%25b"):
        assert with_index(address) == address
    assert with_index("fe80::1%25nowhere") == with_index("fe80::1%nowhere") == "fe80::1%nowhere"
    assert with_index("fe80::1%2525") == with_index("fe80::1%25") == "fe80::1%25"
    for index, name in socket.if_nameindex():
        assert with_index(f"::1%25{name}") == f"::1%{index}"
    assert without_zone("[fe80::1%25eth0]:80") == "[fe80::1]:80"
    assert without_zone("fe80::1%eth0") == "fe80::1"
    for place in ("gpu.example:80", "a%2db:80"):
        assert without_zone(place) == place


def test_addresses_of_a_name_keep_their_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [("fe80::1", 80, 0, 4), ("fd00::1", 80, 0, 0), ("192.0.2.1", 80)]
    found = [(0, socket.SOCK_STREAM, 6, "", place) for place in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    assert _addresses("gpu.local", 80) == ["fe80::1%4", "fd00::1", "192.0.2.1"]
