"""Why there is no connection, in plain words: the same on every transport, in both colours, without secrets."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import sys
import threading
from collections.abc import Generator

import httpx
import pytest

import ollama_fast
from colours import Colour
from ollama_fast import Host, _reasons, errors
from ollama_fast._reasons import reason
from ollama_fast._routes import Way, way_to
from replay import HangUpError, Received, replay

SECRET = "geheim"


@pytest.fixture(scope="module")
def free_port() -> int:
    """Give a port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def failure(colour: Colour, host: Host | str | None) -> str:
    error = colour.attempt("chat", host, "m").error
    assert error is not None
    assert str(colour.parts("chat_stream", host, "m").error) == str(error)
    return str(error)


# --- connections -----------------------------------------------------------------------------------------------------


def test_a_port_at_which_nothing_listens(every: Colour, free_port: int) -> None:
    text = failure(every, f"http://127.0.0.1:{free_port}")
    assert f"[Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)} (the machine answers" in text
    assert "is Ollama running there?" in text


def test_a_name_that_is_none(every: Colour) -> None:
    text = failure(every, "http://no-such-host.invalid:11434")
    assert "the name is not known to DNS" in text or "no DNS server answers" in text
    assert "is Ollama running" not in text


@pytest.mark.parametrize("path", ["/v1", "/api", "/ollama/v1/", "/api/chat"])
def test_a_404_at_a_path_of_the_api_says_which_host_to_give(every: Colour, path: str) -> None:
    def respond(_received: Received) -> Generator[bytes]:
        yield b"HTTP/1.1 404 Not Found\r\nContent-Length: 18\r\n\r\n404 page not found"

    with replay(respond=respond) as server:
        right = server.url + "/ollama" * path.startswith("/ollama")
        error = every.attempt("chat", server.url + path, "m").error
        assert isinstance(error, errors.ResponseError)
        assert error.message == "404 page not found"
        assert str(error).endswith(f"to which functions add theirs: give {right}")
        assert failure(every, server.url + path) == str(error)
        assert "functions" not in failure(every, f"{server.url}/ollama")


