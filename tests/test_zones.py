"""IPv6 addresses with a zone, as `fe80::1%eth0`: they are reached, by every transport, or refused at once."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
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

_LINK_LOCAL: Final = 0x20
_LIST: Final = Path("/proc/net/if_inet6")


def _local() -> list[tuple[str, str]]:
    """Give addresses of this machine with the names of their interfaces: of loopback, and link-local ones."""
    found: list[tuple[str, str]] = []
    for line in _LIST.read_text(encoding="ascii").splitlines() if _LIST.exists() else ():
        digits, _, _, scope, _, name = line.split()
        address = ipaddress.IPv6Address(int(digits, 16))
        if address.is_loopback or int(scope, 16) == _LINK_LOCAL:
            found.append((str(address), name))
    return found


LOCAL: Final = _local()
_NONE: Final = pytest.param("", "", marks=pytest.mark.skip(reason=f"no such address is known here: {_LIST}"))


def _listens(address: str, name: str) -> str:
    """Give what a server is bound to. Skips a test if this machine does not let it, which it may not in a container."""
    place = f"{address}%{socket.if_nametoindex(name)}"
    try:
        with socket.create_server(("::", 0), family=socket.AF_INET6) as listener:
            port = listener.getsockname()[1]
            socket.create_connection((place, port), 5).close()
    except OSError as exc:
        pytest.skip(f"nobody can be reached at {place}: {exc}")
    return "::"


@pytest.mark.parametrize(
    "form", ["{address}%{name}", "[{address}%{name}]", "[{address}%25{name}]", "[{address}%{index}]"]
)
@pytest.mark.parametrize(("address", "name"), LOCAL or [_NONE])
def test_an_address_with_a_zone_is_reached(both: Colour, address: str, name: str, form: str, over: str) -> None:
    del over
    text = form.format(address=address, name=name, index=socket.if_nametoindex(name))
    with serve(address=_listens(address, name)) as server:
        port = server.url.rpartition(":")[2]
        host = Host(text).url.replace("11434", port)
        for _ in range(2):
            assert both.whole("version", host) == {"version": "1"}
        assert [each["host"] for each in server.headers] == [f"[{address}]:{port}"] * 2  # RFC 6874, 4


@pytest.mark.parametrize(("address", "name"), LOCAL or [_NONE])
def test_a_certificate_is_for_the_address_without_its_zone(
    both: Colour, address: str, name: str, tmp_path: Path
) -> None:
    authority, trusted = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(address).configure_cert(context)
    with serve(address=_listens(address, name), tls=context) as server:
        host = Host(f"https://[{address}%{name}]:{server.url.rpartition(':')[2]}", verify=str(trusted))
        assert both.whole("version", host) == {"version": "1"}
        report: Any = both.whole("doctor", host)
    assert [finding.level for finding in report.findings if finding.topic == "tls"] == ["ok"]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("address", "name"), LOCAL or [_NONE])
def test_a_server_with_a_zone_is_recorded(address: str, name: str, scheme: str, tmp_path: Path) -> None:
    authority, trusted = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(address).configure_cert(context)
    with serve(address=_listens(address, name), tls=context if scheme == "https" else None) as server:
        port = server.url.rpartition(":")[2]
        host = Host(f"{scheme}://[{address}%{name}]:{port}", verify=str(trusted))
        with record(host, tmp_path / "one.json") as recorder:
            assert ollama_fast.version(recorder.url) == {"version": "1"}
        assert server.headers[0]["host"] == f"[{address}]:{port}"


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
