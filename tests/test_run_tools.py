"""The loop of a model and its tools, in both colours, whole and as it goes."""

from __future__ import annotations

import asyncio
import copy
import functools
import os
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ollama_fast
from chatting import calls, chatting, says
from colours import Colour
from ollama_fast import Conversation, ToolResult, aio, errors
from ollama_fast.errors import ToolCallError, ToolRoundsError, ToolSchemaError

QUESTION = [{"role": "user", "content": "What is 3 + 4?"}]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def fail(reason: str) -> str:
    """Fail."""
    raise KeyError(reason)


@dataclass
class Point:
    """A place."""

    x: int
    y: int


def mirror(point: Point) -> Point:
    """Mirror a point."""
    return Point(point.y, point.x)


RESULT = {"role": "tool", "content": "7", "tool_name": "add", "tool_call_id": "call_0"}


# --- run_tools -------------------------------------------------------------------------------------------------------


def test_the_model_calls_is_told_and_answers(every: Colour) -> None:
    messages = copy.deepcopy(QUESTION)
    first = calls(("add", {"a": 3, "b": "4"}), content="Let me see.", thinking="Sum.")
    with chatting(first, says("It is 7.")) as server:
        done = every.whole("run_tools", server.url, "m", messages, [add], options={"seed": 1})
    assert type(done) is Conversation
    assert done.messages == (*QUESTION, first, RESULT, says("It is 7."))
    assert done.answer["message"] == says("It is 7.")
    assert done.answer.get("eval_count") == 3
    assert done.rounds == 1
    assert messages == QUESTION
    one, two = (request.json for request in server.requests)
    assert one["messages"] == QUESTION
    assert two["messages"] == [*QUESTION, first, RESULT]
    assert one["tools"] == two["tools"] == [ollama_fast.tool(add)]
    assert one["options"] == two["options"] == {"seed": 1}
    assert one["stream"] is two["stream"] is False


