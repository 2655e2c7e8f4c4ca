"""Host, Timeout and what the environment says: what is read from which text, what is shown, and who gets the key."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from colours import Colour
from echo import serve
from ollama_fast import Host, Limits, Timeout
from ollama_fast._host import api_key
from ollama_fast._url import is_loopback, origin, path_of, read, shown, told
from ollama_fast.errors import ConnectError, HostError

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("host-cases.json").read_text("utf-8"))
GOOD = [case for case in CASES if "error" not in case]
BAD = [case for case in CASES if "error" in case]

SECRETS = ["s3cret", "s3:cret", "s3@cret", "s3?cret", "s3#cret", "s3%2Fcret", "s3 cret", "s3/cret", "s3://cret"]
"""Passwords; their pieces begin with "s3" and end with "cret"."""


def input_of(case: dict[str, Any]) -> str:
    return repr(case["input"])


def auth_of(case: dict[str, Any]) -> tuple[str, str] | None:
    auth = case.get("expected_auth")
    return None if auth is None else (auth[0], auth[1])


# --- what is read ----------------------------------------------------------------------------------------------------


def test_all_cases_are_here() -> None:
    assert len(CASES) == 68
    assert {case.get("error", "HostError") for case in CASES} == {"HostError"}
    assert all((case["expected"] is None) == ("error" in case) for case in CASES)


@pytest.mark.parametrize("case", GOOD, ids=input_of)
def test_a_host_given_is_read_as_expected(case: dict[str, Any]) -> None:
    for host in (Host(case["input"]), Host.of(case["input"])):
        assert host.url == case["expected"]
        assert host.auth == auth_of(case)


@pytest.mark.parametrize("case", GOOD, ids=input_of)
def test_the_environment_is_read_as_expected(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", case["input"])
    for host in (Host.from_env({"OLLAMA_HOST": case["input"]}), Host.from_env(), Host.of(None)):
        assert host.url == case["expected"]
        assert host.auth == auth_of(case)


@pytest.mark.parametrize("case", BAD, ids=input_of)
def test_a_host_error_says_what_was_given(case: dict[str, Any]) -> None:
    ways: list[Callable[[str], Host]] = [Host, Host.of]
    for make in ways:
        with pytest.raises(HostError) as caught:
            make(case["input"])
        assert repr(case["input"].partition("?")[0])[:-1] in str(caught.value)
        assert "given as host" in str(caught.value)
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("case", BAD, ids=input_of)
def test_a_host_error_says_that_it_was_the_environment(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", case["input"])
    given = {"OLLAMA_HOST": case["input"]}
    ways: list[Callable[[], Host]] = [partial(Host.from_env, given), Host.from_env, partial(Host.of, None)]
    for make in ways:
        with pytest.raises(HostError) as caught:
            make()
        assert repr(case["input"].partition("?")[0])[:-1] in str(caught.value)
        assert "OLLAMA_HOST" in str(caught.value)


def test_no_environment_is_the_local_server() -> None:
    assert Host.from_env({}) == Host.from_env() == Host.of(None) == Host() == Host("http://127.0.0.1:11434")


def test_the_environment_is_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second", "first"):
        monkeypatch.setenv("OLLAMA_HOST", name)
        assert Host.of(None).url == f"http://{name}:11434"


@pytest.mark.parametrize(
    ("text", "auth"),
    [
        ("us%40er:p%3Aw@h", ("us@er", "p:w")),
        ("user@h", ("user", "")),
        ("user:@h", ("user", "")),
        ("user:p:w@h", ("user", "p:w")),
        ("user:p@w@h", ("user", "p@w")),
        ("@h", None),
    ],
)
def test_credentials_are_taken_out_of_the_url(text: str, auth: tuple[str, str] | None) -> None:
    assert (Host(text).url, Host(text).auth) == ("http://h:11434", auth)
    assert read(text, "here") == ("http://h:11434", auth)


@pytest.mark.parametrize("text", ["http:/gpu", "http//gpu", "HTTPS//gpu:80", "http//foo bar", "http//user:secret@gpu"])
def test_a_scheme_without_its_colon_or_slashes_is_no_host(text: str) -> None:
    with pytest.raises(HostError, match="a colon and two slashes") as caught:
        Host(text)
    assert "secret" not in str(caught.value)
    assert Host("http/gpu").url == "http://http:11434/gpu"


def test_the_hint_about_models_is_not_for_a_full_url() -> None:
    with pytest.raises(HostError, match="not the model"):
        Host.of("llama3:8b")
    with pytest.raises(HostError) as caught:
        Host.of("http://foo bar")
    assert "model" not in str(caught.value)


def test_auth_given_by_name_wins_over_the_url() -> None:
    assert Host("http://user:password@h", auth="token").auth == "token"


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("rest", ["h:99999", "h/?query", "bad host", "h:x", "[::g]", "[::1", "ü..x"])
@pytest.mark.parametrize("scheme", ["", "http://", "tcp://"])
def test_no_error_shows_credentials(scheme: str, secret: str, rest: str) -> None:
    text = f"{scheme}user:{secret}@{rest}"
    with pytest.raises(HostError) as caught:
        read(text, "given as host")
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3" not in str(error)
        assert "cret" not in str(error)
        error = error.__cause__


@pytest.mark.parametrize("secret", [*SECRETS, "s3/x@cret", "s3#/@cret", "s3?@/cret", "s3\ncret"])
@pytest.mark.parametrize("place", ["gpu.example:11434", "gpu.example/ollama", "[::1]:80/a@b"])
@pytest.mark.parametrize("scheme", ["", "http://", " 'HTTPS://", "socks5h://"])
def test_what_is_shown_of_a_url_is_no_secret(scheme: str, secret: str, place: str) -> None:
    text = f"{scheme}user:{secret}@{place}"
    for written in (text, f"{text}?s3cret#s3cret", f"{text}?key=s3@cret"):
        seen = [shown(written), shown(written, "")]
        if " " not in secret and "\n" not in secret:  # in a sentence a URL ends there
            seen.append(told(f"no way to {written.strip()}: why?"))
        for one in seen:
            rest = one.replace("socks5h", "").lower().replace("https", "")
            assert "s3" not in rest, one
            assert "cret" not in rest, one


@pytest.mark.parametrize(
    ("text", "marked", "bare"),
    [
        ("localhost", "localhost", "localhost"),
        ("http://gpu:80/x", "http://gpu:80/x", "http://gpu:80/x"),
        ("http://ada:pw@gpu:80/x", "http://...@gpu:80/x", "http://gpu:80/x"),
        ("ada:p/w@gpu", "...@gpu", "gpu"),
        ("ada:p://w@gpu", "...@gpu", "gpu"),
        ("https://s3.example/x?sig=1#top", "https://s3.example/x?...", "https://s3.example/x"),
        ("https://s3.example/x#top", "https://s3.example/x#...", "https://s3.example/x"),
        ("https://s3.example/x?sig=a@b", "https://...@...", "https://..."),
        ("/api/version?x", "/api/version?...", "/api/version"),
        ("", "", ""),
    ],
)
def test_what_is_shown_of_a_url_says_where_it_leads(text: str, marked: str, bare: str) -> None:
    assert shown(text) == marked
    assert shown(text, "") == bare


def test_a_sentence_keeps_all_but_the_secrets_of_its_urls() -> None:
    said = "cannot reach http://ada:p/w@gpu:80: refused (see https://x.example/help?id=5, or ask me@x.example)"
    assert told(said) == "cannot reach http://...@gpu:80: refused (see https://x.example/help?... or ask ...@x.example)"


# --- any text --------------------------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="htps:/[]@%?#.0123456789abcdefé\"' \t\u200bxn-"),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", "http://", "https://", "HTTP://", "tcp://"]),
        st.sampled_from(["", "u@", "u:p@", "u:p@x@", "@"]),
        st.text(max_size=8) | st.sampled_from(["[::1]", "[::]", "h.example", "ollama.com", "1.2.3.4", "fe80::1%eth0"]),
        st.text(max_size=8) | st.sampled_from([":80", ":080", ":٣", "/a/b", "/a%20b", "/%", "/a b", "/%2F", "//"]),
    ),
)


@given(TEXTS)
@example("http://h/\ud800")
@example("h:" + "1" * 5000)
@example("::1%:")
@example("fe80::1%25eth0")
@example("[::1%\ud800]")
@example("256.1.1.1")
@example("http://ada:\ud800@h")
@example("h:" + "0" * 5000 + "80")
@example("h/./a/../b/..")
@example("h/../../a")
@example("xn--/.")
@example("\u200b0.0.0.0")
def test_any_text_is_read_or_is_a_host_error_and_reading_is_stable(text: str) -> None:
    try:
        url, _ = read(text, "here")
    except HostError as error:
        assert str(error)  # noqa: PT017 - both ways are right
        return
    assert read(url, "here") == (url, None)
    assert url.isascii()
    asked = httpx.URL(url + "/api/chat")
    assert asked.raw_host
    if "%" not in path_of(url):  # of which httpx encodes one that begins no encoded byte
        assert asked.raw_path.decode() == path_of(url) + "/api/chat"
    assert origin(url) == "/".join(url.split("/")[:3]).lower()  # of all that is in a URL, only a zone has its case
    assert is_loopback(url) in (True, False)


@pytest.mark.parametrize("case", GOOD, ids=input_of)
def test_httpx_goes_where_the_url_says(case: dict[str, Any]) -> None:
    host = Host(case["input"])
    url = httpx.URL(host.url + "/api/chat")
    path = host.url.split("/", 3)[3:]
    assert str(url.raw_path, "ascii") == "/".join(["", *path, "api", "chat"])
    assert url.port or {"http": 80, "https": 443}[url.scheme] == int(origin(host.url).rpartition(":")[2])


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("h/..", "http://h:11434"),
        ("h/a/../../b/./c/", "http://h:11434/b/c"),
        ("http://h/...", "http://h:80/..."),
        ("h/a/..%2F", "http://h:11434/a/..%2F"),
    ],
)
def test_dots_in_a_path_are_resolved_as_httpx_does_it(both: Colour, text: str, url: str) -> None:
    assert Host(text).url == url
    with serve() as server:
        assert both.whole("version", text.replace("http://", "").replace("h/", f"{server.url}/")) == {"version": "1"}
        assert server.lines == [f"GET {path_of(url)}/api/version HTTP/1.1"]


@pytest.mark.parametrize("name", ["xn--", "xn--a", "xn--ls8h.invalid"])
def test_a_name_that_httpx_cannot_decode_is_an_error_as_any_other(both: Colour, name: str) -> None:
    assert type(both.attempt("version", f"http://{name}:1").error) is ConnectError


# --- a host is a value -----------------------------------------------------------------------------------------------

FULL = Host(
    "https://example.com/ollama",
    headers={"X-Tenant": "the-header"},
    auth=("the-user", "the-password"),
    timeout=Timeout(1, 2, 3),
    verify="/etc/ca.pem",
    proxy="http://p-user:p-password@proxy:3128",
    limits=Limits(max_connections=5),
)


def test_a_host_is_frozen() -> None:
    for name in ("url", "headers", "auth", "timeout"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(FULL, name, "other")
    with pytest.raises((AttributeError, TypeError)):
        FULL.novelty = 1  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_equal_hosts_are_one_key() -> None:
    assert {Host("LOCALHOST"): 1}[Host("http://localhost:11434")] == 1
    assert Host("h", headers={"a": "b"}) == Host("h", headers=[("a", "b")])
    assert len({FULL, FULL.with_options(), FULL.with_options(timeout=5), Host("h")}) == 3


@pytest.mark.parametrize("host", [FULL, Host(), Host("h", auth="token", timeout=None)], ids=["full", "empty", "some"])
def test_a_host_survives_a_pickle(host: Host) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(host, protocol)) == host


def test_a_repr_hides_headers_and_credentials() -> None:
    for text in (repr(FULL), str(FULL), repr([FULL]), repr(Host("http://the-user:the-password@h", auth=None))):
        for secret in ("the-header", "X-Tenant", "the-user", "the-password", "p-user", "p-password"):
            assert secret not in text
    assert "https://example.com:443/ollama" in repr(FULL)


def test_with_options_changes_what_is_named_and_nothing_else() -> None:
    changed = FULL.with_options(timeout=30, auth="token")
    assert (changed.timeout, changed.auth) == (Timeout(30, 30, 30), "token")
    for name in ("url", "headers", "verify", "proxy", "limits"):
        assert getattr(changed, name) == getattr(FULL, name)
    assert FULL.auth == ("the-user", "the-password")
    assert FULL.with_options(url="h").url == "http://h:11434"
    with pytest.raises(HostError):
        FULL.with_options(url="h:x")
    with pytest.raises(TypeError, match="tiemout"):
        FULL.with_options(tiemout=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_credentials_in_a_new_url_replace_the_old_ones() -> None:
    assert FULL.with_options(url="http://new-user:new-password@h").auth == ("new-user", "new-password")


@pytest.mark.parametrize(
    ("given_as", "expected"),
    [
        (None, Timeout(None, None, None)),
        (30, Timeout(30, 30, 30)),
        (0.5, Timeout(0.5, 0.5, 0.5)),
        (Timeout(idle=1), Timeout(10.0, None, 1)),
    ],
)
def test_a_timeout_may_be_a_number_or_none(given_as: Timeout | float | None, expected: Timeout) -> None:
    assert Host(timeout=given_as).timeout == Timeout.of(given_as) == expected


def test_the_timeout_that_nobody_gave_waits_for_the_model() -> None:
    assert Host().timeout == Timeout(connect=10.0, first_part=None, idle=...)


@pytest.mark.parametrize("time", ["5", -1, float("nan"), float("inf"), [1], 1e10, 10**400, 10**5000], ids=type)
def test_a_timeout_that_is_no_time_is_refused_at_once(time: Any) -> None:
    ways: list[Callable[[], object]] = [
        partial(Host, "h", timeout=time),
        partial(Host("h").with_options, timeout=time),
        partial(Timeout, connect=time),
        partial(Timeout, idle=time),
    ]
    for make in ways:
        with pytest.raises((TypeError, ValueError), match=r"timeout|seconds"):
            make()


@pytest.mark.parametrize("url", [5, None, b"localhost", ["localhost"]], ids=repr)
def test_a_url_that_is_no_str_is_a_type_error_that_says_so(url: Any) -> None:
    with pytest.raises(TypeError, match="str"):
        Host(url)


# --- headers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["a\r\nX-Evil: 1", "a\n", "\ra", "a\0b"])
def test_a_header_cannot_smuggle_another_one(bad: str) -> None:
    for headers in ({"X": bad}, {bad: "x"}, [("Y", "fine"), ("X", bad)]):
        with pytest.raises(ValueError, match="header"):
            Host("h", headers=headers)
        with pytest.raises(ValueError, match="header"):
            Host("h").with_options(headers=headers)


@pytest.mark.parametrize("auth", ["to\nken", "to\r\nX-Evil: 1", "to\0ken"])
def test_a_token_cannot_smuggle_a_header_and_is_not_shown(auth: str) -> None:
    with pytest.raises(ValueError, match="auth") as caught:
        Host("h", auth=auth)
    assert "ken" not in str(caught.value)


def test_headers_keep_their_order_and_may_repeat() -> None:
    pairs = (("X-A", "1"), ("X-B", "2"), ("X-A", "3"))
    assert Host("h", headers=pairs).headers == pairs
    assert Host("h", headers=iter(pairs)).headers == pairs


def test_what_the_caller_passed_is_not_kept() -> None:
    headers = {"X": "1"}
    host = Host("h", headers=headers)
    headers["X"] = "2"
    assert host.headers == (("X", "1"),)


# --- who gets the key ------------------------------------------------------------------------------------------------

KEY = {"OLLAMA_API_KEY": "the-key"}
NAMED = {**KEY, "OLLAMA_HOST": "https://gpu.example/ollama"}


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("https://ollama.com", KEY, ("the-key", False)),
        ("https://ollama.com:443/x", KEY, ("the-key", False)),
        ("https://ollama.com", {"OLLAMA_API_KEY": " the-key\n"}, ("the-key", False)),
        ("https://ollama.com", {}, (None, False)),
        ("https://ollama.com", {"OLLAMA_API_KEY": " "}, (None, False)),
        ("http://ollama.com:80", KEY, (None, True)),
        ("http://ollama.com:443", KEY, (None, True)),
        ("https://ollama.com:8443", KEY, (None, True)),
        ("https://ollama.com.evil.example", KEY, (None, True)),
        ("https://evil.example/ollama.com", KEY, (None, True)),
        ("https://ollama.com@evil.example", KEY, (None, True)),
        ("http://127.0.0.1:11434", KEY, ("the-key", False)),
        ("http://127.9.8.7:1", KEY, ("the-key", False)),
        ("http://[::1]:11434", KEY, ("the-key", False)),
        ("http://localhost:1", KEY, ("the-key", False)),
        ("http://a.localhost:1", KEY, ("the-key", False)),
        ("http://evillocalhost:1", KEY, (None, True)),
        ("http://localhost.evil.example:1", KEY, (None, True)),
        ("http://127.0.0.1.evil.example:1", KEY, (None, True)),
        ("https://gpu.example", KEY, (None, True)),
        ("https://gpu.example", {}, (None, False)),
        ("https://gpu.example", NAMED, ("the-key", False)),
        ("https://gpu.example:443/other", NAMED, ("the-key", False)),
        ("http://gpu.example:80", NAMED, (None, True)),
        ("https://gpu.example:8443", NAMED, (None, True)),
        ("https://other.example", NAMED, (None, True)),
        ("https://other.example", {**KEY, "OLLAMA_HOST": "http://other.example:0"}, (None, True)),
        ("https://ollama.com", {**KEY, "OLLAMA_HOST": "http://other.example:0"}, ("the-key", False)),
    ],
)
def test_the_key_goes_to_whom_it_belongs(url: str, environ: dict[str, str], expected: tuple[str | None, bool]) -> None:
    assert api_key(url, environ) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://ollama.com", "https://ollama.com:443"),
        ("HTTP://H/x?y#z", "http://h:80"),
        ("http://user:pw@h:1/x", "http://h:1"),
        ("http://[::1]", "http://[::1]:80"),
        ("http://[::1]:5/x", "http://[::1]:5"),
        ("http://h?x@y", "http://h:80"),
    ],
)
def test_an_origin_has_scheme_address_and_port(url: str, expected: str) -> None:
    assert origin(url) == expected
