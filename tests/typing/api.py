"""
What users may write and what they may not, for type checkers; never executed.

`assert_type` states what each call gives. A line with `type: ignore` and `pyright: ignore` is a mistake that both type
checkers must find: an ignore that ignores nothing is itself an error.
"""

import array
import io
import mmap
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_type

import httpx
import numpy as np
import PIL.Image

import ollama_fast
import ollama_fast.compat as ollama
from ollama_fast import (
    Answers,
    ContextUse,
    Conversation,
    EmbedArray,
    Finding,
    Host,
    Limits,
    Modelfile,
    Parsed,
    Partial,
    Progress,
    Report,
    Retry,
    Stats,
    Stream,
    Timeout,
    ToolResult,
    aio,
)
from ollama_fast.errors import AuthenticationError, ConnectError, OllamaError, ResponseError
from ollama_fast.types import (
    ChatResponse,
    EmbeddingsResponse,
    EmbedResponse,
    GenerateResponse,
    Image,
    ListResponse,
    Logprob,
    Message,
    ModelRecommendationsResponse,
    Options,
    ProcessResponse,
    ProgressResponse,
    ResponseMessage,
    ResponseToolCall,
    ShowResponse,
    StatusResponse,
    SystemOneAnswer,
    SystemOneResponse,
    Tool,
    UserResponse,
    VersionResponse,
    WebFetchResponse,
    WebSearchResponse,
)


@dataclass
class Person:
    """What an answer shall be."""

    name: str
    age: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


# --- what each function gives ----------------------------------------------------------------------------------------


def blocking(host: Host, client: httpx.Client) -> None:
    """Call every blocking function."""
    assert_type(ollama_fast.generate(None, "m", "p"), GenerateResponse)
    assert_type(ollama_fast.generate_stream("localhost", "m", "p"), Stream[GenerateResponse])
    assert_type(ollama_fast.chat(client, "m", [{"role": "user", "content": "hi"}]), ChatResponse)
    assert_type(ollama_fast.chat_stream(host, "m"), Stream[ChatResponse])
    assert_type(ollama_fast.parse(host, "m", "q", Person), Parsed[Person])
    assert_type(ollama_fast.parse_stream(host, "m", "q", list[int]), Stream[Partial | Parsed[list[int]]])
    assert_type(ollama_fast.run_tools(host, "m", "q", [add], think=True), Conversation)
    assert_type(ollama_fast.run_tools_stream(host, "m", "q", [add]), Stream[ChatResponse | ToolResult | Conversation])
    assert_type(ollama_fast.call_tool([add], {"function": {"name": "add", "arguments": {}}}), Message)
    assert_type(ollama_fast.collect(ollama_fast.chat_stream(host, "m")), ChatResponse)
    assert_type(ollama_fast.embed(host, "m", ["a", "b"]), EmbedResponse)
    assert_type(ollama_fast.embed_array(host, "m", ["a", "b"]), EmbedArray)
    assert_type(ollama_fast.embeddings(host, "m", "a"), EmbeddingsResponse)
    assert_type(ollama_fast.systemone(host, "m", "state", {}), SystemOneResponse)
    assert_type(ollama_fast.list(host), ListResponse)
    assert_type(ollama_fast.ps(host), ProcessResponse)
    assert_type(ollama_fast.show(host, "m", verbose=True), ShowResponse)
    assert_type(ollama_fast.pull(host, "m", insecure=True), ProgressResponse)
    assert_type(ollama_fast.embed_many([host, "b", None], "m", iter("ab"), dimensions=8), Answers[memoryview[float]])
    assert_type(ollama_fast.map_generate("h", "m", ["a"], concurrency=2, think="low"), Answers[GenerateResponse])
    assert_type(ollama_fast.map_chat(client, "m", [[Message(role="user", content="a")]]), Answers[ChatResponse])
    assert_type(ollama_fast.pull_stream(host, "m"), Stream[ProgressResponse])
    assert_type(ollama_fast.push(host, "m"), ProgressResponse)
    assert_type(ollama_fast.push_stream(host, "m"), Stream[ProgressResponse])
    assert_type(ollama_fast.create(host, "m", from_="n", files=Path("m.gguf")), ProgressResponse)
    assert_type(ollama_fast.create_stream(host, "m", files={"a": "sha256:..."}), Stream[ProgressResponse])
    assert_type(ollama_fast.create(host, "m", modelfile=Path("Modelfile")), ProgressResponse)
    assert_type(ollama_fast.parse_modelfile("FROM n", folder=Path()), Modelfile)
    assert_type(ollama_fast.create_blob(host, Path("m.gguf")), str)
    assert_type(ollama_fast.progress(ollama_fast.pull_stream(host, "m")), Stream[Progress])
    assert_type(ollama_fast.progress([ProgressResponse(status="success")]), Stream[Progress])
    assert_type(ollama_fast.show_progress(ollama_fast.push_stream(host, "m"), to=print), Stream[ProgressResponse])
    assert_type(ollama_fast.ensure_model(host, "m"), ProgressResponse)
    assert_type(ollama_fast.ensure_model_stream(host, "m", insecure=True), Stream[ProgressResponse])
    assert_type(ollama_fast.load(host, "m", keep_alive="5m", options={"num_ctx": 8192}), None)
    assert_type(ollama_fast.unload(host, "m"), None)
    assert_type(ollama_fast.unload_all(host), tuple[str, ...])
    assert_type(ollama_fast.wait_ready(host, timeout=5), None)
    assert_type(ollama_fast.context_of(host, "m"), int | None)
    assert_type(ollama_fast.check_context(ollama_fast.generate(host, "m", "p"), 8192), ContextUse)
    assert_type(ollama_fast.has_blob(host, "sha256:..."), bool)
    assert_type(ollama_fast.is_running(host), bool)
    assert_type(ollama_fast.doctor(host), Report)
    assert_type(ollama_fast.doctor(seconds=5).findings, tuple[Finding, ...])
    assert_type(ollama_fast.version(host), VersionResponse)
    assert_type(ollama_fast.status(host), StatusResponse)
    assert_type(ollama_fast.model_recommendations(host), ModelRecommendationsResponse)
    assert_type(ollama_fast.whoami(host), UserResponse)
    assert_type(ollama_fast.web_search(host, "q", max_results=3), WebSearchResponse)
    assert_type(ollama_fast.web_fetch(host, "https://example.com", via_server=True), WebFetchResponse)
    ollama_fast.copy(host, "a", "b")
    ollama_fast.delete(host, "m")
    ollama_fast.signout(host)
    ollama_fast.close()
    ollama_fast.close(host)


