"""Whether a prompt and its answer fitted into the model's context, out of what the server counted; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ContextUse:
    """
    How a prompt and its answer fitted into a context.

    Args:
        num_ctx: Tokens of the context.

        prompt: Tokens of the prompt, as the model read it: what was cut off does not count.

        answer: Tokens of the answer.

        prompt_cut: Whether the prompt fills the context. The server cut it then, at its beginning or in its middle; but
            for the rare one that fits exactly.

        answer_cut: Whether the answer ended because the context was full, as it does with `shift=False`.

        shifted: Whether the server dropped old tokens while it answered, to make room: the answer went on without
            them.
    """

    num_ctx: int
    prompt: int
    answer: int
    prompt_cut: bool
    answer_cut: bool
    shifted: bool

    @property
    def fits(self) -> bool:
        """Whether nothing was lost, as far as the answer tells."""
        return not (self.prompt_cut or self.answer_cut or self.shifted)


def check_context(answer: Mapping[str, Any], num_ctx: int) -> ContextUse:
    """
    Say whether the server cut the prompt of *answer*, or the answer, because the context was full.

    Args:
        answer: A whole answer of `generate` or `chat`, or the last part of a stream.

        num_ctx: Tokens of the context: what `options={"num_ctx": ...}` said, or what `context_of` gives.

    A chat that is too long loses whole messages first, all but system messages and the last one, which leaves no trace
    in the answer. `truncate=False` makes the server refuse a prompt that is too long in place of cutting it. Raises
    ValueError if *answer* has no counts, as one that only loaded a model, or is not complete.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-completion
    """
    if isinstance(num_ctx, bool) or not isinstance(num_ctx, int) or num_ctx < 1:
        raise ValueError(f"num_ctx must be a number of tokens, 1 or more, not {num_ctx!r}")
    if not answer.get("done") or not (answer.get("prompt_eval_count") or answer.get("eval_count")):
        raise ValueError("the answer has no counts of tokens: give a whole answer, or the last part of a stream")
    prompt, made = answer.get("prompt_eval_count") or 0, answer.get("eval_count") or 0
    used = prompt + made
    shifted = used > num_ctx + 1  # the last token of an answer needs no place
    return ContextUse(
        num_ctx,
        prompt,
        made,
        prompt_cut=prompt >= num_ctx,
        answer_cut=used >= num_ctx and not shifted and answer.get("done_reason") == "length",
        shifted=shifted,
    )
