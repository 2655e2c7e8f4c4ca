"""What is no setting of a Host is refused where the Host is made, and not shown; what httpx takes goes on working."""

from __future__ import annotations

import enum
import pickle
import shutil
import ssl
import subprocess
import sys
import traceback
import types
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trustme

from colours import Colour
from echo import serve
from ollama_fast import Host, Limits, Retry, Timeout

SECRET: Final = "geheim"
PROXY: Final = f"http://ada:{SECRET}@127.0.0.1:1"


class Text(str):
    """A str that says another thing where it is formatted."""

    __slots__ = ()

    def __str__(self) -> str:
        return "formatted"

    def __format__(self, spec: str) -> str:
        return "formatted"


class Tokens(str, enum.Enum):  # noqa: UP042 - such are still in use, and format as their name
    """Texts as members of an enumeration."""

    OURS = "the-token"


WRONG: Final[dict[str, tuple[type[Exception], dict[str, Any]]]] = {
    "verify=0": (TypeError, {"verify": 0}),
    "verify=1": (TypeError, {"verify": 1}),
    "verify=0.0": (TypeError, {"verify": 0.0}),
    "verify=None": (TypeError, {"verify": None}),
    "verify=bytes": (TypeError, {"verify": b"/etc/geheim.pem"}),
    "verify=tuple": (TypeError, {"verify": ("/etc/geheim.pem",)}),
    "verify=[]": (TypeError, {"verify": []}),
    "verify=empty": (ValueError, {"verify": ""}),
    "verify=NUL": (ValueError, {"verify": "geheim\0"}),
    "proxy=bytes": (TypeError, {"proxy": PROXY.encode()}),
    "proxy=dict": (TypeError, {"proxy": {"http://": PROXY}}),
    "proxy=tuple": (TypeError, {"proxy": (PROXY,)}),
    "proxy=path": (TypeError, {"proxy": Path(PROXY)}),
    "proxy=0": (TypeError, {"proxy": 0}),
    "proxy=False": (TypeError, {"proxy": False}),
    "proxy=empty": (ValueError, {"proxy": ""}),
    "proxy=blank": (ValueError, {"proxy": " \t"}),
    "headers=None": (TypeError, {"headers": None}),
    "headers=str": (TypeError, {"headers": "X-Key: geheim"}),
    "headers=bytes": (TypeError, {"headers": b"X-Key: geheim"}),
    "headers=number": (TypeError, {"headers": 5}),
    "headers=pair": (TypeError, {"headers": ("X-Key", SECRET)}),
    "headers=texts of two characters": (TypeError, {"headers": ["ab", "cd"]}),
    "headers=triple": (TypeError, {"headers": [("X-A", "1"), ("X-Key", SECRET, "")]}),
    "headers=numbers": (TypeError, {"headers": [5]}),
    "headers=bytes of a value": (TypeError, {"headers": {"X-Key": SECRET.encode()}}),
    "headers=bytes of a name": (TypeError, {"headers": {SECRET.encode(): "X-Key"}}),
    "headers=a list of values": (TypeError, {"headers": {"X-Key": [SECRET]}}),
    "headers=None of a value": (TypeError, {"headers": {"X-Key": None}}),
    "headers=a name that is none": (ValueError, {"headers": {f"Bearer {SECRET}": "Authorization"}}),
    "headers=an empty name": (ValueError, {"headers": {"": SECRET}}),
    "auth=bytes": (TypeError, {"auth": SECRET.encode()}),
    "auth=list": (TypeError, {"auth": ["ada", SECRET]}),
    "auth=pair of bytes": (TypeError, {"auth": (b"ada", SECRET.encode())}),
    "auth=triple": (TypeError, {"auth": ("ada", SECRET, "")}),
    "auth=number": (TypeError, {"auth": 0}),
    "auth=of httpx": (TypeError, {"auth": httpx.BasicAuth("ada", SECRET)}),
    "timeout=str": (TypeError, {"timeout": SECRET}),
    "timeout=of httpx": (TypeError, {"timeout": httpx.Timeout(5)}),
    "timeout=Decimal": (TypeError, {"timeout": Decimal(5)}),
    "retry=str": (TypeError, {"retry": SECRET}),
    "limits=None": (TypeError, {"limits": None}),
    "limits=of httpx": (TypeError, {"limits": httpx.Limits()}),
    "limits=number": (TypeError, {"limits": 5}),
    "url=bytes": (TypeError, {"url": f"http://ada:{SECRET}@h".encode()}),
    "url=of httpx": (TypeError, {"url": httpx.URL(f"http://ada:{SECRET}@h")}),
}


