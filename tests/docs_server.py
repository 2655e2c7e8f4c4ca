"""A server that answers every endpoint plausibly, whatever the body: the examples in the docs run against it."""

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

NOW = "2026-01-01T00:00:00.000000Z"
WORDS = ("Light ", "is ", "scattered.")
METRICS = {
    "total_duration": 60_000_000,
    "load_duration": 10_000_000,
    "prompt_eval_count": 9,
    "prompt_eval_duration": 20_000_000,
    "eval_count": 3,
    "eval_duration": 30_000_000,
}
DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "134.52M",
    "quantization_level": "Q4_1",
}

Json = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - what the server says no with, not a fault of its own
    """An answer with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class State:
    """What the server has. A model that it lacks is an error, as with Ollama."""

    capabilities: dict[str, set[str]] = field(
        default_factory=lambda: {
            "smollm2": {"completion"},
            "qwen3": {"completion", "thinking", "tools"},
            "gemma3": {"completion", "vision"},
        }
    )
    blobs: set[str] = field(default_factory=set)

    def of(self, model: str) -> set[str]:
        """Give the capabilities of *model*."""
        found = self.capabilities.get(model.removesuffix(":latest"))
        if found is None:
            raise Refusal(404, f"model '{model}' not found")
        return found

    def require(self, model: str, capability: str) -> None:
        """Refuse a model without *capability*."""
        if capability not in self.of(model):
            raise Refusal(400, f'"{model}" does not support {capability}')


# --- answers of models -----------------------------------------------------------------------------------------------


def example(schema: Any) -> Any:
    """Make a value that a JSON schema allows."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: example(of) for name, of in schema.get("properties", {}).items()}
        case "array":
            return [example(schema.get("items", {}))]
        case kind:
            return {"integer": 3, "number": 0.5, "boolean": True}.get(kind, "text")


def words(wanted: Any) -> list[str]:
    if isinstance(wanted, dict):
        return [json.dumps(example(wanted))]
    return ['{"text": "light"}'] if wanted == "json" else list(WORDS)


def calls(body: Json) -> list[Json]:
    """Call every tool once, when the user has asked and no tool has answered yet."""
    messages = body.get("messages") or [{}]
    if messages[-1].get("role") != "user":
        return []
    functions = [tool["function"] for tool in body.get("tools") or ()]
    return [
        {
            "id": f"call_{index}",
            "function": {"index": index, "name": tool["name"], "arguments": example(tool["parameters"])},
        }
        for index, tool in enumerate(functions)
    ]


def check_images(images: list[str], model: str, state: State) -> None:
    if not images:
        return
    state.require(model, "vision")
    if not all(isinstance(image, str) for image in images):
        raise Refusal(400, "illegal base64 data")


def completion(body: Json, state: State, *, chat: bool) -> list[Json]:
    """Give the parts of a generate or a chat."""
    model = body["model"]
    state.require(model, "completion")
    check_images([i for m in (body, *body.get("messages", ())) for i in m.get("images") or ()], model, state)
    thinks = "thinking" in state.of(model) and body.get("think", True) is not False
    if body.get("think"):
        state.require(model, "thinking")
    if body.get("tools"):
        state.require(model, "tools")

    def part(text: str, **more: Any) -> Json:
        piece = {"role": "assistant", "content": text, **more} if chat else {"response": text, **more}
        return {"model": model, "created_at": NOW, **({"message": piece} if chat else piece), "done": False}

    asked = body.get("messages") if chat else body.get("prompt")
    if not asked:
        return [part("") | {"done": True, "done_reason": "unload" if body.get("keep_alive") == 0 else "load"}]
    parts = [part("", thinking="Hm. ")] if thinks else []
    if called := calls(body):
        parts.append(part("", tool_calls=called))
    else:
        parts += [part(text) for text in words(body.get("format"))]
    return [*parts, part("") | {"done": True, "done_reason": "stop", **METRICS}]


def merged(parts: list[Json]) -> Json:
    """Make one answer of the parts of a generate or a chat."""
    whole = dict(parts[-1])
    holders = [part.get("message", part) for part in parts]
    text = "content" if "message" in whole else "response"
    found: Json = {text: "".join(holder[text] for holder in holders)}
    if thinking := "".join(holder.get("thinking", "") for holder in holders):
        found["thinking"] = thinking
    if called := [call for holder in holders for call in holder.get("tool_calls", ())]:
        found["tool_calls"] = called
    if "message" in whole:
        return whole | {"message": whole["message"] | found}
    return whole | found


def vectors(body: Json, state: State) -> Json:
    state.of(body["model"])
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    length = body.get("dimensions", 8)
    return {"model": body["model"], "embeddings": [[length**-0.5] * length for _ in texts], "prompt_eval_count": 2}


def judgement(question: Json) -> Json:
    criteria = question.get("criteria") or {}
    match question["type"]:
        case "choice":
            even = dict.fromkeys(criteria, 1 / len(criteria))
            return {"type": "choice", "choice": next(iter(criteria)), "probabilities": even, "confidence": 0.9}
        case "noul":
            return {"type": "noul", "noul": 0.8}
        case _:
            legend = {str(score): text for score, text in enumerate(criteria)}
            even = dict.fromkeys(legend, 1 / len(legend))
            return {"type": "score", "score": 0.5, "legend": legend, "probabilities": even, "confidence": 0.9}


# --- models on the server --------------------------------------------------------------------------------------------


def described(model: str) -> Json:
    name = model if ":" in model else f"{model}:latest"
    return {"name": name, "model": name, "size": 98_363_007, "digest": "0" * 64, "details": DETAILS}


