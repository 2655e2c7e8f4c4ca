"""A conversation as a frozen value, and what is added to it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ollama_fast.types import Think


@dataclass(frozen=True, slots=True)
class Talk:
    """
    A conversation, and what the next question goes with.

    Args:
        model: Name of the model that answers.

        messages: What was said, oldest first, as JSON has it; without the system message.

        system: In place of the model's system message.

        think: Whether, or how hard, a thinking model thinks.

        images: Base64 of those that the next question shows.
    """

    model: str
    messages: tuple[Mapping[str, Any], ...] = ()
    system: str | None = None
    think: Think | None = None
    images: tuple[str, ...] = ()


def asked(talk: Talk, text: str) -> Talk:
    """Add a question of the user, with the images that wait for it."""
    question: dict[str, Any] = {"role": "user", "content": text}
    if talk.images:
        question["images"] = list(talk.images)
    return replace(talk, messages=(*talk.messages, question), images=())


def answered(talk: Talk, *messages: Mapping[str, Any]) -> Talk:
    """Add what the model said, and what tools gave."""
    return replace(talk, messages=(*talk.messages, *messages))


def interrupted(before: Talk, talk: Talk, text: str) -> Talk:
    """
    Give the conversation after an answer that was stopped.

    Args:
        before: As it was before the question.

        talk: With the question.

        text: What was said until then. If it is nothing, the question is taken back, with its images.
    """
    return answered(talk, {"role": "assistant", "content": text}) if text else before


def to_send(talk: Talk) -> list[Mapping[str, Any]]:
    """Give the messages of a request, oldest first."""
    return [*system_of(talk), *talk.messages]


def system_of(talk: Talk) -> list[Mapping[str, Any]]:
    """Give the system message, if there is one."""
    return [] if talk.system is None else [{"role": "system", "content": talk.system}]


def as_json(talk: Talk) -> dict[str, Any]:
    """Give what is saved of a conversation."""
    return {"model": talk.model, "messages": to_send(talk)}


def from_json(talk: Talk, saved: object) -> Talk:
    """
    Give *talk* with the model and the messages that were saved.

    Raises ValueError if *saved* is no conversation.
    """
    messages = saved.get("messages") if isinstance(saved, dict) else None
    model = saved.get("model") if isinstance(saved, dict) else None
    if not isinstance(model, str) or not isinstance(messages, list) or not _are_messages(messages):
        raise ValueError('it holds no conversation, {"model": "...", "messages": [...]}')
    system: str | None = None
    if messages and messages[0]["role"] == "system":
        system, messages = messages[0].get("content", ""), messages[1:]
    return replace(talk, model=model, messages=tuple(messages), system=system, images=())


def _are_messages(found: Sequence[object]) -> bool:
    return all(
        isinstance(one, dict) and isinstance(one.get("role"), str) and isinstance(one.get("content", ""), str)
        for one in found
    )