async def asynchronous(host: Host, client: httpx.AsyncClient) -> None:
    """Call every function for asyncio."""
    assert_type(await aio.generate(None, "m", "p"), GenerateResponse)
    assert_type(aio.generate_stream("localhost", "m", "p"), aio.Stream[GenerateResponse])
    assert_type(await aio.chat(client, "m", [{"role": "user", "content": "hi"}]), ChatResponse)
    assert_type(aio.chat_stream(host, "m"), aio.Stream[ChatResponse])
    assert_type(await aio.parse(host, "m", "q", Person), Parsed[Person])
    assert_type(aio.parse_stream(host, "m", "q", list[int]), aio.Stream[Partial | Parsed[list[int]]])
    assert_type(await aio.run_tools(host, "m", "q", [add], think=True), Conversation)
    assert_type(aio.run_tools_stream(host, "m", "q", [add]), aio.Stream[ChatResponse | ToolResult | Conversation])
    assert_type(await aio.call_tool([add], {"function": {"name": "add", "arguments": {}}}), Message)
    assert_type(await aio.collect(aio.chat_stream(host, "m")), ChatResponse)
    assert_type(await aio.embed(host, "m", ["a", "b"]), EmbedResponse)
    assert_type(await aio.embed_array(client, "m", "a"), EmbedArray)
    assert_type(await aio.embeddings(host, "m", "a"), EmbeddingsResponse)
    assert_type(await aio.systemone(host, "m", "state", {}), SystemOneResponse)
    assert_type(await aio.list(host), ListResponse)
    assert_type(await aio.ps(host), ProcessResponse)
    assert_type(await aio.show(host, "m", verbose=True), ShowResponse)
    assert_type(await aio.pull(host, "m", insecure=True), ProgressResponse)
    assert_type(aio.embed_many([host, "b", None], "m", iter("ab"), batch_size=2), aio.Answers[memoryview[float]])
    assert_type(aio.map_generate("h", "m", ["a"], on_dead="raise"), aio.Answers[GenerateResponse])
    assert_type(aio.map_chat((client,), "m", [[Message(role="user", content="a")]]), aio.Answers[ChatResponse])
    assert_type(aio.pull_stream(host, "m"), aio.Stream[ProgressResponse])
    assert_type(await aio.push(host, "m"), ProgressResponse)
    assert_type(aio.push_stream(host, "m"), aio.Stream[ProgressResponse])
    assert_type(await aio.create(host, "m", from_="n", files=Path("m.gguf")), ProgressResponse)
    assert_type(aio.create_stream(host, "m", files={"a": "sha256:..."}), aio.Stream[ProgressResponse])
    assert_type(await aio.create_blob(host, Path("m.gguf")), str)
    assert_type(aio.progress(aio.pull_stream(host, "m")), aio.Stream[Progress])
    assert_type(aio.show_progress(aio.pull_stream(host, "m"), label="m"), aio.Stream[ProgressResponse])
    assert_type(await aio.ensure_model(host, "m"), ProgressResponse)
    assert_type(aio.ensure_model_stream(host, "m"), aio.Stream[ProgressResponse])
    assert_type(await aio.load(host, "m", keep_alive="5m", options={"num_ctx": 8192}), None)
    assert_type(await aio.unload(host, "m"), None)
    assert_type(await aio.unload_all(host), tuple[str, ...])
    assert_type(await aio.context_of(host, "m"), int | None)
    assert_type(aio.check_context(await aio.generate(host, "m", "p"), 8192), ContextUse)
    assert_type(aio.parse_modelfile("FROM n"), Modelfile)
    assert_type(await aio.wait_ready(host, timeout=5), None)
    assert_type(await aio.has_blob(host, "sha256:..."), bool)
    assert_type(await aio.is_running(host), bool)
    assert_type(await aio.doctor(host), Report)
    assert_type(await aio.version(host), VersionResponse)
    assert_type(await aio.status(host), StatusResponse)
    assert_type(await aio.model_recommendations(host), ModelRecommendationsResponse)
    assert_type(await aio.whoami(host), UserResponse)
    assert_type(await aio.web_search(host, "q", max_results=3), WebSearchResponse)
    assert_type(await aio.web_fetch(host, "https://example.com", via_server=True), WebFetchResponse)
    await aio.copy(host, "a", "b")
    await aio.delete(host, "m")
    await aio.signout(host)
    await aio.close()
    await aio.close(host)


