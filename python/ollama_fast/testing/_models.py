"""A server with models, as far as an application looks at them: what it lists, shows, pulls, loads and embeds."""

from __future__ import annotations

import hashlib
import json
import math
import struct
import threading
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from ._replies import JSON, LINES, Answer, failed, whole
from ._scripted import GREETING, is_said, model_of, unsaid
from ._values import Chunk, Received, Reply

_NOW: Final = "2026-01-01T00:00:00Z"
_LATER: Final = "2026-01-01T00:05:00Z"
_SIZE: Final = 100_000_000
_CONTEXT: Final = 8192
_CAPABILITIES: Final = ("completion", "tools", "thinking", "embedding")
_MOST_DIMENSIONS: Final = 16384
_DETAILS: Final = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "134.52M",
    "quantization_level": "Q4_1",
}


def models(
    *names: str,
    says: Answer = GREETING,
    version: str = "0.24.0",
    capabilities: Iterable[str] = _CAPABILITIES,
    dimensions: int = 384,
) -> Answer:
    """
    Answer as an Ollama that has these models, so that a whole application runs against it.

    It answers version, list, ps, show, pull, copy, delete, embed and embeddings; a generate or chat without a prompt
    loads or unloads; a model that is not there is a 404. A pull succeeds, and from then on the model is there. An
    embedding is always the same for the same text, has length 1, and is near to that of a text with the same words.

    Args:
        names: The models that are there at first; without a tag, "latest" is meant.

        says: Answers generates and chats: made by `reply` or `script`.

        version: Of Ollama.

        capabilities: What `show` says of each model.

        dimensions: Of an embedding.
    """
    for name in names:
        if not isinstance(name, str) or not name:
            raise TypeError(f"a model is a name, such as 'llama3', not {name!r}")
    if not callable(says):
        raise TypeError(f"says must be a function, such as reply('Yes.') makes, not {says!r}")
    if not isinstance(dimensions, int) or not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise ValueError(f"dimensions must be an int between 1 and {_MOST_DIMENSIONS}, not {dimensions!r}")
    return _Models(names, says, version, tuple(capabilities), dimensions)