def progress(*steps: str) -> list[Json]:
    digest = f"sha256:{'0' * 64}"
    moving = {"digest": digest, "total": 100}
    middle = [{"status": step, **moving, **done} for step in steps for done in ({}, {"completed": 50})]
    return [{"status": "begin"}, *middle, {"status": "success"}]


def created(body: Json, state: State) -> list[Json]:
    sets = [body.get(name) or {} for name in ("files", "adapters", "draft_files")]
    if not body.get("from") and not any(sets):
        raise Refusal(400, "neither 'from' or 'files' was specified")
    for digest in (digest for files in sets for digest in files.values()):
        if digest not in state.blobs:
            raise Refusal(500, f"blob {digest} was not uploaded")
    inherited = state.of(body["from"]) if body.get("from") else {"completion"}
    state.capabilities[body["model"]] = set(inherited)
    return progress("creating model layer")


def copied(body: Json, state: State) -> None:
    state.capabilities[body["destination"]] = state.of(body["source"])


def deleted(body: Json, state: State) -> None:
    state.of(body["model"])
    del state.capabilities[body["model"]]


def shown(body: Json, state: State) -> Json:
    capabilities = sorted(state.of(body["model"]))
    info = {"general.architecture": "llama", "llama.context_length": 8192}
    about = {"template": "{{ .Prompt }}", "parameters": "temperature 0", "license": "Apache-2.0"}
    return {**about, "details": DETAILS, "model_info": info, "capabilities": capabilities, "modified_at": NOW}


def known(body: Json, state: State) -> list[Json]:
    state.of(body["model"])
    return progress("pushing layer")


def pulled(body: Json, state: State) -> list[Json]:
    state.capabilities.setdefault(body["model"], {"completion"})
    return progress("pulling layer")


def result() -> Json:
    return {"title": "Ollama", "url": "https://ollama.com", "content": "Run models."}


def account() -> Json:
    return {"id": "1", "email": "a@example.com", "name": "a"}


def recommendation() -> Json:
    return {"model": "smollm2", "description": "A small model."}


def answer(method: str, path: str, body: Json, state: State) -> Any:
    """Give the answer of an endpoint: a dict, the parts of one in a list, or None for an empty body."""
    everything: dict[str, Any] = {
        "POST /api/generate": lambda: completion(body, state, chat=False),
        "POST /api/chat": lambda: completion(body, state, chat=True),
        "POST /api/embed": lambda: vectors(body, state),
        "POST /api/embeddings": lambda: {"embedding": [0.5] * 8},
        "POST /v1/systemone": lambda: {
            "model": body["model"],
            "answers": {name: judgement(question) for name, question in body["questions"].items()},
            "usage": {"input_tokens": 9, "output_tokens": 1},
        },
        "GET /api/tags": lambda: {
            "models": [{**described(name), "modified_at": NOW} for name in state.capabilities],
        },
        "GET /api/ps": lambda: {
            "models": [{**described("smollm2"), "expires_at": NOW, "size_vram": 0, "context_length": 4096}],
        },
        "POST /api/show": lambda: shown(body, state),
        "POST /api/pull": lambda: pulled(body, state),
        "POST /api/push": lambda: known(body, state),
        "POST /api/create": lambda: created(body, state),
        "POST /api/copy": lambda: copied(body, state),
        "DELETE /api/delete": lambda: deleted(body, state),
        "GET /api/version": lambda: {"version": "0.24.0"},
        "GET /api/status": lambda: {"cloud": {"disabled": False, "source": "none"}},
        "POST /api/me": account,
        "POST /api/signout": lambda: None,
        "GET /api/experimental/model-recommendations": lambda: {"recommendations": [recommendation()]},
        "POST /api/experimental/web_search": lambda: {"results": [result()]},
        "POST /api/experimental/web_fetch": lambda: {"title": "Ollama", "content": "Run models.", "links": []},
    }
    endpoint = everything.get(f"{method} {path}")
    if endpoint is None:
        raise Refusal(404, "404 page not found")
    return endpoint()


# --- HTTP ------------------------------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    state: ClassVar[State]
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # unbuffered, a small answer would wait for an acknowledgement

    def do_HEAD(self) -> None:
        there = urlsplit(self.path).path.removeprefix("/api/blobs/") in self.state.blobs
        self._send(200 if there else 404, b"", "")

    def do_GET(self) -> None:
        if self.path == "/":
            self._send(200, b"Ollama is running", "text/plain")
        else:
            self._answer()

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/api/blobs/"):
            self._take_blob(path.removeprefix("/api/blobs/"))
        else:
            self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _take_blob(self, digest: str) -> None:
        if digest != f"sha256:{hashlib.sha256(self._body()).hexdigest()}":
            self._send(400, b'{"error": "digest mismatch"}', "application/json")
            return
        self.state.blobs.add(digest)
        self._send(201, b"", "")

    def _answer(self) -> None:
        text = self._body()
        body: Json = json.loads(text) if text else {}
        try:
            found = answer(self.command, urlsplit(self.path).path, body, self.state)
        except Refusal as refusal:
            self._send(refusal.status, json.dumps({"error": str(refusal)}).encode(), "application/json")
            return
        if isinstance(found, list) and body.get("stream", True):
            self._send(200, b"".join(json.dumps(part).encode() + b"\n" for part in found), "application/x-ndjson")
            return
        if isinstance(found, list):
            found = merged(found) if "status" not in found[-1] else found[-1]
        self._send(200, b"" if found is None else json.dumps(found).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def docs_server() -> Generator[int]:
    """Start a server with models of its own on a free port of the loopback address, and give the port."""
    handler = type("Handler", (Handler,), {"state": State()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