# --- streams ---------------------------------------------------------------------------------------------------------


def read_a_stream(host: Host) -> None:
    """Iterate, in a block and without."""
    with ollama_fast.chat_stream(host, "m") as parts:
        assert_type(parts, Stream[ChatResponse])
        for part in parts:
            assert_type(part["message"]["content"], str)
        assert_type(parts.partial, dict[str, Any] | None)
        assert_type(parts.stats, Stats)
        assert_type(parts.stats.first_part, float | None)
    for progress in ollama_fast.pull_stream(host, "m"):
        assert_type(progress["status"], str)
        assert_type(progress.get("total", 0), int)
    stream = ollama_fast.generate_stream(host, "m")
    assert_type(next(stream), GenerateResponse)
    assert_type(stream.close(), None)


async def read_an_asynchronous_stream(host: Host) -> None:
    """Iterate, in a block and without."""
    async with aio.chat_stream(host, "m") as parts:
        assert_type(parts, aio.Stream[ChatResponse])
        async for part in parts:
            assert_type(part["message"]["content"], str)
        assert_type(parts.partial, dict[str, Any] | None)
    stream = aio.generate_stream(host, "m")
    assert_type(await anext(stream), GenerateResponse)
    await stream.aclose()


# --- answers ---------------------------------------------------------------------------------------------------------