def test_parts_and_results_come_as_they_are_made_and_the_conversation_at_the_end(every: Colour) -> None:
    first = calls(("add", {"a": 3, "b": 4}), content="Hm", thinking="Sum.")
    with chatting(first, says("7.")) as server:
        seen = every.parts("run_tools_stream", server.url, "m", QUESTION, [add])
        whole = every.whole("run_tools", server.url, "m", QUESTION, [add])
    assert seen.error is None
    kinds = "".join(
        "r" if isinstance(event, ToolResult) else "c" if isinstance(event, Conversation) else "p"
        for event in seen.parts
    )
    assert kinds == "pppppr" + "ppp" + "c"
    (result,) = [event for event in seen.parts if isinstance(event, ToolResult)]
    assert result == ToolResult(first["tool_calls"][0], RESULT, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert seen.parts[-1] == whole
    assert (seen.partial or {})["message"] == says("7.")


def test_collecting_the_events_gives_what_the_whole_call_gives(every: Colour) -> None:
    with chatting(calls(("add", {"a": 3, "b": 4})), says("7.")) as server:
        found, stats = every.collect("run_tools_stream", server.url, "m", QUESTION, [add], taken=1)
        assert found == every.whole("run_tools", server.url, "m", QUESTION, [add])
    assert stats.parts == 2 + 1 + 3 + 1
    assert stats.first_part is not None
    assert stats.total > stats.first_part


def test_a_str_is_one_message_of_the_user(both: Colour) -> None:
    with chatting(says("Hi!")) as server:
        done = both.whole("run_tools", server.url, "m", "Hello!", [add])
    assert done.messages == ({"role": "user", "content": "Hello!"}, says("Hi!"))
    assert done.rounds == 0


def test_tools_by_name_and_dicts_which_cannot_be_called(both: Colour) -> None:
    raw = {"type": "function", "function": {"name": "raw", "parameters": {"type": "object", "properties": {}}}}
    with chatting(calls(("plus", {"a": 1, "b": 2})), says("3")) as server:
        assert both.whole("run_tools", server.url, "m", QUESTION, {"plus": add}).messages[2]["content"] == "3"
    with chatting(calls(("raw", {})), says("sorry")) as server:
        error = both.attempt("run_tools", server.url, "m", QUESTION, [add, raw]).error
        assert server.requests[0].json["tools"][1] == raw
    assert isinstance(error, ToolCallError)
    assert error.kind == "uncallable"


def test_what_a_result_becomes_for_the_model(both: Colour) -> None:
    with chatting(calls(("mirror", {"point": {"x": 1, "y": 2}})), says("ok")) as server:
        seen = both.parts("run_tools_stream", server.url, "m", QUESTION, [mirror])
    (result,) = [event for event in seen.parts if isinstance(event, ToolResult)]
    assert result.value == Point(2, 1)
    assert result.message.get("content") == '{"x":2,"y":1}'


WRONG: list[tuple[Any, str, str]] = [
    (("nope", {}), "unknown", "add, fail"),
    (("add", {"a": 1}), "arguments", "'b' is missing"),
    (("add", {"a": 1, "b": "many"}), "arguments", "'b'"),
    (("add", {"a": 1, "b": 2, "c": 3}), "arguments", "'c'"),
    (("fail", {"reason": "no luck"}), "failed", "no luck"),
]


@pytest.mark.parametrize(("call", "kind", "said"), WRONG)
def test_the_model_is_told_what_was_wrong_with_its_call(both: Colour, call: Any, kind: str, said: str) -> None:
    with chatting(calls(call, ("add", {"a": 1, "b": 1})), says("Sorry.")) as server:
        seen = both.parts("run_tools_stream", server.url, "m", QUESTION, [add, fail])
        sent = server.requests[1].json["messages"]
    assert seen.error is None
    results = [event for event in seen.parts if isinstance(event, ToolResult)]
    wrong, right = sorted(results, key=lambda result: result.message.get("tool_call_id", ""))
    assert (right.value, right.error) == (2, None)
    assert wrong.error is not None
    assert (wrong.error.kind, wrong.error.tool) == (kind, call[0])
    assert said in sent[2]["content"]
    assert [message["tool_call_id"] for message in sent[2:]] == ["call_0", "call_1"]


@pytest.mark.parametrize(("call", "kind", "said"), WRONG)
def test_or_the_caller_is(both: Colour, call: Any, kind: str, said: str) -> None:
    with chatting(calls(call), says("Sorry.")) as server:
        caught = both.attempt("run_tools", server.url, "m", QUESTION, [add, fail], on_error="raise").error
        assert len(server.requests) == 1
    assert isinstance(caught, ToolCallError)
    assert caught.kind == kind
    assert said in str(caught)
    if kind == "failed":
        assert type(caught.__cause__) is KeyError


def test_a_model_that_never_answers_is_a_typed_error_with_the_conversation(both: Colour) -> None:
    call = calls(("add", {"a": 1, "b": 2}))
    with chatting(call) as server:
        seen = both.parts("run_tools_stream", server.url, "m", QUESTION, [add], max_rounds=2)
        assert len(server.requests) == 3
    assert isinstance(seen.error, ToolRoundsError)
    told = {**RESULT, "content": "3"}
    assert seen.error.messages == (*QUESTION, call, told, call, told, call)
    assert "max_rounds" in str(seen.error)


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"max_rounds": 0}, ValueError, "max_rounds"),
    ({"max_rounds": 1.5}, TypeError, "max_rounds"),
    ({"max_rounds": True}, TypeError, "max_rounds"),
    ({"max_rounds": None}, TypeError, "max_rounds"),
    ({"on_error": "ignore"}, ValueError, "on_error"),
    ({"tools": add}, TypeError, "tools"),
    ({"tools": [5]}, TypeError, "tool"),
    ({"tools": [add, add]}, ToolSchemaError, "'add'"),
    ({"messages": [5]}, TypeError, "message"),
    ({"messages": 5}, TypeError, "messages"),
    ({"messages": {"role": "user"}}, TypeError, "messages"),
    ({"messages": [{"content": "x"}]}, ValueError, "role"),
    ({"options": {"temperature": float("nan")}}, ValueError, "nan"),
    ({"model": ""}, ValueError, "model"),
    ({"stream": True}, TypeError, "stream"),
]