@pytest.mark.parametrize(
    "told", [socket.gaierror(socket.EAI_NONAME, "no such name"), ConnectionRefusedError("refused")]
)
def test_a_bare_name_may_be_a_model_in_the_place_of_the_host(
    both: Colour, told: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise httpx.ConnectError(str(told)) from told

    monkeypatch.setattr("ollama_fast._sync_stream._try_once", refuse)
    monkeypatch.setattr("ollama_fast._async_stream._try_once", refuse)
    hint = "the first argument of a function is the host, not the model"
    assert hint in failure(both, "smollm2")
    for host in ("http://smollm2", "smollm2:11434", Host("smollm2"), None):
        assert hint not in failure(both, host)


def test_an_address_for_servers_is_explained(both: Colour, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", f"0.0.0.0:{free_port}")
    assert "0.0.0.0 in OLLAMA_HOST is for servers" in failure(both, None)
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{free_port}")
    assert "the host is that of OLLAMA_HOST" in failure(both, None)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_named(
    both: Colour, free_port: int, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, f"http://ada:{SECRET}@127.0.0.1:{free_port}")
    text = failure(both, "http://gpu.example")
    assert f"cannot connect through the proxy of {variable}: [Errno" in text
    assert f"is http://127.0.0.1:{free_port} right" in text
    assert "NO_PROXY" in text
    assert SECRET not in text


def test_a_proxy_of_the_host_is_named(both: Colour, free_port: int) -> None:
    text = failure(both, Host("http://gpu.example", proxy=f"http://ada:{SECRET}@127.0.0.1:{free_port}"))
    assert "cannot connect through the host's proxy: [Errno" in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("status", "words"),
    [(407, "the proxy wants user name and password"), (502, "a proxy or gateway cannot reach what is behind it")],
)
def test_an_answer_of_a_proxy_is_told_from_one_of_ollama(
    both: Colour, status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_request: Received) -> Generator[bytes]:
        yield b"HTTP/1.1 %d No\r\nContent-Length: 4\r\n\r\n<no>" % status

    with replay(respond=refuse) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", f"//ada:{SECRET}@"))
        text = failure(both, "http://gpu.example")
        monkeypatch.delenv("http_proxy")
        direct = failure(both, proxy.url)
    assert f"{words} (the proxy of http_proxy, {proxy.url}); " in text
    assert SECRET not in text
    assert "proxy of" not in direct


def test_socks_without_its_package_says_what_to_install(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    for host, variable in (
        (Host("http://gpu.example", proxy=f"socks5://ada:{SECRET}@127.0.0.1:1"), "the host's proxy"),
        (Host("http://gpu2.example"), "ALL_PROXY"),
    ):
        monkeypatch.setenv("ALL_PROXY", f"socks5://ada:{SECRET}@127.0.0.1:1")
        error = both.attempt("chat", host, "m").error
        assert isinstance(error, errors.HostError)
        assert variable in str(error)
        assert "pip install 'httpx[socks]'" in str(error)
        assert SECRET not in str(error)


# --- http and https --------------------------------------------------------------------------------------------------

WANTS_TLS = {
    "Go": b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
    "nginx": b"HTTP/1.0 400 Bad Request\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</center>",
    "Apache": b"HTTP/1.0 400 Bad Request\r\n\r\nYou're speaking plain HTTP to an SSL-enabled server port.",
    "an alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "nothing": b"",
}


@pytest.mark.parametrize("answer", WANTS_TLS.values(), ids=WANTS_TLS)
def test_http_at_a_port_for_https(every: Colour, answer: bytes) -> None:
    def respond(_request: Received) -> Generator[bytes]:
        yield answer
        raise HangUpError

    with replay(respond=respond) as server:
        text = failure(every, server.url)
    assert "https://" in text


def test_https_at_a_port_for_http(both: Colour) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):  # whole and streamed
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        text = failure(both, f"https://127.0.0.1:{listener.getsockname()[1]}")
        serving.join(30)
        assert not serving.is_alive()
    assert "speaks no TLS" in text
    assert "write http:// in place of https://" in text


# --- what errors mean ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "refused"),
        (OSError(errno.EHOSTUNREACH, "x"), "unreachable"),
        (OSError(errno.ENETUNREACH, "x"), "unreachable"),
        (OSError(errno.ETIMEDOUT, "x"), "timeout"),
        (TimeoutError(), "timeout"),
        (OSError(errno.EMFILE, "x"), "files"),
        (OSError(errno.ENFILE, "x"), "files"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "address"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "name"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "dns"),
        (httpx.ConnectError(f"[Errno {errno.EMFILE}] Too many open files"), "files"),
        (httpx.ConnectError(f"Too many open files (os error {errno.EMFILE})"), "files"),
        (httpx.ConnectError(f"[Errno {socket.EAI_NONAME}] Name or service not known"), "name"),
        (httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number"), "no-tls"),
        (ssl.SSLCertVerificationError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "certificate"),
        (ExceptionGroup("two addresses", [OSError(errno.ECONNREFUSED, "x"), OSError(errno.ETIMEDOUT, "x")]), "refused"),
        (httpx.ConnectError("what nobody knows"), ""),
        (KeyError("x"), ""),
    ],
    ids=repr,
)
def test_an_error_has_a_reason(error: Exception, kind: str) -> None:
    assert reason(error).kind == kind
    outer = httpx.ConnectError("All connection attempts failed")
    outer.__cause__ = error
    assert reason(outer).kind == kind
    assert bool(reason(error).what) is bool(kind)


def test_the_error_that_a_caller_is_at_is_no_reason() -> None:
    error = httpx.ConnectError("something")
    error.__context__ = OSError(errno.EMFILE, "of the caller")
    assert reason(error).kind == ""
    assert _reasons.words(error) == "something"


def test_too_many_files_say_what_to_do(both: Colour) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"[Errno {errno.EMFILE}] Too many open files", request=request)

    error = both.attempt("version", both.mock(fail, base_url="http://h")).error
    assert isinstance(error, errors.ConnectError)
    assert "`ulimit -n`" in str(error)


# --- which proxy -----------------------------------------------------------------------------------------------------


def test_which_proxy_a_url_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert way_to("http://gpu", None) is None
    monkeypatch.setenv("ALL_PROXY", f"http://ada:{SECRET}@all:1?{SECRET}")
    monkeypatch.setenv("https_proxy", "http://tls:2")
    monkeypatch.setenv("NO_PROXY", "near.example")
    assert way_to("http://gpu", None) == Way("http://all:1", "ALL_PROXY")
    assert way_to("https://gpu", None) == Way("http://tls:2", "https_proxy")
    assert way_to("http://near.example", None) is None
    assert way_to("http://127.0.0.1:1", None) is None
    assert way_to("http://127.0.0.1:1", "http://own:3") == Way("http://own:3", "the host")
    ollama_fast.close()
