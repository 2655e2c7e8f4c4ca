"""A recording as a file, and which of its exchanges is that of a request: what needs no sockets."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ollama_fast.errors import OllamaError
from ollama_fast.testing import Chunk, Received, RecordingError, Reply
from ollama_fast.testing._matching import Matches
from ollama_fast.testing._recording import Recorded, RecordedRequest, Upload, body_of, headers_of, request_of
from ollama_fast.testing._recording_file import decode, encode, encoded, load, save
from ollama_fast.testing._secrets import is_secret, without_secrets

LINES = (("Content-Type", "application/x-ndjson"), ("Transfer-Encoding", "chunked"))


def exchange(body: Any = None, said: bytes = b"{}\n", *, method: str = "POST", path: str = "/api/chat") -> Recorded:
    return Recorded(RecordedRequest(method, path, body), Reply(200, LINES, (Chunk(3, said),)))


def received(body: Any = None, *, method: str = "POST", path: str = "/api/chat", data: bytes = b"") -> Received:
    sent = data or (b"" if body is None else json.dumps(body).encode())
    return Received(method, path, (), sent, len(sent), "")


# --- the file --------------------------------------------------------------------------------------------------------

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inside: some.lists(inside, max_size=3) | some.dictionaries(some.text(), inside, max_size=3),
    max_leaves=8,
)
BODIES = JSON | some.binary() | some.builds(Upload, some.text("0123456789abcdef"), some.integers(0))
WORDS = some.text("abcXYZ-/: 019é", max_size=12)
REPLIES = some.builds(
    Reply,
    some.integers(200, 599),
    some.lists(some.tuples(WORDS, WORDS), max_size=3).map(tuple),
    some.lists(some.builds(Chunk, some.integers(0, 10**6), some.binary(max_size=40)), max_size=5).map(tuple),
)
REQUESTS = some.builds(RecordedRequest, WORDS, WORDS, BODIES, some.dictionaries(WORDS, WORDS, max_size=2))
RECORDINGS = some.lists(
    some.builds(Recorded, REQUESTS, REPLIES, some.sampled_from([None, "close", "reset", "left"]))
    | some.builds(Recorded, REQUESTS, some.none(), some.sampled_from(["close", "reset"])),
    max_size=3,
).map(tuple)


@given(RECORDINGS)
def test_a_recording_comes_back_as_it_was(recorded: tuple[Recorded, ...]) -> None:
    text = encode(recorded)
    text.encode()
    assert decode(text, "x") == recorded
    assert encode(decode(text, "x")) == text


def test_each_chunk_has_a_line_that_people_can_read() -> None:
    text = encode([exchange({"model": "m", "prompt": "Grüße"}, "é\n".encode()), exchange(b"\xff", b"\xff")])
    assert '\n          [3, "é\\n"]\n' in text
    assert '\n          [3, {"base64": "/w=="}]\n' in text
    assert '"body": {"model": "m", "prompt": "Grüße"}' in text
    assert text.endswith("}\n")


def broken(change: Callable[[Any], object]) -> str:
    whole = json.loads(encode([exchange(), exchange({"model": "m"})]))
    change(whole)
    return json.dumps(whole)


def second(whole: Any) -> Any:
    return whole["exchanges"][1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is no JSON, or its end is missing: Expecting value: line 1"),
        (encode([exchange()])[:-40], "it is no JSON, or its end is missing: "),
        ("[" * 100_000, "it is no JSON, or its end is missing: "),
        ("[]", "the whole is no object with 'ollama_fast'"),
        ("{}", "the whole has no 'ollama_fast'"),
        (broken(lambda it: it.update(ollama_fast="report")), 'ollama_fast must be "recording", and is "report"'),
        (
            broken(lambda it: it.update(version=2)),
            "version must be 1: a later ollama_fast may have written it, and is 2",
        ),
        (broken(lambda it: it.pop("exchanges")), "the whole has no 'exchanges'"),
        (broken(lambda it: it.update(exchanges={})), "exchanges must be a list, and is {}"),
        (broken(lambda it: second(it).pop("request")), "exchanges[1] has no 'request'"),
        (broken(lambda it: second(it).pop("response")), "exchanges[1] has no 'response'"),
        (broken(lambda it: second(it).update(end="x")), "exchanges[1].end must be one of close, reset, left"),
        (broken(lambda it: second(it).update(request=[])), "exchanges[1].request is no object with"),
        (broken(lambda it: second(it)["request"].pop("path")), "exchanges[1].request has no 'path'"),
        (broken(lambda it: second(it)["request"].update(method=1)), "exchanges[1].request.method must be a text"),
        (broken(lambda it: second(it)["request"].update(headers=[])), "request.headers must be an object, and is []"),
        (broken(lambda it: second(it)["request"].update(bytes=7)), "exchanges[1].request.bytes must be a text, or"),
        (broken(lambda it: second(it)["request"].update(upload={})), "exchanges[1].request.upload has no 'sha256'"),
        (
            broken(lambda it: second(it)["request"].update(upload={"sha256": "", "length": "1"})),
            "exchanges[1].request.upload.length must be how many bytes",
        ),
        (
            broken(lambda it: second(it)["response"].update(status="200")),
            "exchanges[1].response.status must be a status",
        ),
        (broken(lambda it: second(it)["response"].update(status=101)), "response.status must be a status of HTTP that"),
        (
            broken(lambda it: second(it).update(response=None)),
            "exchanges[1].response must be an object, unless there is",
        ),
        (
            broken(lambda it: second(it)["response"].update(headers=[["a", "b\r\nc: d"]])),
            "response.headers[0][1] must be a text of Latin-1 without line breaks",
        ),
        (
            broken(lambda it: second(it)["response"].update(headers=[["a\u2603", "b"]])),
            "response.headers[0][0] must be a text of Latin-1 without line breaks",
        ),
        (broken(lambda it: second(it)["response"].update(headers=[["a"]])), "response.headers[0] must be a pair"),
        (broken(lambda it: second(it)["response"].update(chunks=[[1]])), "response.chunks[0] must be a pair"),
        (
            broken(lambda it: second(it)["response"].update(chunks=[["1", ""]])),
            "chunks[0] must begin with milliseconds",
        ),
        (broken(lambda it: second(it)["response"].update(chunks=[[-1, ""]])), "exchanges[1].response: ms of a Chunk"),
        (
            broken(lambda it: second(it)["response"].update(chunks=[[1, {"base64": "!"}]])),
            "exchanges[1].response.chunks[0][1] must be a text, or",
        ),
    ],
    ids=str,
)
def test_a_broken_recording_says_which_file_and_where(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(RecordingError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path} holds no recording: ")
    assert says in str(caught.value)
    assert isinstance(caught.value, OllamaError | ValueError)


def test_what_is_no_text_is_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(RecordingError, match=r"broken.json holds no recording: it is no UTF-8 at byte 7"):
        load(path)


def test_a_file_that_an_editor_marked_as_utf_8_is_read(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(encode([exchange()]), encoding="utf-8-sig")
    assert load(path) == (exchange(),)


def test_a_file_is_written_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.json"
    save(path, [exchange()])
    path.chmod(0o640)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            save(path, [exchange({"model": "other"})])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["one.json"]
    save(path, [exchange({"model": "other"})])
    assert load(path) == (exchange({"model": "other"}),)
    (tmp_path / "link.json").symlink_to(path)
    save(tmp_path / "link.json", [exchange()])
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


# --- what is kept ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/api/chat", "/api/chat"),
        ("/api/chat?x=1&y=2", "/api/chat?x=1&y=2"),
        ("/api/chat?api_key=abc&x=1", "/api/chat?api_key=hidden&x=1"),
        ("/x?x=1&access_token=a%20b#c", "/x?x=1&access_token=hidden#c"),
        ("/x?X-Amz-Signature=0f&KEY=1;secret=2", "/x?X-Amz-Signature=hidden&KEY=hidden;secret=hidden"),
        ("/token=5", "/token=5"),
        ("/x?tok%65n=abc&y=1", "/x?tok%65n=hidden&y=1"),
        ("/x?credential=abc;code=1&jwt=2&access=3", "/x?credential=hidden;code=hidden&jwt=hidden&access=hidden"),
        ("http://bob:p@ss@h/x?y=1", "http://hidden@h/x?y=1"),
        ("//bob:pass@h/x#access_token=5", "//hidden@h/x#access_token=hidden"),
        ("/users//bob@h", "/users//bob@h"),
        ("<http://h/x?token=abc>; rel=next", "<http://h/x?token=hidden>; rel=next"),
    ],
)
def test_keys_in_paths_are_hidden(path: str, kept: str) -> None:
    assert without_secrets(path) == kept


def test_only_headers_that_let_nobody_in_are_kept() -> None:
    sent = (("Authorization", "Bearer s3cret"), ("Cookie", "s3cret"), ("X-Api-Key", "s3cret"), ("Content-Type", "a/b"))
    asked = request_of(Received("GET", "http://me:s3cret@h/?key=s3cret", sent, b"", 0, ""))
    names = ["Set-Cookie", "Date", "X-Auth-Token", "X-API-Key", "Authentication-Info", "Proxy-Authenticate"]
    links = (("Location", "http://me:s3cret@h/y?token=s3cret"), ("X-Other", "1"))
    challenge = (("WWW-Authenticate", 'Bearer realm="http://me:s3cret@h/auth?x=1",service="y"'),)
    limit = (("X-RateLimit-Limit-Tokens", "100"),)
    kept = headers_of((*((name, "s3cret") for name in names), *links, *challenge, *limit))
    assert dict(asked.headers) == {"content-type": "a/b"}
    assert kept == (
        ("Location", "http://hidden@h/y?token=hidden"),
        ("X-Other", "1"),
        ("WWW-Authenticate", 'Bearer realm="http://hidden@h/auth?x=1",service="y"'),
        *limit,
    )
    assert "s3cret" not in encode([Recorded(asked, Reply(200, kept))])


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True),
        ("apiKey", True),
        ("API_KEY", True),
        ("x-apikey", True),
        ("X-Auth-Token", True),
        ("client_secret", True),
        ("private key", True),
        ("X-Session-Id", True),
        ("max_tokens", False),
        ("key", False),
        ("keywords", False),
        ("tokenizer", False),
        ("", False),
    ],
)
def test_names_tell_what_lets_somebody_in(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


def test_what_lets_somebody_in_is_hidden_in_a_body_and_still_found() -> None:
    sent = {"model": "m", "username": "me", "password": "s3cret", "options": {"api_key": "s3cret", "num_ctx": 1}}
    kept = request_of(received(sent))
    assert kept.body == {**sent, "password": "hidden", "options": {"api_key": "hidden", "num_ctx": 1}}
    matches = Matches([Recorded(kept, Reply(200))], strict=True)
    assert matches.next(received({**sent, "password": "other"})) == 0
    assert "s3cret" not in matches.why(received({**sent, "username": "you"}))
    schema = {"tools": [{"properties": {"password": {"type": "string"}}}]}
    assert request_of(received(schema)).body == schema


def test_a_long_recording_is_written_piece_by_piece() -> None:
    chunks = tuple(Chunk(ms, b"x" * 1000) for ms in range(1000))
    pieces = list(encoded([Recorded(RecordedRequest("POST", "/api/chat", None), Reply(200, LINES, chunks))]))
    assert max(map(len, pieces)) < 2000
    assert len("".join(pieces)) > 1_000_000


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (received(), None),
        (received({"a": 1}), {"a": 1}),
        (received(data=b"\xff"), b"\xff"),
        (received(data=b"{"), b"{"),
        (Received("POST", "/api/blobs/sha256:00", (), b"{}", 2, "ab"), Upload("ab", 2)),
        (Received("POST", "/api/chat", (), b"", 2_000_000, "ab"), Upload("ab", 2_000_000)),
        (received(data=b"[" * 500_000), b"[" * 500_000),
        (received(data=b"[" * 900 + b"]" * 900), Upload("", 1800)),
    ],
    ids=["none", "JSON", "bytes", "half", "blob", "long", "too deep", "deep"],
)
def test_a_body_is_kept_as_what_it_is(request_: Received, body: Any) -> None:
    assert body_of(request_) == body


# --- which exchange --------------------------------------------------------------------------------------------------


def test_a_body_is_equal_by_what_it_says() -> None:
    matches = Matches([exchange({"model": "m", "n": 1}), exchange({"model": "m", "n": True})], strict=True)
    assert matches.next(received(data=b'{ "n":true, "model":"m" }')) == 1
    assert matches.next(received({"n": 1, "model": "m"})) == 0
    assert matches.next(received({"n": 1.0, "model": "m"})) is None


def test_equal_ones_take_turns_and_the_last_stays() -> None:
    matches = Matches([exchange({}, b"%d" % n) for n in range(3)], strict=True)
    assert [matches.next(received({})) for _ in range(5)] == [0, 1, 2, 2, 2]
    assert matches.unused() == []


def test_what_nobody_asked_for_is_told() -> None:
    matches = Matches([exchange({"n": n}) for n in range(3)], strict=True)
    matches.next(received({"n": 1}))
    assert [each.request.body for each in matches.unused()] == [{"n": 0}, {"n": 2}]


def test_keys_that_were_hidden_may_be_any_others() -> None:
    matches = Matches([exchange(path="/api/chat?key=hidden")], strict=True)
    assert matches.next(received(path="/api/chat?key=other")) == 0
    assert matches.next(received(path="/api/chat?kind=other")) is None


WEATHER = {"model": "m", "messages": [{"role": "user", "content": "Weather?"}], "options": {"seed": 1}}


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (
            received({**WEATHER, "options": {"seed": 2}}),
            "of 2 for that method and path the nearest has options.seed: 1, and not 2",
        ),
        (
            received({**WEATHER, "messages": [{"role": "user", "content": "Time?"}]}),
            'the nearest has messages[0].content: "Weather?", and not "Time?"',
        ),
        (received({**WEATHER, "think": True}), "the nearest has no think, which in the request is true"),
        (
            received({name: WEATHER[name] for name in ("model", "messages")}),
            'the nearest has options: {"seed": 1}, which the request has not',
        ),
        (received({"model": "x", "prompt": "y", "a": 1, "b": 2}), "more differences"),
        (
            received(path="/api/chats"),
            "nothing is for that method and path; the nearest recorded one is POST /api/chat",
        ),
        (received(data=b"\xff"), r"POST /api/chat with b'\xff' is not recorded"),
    ],
    ids=["option", "message", "more", "less", "much", "path", "bytes"],
)
def test_an_unknown_request_names_the_nearest_and_how_it_differs(request_: Received, says: str) -> None:
    matches = Matches([exchange({"model": "other"}), exchange(WEATHER), exchange(path="/api/pull")], strict=True)
    assert matches.next(request_) is None
    assert says in matches.why(request_)