@pytest.mark.parametrize(("given", "kind", "said"), BAD)
@pytest.mark.parametrize("name", ["run_tools", "run_tools_stream"])
def test_what_is_wrong_is_refused_at_the_call(
    both: Colour, name: str, given: dict[str, Any], kind: type[Exception], said: str
) -> None:
    arguments: dict[str, Any] = {"model": "m", "messages": QUESTION, "tools": [add], **given}
    with pytest.raises(kind, match=said):
        both.whole(name, "http://127.0.0.1:1", **arguments)


def test_an_error_in_the_middle_has_the_conversation_so_far(both: Colour) -> None:
    with chatting(calls(("add", {"a": 1, "b": 2})), {"error": "out of memory"}) as server:
        error = both.attempt("run_tools", server.url, "m", QUESTION, [add]).error
    assert type(error) is errors.ResponseError
    assert [message["role"] for message in error.messages] == ["user", "assistant", "tool"]
    assert error.messages[2]["content"] == "3"


def test_an_integer_of_any_length_in_a_call_is_sent_back_as_it_came(every: Colour) -> None:
    large = 10**20  # as Ollama writes 1e20
    first = calls(("add", {"a": large, "b": 1}))
    with chatting(first, says("Done.")) as server:
        done = every.whole("run_tools", server.url, "m", QUESTION, [add])
    assert done.messages[1] == first
    assert server.requests[1].json["messages"][1] == first
    assert server.requests[1].json["messages"][2]["content"] == str(large + 1)