@pytest.mark.parametrize(("kind", "setting"), WRONG.values(), ids=WRONG)
def test_what_is_no_setting_is_refused_where_the_host_is_made(kind: type[Exception], setting: dict[str, Any]) -> None:
    (name,) = setting
    ways: list[Callable[[], object]] = [partial(Host, **setting), partial(Host("h").with_options, **setting)]
    named = {"retry": "attempts", "url": "URL", "headers": "header"}.get(name, name)
    for make in ways:
        with pytest.raises(kind, match=named) as caught:
            make()
        said = f"{caught.value!r} {caught.value.args} {getattr(caught.value, '__notes__', '')}"
        assert SECRET not in said
        frames = "".join(traceback.format_exception(caught.value)).replace(__file__, "")
        assert SECRET not in frames


@pytest.mark.parametrize("limit", ["connect", "idle", "total"])
def test_no_limit_shows_what_was_confused_with_it(limit: str) -> None:
    wrong: Any = SECRET
    makers: list[Callable[[], object]] = [
        partial(Timeout, **{limit: wrong}),
        partial(Limits, max_connections=wrong),
        partial(Limits, keepalive_expiry=wrong),
        partial(Retry, wait=wrong),
    ]
    for make in makers:
        with pytest.raises(TypeError, match="not str") as caught:
            make()
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize("host", [[], {}, 5, b"h", httpx.URL("http://h")], ids=repr)
def test_what_is_no_host_is_a_type_error_that_says_so(host: Any) -> None:
    with pytest.raises(TypeError, match="a host must be a Host, a str or None, not "):
        Host.of(host)


# --- what is taken ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["str", "Path", "folder", "a str of another class", "SSLContext", "False"])
def test_certificates_are_named_in_each_way(both: Colour, kind: str, tmp_path: Path) -> None:
    authority, file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    if kind == "folder":
        if (openssl := shutil.which("openssl")) is None:
            pytest.skip("only openssl knows by what name it looks for a certificate in a folder")
        command = [openssl, "x509", "-noout", "-subject_hash", "-in", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        file.rename(tmp_path / f"{done.stdout.strip()}.0")
    verify: Any = {
        "str": str(file),
        "Path": file,
        "folder": tmp_path,
        "a str of another class": Text(file),
        "SSLContext": ssl.create_default_context(cadata=authority.cert_pem.bytes().decode()),
        "False": False,
    }[kind]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serve(tls=context) as server:
        host = Host(server.url, verify=verify)
        assert both.whole("version", host) == {"version": "1"}
        assert host == Host(server.url, verify=verify)
        if kind != "SSLContext":  # which Python does not pickle
            assert pickle.loads(pickle.dumps(host)) == host
        if kind == "Path":
            assert host == Host(server.url, verify=str(file))


@pytest.mark.parametrize("kind", [str, Text, httpx.URL, httpx.Proxy])
def test_a_proxy_is_named_in_each_way(both: Colour, kind: Callable[[str], Any]) -> None:
    with serve() as proxy:
        host = Host("http://gpu.invalid", proxy=kind(proxy.url.replace("//", f"//ada:{SECRET}@")))
        assert both.whole("version", host) == {"version": "1"}
        assert proxy.lines == ["GET http://gpu.invalid/api/version HTTP/1.1"]
        assert proxy.headers[0]["proxy-authorization"] == httpx.BasicAuth("ada", SECRET)._auth_header
        assert SECRET not in repr(host)


def test_a_text_of_another_class_is_sent_as_it_is(both: Colour) -> None:
    with serve() as server:
        for auth in (Tokens.OURS, Text("the-token")):
            both.whole("version", Host(server.url, auth=auth, headers=[(Text("X-Own"), Tokens.OURS)]))
            assert server.headers[-1]["authorization"] == "Bearer the-token"
            assert server.headers[-1]["x-own"] == "the-token"
        both.whole("version", Host(server.url, auth=(Text("ada"), Tokens.OURS)))
        assert server.headers[-1]["authorization"] == httpx.BasicAuth("ada", "the-token")._auth_header


def test_headers_may_be_pairs_of_any_kind() -> None:
    wanted = (("X-A", "1"), ("X-B", "2"))
    for headers in (list(wanted), iter(wanted), [list(pair) for pair in wanted], dict(wanted), httpx.Headers(wanted)):
        found = Host("h", headers=headers).headers  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert [(name.lower(), value) for name, value in found] == [(name.lower(), value) for name, value in wanted]


def test_no_module_is_imported_to_look_at_a_setting() -> None:
    program = "import sys, ollama_fast; ollama_fast.Host('h', verify=False, proxy='http://p'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert not {"ssl", "httpx"} & set(done.stdout.split())


def test_a_host_is_made_while_another_thread_imports_what_httpx_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module is among the imported ones before it holds anything."""
    for name in ("httpx", "_ssl"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    assert Host("h", proxy="http://p:1", verify="ca.pem").proxy == "http://p:1"
    with pytest.raises(TypeError, match="proxy must be a URL"):
        Host("h", proxy=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_context_from_before_its_class_was_replaced_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """As truststore and gevent do it."""
    context: Any = ssl.create_default_context()
    monkeypatch.setattr(ssl, "SSLContext", type("SSLContext", (ssl.SSLContext,), {}))
    assert Host("h", verify=context).verify is context
