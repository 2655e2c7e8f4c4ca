"""No secret is shown, whatever goes wrong; and nothing that a caller passes becomes a header or another path."""

from __future__ import annotations

import logging
import pickle
import re
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from colours import BOTH, Colour
from ollama_fast import Host
from ollama_fast.errors import HostError, OllamaError
from peers import unused_port
from replay import HangUpError, Received, ReplayServer, replay

SECRET: Final = "geheim"
VERSION: Final = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"version":"1"}'


def says(reply: bytes) -> Callable[[Received], Iterator[bytes]]:
    def respond(_request: Received) -> Iterator[bytes]:
        yield reply
        raise HangUpError

    return respond


def error(status: bytes, body: bytes = b'{"error":"no"}', headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers, len(body), body)


REPLIES: Final = {
    "200": VERSION,
    "401": error(b"401 Unauthorized"),
    "404": error(b"404 Not Found"),
    "500": error(b"500 Internal Server Error", b"<html>"),
    "302 to a signed address": error(
        b"302 Found", b"", b"Location: https://ada:geheim@s3.example/x?X-Signature=geheim#geheim\r\n"
    ),
    "308 to nowhere": error(
        b"308 Permanent Redirect", b"", b"Location: http://ada:geheim@127.0.0.1:1/x?geheim#geheim\r\n"
    ),
    "307 to a password with a slash": error(
        b"307 Temporary Redirect", b"", b"Location: http://ada:x/geheim@127.0.0.1:1/\r\n"
    ),
    "307 to a password with a question mark": error(
        b"307 Temporary Redirect", b"", b"Location: http://ada:geheim?x@127.0.0.1:1/\r\n"
    ),
    "no JSON": error(b"200 OK", b"<html>"),
    "garbage": b"garbage\r\n\r\n",
    "nothing": b"",
    "cut": VERSION[:-3],
}


def with_secrets(url: str) -> dict[str, Host]:
    named = url.replace("http://", "http://ada:geheim@")
    return {
        "user and password in the URL": Host(named),
        "a token": Host(url, auth=SECRET),
        "a pair": Host(url, auth=("ada", SECRET)),
        "a header": Host(url, headers={"X-Api-Key": SECRET, "Cookie": f"session={SECRET}"}),
        "a proxy": Host("http://192.0.2.1", proxy=named),
    }


