"""
Every deliberate difference between `ollama_fast.compat` and the package `ollama`, by name, each with its reason.

Tests hold this list against both: what differs must be in it, and what is in it must differ. docs/compat.md shows it.
"""

from __future__ import annotations

from typing import Final

SURFACE: Final = {
    "dir(ollama) *install": "they put this package in the place of the genuine one, and take it back",
    "ollama.*install*": "the same",
    "ollama._client.BaseClient.__*exit__*": "each of the two clients closes in a way of its own",
    "ollama._client._as_path(s) type": "the path has a type argument for type checkers",
    "ollama._types.*Response* extra": "what a newer server sends besides is kept",
    "ollama._types.*Answer extra": "what a newer server sends besides is kept",
    "ollama._types.*Usage extra": "what a newer server sends besides is kept",
    "ollama._types.*Question extra": "what a newer server can be asked besides is sent",
    "ollama._types.*ogprob extra": "what a newer server sends besides is kept",
    "ollama._types.ModelDetails extra": "what a newer server sends besides is kept",
    "ollama._types.WebSearchResult extra": "what a newer server sends besides is kept",
    "ollama._types.Message* extra": "`tool_call_id` and the `id` of tool calls are kept and sent",
    "ollama._types.Options extra": "options that the class does not name, such as `min_p`, are sent",
    "ollama._types.Tool* extra": "schemas of nested types are sent whole",
    "ollama._types.SubscriptableBaseModel extra": "the classes below keep what they are given",
}
"""Names, signatures and fields, as tests/test_compat_surface.py takes them down; `*` stands for any text."""