class _Models:
    """What is there, and what is loaded."""

    def __init__(
        self, names: Iterable[str], says: Answer, version: str, capabilities: tuple[str, ...], dimensions: int
    ) -> None:
        self._there = {_tagged(name): True for name in names}
        self._loaded: dict[str, bool] = {}
        self._says = says
        self._capabilities = list(capabilities)
        self._dimensions = dimensions
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str], Callable[[Received], Reply]] = {
            ("GET", "/api/version"): lambda _: _json({"version": version}),
            ("GET", "/api/tags"): lambda _: _json({"models": [_listed(name) for name in self._names()]}),
            ("GET", "/api/ps"): lambda _: _json({"models": [_running(name) for name in self._names(self._loaded)]}),
            ("POST", "/api/pull"): self._pulled,
            ("POST", "/api/show"): self._shown,
            ("POST", "/api/copy"): self._copied,
            ("DELETE", "/api/delete"): self._deleted,
            ("POST", "/api/embed"): self._embedded,
            ("POST", "/api/embeddings"): self._embedded_one,
        }

    def __call__(self, request: Received) -> Reply:
        if is_said(request):
            return self._of(request) or self._loads(request) or self._says(request)
        method = "GET" if request.method == "HEAD" else request.method
        answer = self._answers.get((method, request.path))
        return unsaid(request) if answer is None else answer(request)

    def _names(self, among: dict[str, bool] | None = None) -> list[str]:
        with self._lock:
            return list(self._there if among is None else among)

    def _of(self, request: Received, key: str = "model") -> Reply | None:
        """Give the error of a model that is not there; one that is counts as loaded from now on."""
        fields = request.json
        model = fields.get(key) if isinstance(fields, dict) else None
        with self._lock:
            name = _tagged(model) if isinstance(model, str) else ""
            if name not in self._there:
                return failed(404, f"model '{model or ''}' not found")
            if request.path in ("/api/generate", "/api/chat", "/api/embed", "/api/embeddings"):
                self._loaded[name] = True
        return None

    def _loads(self, request: Received) -> Reply | None:
        """Give the reply to a request that says nothing to the model."""
        fields, chat = request.json, request.path == "/api/chat"
        if fields.get("messages" if chat else "prompt"):
            return None
        unload = fields.get("keep_alive") in (0, "0", "0s")
        if unload:
            with self._lock:
                self._loaded.pop(_tagged(fields["model"]), None)
        said = {"message": {"role": "assistant", "content": ""}} if chat else {"response": ""}
        reason = "unload" if unload else "load"
        return _json({"model": fields["model"], "created_at": _NOW, **said, "done": True, "done_reason": reason})

    def _pulled(self, request: Received) -> Reply:
        if not (model := model_of(request)):
            return failed(400, "invalid model name")
        with self._lock:
            self._there[_tagged(model)] = True
        digest = f"sha256:{_digest(model)}"
        layer = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": _SIZE}
        parts = [
            {"status": "pulling manifest"},
            *({**layer, "completed": _SIZE * share // 4} for share in range(5)),
            {"status": "verifying sha256 digest"},
            {"status": "writing manifest"},
            {"status": "success"},
        ]
        if request.json.get("stream") is False:
            return _json(parts[-1])
        chunks = tuple(Chunk(0, json.dumps(part, separators=(",", ":")).encode() + b"\n") for part in parts)
        return Reply(200, (("Content-Type", LINES),), chunks)

    def _shown(self, request: Received) -> Reply:
        return self._of(request) or _json(
            {
                "license": "",
                "parameters": "temperature 0",
                "template": "{{ .Prompt }}",
                "details": _DETAILS,
                "model_info": {"general.architecture": "llama", "llama.context_length": _CONTEXT},
                "capabilities": self._capabilities,
                "modified_at": _NOW,
            }
        )

    def _copied(self, request: Received) -> Reply:
        error = self._of(request, "source")
        target = request.json.get("destination") if error is None else None
        if error is None and isinstance(target, str) and target:
            with self._lock:
                self._there[_tagged(target)] = True
            return Reply(200)
        return error or failed(400, "invalid model name")

    def _deleted(self, request: Received) -> Reply:
        error = self._of(request)
        if error is None:
            with self._lock:
                for names in (self._there, self._loaded):
                    names.pop(_tagged(model_of(request)), None)
        return error or Reply(200)

    def _embedded(self, request: Received) -> Reply:
        fields: Any = request.json
        if (error := self._of(request)) is not None:
            return error
        given = fields.get("input")
        texts = [given] if isinstance(given, str) and given else given or []
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            return failed(400, "invalid input type")
        asked = fields.get("dimensions")
        size = asked if isinstance(asked, int) and 0 < asked < self._dimensions else self._dimensions
        found = {
            "model": fields["model"],
            "embeddings": [embedding(text, self._dimensions, size) for text in texts],
            "total_duration": 1_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": max(1, sum(len(text.split()) for text in texts)),
        }
        return _json(found if texts else {"model": fields["model"], "embeddings": []})

    def _embedded_one(self, request: Received) -> Reply:
        if (error := self._of(request)) is not None:
            return error
        prompt = request.json.get("prompt")
        return _json({"embedding": embedding(prompt, self._dimensions, self._dimensions) if prompt else []})


def embedding(text: str, dimensions: int, kept: int) -> list[float]:
    """Give the first *kept* of *dimensions* numbers that stand for *text*, as float32, with length 1."""
    words = [_direction(word, dimensions) for word in text.lower().split() or [""]]
    sums = [sum(column) for column in zip(*(word[:kept] for word in words), strict=True)]
    length = math.sqrt(sum(number * number for number in sums)) or 1.0
    return list(struct.unpack(f"{kept}f", struct.pack(f"{kept}f", *(number / length for number in sums))))


@lru_cache(maxsize=4096)
def _direction(word: str, dimensions: int) -> tuple[float, ...]:
    """Give a direction that is a word's own: numbers between -1 and 1 out of its SHA-256."""
    bits = hashlib.shake_256(word.encode("utf-8", "replace")).digest(2 * dimensions)
    return tuple(number / 32768 for number in struct.unpack(f"<{dimensions}h", bits))


def _tagged(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()


def _listed(name: str) -> dict[str, Any]:
    about = {"name": name, "model": name, "modified_at": _NOW, "size": _SIZE, "digest": _digest(name)}
    return {**about, "details": _DETAILS}


def _running(name: str) -> dict[str, Any]:
    listed = {key: value for key, value in _listed(name).items() if key != "modified_at"}
    return {**listed, "expires_at": _LATER, "size_vram": 0, "context_length": _CONTEXT}


def _json(value: Any) -> Reply:
    return whole(200, json.dumps(value, separators=(",", ":")).encode(), JSON)
