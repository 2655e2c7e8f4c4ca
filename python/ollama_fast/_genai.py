"""
Calls and answers in the words of OpenTelemetry's conventions for generative AI. Pure.

They are those of https://github.com/open-telemetry/semantic-conventions-genai, release 0.1.0, and for calls that ask no
model those for HTTP clients, https://opentelemetry.io/docs/specs/semconv/http/http-spans/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

from ._memory import is_last
from .errors import DecodeError, OllamaError, ResponseError

if TYPE_CHECKING:
    from ._memory import Part
    from ._request import Request

Attributes: TypeAlias = dict[str, str | bool | int | float | list[str]]

EMBEDDINGS: Final = "embeddings"
OPERATION: Final = "gen_ai.operation.name"
TOOL_NAME: Final = "gen_ai.tool.name"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
RESPONSE_MODEL: Final = "gen_ai.response.model"
ERROR: Final = "error.type"

_PROVIDER: Final = "ollama"
_NANOSECONDS: Final = 1e9
_PORTS: Final = {"http": 80, "https": 443}


# --- what is asked ---------------------------------------------------------------------------------------------------


def name(request: Request[Any]) -> str:
    """Give the name of a call's span: what is asked of which model, or the method and the path."""
    if request.operation:
        return f"{request.operation} {request.model or ''}".rstrip()
    return f"{request.method} {_template(request.path)}"


def place(request: Request[Any], url: str) -> Attributes:
    """Say what is asked of whom, in few words, by which metrics can be told apart and calls sampled."""
    if not request.operation:
        return {"http.request.method": request.method, **_server(url)}
    found: Attributes = {OPERATION: request.operation, "gen_ai.provider.name": _PROVIDER, **_server(url)}
    if isinstance(request.model, str):
        found["gen_ai.request.model"] = request.model
    return found


def asked(request: Request[Any], url: str, *, stream: bool) -> Attributes:
    """Say what else is asked, but for the texts."""
    if not request.operation:
        return {"url.full": url, "url.template": _template(request.path)}
    body = request.body or {}
    found: Attributes = {}
    if stream:
        found["gen_ai.request.stream"] = True
    if body.get("format") is not None:
        found["gen_ai.output.type"] = "json"
    if isinstance(body.get("think"), str):
        found["gen_ai.request.reasoning.level"] = body["think"]
    if request.operation == EMBEDDINGS and _is_whole(body.get("dimensions")):
        found["gen_ai.embeddings.dimension.count"] = body["dimensions"]
    options = body.get("options")
    if isinstance(options, Mapping):
        for option, (key, read) in _OPTIONS.items():
            if (value := read(options.get(option))) is not None:
                found[key] = value
    return found


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(value: Any) -> int | None:
    return value if _is_whole(value) else None


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _texts(value: Any) -> list[str] | None:
    if isinstance(value, str):
        return [value]
    return [str(text) for text in value] if isinstance(value, list | tuple) else None


_OPTIONS: Final[dict[str, tuple[str, Callable[[Any], float | list[str] | None]]]] = {
    "temperature": ("gen_ai.request.temperature", _number),
    "top_p": ("gen_ai.request.top_p", _number),
    "top_k": ("gen_ai.request.top_k", _whole),
    "num_predict": ("gen_ai.request.max_tokens", _whole),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", _number),
    "presence_penalty": ("gen_ai.request.presence_penalty", _number),
    "seed": ("gen_ai.request.seed", _whole),
    "stop": ("gen_ai.request.stop_sequences", _texts),
}


@lru_cache(maxsize=64)
def _server(url: str) -> Mapping[str, str | int]:
    parts = urlsplit(url)
    if parts.hostname is None:
        return {}
    port = parts.port or _PORTS.get(parts.scheme)
    return {"server.address": parts.hostname} | ({} if port is None else {"server.port": port})


def _template(path: str) -> str:
    before, digest, _ = path.partition("sha256:")
    return f"{before}{{digest}}" if digest else path


# --- what came of it -------------------------------------------------------------------------------------------------


def conversation(model: str) -> Attributes:
    """Say of which model a conversation with tools is."""
    return {OPERATION: "invoke_agent", "gen_ai.provider.name": _PROVIDER, "gen_ai.request.model": model}


def call_of(call: Any) -> Attributes:
    """Say which tool a model calls."""
    found: Attributes = {
        OPERATION: "execute_tool",
        TOOL_NAME: str(call["function"]["name"]),
        "gen_ai.tool.type": "function",
    }
    if isinstance(call.get("id"), str):
        found["gen_ai.tool.call.id"] = call["id"]
    return found


