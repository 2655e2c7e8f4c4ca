"""
Records tests/exchanges from a genuine Ollama server and a genuine registry: `make record`.

Each call of CALLS is made by the public, blocking functions through a proxy, `ollama_fast.testing.record`. Ports,
paths and other facts of the machine become neutral ones before an exchange is written.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, chdir, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import ollama_fast
from exchange import EXCHANGES, Chunk, Exchange, RecordedCall, RecordedRequest, dump
from ollama_fast.testing import record as recorder
from ollama_fast.testing._recording import Recorded, Upload
from ollama_fast.testing._recording_file import load
from real.genuine import build, make_models, registry, server
from recorded_calls import CALLS, MODELS_DIR, REGISTRY, ROOT, Call

# --- the machine's facts ---------------------------------------------------------------------------------------------


class Facts:
    """Texts of this machine, and the neutral ones that stand for them."""

    def __init__(self, neutral: Mapping[str, str]) -> None:
        self._neutral = {fact.encode(): text.encode() for fact, text in neutral.items()}
        facts = [re.escape(fact) for fact in self._neutral]
        # A server that reaches ollama.com tells its host's name and public key.
        self._pattern = re.compile(rb"|".join([*facts, rb'(?<=connect\?name=)[^"\s]*']))

    def out_of(self, seen: Recorded) -> Recorded:
        """Give *seen* without the machine's facts, also where a chunk ends inside one."""
        if seen.response is None or seen.end is not None:
            raise RuntimeError(f"the reply to {seen.request.method} {seen.request.path} is not whole: record again")
        body = seen.request.body
        plain = body if isinstance(body, Upload) else self._plain(body)
        request = replace(seen.request, body=plain, path=self._plain(seen.request.path))
        chunks = self._chunks(seen.response.chunks)
        length = sum(len(chunk.data) for chunk in chunks)
        headers = tuple(
            (name, str(length) if name.lower() == "content-length" and chunks else value)
            for name, value in seen.response.headers
        )
        return Recorded(request, replace(seen.response, headers=headers, chunks=chunks))

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
        release = ollama_fast.version(ollama.url)["version"]
        draft = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "one.json"
        for name, each in calls.items():
            url = (ollama.url, empty.url)[each.elsewhere]
            kwargs = facts.into(each.kwargs, shop.address)
            if each.warm:
                make(url, each.function, kwargs)
            began = time.monotonic()
            with recorder(url, draft) as proxy:
                failure = make(proxy.url, each.function, kwargs)
            seconds = time.monotonic() - began
            seen = [facts.out_of(one) for one in load(draft)]
            replies = [one.response for one in seen if one.response is not None]
            told = ", ".join(f"{reply.status} in {len(reply.chunks)} chunks" for reply in replies)
            print(f"{name:32} {seconds:6.2f} s: {told}{failure and f'  ({failure})'}", flush=True)
            new = [one for one in seen if _key(one.request) not in keys]
            if len(new) != 1:
                raise RuntimeError(f"{name} made {len(new)} requests that no earlier call made, not one: {failure}")
            keys.add(_key(new[0].request))
            made = RecordedCall(each.function, each.kwargs)
            exchanges[name] = Exchange(
                each.about, f"ollama {release}", made, new[0].request, replies[seen.index(new[0])]
            )
    return exchanges


def make(url: str, function: str, kwargs: Mapping[str, Any]) -> str:
    """Make a call to the end of its answer; give what the error says, if it is one."""
    host = ollama_fast.Host(url, timeout=300)
    try:
        answer = getattr(ollama_fast, function)(host, **kwargs)
        if function.endswith("_stream"):
            with closing(answer):
                for _ in answer:
                    pass
    except ollama_fast.errors.OllamaError as exc:
        return f"{type(exc).__name__}: {exc}"
    return ""


def _key(request: RecordedRequest) -> str:
    return json.dumps([request.method, request.path, repr(request.body)])


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
