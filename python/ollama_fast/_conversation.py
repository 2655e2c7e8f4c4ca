"""Tools that a model calls, and the loop that calls them: pure, as Steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from . import _endpoints, _observe
from ._answers import conversation
from ._images import seal_message
from ._steps import Outcome, Steps, Telling, ask, need, tell, try_all
from .errors import DecodeError, OllamaError, ToolCallError, ToolRoundsError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._request import Request
    from .tools import Tools
    from .types import ChatArguments, ChatResponse, Format, Message, ResponseToolCall, ToolCall

    AnyMessage: TypeAlias = Message | Mapping[str, Any]
    AnyCall: TypeAlias = ToolCall | ResponseToolCall | Mapping[str, Any]

OnError: TypeAlias = Literal["raise", "message"]
"""What becomes of a call that fails: an exception, or a message that the model can read."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """
    What came of a model's call of a tool.

    Args:
        call: As the model made it.

        message: What the model is told, with role "tool".

        value: What the function gave; None if it gave nothing or the call failed.

        error: Why the call failed, or None.
    """

    call: AnyCall
    message: Message
    value: Any = None
    error: ToolCallError | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """
    A conversation with an answer at its end.

    Args:
        answer: The last response, which calls no tool.

        messages: All of it, oldest first: what was given, the model's messages as they came, the results of tools.

        rounds: How often the model called tools, once or several at a time.
    """

    answer: ChatResponse
    messages: tuple[AnyMessage, ...]
    rounds: int


def call_tool(
    tools: Tools,
    call: ToolCall | ResponseToolCall | Mapping[str, Any],
    *,
    on_error: OnError = "raise",
) -> Steps[Message]:
    """
    Call the function that a model's *call* names, and give the message that tells the model what came of it.

    Args:
        tools: The functions, or by their names. Their parameters' annotations say what an argument becomes: "3" an
            int, an object a dataclass.

        call: One of an answer's `message["tool_calls"]`.

        on_error: "raise" for a ToolCallError if there is no such tool, an argument is wrong or the function raises;
            "message" for a message that says so to the model.

    Raises ToolCallError, and TypeError for a coroutine function where nothing awaits it.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#chat-request-with-tools
    """
    _check_on_error(on_error)
    if not isinstance(tools, Iterable) or isinstance(tools, str | bytes):
        raise TypeError(f"tools must be a sequence of functions, or functions by name, not one {type(tools).__name__}")
    return _call_tool(tools if isinstance(tools, Mapping) else tuple(tools), call, on_error)


def run_tools(
    model: str,
    messages: str | Sequence[Message | Mapping[str, Any]],
    tools: Tools,
    *,
    max_rounds: int = 8,
    on_error: OnError = "message",
    format: Format | None = None,
    **chat: Unpack[ChatArguments],
) -> Telling[ChatResponse | ToolResult | Conversation, Conversation]:
    """
    Answer the last of *messages* with *model*, which may call *tools*: call them until it answers.

    Args:
        model: Name of the model.

        messages: The conversation so far, oldest first; a str is one message of the user.

        tools: Functions that the model may call, or by the names that it shall know them by. The calls of one answer
            are done in turn, or together on asyncio, where functions that are no coroutine functions run in threads.

        max_rounds: How often the model may call tools, once or several at a time, before it must answer.

        on_error: "message" tells the model what is wrong with a call, so that it can do better; "raise" raises it. A
            tool that is a dict only, or a method without its object, is an error in any case.

        format: "json", a JSON schema or a type, which every answer's content follows.

        chat: More arguments of `chat`.

    Gives the last answer and the whole conversation. Raises ToolRoundsError if there is no answer by then,
    ToolCallError if *on_error* says so, and what `chat` raises; each has the conversation so far in `messages`.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#chat-request-with-tools
    """
    _check_on_error(on_error)
    if isinstance(max_rounds, bool) or not isinstance(max_rounds, int):
        raise TypeError(f"max_rounds must be an int, not {type(max_rounds).__name__}")
    if max_rounds < 1:
        raise ValueError(f"max_rounds must be at least 1, not {max_rounds}")
    given = conversation(messages)
    if isinstance(tools, Iterable) and not isinstance(tools, str | bytes | Mapping):
        tools = tuple(tools)  # every round asks for them
    # Once, since what is no file but a pipe can be read once only.
    sealed = tuple(seal_message(message, place) for place, message in enumerate(given) if isinstance(message, Mapping))

    seen = _observe.agent(model)

    def asking(said: Sequence[AnyMessage]) -> Request[ChatResponse]:
        request = _endpoints.chat(model, [*sealed, *said], tools=tools, format=format, **chat)
        return request if seen is None else replace(request, within=seen)

    _endpoints.chat(model, given, tools=tools, format=format, **chat).draft(stream=False)  # refused now, not in a round
    return _told(_rounds(asking, given, tools, max_rounds, on_error, seen), seen)


def _told(
    rounds: Telling[ChatResponse | ToolResult, Conversation], seen: _observe.Agent | None
) -> Telling[ChatResponse | ToolResult | Conversation, Conversation]:
    with _observe.around(seen):
        done = yield from rounds
    yield from tell(done)
    return done


def _rounds(
    asking: Callable[[Sequence[AnyMessage]], Request[ChatResponse]],
    given: tuple[AnyMessage, ...],
    tools: Tools,
    max_rounds: int,
    on_error: OnError,
    seen: _observe.Agent | None,
) -> Telling[ChatResponse | ToolResult, Conversation]:
    from ._parameters import target

    functions = tools.values() if isinstance(tools, Mapping) else tools
    yield from need(*(target(tool) for tool in functions if callable(tool)))
    said: list[AnyMessage] = []
    rounds = 0
    try:
        while True:
            answer = yield from ask(asking(said))
            said.append(answer["message"])
            calls = answer["message"].get("tool_calls")
            if not calls:
                break
            if rounds == max_rounds:
                text = f"the model has not answered after {rounds} round(s) of calls, and would call again (max_rounds)"
                raise ToolRoundsError(text, model=answer.get("model"))
            rounds += 1
            _check_calls(calls, answer)
            results = _accepted((yield from _call_all(tools, calls, seen)), on_error)
            said += [result.message for result in results]
    except OllamaError as exc:
        exc.messages = (*given, *said)
        raise
    return Conversation(answer, (*given, *said), rounds)


def _call_tool(tools: Any, call: Any, on_error: OnError) -> Steps[Message]:
    (result,) = _accepted((yield from _call_all(tools, [call])), on_error)
    return result.message


def _accepted(results: Sequence[ToolResult], on_error: OnError) -> Sequence[ToolResult]:
    """Raise the first error, if errors shall be raised, or if no model could do better: there is nothing to call."""
    for result in results:
        if result.error is not None and (on_error == "raise" or result.error.kind == "uncallable"):
            try:
                raise result.error
            finally:
                del result, results  # else the error would hold itself, by this frame
    return results


def _call_all(
    tools: Any, calls: Sequence[Any], seen: _observe.Agent | None = None
) -> Telling[ToolResult, list[ToolResult]]:
    from . import tools as tool_room

    jobs: dict[int, Callable[[], Any]] = {}
    refused: dict[int, ToolResult] = {}
    for place, call in enumerate(calls):
        try:
            jobs[place] = tool_room.prepare(tools, call)
        except ToolCallError as exc:
            refused[place] = _refused(call, exc)
    yield from need(*jobs.values())
    for place in list(refused):
        yield from tell(refused[place])
    places = list(jobs)

    def view(number: int, outcome: Outcome[Any]) -> ToolResult:
        return _result(calls[places[number]], outcome)

    observed = (_observe.tool(calls[place], job, seen) for place, job in jobs.items())
    called = iter((yield from try_all(*observed, view=view)))
    # Taken out of this frame, which each error holds by its traceback: else it would hold itself.
    return [refused.pop(place) if place in refused else next(called) for place in range(len(calls))]


def _result(call: Any, outcome: Outcome[Any]) -> ToolResult:
    from . import tools as tool_room

    error = outcome.error
    if error is None:
        try:
            return ToolResult(call, tool_room.result_message(call, outcome.result), outcome.result)
        except Exception as exc:  # noqa: BLE001 - what the tool gave may do anything when it is turned into text
            error = exc
    return _refused(call, error if isinstance(error, ToolCallError) else _failed(call, error))


def _refused(call: Any, error: ToolCallError) -> ToolResult:
    from . import tools as tool_room

    return ToolResult(call, tool_room.error_message(call, error), None, error)


def _failed(call: Any, cause: Exception) -> ToolCallError:
    name = call["function"]["name"]
    error = ToolCallError(f"{name} failed: {_words(cause)}", kind="failed", tool=name, call=call)
    error.__cause__ = cause
    return error


def _words(cause: Exception) -> str:
    try:
        said = str(cause)
    except Exception:  # noqa: BLE001 - it is a tool's own
        said = ""
    return f"{type(cause).__name__}: {said}".removesuffix(": ")


def _check_calls(calls: Any, answer: ChatResponse) -> None:
    """Raise DecodeError for calls without a name, which no server of Ollama's sends."""
    for call in calls:
        about = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(about, Mapping) or not isinstance(about.get("name"), str):
            text = f"the answer has not the shape of Ollama's: a call without a name: {call!r}"
            raise DecodeError(text, model=answer.get("model"), partial=dict(answer))


def _check_on_error(on_error: str) -> None:
    if on_error not in ("raise", "message"):
        raise ValueError(f"on_error must be 'raise' or 'message', not {on_error!r}")
