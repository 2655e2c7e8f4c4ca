"""Keyword arguments that people bring from other clients, and what takes their place here; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_OF_HOST: Final = "it is a setting of the host: Host(url, {0}=...), or host.with_options({0}=...) for one call"
_FIRST: Final = "the host is the first argument, without a name"
_HINTS: Final[Mapping[str, str]] = {
    **{name: _OF_HOST.format(name) for name in ("timeout", "headers", "auth", "verify", "proxy", "limits")},
    **dict.fromkeys(("host", "base_url", "client", "url"), _FIRST),
    "api_key": "credentials are the host's: Host(url, auth=key)",
    "name": "the parameter is 'model'",
    "input": "the parameter is 'prompt'",
    "max_tokens": "Ollama calls it num_predict: options={'num_predict': ...}",
    "max_completion_tokens": "Ollama calls it num_predict: options={'num_predict': ...}",
    "response_format": "the parameter is 'format'",
    "functions": "the parameter is 'tools'",
    "tool_choice": "Ollama has no such field; give the tools that may be called",
    "extra_body": "the parameter is 'extra'",
}
_HINTS_OF: Final[Mapping[tuple[str, str], str]] = {
    ("chat", "prompt"): "chat takes messages=[{'role': 'user', 'content': prompt}]; generate takes a prompt",
    ("chat", "system"): "it is a message: {'role': 'system', 'content': system}",
    ("chat", "images"): "they belong into a message: {'role': 'user', 'content': ..., 'images': images}",
    ("generate", "messages"): "generate takes a prompt; chat takes messages",
    ("generate", "tools"): "generate takes none; chat does",
    ("embed", "prompt"): "the parameter is 'input'",
    ("embed", "texts"): "the parameter is 'input'",
}


def hint_of(error: str, called: str, *, takes_options: bool) -> str:
    """
    Say what to write in place of a keyword that a function does not take; "" if nobody knows.

    Args:
        error: What Python says of the call.

        called: Name of the function that a caller called; some pass keywords on to others.

        takes_options: Whether it has `options`.
    """
    if re.search(r"\(\) missing .*'model'", error):
        return f"{_FIRST}; None is the environment's"
    found = re.match(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'", error)
    if found is None:
        return ""
    refused, keyword = found.groups()
    for name in (called, refused):
        kind = re.sub(r"^map_|_(?:stream|array|many)$", "", name)
        if hint := _HINTS_OF.get((kind, keyword)):
            return hint
    if takes_options:
        from .types import Options

        if keyword in Options.__annotations__:
            return f"it is one of the options: options={{'{keyword}': ...}}"
    return _HINTS.get(keyword, "")
