"""The values of a benchmark: what is asked, how a server is loaded, and what was measured. Frozen, and pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

Api: TypeAlias = Literal["chat", "generate"]
Outcome: TypeAlias = Literal["done", "failed", "cut"]

DEFAULT_TEXTS: Final = (
    "Why is the sky blue?",
    "Explain to a child how a bicycle stays upright.",
    "Write a short story about a lighthouse keeper who finds a letter.",
    "What are the differences between a list and a tuple in Python?",
    "Summarise how a bill becomes law in a parliamentary democracy.",
    "Give three ideas for a dinner of rice, eggs and spinach.",
    "How does a heat pump move warmth from cold air into a house?",
    "Describe the water cycle, step by step.",
)
"""Prompts for those who bring none: short, so that a server's time goes into its answers."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text, or the messages of a conversation, which only chat takes."""

    text: str = ""
    messages: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)


DEFAULT_PROMPTS: Final = tuple(map(Prompt, DEFAULT_TEXTS))


@dataclass(frozen=True, slots=True)
class Workload:
    """
    What is asked of a server.

    Args:
        model: Name of the model.

        prompts: Taken in order, and again from the first one.

        api: Whether chat or generate is called; both stream.

        num_predict: Tokens of an answer, at most; None leaves it to the model.

        options: More options of a run, such as `{"temperature": 0}`; a copy is kept, which nothing changes.
    """

    model: str
    prompts: tuple[Prompt, ...] = DEFAULT_PROMPTS
    api: Api = "chat"
    num_predict: int | None = 128
    options: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))
        if not self.prompts:
            raise ValueError("the prompt set is empty: give at least one prompt")
        if self.num_predict is not None and self.num_predict < 1:
            raise ValueError(f"num_predict must be 1 or more, or None for the model's own, not {self.num_predict}")
        if "num_predict" in self.options:
            raise ValueError("options hold num_predict, which has a parameter of its own: num_predict=128, or None")
        if self.api == "generate" and any(prompt.messages for prompt in self.prompts):
            raise ValueError("a prompt has messages, which generate does not take: use chat")

    def __reduce__(self) -> tuple[Any, ...]:
        # What cannot be changed has no pickle of its own.
        return type(self), (self.model, self.prompts, self.api, self.num_predict, dict(self.options))


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """Load by *workers* that each ask, read the answer to its end, and ask again."""

    workers: int
    kind: Literal["closed"] = "closed"

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"a closed loop needs 1 worker or more, not {self.workers}")

    def __str__(self) -> str:
        return f"{self.workers} worker{'s' * (self.workers != 1)}"


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Load by requests that arrive at random, *rate* a second on average, whether or not others were answered."""

    rate: float
    kind: Literal["open"] = "open"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"an open loop needs a rate of more than 0 requests a second, not {self.rate}")

    def __str__(self) -> str:
        return f"{self.rate:g} req/s"


Load: TypeAlias = ClosedLoop | OpenLoop


@dataclass(frozen=True, slots=True)
class Amount:
    """
    How long each load lasts.

    Args:
        requests: How many are sent. None for as many as go into *seconds*, or without those for 32.

        seconds: How long new ones are sent; those underway then are still read to their end. None for as long as it
            takes. With both, what comes first.

        warm_up: Requests before, which do not count; None for one for each worker, or one in an open loop.
    """

    requests: int | None = None
    seconds: float | None = None
    warm_up: int | None = None

    def __post_init__(self) -> None:
        if self.requests is None and self.seconds is None:
            object.__setattr__(self, "requests", 32)
        if self.requests is not None and self.requests < 1:
            raise ValueError(f"a load needs 1 request or more, not {self.requests}")
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"a load needs more than 0 seconds, not {self.seconds}")
        if self.warm_up is not None and self.warm_up < 0:
            raise ValueError(f"a warm-up has 0 requests or more, not {self.warm_up}")


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One request, as it was measured. Times are seconds since its load began, by one clock of the client.

    Args:
        prompt: Index of its prompt in the workload.

        worker: Which worker of a closed loop sent it; None in an open one.

        intended: When it was to be sent: in an open loop when it arrived, in a closed one when its worker was free.

        sent: When it was sent.

        arrivals: When each part with something of the answer in it was read: text, thinking or a tool call.

        ended: When the last part was read, or it failed, or was cut.

        parts: How many parts were read, with the last one.

        outcome: "done"; "failed", of which *error* and *message* tell; or "cut" by the end of the benchmark.

        error: Class of the error, such as "ConnectError".

        reason: What can be told of it in a word or two: the status of a ResponseError, the limit of a TimeoutError, or
            what the operating system says, such as "Connection refused"; None if nothing can.

        message: All that it says.

        tokens: The server's `eval_count`; None if it did not say.

        prompt_tokens: The server's `prompt_eval_count`.

        total: The server's own durations, in nanoseconds, as it says them: `total_duration`, `load_duration`,
            `prompt_eval_duration` and `eval_duration`.
    """

    prompt: int
    worker: int | None
    intended: float
    sent: float
    arrivals: tuple[float, ...]
    ended: float
    parts: int
    outcome: Outcome
    error: str | None = None
    reason: str | None = None
    message: str | None = None
    done_reason: str | None = None
    tokens: int | None = None
    prompt_tokens: int | None = None
    total: int | None = None
    load: int | None = None
    prompt_eval: int | None = None
    eval: int | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """
    What was measured under one load.

    Args:
        load: The load.

        began_at: The time of day, in UTC, as ISO 8601 has it.

        client_seconds: From the beginning to when all was over, also the pause behind a last failure.

        client_cpu: Seconds of processor time that this process took meanwhile.

        cut: Whether it was ended early.
    """

    load: Load
    began_at: str
    samples: tuple[Sample, ...]
    client_seconds: float
    client_cpu: float
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Ceiling:
    """
    What this client can do on this machine, with a server that costs next to nothing.

    Args:
        streams: How many there were at once.

        tokens_per_second: Of all of them.

        requests_per_second: The same, in streams from beginning to end.

        client_cpu: Share of a core that this process took, 1 for all of it.

        server_cpu: The same, of the server.
    """

    streams: int
    tokens_per_second: float
    requests_per_second: float
    seconds: float
    client_cpu: float
    server_cpu: float

    @property
    def limited_by(self) -> Literal["client", "server", "neither"]:
        """Which of the two had no time left; if it was not the client, it can do more than was measured."""
        if max(self.client_cpu, self.server_cpu) < _BUSY:
            return "neither"
        return "client" if self.client_cpu >= self.server_cpu else "server"


_BUSY: Final = 0.85
"""Share of a core from which a process counts as having no time left: the rest is waits for the other one's bytes."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What ran the client."""

    processor: str
    cores: int
    system: str
    python: str
    versions: Mapping[str, str] = field(hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", MappingProxyType(dict(self.versions)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.processor, self.cores, self.system, self.python, dict(self.versions))


@dataclass(frozen=True, slots=True)
class Run:
    """
    A whole benchmark of one host: its settings, and what was measured under each load.

    Args:
        label: What it is called in tables and plots; by default the host's URL.

        host: URL, without credentials.

        server: The server's version; None if it does not say.

        seed: Of the arrivals of open loops.
    """

    label: str
    host: str
    server: str | None
    workload: Workload
    amount: Amount
    seed: int
    machine: Machine
    began_at: str
    levels: tuple[Level, ...]
    cut: bool = False
    ceiling: Ceiling | None = None