def test_what_can_be_read_once_only_is_sent_in_every_round(both: Colour, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(pipe, os.O_WRONLY)
    os.write(writing, b"image")
    os.close(writing)
    with os.fdopen(reading, "rb") as image, chatting(calls(("add", {"a": 1, "b": 2})), says("3")) as server:
        messages = ({**message, "images": [image]} for message in QUESTION)
        done = both.whole("run_tools", server.url, "m", messages, iter([add]))
        sent = [request.json["messages"][0]["images"] for request in server.requests]
    assert sent == [["aW1hZ2U="]] * 2
    assert done.messages[0] == {**QUESTION[0], "images": [image]}
    assert done.rounds == 1


async def wait_and_add(a: int, b: int) -> int:
    """Add two numbers, after a while."""
    await asyncio.sleep(0.01)
    return a + b


class Adder:
    """Adds, as an object that is called."""

    async def __call__(self, a: int, b: int) -> int:
        """Add two numbers."""
        return a + b


@pytest.mark.parametrize("tools", [[wait_and_add], {"wait_and_add": Adder()}], ids=["function", "object"])
def test_a_coroutine_function_is_for_asyncio_and_refused_elsewhere_before_anything_is_sent(tools: Any) -> None:
    with chatting(calls(("wait_and_add", {"a": 3, "b": 4})), says("7")) as server:
        with pytest.raises(TypeError, match=r"coroutine function.*ollama_fast\.aio"):
            ollama_fast.run_tools(server.url, "m", QUESTION, tools)
        assert server.requests == []
        done = asyncio.run(aio.run_tools(server.url, "m", QUESTION, tools))
    assert done.messages[2].get("content") == "7"


def test_a_function_that_gives_a_coroutine_is_awaited_or_refused(both: Colour) -> None:
    @functools.wraps(wait_and_add)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        return wait_and_add(*arguments, **named)

    with chatting(calls(("wait_and_add", {"a": 3, "b": 4})), says("7")) as server:
        done = both.whole("run_tools", server.url, "m", QUESTION, [wrapped])
    said = done.messages[2]["content"]
    assert said == "7" if both.asynchronous else "coroutine function" in said


class Unspeakable:
    """What cannot be turned into text."""

    def __repr__(self) -> str:
        raise ZeroDivisionError

    __str__ = __repr__


def test_a_result_that_cannot_be_told_is_a_failure_of_the_tool(both: Colour) -> None:
    def make() -> Unspeakable:
        """Make something."""
        return Unspeakable()

    with chatting(calls(("make", {})), says("ok")) as server:
        done = both.whole("run_tools", server.url, "m", QUESTION, [make])
    assert done.messages[2]["content"] == "Error: make failed: ZeroDivisionError"


@pytest.mark.parametrize("call", [{}, {"function": {}}, {"function": {"name": 5}}, "add"])
def test_a_call_without_a_name_is_the_servers_fault(both: Colour, call: Any) -> None:
    with chatting(says(tool_calls=[call]), says("ok")) as server:
        error = both.attempt("run_tools", server.url, "m", QUESTION, [add]).error
    assert type(error) is errors.DecodeError
    assert error.messages[-1]["role"] == "assistant"


def test_tools_that_are_cancelled_have_cleaned_up_when_the_stream_is_closed() -> None:
    cleaned: list[bool] = []

    async def hang() -> None:
        """Hang."""
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            cleaned.append(True)

    async def quick() -> None:
        """Do nothing."""

    async def run() -> None:
        async with aio.run_tools_stream(server.url, "m", QUESTION, [hang, quick]) as events:
            async for event in events:
                if isinstance(event, ToolResult):
                    break
        assert cleaned == [True]

    with chatting(calls(("hang", {}), ("quick", {})), says("ok")) as server:
        asyncio.run(run())


def test_on_asyncio_calls_are_done_together_those_that_block_in_threads() -> None:
    meeting = threading.Barrier(2)
    met = asyncio.Event()
    here = threading.get_ident()

    def block() -> bool:
        """Wait for the other one that blocks."""
        meeting.wait(30)
        return threading.get_ident() != here

    async def wait() -> bool:
        """Wait for the other that awaits."""
        await asyncio.wait_for(met.wait(), 30)
        return threading.get_ident() == here

    async def wake() -> bool:
        """Wake the other that awaits."""
        met.set()
        return threading.get_ident() == here

    made = calls(("block", {}), ("wait", {}), ("block", {}), ("wake", {}))
    with chatting(made, says("ok")) as server:
        done = asyncio.run(aio.run_tools(server.url, "m", QUESTION, [block, wait, wake]))
    assert [message.get("content") for message in done.messages[2:6]] == ["true"] * 4


def test_on_asyncio_as_many_calls_block_together_as_there_are() -> None:
    meeting = threading.Barrier(60)

    def meet() -> bool:
        """Wait for all the others."""
        meeting.wait(60)
        return True

    with chatting(calls(*[("meet", {})] * 60), says("ok")) as server:
        done = asyncio.run(aio.run_tools(server.url, "m", QUESTION, [meet]))
    assert [message.get("content") for message in done.messages[2:62]] == ["true"] * 60


def test_a_tool_sees_the_context_of_the_caller(both: Colour) -> None:
    user = ContextVar("user", default="nobody")

    def whoami() -> str:
        """Say who asks."""
        return user.get()

    user.set("Ann")
    with chatting(calls(("whoami", {})), says("ok")) as server:
        done = both.whole("run_tools", server.url, "m", QUESTION, [whoami])
    assert done.messages[2]["content"] == "Ann"


def test_a_tool_that_ends_the_program_ends_the_call(both: Colour) -> None:
    def leave() -> None:
        """Leave."""
        raise SystemExit(3)

    with chatting(calls(("leave", {})), says("ok")) as server, pytest.raises(SystemExit):
        both.whole("run_tools", server.url, "m", QUESTION, [leave])


def test_a_tool_that_raises_stop_iteration_fails_like_any_other(both: Colour) -> None:
    def first() -> int:
        """Give the first of nothing."""
        return next(iter(()))

    with chatting(calls(("first", {})), says("ok")) as server:
        done = both.whole("run_tools", server.url, "m", QUESTION, [first])
    assert done.messages[2]["content"] == "Error: first failed: StopIteration"


def test_on_asyncio_results_are_told_as_they_come_and_sent_in_the_order_of_the_calls() -> None:
    async def sleep(seconds: float) -> float:
        """Sleep."""
        await asyncio.sleep(seconds)
        return seconds

    async def run() -> list[Any]:
        async with aio.run_tools_stream(server.url, "m", QUESTION, [sleep]) as events:
            return [event async for event in events]

    with chatting(calls(("sleep", {"seconds": 0.2}), ("sleep", {"seconds": 0.0})), says("ok")) as server:
        events = asyncio.run(run())
        sent = server.requests[1].json["messages"][2:]
    assert [event.value for event in events if isinstance(event, ToolResult)] == [0.0, 0.2]
    assert [message["content"] for message in sent] == ["0.2", "0.0"]


def test_a_cancellation_reaches_the_tools_that_are_running() -> None:
    cancelled: list[bool] = []

    async def hang() -> None:
        """Hang."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def run(function: Callable[..., Any]) -> None:
        async def use() -> None:
            answer = function(server.url, "m", QUESTION, [hang])
            if asyncio.iscoroutine(answer):
                await answer
                return
            async with answer as events:
                async for _ in events:
                    pass

        task = asyncio.create_task(use())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for function in (aio.run_tools, aio.run_tools_stream):
        with chatting(calls(("hang", {}), ("hang", {})), says("ok")) as server:
            asyncio.run(run(function))
    assert cancelled == [True] * 4


def test_a_stream_over_several_requests_is_closed_while_it_is_read() -> None:
    with chatting(calls(("add", {"a": 1, "b": 2})), says("a long answer"), pause=0.05) as server:
        stream = ollama_fast.run_tools_stream(server.url, "m", QUESTION, [add])
        threading.Timer(0.4, stream.close).start()
        with pytest.raises(errors.StreamClosedError):
            for _ in stream:
                pass
        with pytest.raises(errors.StreamClosedError):
            next(stream)


# --- call_tool -------------------------------------------------------------------------------------------------------


def call(colour: Colour, *arguments: Any, **options: Any) -> Any:
    if not colour.asynchronous:
        return ollama_fast.call_tool(*arguments, **options)
    return asyncio.run(aio.call_tool(*arguments, **options))


def test_one_call_gives_its_message(both: Colour) -> None:
    made = calls(("add", {"a": "3", "b": 4}))["tool_calls"][0]
    assert call(both, [add], made) == RESULT
    del made["id"]
    assert call(both, {"add": add}, made) == {"role": "tool", "content": "7", "tool_name": "add"}


def test_one_call_asks_no_host_and_so_none_can_be_wrong(both: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://x:99999")
    assert call(both, [add], calls(("add", {"a": 3, "b": 4}))["tool_calls"][0]) == RESULT


@pytest.mark.parametrize(("named", "kind", "said"), WRONG)
def test_one_call_that_fails_raises_or_is_told(both: Colour, named: Any, kind: str, said: str) -> None:
    made = calls(named)["tool_calls"][0]
    with pytest.raises(ToolCallError) as caught:
        call(both, [add, fail], made)
    assert caught.value.kind == kind
    assert caught.value.call == made
    message = call(both, [add, fail], made, on_error="message")
    assert (message["role"], message["tool_call_id"]) == ("tool", "call_0")
    assert said in message["content"]


def test_one_call_of_a_coroutine_function(both: Colour) -> None:
    made = calls(("wait_and_add", {"a": 3, "b": 4}))["tool_calls"][0]
    if both.asynchronous:
        assert call(both, [wait_and_add], made)["content"] == "7"
        return
    for on_error in ("raise", "message"):
        with pytest.raises(TypeError, match="coroutine function"):
            call(both, [wait_and_add], made, on_error=on_error)


@pytest.mark.parametrize("tools", [add, None, "add", 5])
def test_what_are_no_tools_is_a_type_error(both: Colour, tools: Any) -> None:
    with pytest.raises(TypeError, match="tools must be a sequence"):
        call(both, tools, calls(("add", {"a": 1, "b": 2}))["tool_calls"][0])


@pytest.mark.parametrize("made", [5, {}, {"function": 5}, {"function": {"arguments": {}}}])
def test_what_is_no_call_is_a_type_error(both: Colour, made: Any) -> None:
    with pytest.raises(TypeError, match="a call must be"):
        call(both, [add], made)
