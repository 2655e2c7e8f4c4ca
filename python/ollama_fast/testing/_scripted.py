"""What a model says: a text, thoughts, calls of tools, at its pace; or several in turn. Pure, but for the turn."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from ._replies import JSON, LINES, Answer, missing, of_no_model, whole
from ._values import Chunk, Received, Reply

SAID: Final = frozenset({"/api/generate", "/api/chat"})
"""Where a model says something."""

_NOW: Final = "2026-01-01T00:00:00Z"
_LOAD_NS: Final = 1_000_000
_NS: Final = 1_000_000
"""Nanoseconds in a millisecond."""
_MOST_MS: Final = 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class _Said:
    """What `reply` was given, in pieces as a model's tokens come."""

    thinking: tuple[str, ...]
    text: tuple[str, ...]
    calls: tuple[dict[str, Any], ...]
    first_ms: float
    token_ms: float
    tokens: int | None
    prompt_tokens: int | None
    done_reason: str

    def pieces(self, *, think: bool) -> Iterator[dict[str, Any]]:
        """Give what each part but the last says, in the keys of a message."""
        for word in self.thinking if think else ():
            yield {"content": "", "thinking": word}
        for word in self.text:
            yield {"content": word}
        if self.calls:
            yield {"content": "", "tool_calls": list(self.calls)}

    def all(self, *, think: bool) -> dict[str, Any]:
        """Give what a whole answer says."""
        thought = {"thinking": "".join(self.thinking)} if self.thinking and think else {}
        return {"content": "".join(self.text), **thought, **({"tool_calls": list(self.calls)} if self.calls else {})}

    def end(self, pieces: int, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Give the fields of the last part, of which a genuine server leaves out those that are 0."""
        prompt = round(max(self.first_ms, 1) * _NS)
        spoken = round(max(self.token_ms * pieces, 1) * _NS)
        return {
            "done_reason": self.done_reason,
            "total_duration": _LOAD_NS + prompt + spoken,
            "load_duration": _LOAD_NS,
            "prompt_eval_count": _words_of(asked) if self.prompt_tokens is None else self.prompt_tokens,
            "prompt_eval_duration": prompt,
            "eval_count": max(1, pieces) if self.tokens is None else self.tokens,
            "eval_duration": spoken,
        }

    def ms(self, piece: int) -> int:
        return round(self.first_ms + self.token_ms * piece)


def reply(
    text: str = "",
    *,
    thinking: str = "",
    tool_calls: Iterable[Mapping[str, Any]] = (),
    first_ms: float = 0,
    token_ms: float = 0,
    tokens: int | None = None,
    prompt_tokens: int | None = None,
    done_reason: str = "stop",
) -> Answer:
    """
    Answer every generate and chat, of whatever model, in parts or as one, whichever is asked for.

    To a request for anything else the answer is an error: 404 or 405 where Ollama says that, and else 501. At `/` it is
    that Ollama is running.

    Args:
        text: What the model says. A word is a token, and a part of a stream.

        thinking: What it thinks before that, unless the request says `think=False`.

        tool_calls: The calls that it makes, as `tool_call` gives them.

        first_ms: Milliseconds until the first part.

        token_ms: Milliseconds between two parts.

        tokens: The last part's `eval_count`; by default how many parts there were.

        prompt_tokens: Its `prompt_eval_count`; by default how many words the prompt or the messages have.

        done_reason: "stop", or "length" for an answer that reached `num_predict`.
    """
    for name, given in (("text", text), ("thinking", thinking), ("done_reason", done_reason)):
        if not isinstance(given, str):
            raise TypeError(f"{name} must be a str, not {given!r}")
    for name, amount in (("first_ms", first_ms), ("token_ms", token_ms)):
        _check_ms(name, amount)
    for name, number in (("tokens", tokens), ("prompt_tokens", prompt_tokens)):
        if number is not None and (not isinstance(number, int) or number < 0):
            raise ValueError(f"{name} must be an int of at least 0, or None, not {number!r}")
    said = _Said(
        _tokens(thinking), _tokens(text), _calls(tool_calls), first_ms, token_ms, tokens, prompt_tokens, done_reason
    )
    return lambda request: _answer(said, request)


def tool_call(name: str, /, **arguments: Any) -> dict[str, Any]:
    """
    Give a call of a tool, as a model's message has it: `reply(tool_calls=[tool_call("add", a=3, b=4)])`.

    Args:
        name: That of the tool.

        arguments: What the model gives it; each must have a JSON form.
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"name must be that of a tool, not {name!r}")
    try:
        json.dumps(arguments)
    except (TypeError, ValueError) as exc:
        raise TypeError(f"the arguments of {name} must be JSON: {exc}") from exc
    return {"function": {"name": name, "arguments": arguments}}


