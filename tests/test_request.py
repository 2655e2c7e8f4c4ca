"""A whole response to its answer or its error, without sockets: every body that a client can meet (OLLAMA-API 0)."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from by_hand import CHAT, GENERATE, PULL, body_id, context_of, part, received, whole
from ollama_fast import _endpoints, errors
from ollama_fast._request import Request, answer
from ollama_fast._said import response_error

pytestmark = pytest.mark.unsent

SIGNIN = "https://ollama.com/connect?name=h&key=k"

# --- errors that the server tells ------------------------------------------------------------------------------------

NOT_FOUND = b'{"error":"model \'llama3\' not found"}'
RUNNER = '{"error":{"code":400,"message":"the request exceeds the context"}}'

BODIES = [
    (400, b'{"error":"invalid model name"}', errors.ResponseError, "invalid model name"),
    (404, NOT_FOUND, errors.ModelNotFoundError, "model 'llama3' not found"),
    (404, b"404 page not found", errors.ResponseError, "404 page not found"),
    (405, b"405 method not allowed", errors.ResponseError, "405 method not allowed"),
    (403, b"", errors.ResponseError, "the server gave no reason"),
    (500, b"", errors.ResponseError, "the server gave no reason"),
    (500, b" \n", errors.ResponseError, "the server gave no reason"),
    (500, b'{"error":""}', errors.ResponseError, "the server gave no reason"),
    (400, json.dumps({"error": RUNNER}).encode(), errors.ResponseError, "the request exceeds the context"),
    (400, b'{"error":{"message":"from a gateway","code":7}}', errors.ResponseError, "from a gateway"),
    (400, b'{"error":{"code":7}}', errors.ResponseError, '"code": 7'),
    (429, b'{"error":["a","b"]}', errors.ResponseError, '["a", "b"]'),
    (500, b'{"error":null}', errors.ResponseError, "the server gave no reason"),
    (500, b'{"error":5}', errors.ResponseError, "5"),
    (500, b'{"message":"no error here"}', errors.ResponseError, "no error here"),
    (500, b'["a","list"]', errors.ResponseError, "list"),
    (500, b'"a string"', errors.ResponseError, "a string"),
    (500, b"7", errors.ResponseError, "7"),
    (500, b"null", errors.ResponseError, "null"),
    (502, b"<html><h1>Bad Gateway</h1></html>", errors.ResponseError, "<html><h1>Bad Gateway"),
    (502, b"<p>" + b"x" * 100_000, errors.ResponseError, "<p>xxx"),
    (502, b"\xff\xfe", errors.ResponseError, "�"),
    (499, b'{"error":"request canceled"}', errors.ResponseError, "request canceled"),
    (503, b'{"error":"server busy, please try again.  maximum"}', errors.ResponseError, "again.  maximum"),
    (599, b"?", errors.ResponseError, "?"),
    (401, b'{"error":"unauthorized"}', errors.AuthenticationError, "unauthorized"),
    (401, b"", errors.AuthenticationError, "the server gave no reason"),
    (401, b"Login", errors.AuthenticationError, "Login"),
    (404, b'{"StatusCode":404,"Status":"404 Not Found","error":"no"}', errors.ModelNotFoundError, "no"),
    (301, b"", errors.ResponseError, "the server gave no reason"),
]


@pytest.mark.parametrize(("status", "body", "kind", "said"), BODIES, ids=body_id)
def test_an_error_status_is_an_error_that_says_all(
    status: int, body: bytes, kind: type[errors.OllamaError], said: str
) -> None:
    for request in (CHAT, GENERATE, PULL, _endpoints.embed("llama3", "x"), _endpoints.delete("llama3")):
        error = whole(request, status, body)
        assert type(error) is kind
        assert isinstance(error, errors.ResponseError)
        assert error.status == status
        for text in (request.method, f"http://h:1{request.path}", "'llama3'", str(status), said):
            assert text in str(error)
        assert len(str(error)) < 600
        assert (error.method, error.model, error.partial) == (request.method, "llama3", None)
        assert error.url == f"http://h:1{request.path}"
        assert error.message == "" or error.message in str(error)


@pytest.mark.parametrize(
    "body", [b'{"error":"unauthorized","signin_url":"%s"}' % SIGNIN.replace("&", "\\u0026").encode()]
)
def test_a_missing_sign_in_says_where_to_sign_in(body: bytes) -> None:
    for error in (whole(CHAT, 401, body), whole(CHAT, 200, body), received(CHAT, [body])[1]):
        assert isinstance(error, errors.AuthenticationError)
        assert error.signin_url == SIGNIN
        assert SIGNIN in str(error)
    assert getattr(whole(CHAT, 401, b""), "signin_url", "none") is None


def test_a_401_says_when_the_key_was_withheld() -> None:
    error = response_error(context_of(CHAT, key_withheld=True), 401, b"", names_model=True)
    assert "OLLAMA_API_KEY was not sent" in str(error)
    assert "OLLAMA_API_KEY" not in str(response_error(context_of(CHAT), 401, b"", names_model=True))
    assert "OLLAMA_API_KEY" not in str(response_error(context_of(CHAT, key_withheld=True), 403, b"", names_model=True))


def test_a_404_of_a_request_that_names_no_model_is_not_about_a_model() -> None:
    for request in (_endpoints.ps(), _endpoints.web_search("x")):
        assert type(whole(request, 404, b'{"error":"not found"}')) is errors.ResponseError


LINES = [
    (b'{"error":"boom"}', errors.ResponseError, 200, "boom"),
    (b'{"error":"boom","status":503}', errors.ResponseError, 503, "boom"),
    (b'{"StatusCode":404,"Status":"404 Not Found","error":"no"}', errors.ModelNotFoundError, 404, "no"),
    (b'{"StatusCode":429,"Status":"429","error":"slow down"}', errors.ResponseError, 429, "slow down"),
    (b'{"error":"unauthorized","status":401}', errors.AuthenticationError, 401, "unauthorized"),
    (b'{"error":""}', errors.ResponseError, 200, "the server gave no reason"),
    (b'{"error":{"message":"m"}}', errors.ResponseError, 200, "m"),
    (b'{"error":5,"response":"x","done":true}', errors.ResponseError, 200, "5"),
]


@pytest.mark.parametrize(("line", "kind", "status", "said"), LINES, ids=body_id)
def test_an_error_with_status_200_is_the_same_error_whole_and_as_a_line(
    line: bytes, kind: type[errors.OllamaError], status: int, said: str
) -> None:
    for request in (GENERATE, CHAT, PULL):
        for parts, error in (received(request, [line]), ([], whole(request, 200, line))):
            assert parts == []
            assert type(error) is kind
            assert isinstance(error, errors.ResponseError)
            assert error.status == status
            assert error.partial is None
            for text in (request.method, request.path, "'llama3'", said):
                assert text in str(error)


@pytest.mark.parametrize(("line", "kind", "status", "said"), LINES, ids=body_id)
def test_an_error_line_in_mid_stream_keeps_what_came(
    line: bytes, kind: type[errors.OllamaError], status: int, said: str
) -> None:
    parts, error = received(GENERATE, [part("a"), part("b") + line + b"\n"])
    assert [found["response"] for found in parts] == ["a", "b"]
    assert type(error) is kind
    assert isinstance(error, errors.ResponseError)
    assert error.partial is not None
    assert (error.status, error.partial["response"]) == (status, "ab")
    assert said in str(error)


# --- answers that are none -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>hello</html>", "<html>hello"),
        (b"Ollama is running", "Ollama is running"),
        (b"null", "null"),
        (b"5", "5"),
        (b"[]", "[]"),
        (b'"text"', "text"),
        (b"{}", "{}"),
        (b'{"some":"thing"}', "thing"),
        (b'{"x":"' + b"y" * 100_000 + b'"}', "yyy"),
        (b"\xff\xff", "�"),
    ],
    ids=body_id,
)
def test_an_answer_of_another_kind_is_a_decode_error_that_shows_it(body: bytes, said: str) -> None:
    for request in (CHAT, GENERATE, PULL, _endpoints.embed("llama3", "x"), _endpoints.show("llama3")):
        error = whole(request, 200, body)
        assert type(error) is errors.DecodeError
        assert isinstance(error, ValueError)
        assert len(str(error)) < 600
        for text in (request.method, f"http://h:1{request.path}", "'llama3'", said):
            assert text in str(error)


@pytest.mark.parametrize("request_", [CHAT, GENERATE, PULL, _endpoints.embed("m", "x"), _endpoints.show("m")])
def test_a_whole_answer_that_is_cut_anywhere_is_incomplete_as_a_stream_is(request_: Request[Any]) -> None:
    body = b' {"model":"m","message":{"role":"assistant","content":"\\u00e9 \\n"},"x":[true,null,-1.5e3,{"y":[]}]}'
    for end in range(len(body)):
        error = whole(request_, 200, body[:end])
        assert type(error) is errors.IncompleteStreamError, body[:end]
        assert ("it ended too early" if body[:end].strip() else "it is empty") in str(error)


@pytest.mark.parametrize(
    ("request_", "status", "body", "expected"),
    [
        (_endpoints.copy("a", "b"), 200, b"", None),
        (_endpoints.delete("m"), 200, b"", None),
        (_endpoints.signout(), 200, b"null", None),
        (_endpoints.has_blob("sha256:" + "0" * 64), 200, b"", True),
        (_endpoints.has_blob("sha256:" + "0" * 64), 404, b"", False),
        (_endpoints.root(), 200, b"Ollama is running", True),
        (_endpoints.root(), 200, b"<html>nginx</html>", False),
        (_endpoints.version(), 200, b'{"version":"0.33.0","new":[1]}', {"version": "0.33.0", "new": [1]}),
        (_endpoints.list_models(), 200, b'{"models":null}', {"models": None}),
        (_endpoints.embed("m", []), 200, b'{"model":"m","embeddings":[]}\n', {"model": "m", "embeddings": []}),
    ],
)
def test_an_answer_is_what_its_endpoint_says(request_: Request[Any], status: int, body: bytes, expected: Any) -> None:
    assert answer(request_, context_of(request_), status, body) == expected


# --- errors are values -----------------------------------------------------------------------------------------------


CALL = {"function": {"name": "add", "arguments": {"a": 1}}}
OWN_FACTS: dict[str, dict[str, Any]] = {
    "AnswerError": {"text": "said", "response": {"model": "m", "message": {"content": "said"}}},
    "TruncatedAnswerError": {"text": "said", "response": {"model": "m", "message": {"content": "said"}}},
    "InputsError": {
        "inputs": range(2, 4),
        "done": {4: {"response": "a"}},
        "method": "POST",
        "url": "http://h",
        "model": "m",
    },
    "ToolSchemaError": {"function": "add", "parameter": "a"},
    "ToolCallError": {"kind": "unknown", "tool": "add", "call": CALL},
}


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_survives_a_pickle_and_a_copy_with_all_it_knows(name: str) -> None:
    kind = getattr(errors, name)
    facts: dict[str, Any] = {"method": "POST", "url": "http://h", "model": "m", "partial": {"response": "a"}}
    if issubclass(kind, errors.ResponseError):
        facts |= {"status": 418, "message": "said"}
    facts = OWN_FACTS.get(name, facts)
    error = kind("the text", **{fact: known for fact, known in facts.items() if fact != "text"})
    error.messages = facts["messages"] = ({"role": "user", "content": "Hi!"},)
    if isinstance(error, errors.AuthenticationError):
        error.signin_url = facts["signin_url"] = SIGNIN
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert (str(twin), twin.args) == ("the text", error.args)
        assert {fact: getattr(twin, fact) for fact in facts} == facts