def answered(answer: Part | None, *, whole: bool) -> Attributes:
    """
    Say what a model answered, but for the texts.

    Args:
        answer: The whole answer, or the last part that came of one; None if nothing came.

        whole: Whether it came to its end.
    """
    found: Attributes = {}
    told = answer or {}
    if isinstance(told.get("model"), str):
        found[RESPONSE_MODEL] = told["model"]
    reason = told.get("done_reason")
    if not whole:
        found["gen_ai.response.finish_reasons"] = ["error"]
    elif isinstance(reason, str):
        found["gen_ai.response.finish_reasons"] = [reason]
    for key, attribute in (("prompt_eval_count", INPUT_TOKENS), ("eval_count", OUTPUT_TOKENS)):
        if _is_whole(told.get(key)):
            found[attribute] = told[key]
    for key in ("load_duration", "prompt_eval_duration", "eval_duration"):
        if (nanoseconds := _number(told.get(key))) is not None:
            found[f"ollama.{key}"] = nanoseconds / _NANOSECONDS
    return found


def failed(error: BaseException) -> Attributes:
    """Say by what a call failed."""
    kind = type(error)
    known = isinstance(error, OllamaError) or kind.__module__ == "builtins"
    found: Attributes = {ERROR: kind.__name__ if known else f"{kind.__module__}.{kind.__qualname__}"}
    if isinstance(error, ResponseError) and error.status is not None and error.status >= 300:
        found["http.response.status_code"] = error.status
    return found


def words(error: BaseException) -> str | None:
    """Give the words of an error that quotes neither prompts nor answers; those of others are not known to be free."""
    return str(error) if isinstance(error, OllamaError) and not isinstance(error, DecodeError) else None


# --- texts, which are recorded only where somebody asks for them ----------------------------------------------------


def texts_asked(request: Request[Any]) -> Attributes:
    """Give the messages that a model is asked, and the tools that it may call; no images."""
    body = request.body or {}
    found: Attributes = {}
    if request.operation == "chat":
        found["gen_ai.input.messages"] = _json([_message(one) for one in body.get("messages") or ()])
        if tools := [_definition(tool) for tool in body.get("tools") or () if isinstance(tool, Mapping)]:
            found["gen_ai.tool.definitions"] = _json(tools)
    elif request.operation == "text_completion" and isinstance(body.get("prompt"), str):
        message = {"role": "user", "content": body["prompt"], "images": body.get("images")}
        found["gen_ai.input.messages"] = _json([_message(message)])
    if isinstance(body.get("system"), str):
        found["gen_ai.system_instructions"] = _json([{"type": "text", "content": body["system"]}])
    return found


def texts_answered(operation: str, answer: Part | None) -> Attributes:
    """Give the message that a model answered; *answer* is whole, or merged from the parts that came."""
    if answer is None or operation not in ("chat", "text_completion"):
        return {}
    said = answer.get("message") if operation == "chat" else {**answer, "content": answer.get("response")}
    reason = answer.get("done_reason") or ("stop" if is_last(answer) else "error")
    message = {**_message(said), "role": "assistant", "finish_reason": reason}
    return {"gen_ai.output.messages": _json([message])}


def taken_by(call: Any) -> Attributes:
    """Give the arguments by which a model calls a tool."""
    return {"gen_ai.tool.call.arguments": _json(call["function"].get("arguments") or {})}


def result_of(result: object) -> Attributes:
    """Give what a tool returned."""
    return {"gen_ai.tool.call.result": _json(result)}


def _message(message: Any) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        return {"role": "user", "parts": []}
    role, content = message.get("role"), message.get("content")
    if role == "tool":
        answer: dict[str, Any] = {"type": "tool_call_response", "response": content}
        if message.get("tool_call_id"):
            answer["id"] = message["tool_call_id"]
        return {"role": "tool", "parts": [answer]}
    parts: list[dict[str, Any]] = []
    if message.get("thinking"):
        parts.append({"type": "reasoning", "content": message["thinking"]})
    if content:
        parts.append({"type": "text", "content": content})
    parts += [{"type": "image"} for _ in message.get("images") or ()]
    parts += _calls(message.get("tool_calls") or ())
    return {"role": role or "user", "parts": parts}


def _calls(calls: Iterable[Any]) -> Iterable[dict[str, Any]]:
    for call in calls:
        function = call.get("function") or {}
        part = {"type": "tool_call", "name": function.get("name"), "arguments": function.get("arguments")}
        yield {**part, "id": call["id"]} if call.get("id") else part


def _definition(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": tool.get("type") or "function", "name": (tool.get("function") or {}).get("name")}


def _json(value: Any) -> str:
    """Give *value* as JSON: what a tool gives may be anything, and no call fails because it is recorded."""
    import json

    try:
        text = json.dumps(value, default=repr, skipkeys=True, ensure_ascii=False)
    except Exception:  # noqa: BLE001 - of a repr of anybody's, or of what holds itself
        return "null"
    return text.encode("utf-8", "replace").decode()  # without halves of surrogate pairs, which no exporter can send