def read_answers(host: Host) -> None:
    """Take keys that are always there without checks, and others with."""
    answer = ollama_fast.chat(host, "m")
    assert_type(answer["message"], ResponseMessage)
    assert_type(answer["message"]["content"], str)
    assert_type(answer["done"], bool)
    assert_type(answer.get("eval_count"), int | None)
    assert_type(answer.get("logprobs"), list[Logprob] | None)
    answer["done_reason"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
    answer["message"]["thinking"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
    answer["mesage"]  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    if "done_reason" in answer:
        assert_type(answer["done_reason"] == "length", bool)
    for call in answer["message"].get("tool_calls", []):
        assert_type(call, ResponseToolCall)
        assert_type(call["function"]["arguments"], dict[str, Any])
    assert_type(ollama_fast.generate(host, "m")["response"], str)
    assert_type(ollama_fast.embed(host, "m", "a")["embeddings"], list[list[float]])
    assert_type(ollama_fast.embeddings(host, "m")["embedding"], list[float])
    assert_type(ollama_fast.list(host)["models"][0]["details"]["families"], list[str] | None)
    assert_type(ollama_fast.show(host, "m")["model_info"], dict[str, Any])
    assert_type(ollama_fast.systemone(host, "m", {}, {})["answers"]["q"], SystemOneAnswer)


def ask_system_one(host: Host) -> None:
    """Tell the kinds of answers apart by their type."""
    answers = ollama_fast.systemone(
        host,
        "m",
        {"any": ["JSON"]},
        {
            "kind": {"type": "choice", "instructions": "Which?", "criteria": {"a": None, "b": "the second"}},
            "sure": {"type": "noul", "instructions": "Is it?"},
            "much": {"type": "score", "instructions": "How much?", "criteria": ["none", "some"]},
        },
    )["answers"]
    answer = answers["kind"]
    if answer["type"] == "choice":
        assert_type(answer["choice"], str)
    elif answer["type"] == "noul":
        assert_type(answer["noul"], float)
    else:
        assert_type(answer["legend"], dict[str, str])


def talk(host: Host, tool: Tool) -> None:
    """Put an answer's message into the conversation as it is, and answer its tool calls."""
    messages: list[Message] = [{"role": "system", "content": "Be brief."}]
    messages.append({"role": "user", "content": "hi", "images": [b"...", Path("a.png"), "AAAA", io.BytesIO()]})
    answer = ollama_fast.chat(host, "m", messages, tools=[tool])
    messages.append(answer["message"])
    for call in answer["message"].get("tool_calls", []):
        messages.append({"role": "assistant", "tool_calls": [call]})
        result: Message = {"role": "tool", "content": "5", "tool_name": call["function"]["name"]}
        if "id" in call:
            result = {**result, "tool_call_id": call["id"]}
        messages.append(result)
    ollama_fast.chat(host, "m", messages)
    ollama_fast.chat(host, "m", tuple(messages))
    ollama_fast.chat(host, "m", [answer["message"]])
    messages.append({"role": "usr", "content": "hi"})  # type: ignore[typeddict-item]  # pyright: ignore[reportArgumentType]
    messages.append({"role": "user", "contents": "hi"})  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportArgumentType]
    messages.append({"content": "hi"})  # type: ignore[typeddict-item]  # pyright: ignore[reportArgumentType]


def read_vectors(answer: EmbedArray) -> None:
    """Take the numbers with numpy and without."""
    assert_type(answer.shape, tuple[int, int])
    assert_type(answer.data, memoryview[float])
    assert_type(answer[0], memoryview[float])
    assert_type(answer[0][1], float)
    assert_type(list(answer), list[memoryview[float]])
    assert_type(answer.tolist(), list[list[float]])
    assert_type(answer.prompt_eval_count, int | None)
    assert_type(answer.response, dict[str, Any])
    assert_type(np.asarray(answer).shape, tuple[Any, ...])
    np.asarray(answer.data)
    answer.shape = (1, 1)  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    answer["embeddings"]  # type: ignore[index]  # pyright: ignore[reportArgumentType]


# --- hosts and errors ------------------------------------------------------------------------------------------------


def make_hosts() -> None:
    """Make hosts in every way."""
    host = Host("localhost", headers={"X-A": "1"}, auth=("user", "password"), timeout=30, limits=Limits(5))
    assert_type(host.with_options(timeout=Timeout(connect=1, idle=None), auth="token"), Host)
    assert_type(Host.from_env(), Host)
    assert_type(Host.from_env({"OLLAMA_HOST": "localhost"}), Host)
    assert_type(host.headers, tuple[tuple[str, str], ...])
    assert_type(host.timeout, Timeout)
    assert_type(host.with_options(retry=3).retry, Retry | None)
    assert_type(Host(retry=Retry(5, after_break=False)), Host)
    host.with_options(tiemout=30)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    host.with_options(timeout="30")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    host.url = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    Host(timeout="30")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def catch_errors(host: Host) -> None:
    """Read what errors know."""
    try:
        ollama_fast.whoami(host)
    except AuthenticationError as error:
        assert_type(error.signin_url, str | None)
    except ResponseError as error:
        assert_type(error.status, int | None)
        assert_type(error.message, str)
    except ConnectError as error:
        as_builtin: ConnectionError = error
        assert_type(as_builtin.args, tuple[Any, ...])
    except OllamaError as error:
        assert_type(error.partial, dict[str, Any] | None)


# --- arguments that are right ----------------------------------------------------------------------------------------


def give_arguments(host: Host, options: Options, schema: dict[str, Any], texts: Sequence[str]) -> None:
    """Give each parameter what it takes."""
    ollama_fast.generate(host, "m", "p", think="max", format="json", keep_alive="5m", options=options)
    ollama_fast.generate(host, "m", "p", format=list[int])
    ollama_fast.chat(host, "m", tools=[talk, ollama_fast.tool(talk)], format=Host)
    ollama_fast.chat(host, "m", tools={"name": talk}, format=int | None)
    ollama_fast.generate(host, "m", "p", think=True, format=schema, keep_alive=-1, options={"temperature": 0})
    ollama_fast.generate(host, "m", images=[b"...", bytearray(), memoryview(b""), Path("a.png")], extra={"new": 1})
    ollama_fast.generate(host, "m", images=[io.BytesIO(), array.array("B"), mmap.mmap(-1, 1)])
    with Path("a.png").open("rb") as file, Path("a.png").open("rb", buffering=0) as raw:
        ollama_fast.generate(host, "m", images=[file, raw])
    ollama_fast.generate(host, "m", images=(np.zeros(1, np.uint8), PIL.Image.new("L", (1, 1)), PIL.Image.open("a.png")))
    images: list[Image] = ["AAAA", b"...", Path("a.png")]
    ollama_fast.generate(host, "m", images=images)
    ollama_fast.generate(host, model="m", prompt="p")
    ollama_fast.embed(host, "m", texts)
    ollama_fast.chat(host, "m", tools=[{"type": "function", "function": {"name": "f"}}], options={"stop": ["a"]})


# --- arguments that are wrong ----------------------------------------------------------------------------------------


def give_wrong_arguments(host: Host, client: httpx.Client, other_client: httpx.AsyncClient) -> None:
    """Make each mistake once."""
    ollama_fast.genrate(host, "m")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    aio.chatt(host, "m")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    ollama_fast.generate(host, "m", propmt="p")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ollama_fast.chat_stream(host, "m", mesages=[])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ollama_fast.create(host, "m", frm="n")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ollama_fast.generate(host)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ollama_fast.generate()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ollama_fast.create_stream(host)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ollama_fast.generate(host=host, model="m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ollama_fast.generate(host, "m", "p", "suffix")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ollama_fast.generate(host, "m", stream=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ollama_fast.embed_many(host, "m", ["a"], dimension=8)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ollama_fast.map_generate(host, "m", [5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    aio.map_chat(host, "m", [], on_dead="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.generate_stream(host, "m", stream=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ollama_fast.generate(host, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.generate(host, "m", think="hard")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.generate(host, "m", format="jsn")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.generate(host, "m", images=[5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    ollama_fast.generate(host, "m", images=[io.StringIO()])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    ollama_fast.generate(host, "m", images=b"...")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.generate(host, "m", options={"temprature": 0})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.generate(host, "m", options={"seed": "1"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.chat(host, "m", "hi")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.chat(host, "m", tools="add")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.generate(5, "m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.generate(b"localhost", "m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.generate(other_client, "m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.create(host, "m", modelfile="FROM n")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.progress(ollama_fast.chat_stream(host, "m"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.create(other_client, "m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    aio.generate_stream(client, "m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    aio.create_stream(client, "m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def typed_answers_and_events(host: Host, parts: Sequence[ChatResponse]) -> None:
    """Read what parse and run_tools give."""
    parsed = ollama_fast.parse(host, "m", [{"role": "user", "content": "q"}], Person, options={"temperature": 0})
    assert_type(parsed.value.age, int)
    assert_type(parsed.response["message"]["content"], str)
    for step in ollama_fast.parse_stream(host, "m", "q", Person):
        if isinstance(step, Partial):
            assert_type(step.value, Any)
        else:
            assert_type(step.value, Person)
    for event in ollama_fast.run_tools_stream(host, "m", "q", {"plus": add}, max_rounds=3, on_error="raise"):
        match event:
            case ToolResult():
                assert_type(event.message, Message)
            case Conversation():
                assert_type(event.answer, ChatResponse)
            case _:
                assert_type(event["message"]["content"], str)
    assert_type(ollama_fast.collect(parts), ChatResponse)
    ollama_fast.parse(host, "m", "q", Person, format="json")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ollama_fast.parse(host, "m", "q", Person, think="hard")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.run_tools(host, "m", "q", [add], on_error="no")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ollama_fast.collect(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def drop_in(client: ollama.Client, flag: bool) -> None:
    """Call as the package `ollama` is called."""
    answer = client.chat("m", [{"role": "user", "content": "q"}, ollama.Message(role="user")], tools=[add])
    assert_type(answer, ollama.ChatResponse)
    assert_type(answer.message.content, str | None)
    assert_type(answer["message"], Any)
    assert_type(ollama.chat(model="m", stream=True), Iterator[ollama.ChatResponse])
    assert_type(ollama.generate("m", "p", "s", stream=False, raw=True), ollama.GenerateResponse)
    assert_type(client.generate("m", stream=flag), ollama.GenerateResponse | Iterator[ollama.GenerateResponse])
    assert_type(client.pull("m", stream=True), Iterator[ollama.ProgressResponse])
    assert_type(client.create("m", from_="n", parameters={"seed": 1}), ollama.ProgressResponse)
    assert_type(client.embed("m", ["a", "b"]).embeddings, Sequence[Sequence[float]])
    assert_type(client.list().models[0].model, str | None)
    assert_type(client.create_blob("path"), str)
    assert_type(client.create("m", None, "n", {"a": "sha256:..."}, stream=True), Iterator[ollama.ProgressResponse])
    assert_type(ollama.Client.chat(client, "m", []), ollama.ChatResponse)
    assert_type(ollama.chat.__name__, str)
    _ = ollama.chat.__self__  # type: ignore[attr-defined]  # what pyright knows, as of any method
    client.chat("m", thinking=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.embed("m", max_length=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.show()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


class Wrapped(ollama.Client):
    """Override methods as programs do: with parameters that are not looked at, and with those that there are."""

    def chat(self, *arguments: Any, **keywords: Any) -> Any:
        """Pass all on."""
        return super().chat(*arguments, **keywords)

    def generate(
        self,
        model: str = "",
        prompt: str | None = None,
        suffix: str | None = None,
        *,
        system: str | None = None,
        template: str | None = None,
        context: Sequence[int] | None = None,
        stream: bool = False,
        think: Any = None,
        logprobs: bool | None = None,
        top_logprobs: int | None = None,
        raw: bool | None = None,
        format: Any = None,
        images: Any = None,
        options: Any = None,
        keep_alive: Any = None,
        width: int | None = None,
        height: int | None = None,
        steps: int | None = None,
    ) -> Any:
        """Name all parameters."""

    def embed(self, model: str = "", *arguments: Any, **keywords: Any) -> ollama.EmbedResponse:
        """Pass all on."""
        return super().embed(model, *arguments, **keywords)


class WrappedOnAsyncio(ollama.AsyncClient):
    """Override a coroutine function."""

    async def chat(self, *arguments: Any, **keywords: Any) -> Any:
        """Pass all on."""
        return await super().chat(*arguments, **keywords)


async def drop_in_on_asyncio(client: ollama.AsyncClient) -> None:
    """Await as the package `ollama` is awaited."""
    assert_type(await client.chat("m"), ollama.ChatResponse)
    stream = await client.chat("m", stream=True)
    assert_type(stream, AsyncIterator[ollama.ChatResponse])
    async for part in stream:
        assert_type(part.done, bool | None)
    assert_type(await client.ps(), ollama.ProcessResponse)
    assert_type(await client.create_blob("path"), str)
    _ = client.list().models  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


async def mix_the_colours(host: Host) -> None:
    """Await and iterate what cannot be."""
    await ollama_fast.version(host)  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    await aio.generate_stream(host, "m")  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    for _ in aio.generate_stream(host, "m"):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    async for _ in ollama_fast.generate_stream(host, "m"):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    with aio.generate_stream(host, "m"):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    aio.version(host)["version"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    aio.version(host)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
