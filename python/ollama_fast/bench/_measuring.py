"""One stream, measured."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from time import perf_counter
from typing import Any, Final, TypeAlias

from ollama_fast import Host, aio
from ollama_fast.errors import OllamaError, ResponseError, TimeoutError, TooLargeError

from ._prompts import messages_of, refuse_unsendable
from ._values import Outcome, Sample, Workload

_OK: Final = 200
"""Of an error line in a stream, which has no status of its own."""

Ask: TypeAlias = Callable[[int], "aio.Stream[Any]"]
"""Makes the stream that answers the prompt of an index; it is sent when it is entered."""


def asking(host: Host, workload: Workload) -> Ask:
    """Give what makes the streams of *workload*; ValueError tells of a prompt that cannot be sent."""
    for place, prompt in enumerate(workload.prompts):
        try:
            refuse_unsendable(prompt)
        except ValueError as exc:
            raise ValueError(f"prompts[{place}]: {exc}") from exc
    options: Any = dict(workload.options)
    if workload.num_predict is not None:
        options["num_predict"] = workload.num_predict
    prompts, model = workload.prompts, workload.model
    if workload.api == "generate":
        return lambda index: aio.generate_stream(host, model, prompts[index].text, options=options)
    conversations: list[Any] = [messages_of(prompt) for prompt in prompts]
    return lambda index: aio.chat_stream(host, model, conversations[index], options=options)


def says_something(part: dict[str, Any]) -> bool:
    """Whether a part of generate or chat has something of the answer in it, and not only how it ended."""
    message = part.get("message")
    if message is None:
        return bool(part["response"] or part.get("thinking"))
    return bool(message.get("content") or message.get("thinking") or message.get("tool_calls"))


async def measured(
    ask: Ask,
    prompt: int,
    origin: float,
    intended: float,
    keep: Callable[[Sample], None],
    *,
    worker: int | None = None,
) -> Sample:
    """
    Read one stream to its end, and keep when each part came.

    Args:
        ask: Makes the stream.

        prompt: Index of the prompt.

        origin: When the load began, by `perf_counter`.

        intended: When the request was to be sent, in seconds since then.

        keep: Is given the Sample, also of a stream that fails or is cancelled.

        worker: Who asks, in a closed loop.
    """
    arrivals: list[float] = []
    parts = 0
    part: dict[str, Any] = {}
    outcome: Outcome = "cut"
    failure: OllamaError | None = None
    sent = ended = perf_counter()
    try:
        async with ask(prompt) as stream:
            pieces: AsyncIterator[Any] = stream
            async for part in pieces:
                ended = perf_counter()
                parts += 1
                if says_something(part):
                    arrivals.append(ended)
        outcome = "done"
    except OllamaError as exc:
        ended, outcome, failure, part = perf_counter(), "failed", exc, {}
    except asyncio.CancelledError:
        ended, part = perf_counter(), {}
        raise
    finally:
        sample = Sample(
            prompt=prompt,
            worker=worker,
            intended=intended,
            sent=sent - origin,
            arrivals=tuple([moment - origin for moment in arrivals]),
            ended=ended - origin,
            parts=parts,
            outcome=outcome,
            error=None if failure is None else type(failure).__name__,
            reason=None if failure is None else reason_of(failure),
            message=None if failure is None else str(failure),
            done_reason=_text(part.get("done_reason")),
            tokens=_count(part.get("eval_count")),
            prompt_tokens=_count(part.get("prompt_eval_count")),
            total=_count(part.get("total_duration")),
            load=_count(part.get("load_duration")),
            prompt_eval=_count(part.get("prompt_eval_duration")),
            eval=_count(part.get("eval_duration")),
        )
        keep(sample)
    return sample


def reason_of(failure: OllamaError) -> str | None:
    """Give in a word or two what tells *failure* from others of its class; None if nothing does."""
    match failure:
        case ResponseError():
            return "in a stream" if failure.status == _OK else str(failure.status)
        case TimeoutError() | TooLargeError() if failure.limit:
            return failure.limit
        case _:
            said = re.search(r"\[Errno -?[0-9]+\] ([^();]+)", str(failure))  # in the system's own words
            return said and said[1].strip()


def _count(value: Any) -> int | None:
    # A gateway may send anything; what is no number is not told.
    return value if isinstance(value, int) and value >= 0 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