def script(*answers: Answer) -> Answer:
    """
    Answer each generate or chat with the next of *answers*, and with an error once they have run out.

    Args:
        answers: Made by `reply` or `reply_error`, or functions of your own.
    """
    for answer in answers:
        if not callable(answer):
            raise TypeError(f"a script is of functions, such as reply('Yes.') makes, not {answer!r}")
    turns = count()

    def next_answer(request: Received) -> Reply:
        if not is_said(request):
            return unsaid(request)
        turn = next(turns)  # of C, and so one thread's alone
        if turn < len(answers):
            return answers[turn](request)
        replies = "reply" if len(answers) == 1 else "replies"
        return missing(
            f"the script has ended: it has {len(answers)} {replies}, and this is request {turn + 1}, "
            f"{request.method} {request.path} for model {model_of(request)!r}"
        )

    return next_answer


def is_said(request: Received) -> bool:
    """Whether a model is to say something."""
    return request.method == "POST" and request.path in SAID and isinstance(request.json, dict)


def unsaid(request: Received) -> Reply:
    """Give the reply to a request that asks no model to say something."""
    return of_no_model(request) or missing(f"no reply is there for {request.method} {request.path}")


def model_of(request: Received) -> str:
    """Give the model that a request names; empty if it names none."""
    fields = request.json
    model = fields.get("model") if isinstance(fields, dict) else None
    return model if isinstance(model, str) else ""


def _answer(said: _Said, request: Received) -> Reply:
    if not is_said(request):
        return unsaid(request)
    asked: dict[str, Any] = request.json
    think = asked.get("think") is not False
    pieces = list(said.pieces(think=think))
    end = said.end(len(pieces), asked)

    def line(message: Mapping[str, Any], **more: Any) -> bytes:
        about = {"model": asked.get("model"), "created_at": _NOW}
        body = {**about, **_shaped(message, request.path), "done": bool(more), **more}
        return json.dumps(body, separators=(",", ":")).encode() + b"\n"

    if asked.get("stream") is False:
        content = line(said.all(think=think), **end).rstrip()
        if not (late := said.ms(len(pieces))):
            return whole(200, content, JSON)
        return Reply(200, (("Content-Type", JSON), ("Content-Length", str(len(content)))), (Chunk(late, content),))
    chunks = [Chunk(said.ms(place), line(message)) for place, message in enumerate(pieces)]
    chunks.append(Chunk(said.ms(len(pieces)), line({"content": ""}, **end)))
    return Reply(200, (("Content-Type", LINES),), tuple(chunks))


def _shaped(message: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Give what is said in the keys of a chat or of a generate."""
    if path == "/api/chat":
        return {"message": {"role": "assistant", **message}}
    return {"response" if name == "content" else name: value for name, value in message.items()}


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(word if place == 0 else f" {word}" for place, word in enumerate(text.split(" "))) if text else ()


def _calls(given: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Give calls with the number and the name that Ollama gives them."""
    found: list[dict[str, Any]] = []
    for index, call in enumerate([] if isinstance(given, str | Mapping) else given):
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), Mapping):
            raise TypeError(f"tool_calls must be calls as tool_call('add', a=3, b=4) gives them, not {call!r}")
        digest = hashlib.sha256(json.dumps([index, function]).encode()).hexdigest()
        found.append({"id": f"call_{digest[:8]}", **call, "function": {"index": index, **function}})
    if isinstance(given, str | Mapping):
        raise TypeError(f"tool_calls must be a list of calls, not {given!r}")
    return tuple(found)


def _check_ms(name: str, amount: float) -> None:
    if not isinstance(amount, int | float):
        raise TypeError(f"{name} must be a number of milliseconds, not {amount!r}")
    if not 0 <= amount <= _MOST_MS or math.isnan(amount):
        raise ValueError(f"{name} must be between 0 and {_MOST_MS} milliseconds, not {amount!r}")


def _words_of(asked: Mapping[str, Any]) -> int:
    """Give how many words a request has, which stand for tokens."""
    messages = asked.get("messages")
    texts = [asked.get("system"), asked.get("prompt")]
    texts += [one.get("content") for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    return max(1, sum(len(text.split()) for text in texts if isinstance(text, str)))


GREETING: Final = reply("Hello! How can I help you today?")
"""What a server says if it is told nothing else."""
