"""
Records tests/exchanges from a genuine Ollama server and a genuine registry: `make record`.

Each call of CALLS is made by the public, blocking functions through an httpx client whose transport keeps what goes by.
Ports, paths and other facts of the machine become neutral ones before an exchange is written.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, chdir, closing, suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx

from exchange import (
    EXCHANGES,
    Chunk,
    Exchange,
    RecordedCall,
    RecordedRequest,
    Reply,
    dump,
)
from real.genuine import build, make_models, registry, server
from recorded_calls import CALLS, MODELS_DIR, REGISTRY, ROOT, Call

# --- recording -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """What went through the transport."""

    request: RecordedRequest
    response: Reply


class RecordingTransport(httpx.BaseTransport):
    """Passes everything on to another transport, and keeps what went by, whole even where a reader stops early."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.seen: list[Seen] = []
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and give an answer that is kept as it is read."""
        began = time.monotonic()
        response = self._inner.handle_request(request)
        if not isinstance(response.stream, httpx.SyncByteStream):
            raise TypeError("only the blocking functions are recorded")
        stream = _RecordingStream(self.seen, request, response, response.stream, began)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    def close(self) -> None:
        """Close the other transport."""
        self._inner.close()


class _RecordingStream(httpx.SyncByteStream):
    def __init__(
        self,
        seen: list[Seen],
        request: httpx.Request,
        response: httpx.Response,
        stream: httpx.SyncByteStream,
        began: float,
    ) -> None:
        self._seen = seen
        self._request = request
        self._response = response
        self._stream = stream
        self._began = began
        self._chunks: list[Chunk] = []
        self._data = self._kept(iter(stream))

    def __iter__(self) -> Iterator[bytes]:
        return self._data

    def close(self) -> None:
        for _ in self._data:  # who reads an error line reads no further
            pass
        self._stream.close()
        self._seen.append(Seen(_request(self._request), _response(self._response, self._chunks)))

    def _kept(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        for data in stream:
            self._chunks.append(Chunk(round((time.monotonic() - self._began) * 1000), data))
            yield data


def _request(request: httpx.Request) -> RecordedRequest:
    kind = request.headers.get("content-type")
    body = json.loads(request.read()) if kind == "application/json" else None
    headers = {} if kind is None else {"content-type": kind}
    return RecordedRequest(request.method, request.url.raw_path.decode("ascii"), body, headers)


def _response(response: httpx.Response, chunks: Iterable[Chunk]) -> Reply:
    headers = ((name.decode("ascii"), value.decode("ascii")) for name, value in response.headers.raw)
    kept = tuple((name, value) for name, value in headers if name.lower() != "date")
    return Reply(response.status_code, kept, tuple(chunks))


# --- the machine's facts ---------------------------------------------------------------------------------------------


class Facts:
    """Texts of this machine, and the neutral ones that stand for them."""

    def __init__(self, neutral: Mapping[str, str]) -> None:
        self._neutral = {fact.encode(): text.encode() for fact, text in neutral.items()}
        facts = [re.escape(fact) for fact in self._neutral]
        # A server that reaches ollama.com tells its host's name and public key.
        self._pattern = re.compile(rb"|".join([*facts, rb'(?<=connect\?name=)[^"\s]*']))

    def out_of(self, seen: Seen) -> Seen:
        """Give *seen* without the machine's facts, also where a chunk ends inside one."""
        request = replace(seen.request, body=self._plain(seen.request.body), path=self._plain(seen.request.path))
        chunks = self._chunks(seen.response.chunks)
        length = sum(len(chunk.data) for chunk in chunks)
        headers = tuple(
            (name, str(length) if name.lower() == "content-length" and chunks else value)
            for name, value in seen.response.headers
        )
        return Seen(request, replace(seen.response, headers=headers, chunks=chunks))

    def into(self, kwargs: Mapping[str, Any], registry: str) -> dict[str, Any]:
        """Give *kwargs* with the address of the genuine registry."""
        made: dict[str, Any] = json.loads(json.dumps(kwargs).replace(REGISTRY, registry))
        return made

    def _plain(self, value: Any) -> Any:
        return json.loads(self._pattern.sub(self._stand_in, json.dumps(value).encode()))

    def _stand_in(self, match: re.Match[bytes]) -> bytes:
        return self._neutral.get(match[0], rb"machine\u0026key=AAAA")

    def _chunks(self, chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
        body = b"".join(chunk.data for chunk in chunks)
        found = list(self._pattern.finditer(body))
        whole, made, end, place = self._pattern.sub(self._stand_in, body), [], 0, 0
        for chunk in chunks:
            end += len(chunk.data)
            upto = end
            for match in found:
                if match.start() < end:  # begins here: all of what stands for it is in this chunk
                    upto += len(self._stand_in(match)) - len(match[0]) + max(0, match.end() - end)
            made.append(Chunk(chunk.ms, whole[place:upto]))
            place = upto
        return tuple(made)


# --- all of it -------------------------------------------------------------------------------------------------------


def record(calls: Mapping[str, Call]) -> dict[str, Exchange]:
    """Start the genuine servers, make *calls*, and give their exchanges by name."""
    paths = build()
    exchanges: dict[str, Exchange] = {}
    keys: set[str] = set()  # each request is kept once, since a replay could not tell two apart
    with ExitStack() as stack:
        ollama, empty = (stack.enter_context(server(paths)) for _ in range(2))
        shop = stack.enter_context(registry())
        make_models(ollama, paths)
        facts = Facts({str(ollama.models_dir): MODELS_DIR, str(empty.models_dir): MODELS_DIR, shop.address: REGISTRY})
        clients: list[tuple[httpx.Client, RecordingTransport]] = []
        for url in (ollama.url, empty.url):
            transport = RecordingTransport(httpx.HTTPTransport())
            clients.append(
                (stack.enter_context(httpx.Client(base_url=url, transport=transport, timeout=300)), transport)
            )
        release = clients[0][0].get("/api/version").json()["version"]
        for name, each in calls.items():
            client, transport = clients[each.elsewhere]
            kwargs = facts.into(each.kwargs, shop.address)
            if each.warm:
                make(client, each.function, kwargs)
            transport.seen.clear()
            began = time.monotonic()
            failure = make(client, each.function, kwargs)
            seconds = time.monotonic() - began
            seen = [facts.out_of(one) for one in transport.seen]
            told = ", ".join(f"{one.response.status} in {len(one.response.chunks)} chunks" for one in seen)
            print(f"{name:32} {seconds:6.2f} s: {told}{failure and f'  ({failure})'}", flush=True)
            new = [one for one in seen if _key(one.request) not in keys]
            if len(new) != 1:
                raise RuntimeError(f"{name} made {len(new)} requests that no earlier call made, not one: {failure}")
            keys.add(_key(new[0].request))
            made = RecordedCall(each.function, each.kwargs)
            exchanges[name] = Exchange(each.about, f"ollama {release}", made, new[0].request, new[0].response)
    return exchanges


def make(client: httpx.Client, function: str, kwargs: Mapping[str, Any]) -> str:
    """Make a call to the end of its answer; give what the error says, if it is one."""
    import ollama_fast

    try:
        answer = getattr(ollama_fast, function)(client, **kwargs)
        if function.endswith("_stream"):
            with closing(answer):
                for _ in answer:
                    pass
    except ollama_fast.errors.OllamaError as exc:
        return f"{type(exc).__name__}: {exc}"
    return ""


def _key(request: RecordedRequest) -> str:
    return json.dumps([request.method, request.path, request.body], sort_keys=True)


def main() -> None:
    """Record all, and write all or those that are named."""
    parser = argparse.ArgumentParser(description="Record tests/exchanges from a genuine Ollama server.")
    parser.add_argument("names", nargs="*", help="which to write; without any all are, and others are removed")
    wanted = set(parser.parse_args().names)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is stopped
    if os.getloadavg()[0] > 1:
        print("This machine is busy, which the times of the chunks will show.", flush=True)
    with chdir(ROOT):
        exchanges = record(CALLS)
    EXCHANGES.mkdir(exist_ok=True)
    if not wanted:
        for path in EXCHANGES.glob("*.json"):
            path.unlink()
    for name, exchange in exchanges.items():
        if not wanted or name in wanted:
            dump(exchange, EXCHANGES / f"{name}.json")
    print(f"{len(exchanges)} exchanges of {len(CALLS)} calls")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