def shown(error: BaseException | None) -> str:
    """Give all that is shown of *error*: its traceback with causes, its facts, and its pickle."""
    if error is None:
        return ""
    texts = [*traceback.format_exception(error), repr(vars(error)), repr(error.args)]
    cause: BaseException | None = error
    while cause is not None:
        texts += [repr(cause), str(cause), repr(cause.args)]
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, OllamaError):
        texts.append(repr(pickle.dumps(error)))
    return "\n".join(texts)


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_no_secret_is_in_a_repr_a_log_or_an_error(
    both: Colour, reply: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OLLAMA_API_KEY", SECRET)
    with replay(respond=says(reply)) as server:
        for name, host in with_secrets(server.url).items():
            seen = [both.attempt("version", host), both.parts("chat_stream", host, "m")]
            assert SECRET not in repr(host) + str(host), name
            for one in seen:
                assert SECRET not in shown(one.error), name
        assert server.requests
    # httpcore logs the headers of responses, in which a server may have put a secret of its own; none of the caller's.
    ours = [record.getMessage() for record in caplog.records if "receive_response_headers" not in record.getMessage()]
    assert [text for text in ours if SECRET in text] == []


def test_no_secret_is_shown_if_nobody_listens(both: Colour, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with unused_port() as port:
        for name, host in with_secrets(f"http://127.0.0.1:{port}").items():
            one = both.attempt("version", host)
            assert one.error is not None
            assert SECRET not in shown(one.error), name
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "proxy",
    [
        "ada:geheim@127.0.0.1:1",
        "gopher://ada:geheim@127.0.0.1",
        "http://ada:geheim@[::1",
        "http://ada:geheim/@127.0.0.1:1",
        "http://ada:geheim#@127.0.0.1:1",
        "http://ada:@geheim@127.0.0.1:port",
        "http://ada:geheim\x00@127.0.0.1",
        "http://ada:geheim@127.0.0.1:99999",
        "http://ada:geheim@a..b",
        "http://ada:p@geheim/word@127.0.0.1:1",
        "http://ada:p@ss/geheim@127.0.0.1:1",
    ],
)
@pytest.mark.parametrize("given_by", ["host", "environment"])
def test_a_proxy_that_cannot_be_used_shows_no_password(
    both: Colour, proxy: str, given_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if given_by == "environment":
        if "\0" in proxy or "://" not in proxy:
            pytest.skip("no environment holds a NUL, and httpx takes an address without a scheme from it")
        monkeypatch.setenv("HTTP_PROXY", proxy)
    host = Host("http://192.0.2.1", proxy=proxy if given_by == "host" else None, timeout=5)
    with pytest.raises(HostError, match=r"the proxy '.*\.\.\.@.*' cannot be used") as caught:
        both.whole("version", host)
    assert SECRET not in shown(caught.value)


def test_user_and_password_of_a_redirect_are_sent_to_nobody(both: Colour) -> None:
    targets: list[str] = []

    def respond(request: Received) -> Iterator[bytes]:
        yield (
            error(b"307 Elsewhere", b"", b"Location: %s\r\n" % targets[0].encode())
            if "api" in request.path
            else error(b"404 Not Found")
        )

    with replay(respond=respond) as server:
        targets.append(server.url.replace("http://", "http://ada:geheim@") + "/x?y=geheim")
        one = both.attempt("show", Host(server.url, auth="mine"), "m")
        assert one.error is not None
        assert one.error.url == f"{server.url}/x"
        assert SECRET not in shown(one.error)
        assert server.requests[1].header("Authorization") == "Bearer mine"


NOWHERE: Final = [
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:-1/",
    f"http://{'a' * 70}/",
    "http://a..b/",
    "http://256.1.1.1/",
    "http://ada:geheim@127.0.0.1:0/",
    "http://ada:geheim@[::1/",
    "//ada:geheim@/h/",
    "///ada:geheim@h/",
    "http:/ada:geheim@h/",
    "http:///ada:geheim@h/",
    "http:////ada:geheim@h/",
    "http:\\\\ada:geheim@h/",
    "\\\\ada:geheim@h/",
    "http://ada:geheim\\@h/",
    "http://ada:1/geheim@127.0.0.1/",
    "http://ada:@geheim/@127.0.0.1:1/x",
    "http://ada:@geheim?@127.0.0.1:1/x",
    "http://ada:@geheim#@127.0.0.1:1/x",
    "http://ada:/geheim?@127.0.0.1:1/x",
    "http://ada:1@geheim/@127.0.0.1:1/x",
    "http:geheim@h",
    "ada:geheim@h",
]
ONWARD: Final = ["/x#geheim", "?geheim", "#geheim", "http://ada:geheim@127.0.0.1:1/#geheim", "//127.0.0.1:1?geheim@x"]


def test_an_odd_location_is_an_error_that_shows_no_secret(both: Colour, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    location = ""

    def respond(_request: Received) -> Iterator[bytes]:
        yield error(b"307 Elsewhere", b"", b"Location: %s\r\n" % location.encode())

    with replay(respond=respond) as server:
        for location in (*NOWHERE, *ONWARD):
            server.requests.clear()
            one = both.attempt("show", Host(server.url), "m")
            assert one.error is not None
            assert SECRET not in shown(one.error), location
            if location in NOWHERE:
                assert "which is not followed" in str(one.error), location
                assert (one.error.url, len(server.requests)) == (f"{server.url}/api/show", 1), location
    ours = [record.getMessage() for record in caplog.records if "receive_response_headers" not in record.getMessage()]
    assert [text for text in ours if SECRET in text] == []


@pytest.mark.parametrize(
    "auth", [f"\ud800{SECRET}", ("ada", f"\ud800{SECRET}"), (f"{SECRET}\udfff", ""), ""], ids=ascii
)
def test_credentials_that_cannot_be_sent_are_refused_at_once(auth: Any) -> None:
    with pytest.raises(ValueError, match=r"^auth ") as caught:
        Host(auth=auth)
    assert SECRET not in shown(caught.value)
    with pytest.raises(HostError, match="no Unicode text") as of_url:
        Host(f"http://ada:{SECRET}\ud800@h")
    assert SECRET not in shown(of_url.value)


# --- nothing becomes a header or a path ------------------------------------------------------------------------------

CALLS: Final[dict[str, tuple[str, str, Callable[[str], dict[str, Any]], Callable[[str], dict[str, Any]]]]] = {
    "show": ("POST", "/api/show", lambda text: {"model": text}, lambda text: {"model": text}),
    "generate": ("POST", "/api/generate", lambda text: {"model": text}, lambda text: {"model": text}),
    "chat": ("POST", "/api/chat", lambda text: {"model": text}, lambda text: {"model": text}),
    "embed": ("POST", "/api/embed", lambda text: {"model": text, "input": text}, lambda text: {"model": text}),
    "pull": ("POST", "/api/pull", lambda text: {"model": text}, lambda text: {"model": text}),
    "push": ("POST", "/api/push", lambda text: {"model": text}, lambda text: {"model": text}),
    "delete": ("DELETE", "/api/delete", lambda text: {"model": text}, lambda text: {"model": text}),
    "copy": (
        "POST",
        "/api/copy",
        lambda text: {"source": text, "destination": text},
        lambda text: {"source": text, "destination": text},
    ),
    "create": ("POST", "/api/create", lambda text: {"model": text, "from_": text}, lambda text: {"model": text}),
}
HOSTILE: Final = [
    "a\r\nX-Evil: 1",
    "a\nX-Evil: 1\n\nGET / HTTP/1.1",
    "a\0b",
    "../../etc/passwd",
    "a?b=c#d",
    "%2f..%2f%0d%0aX-Evil: 1",
    "//evil.example/api",
    "é\u2028\U0001f600",
    "\ud800",
]
TEXTS: Final = st.text(st.one_of(st.characters(), st.sampled_from("\r\n\0/?#%.:@\\ "))) | st.sampled_from(HOSTILE)
HEADERS: Final = {"host", "accept", "accept-encoding", "user-agent", "content-type", "content-length", "connection"}


@pytest.fixture(scope="module")
def refusing() -> Iterator[ReplayServer]:
    with replay(respond=lambda _: [error(b"400 Bad Request")]) as server:
        yield server


@pytest.mark.parametrize("function", CALLS)
@settings(max_examples=40)
@given(text=TEXTS, asynchronous=st.booleans())
@example(text="a\r\nX-Evil: 1", asynchronous=False)
@example(text="a\r\nX-Evil: 1", asynchronous=True)
def test_a_name_stays_in_the_body(function: str, refusing: ReplayServer, text: str, *, asynchronous: bool) -> None:
    method, path, arguments, fields = CALLS[function]
    refusing.requests.clear()
    try:
        seen = BOTH[asynchronous].attempt(function, refusing.url, **arguments(text))
    except (TypeError, ValueError):
        assert refusing.requests == []  # it cannot be sent, and is not
        return
    assert seen.error is not None
    (request,) = refusing.requests
    assert (request.method, request.path) == (method, path)
    assert {name.lower() for name, _ in request.headers} <= HEADERS
    assert request.json.items() >= fields(text).items()


@settings(max_examples=40)
@given(digest=TEXTS | TEXTS.map("sha256:".__add__) | st.from_regex(r"sha256:[0-9a-f]{64}.?", fullmatch=True))
@example(digest="sha256:" + "0" * 64 + "\n")
@example(digest="sha256:" + "0" * 63 + "\N{ARABIC-INDIC DIGIT ZERO}")
def test_a_digest_is_one_or_nothing_is_sent(refusing: ReplayServer, digest: str) -> None:
    refusing.requests.clear()
    for colour in BOTH:
        if re.fullmatch(r"sha256:[0-9a-f]{64}", digest) and not digest.endswith("\n"):
            colour.attempt("has_blob", refusing.url, digest)
            assert refusing.requests[-1].path == f"/api/blobs/{digest}"
        else:
            with pytest.raises(ValueError, match="digest must be"):
                colour.attempt("has_blob", refusing.url, digest)
            assert refusing.requests == []


@settings(max_examples=40)
@given(value=TEXTS, name=st.just("X-Own") | TEXTS)
@example(value="a\r\nX-Evil: 1", name="X-Own")
@example(value="a", name="X-Own: b\r\nX-Evil")
def test_a_header_is_sent_as_it_is_or_refused(refusing: ReplayServer, value: str, name: str) -> None:
    refusing.requests.clear()
    for colour in BOTH:
        try:
            host = Host(refusing.url, headers={name: value})
        except ValueError:
            return  # refused at once
        colour.attempt("show", host, "m")
        request = refusing.requests[-1]
        assert {key.lower() for key, _ in request.headers} <= HEADERS | {name.lower()}
        assert request.header(name) == value


@settings(max_examples=40)
@given(user=TEXTS, password=TEXTS)
@example(user="a\r\nX-Evil: 1", password="b\0")
def test_user_and_password_become_no_header(refusing: ReplayServer, user: str, password: str) -> None:
    refusing.requests.clear()
    for colour in BOTH:
        try:
            colour.attempt("show", Host(refusing.url, auth=(user, password)), "m")
        except ValueError:
            assert refusing.requests == []
            return
        request = refusing.requests[-1]
        assert {key.lower() for key, _ in request.headers} <= HEADERS | {"authorization"}
