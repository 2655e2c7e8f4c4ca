"""
Every deliberate difference between `ollama_fast.compat` and the package `ollama`, by name, each with its reason.

Tests hold this list against both: what differs must be in it, and what is in it must differ. docs/compat.md shows it.
"""

from __future__ import annotations

from typing import Final

SURFACE: Final = {
    "dir(ollama) *install": "they put this package in the place of the genuine one, and take it back",
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

REQUESTS: Final = {
    "unknown options": "options that the class `Options` does not name, such as `min_p`, are sent",
    "unknown parts of messages": "`tool_call_id`, and the `id` and `index` of tool calls, are sent",
    "what else is in messages": "`create` leaves it out, as `chat` does in both; there it is sent, or a TypeError",
    "unknown keywords of tools": "`items` and all of `parameters` are sent, such as nested `properties` and `$ref`",
    "the order of a union": "its types are told in the order in which they are written",
    "what is in the types of functions": "items of lists, choices, values of dicts and fields of classes are told",
    "formats in the types of functions": "dates, UUIDs, paths, bytes and sets are described",
    "texts in the types of functions": "those of `Annotated` and `Field` are told",
    "None among the choices of a Literal": "such a parameter is not required",
    "*args and **kwargs of functions": "they are an array and an object, and not required",
    "self of a function in a class": "it is not told",
    "docstrings in another style than Google's": "what they say of parameters is told there, not in the description",
    "lines with a colon under Args": "one that is further to the right goes on with the text before it",
    "types that no JSON schema has": "ToolSchemaError, which names function and parameter, and no error of pydantic's",
    "dates and Enums": "dates, UUIDs and Enums in options are sent as text; there they are a TypeError",
    "the User-Agent": "it names this package, too",
    "the length of a file": "AsyncClient.create_blob sends it, and so the server can refuse at once",
    "credentials in a host": "the user and password of `http://user:password@host` are sent",
    "the key of the environment": (
        "OLLAMA_API_KEY goes to ollama.com, to this machine and to the host of OLLAMA_HOST; "
        "spaces around it are not part of it, and one with a line break is an error"
    ),
    "proxies of the environment": "they are not asked for what is on this machine, which they cannot reach",
}
"""What is sent."""

_NO_PORT: Final = "a port that is none is an error, whatever its number"
_ALL_ADDRESSES: Final = "a server listens on all addresses, but a client needs one: this machine"
_NO_URL: Final = "what no request can be sent to is an error at once"
_IPV6: Final = "an IPv6 address is one without brackets, too"
_TIDY: Final = "it is read as Ollama's own client reads it"

HOSTS: Final = {
    ":0": _NO_PORT,
    "http://example.com:0": _NO_PORT,
    "[::]": _ALL_ADDRESSES,
    "::": _ALL_ADDRESSES,
    "0.0.0.0": _ALL_ADDRESSES,
    "0.0.0.0:8080": _ALL_ADDRESSES,
    "::1": _IPV6,
    "::1:1337": _IPV6,
    "http://::1": _IPV6,
    "fe80::1%eth0": _IPV6,
    "[fe80::1%eth0]:1234": "a zone is written as URLs have it",
    " 1.2.3.4 ": _TIDY,
    '"1.2.3.4"': _TIDY,
    "' 1.2.3.4 '": _TIDY,
    "HTTP://Example.COM": _TIDY,
    "http://": _TIDY,
    "https://": _TIDY,
    "ollama.com": "it is asked by https",
    "ollama.com/": "it is asked by https",
    "bücher.example": "a name is written as DNS has it",
    "https://example.com/a b": "a path is written as URLs have it",
    "https://example.com/a?x=1#f": _NO_URL,
    "://foo": _NO_URL,
    "tcp://1.2.3.4": _NO_URL,
    "unix:///tmp/s.sock": _NO_URL,
    "http:/1.2.3.4": _NO_URL,
    "http:// 1.2.3.4": _NO_URL,
}
"""Texts for a host, in OLLAMA_HOST and elsewhere, that are read otherwise."""

ANSWERS: Final = {
    "unknown fields": "what a newer server sends besides is kept, as attributes and items",
    "types of scalars": "what comes in the place of a text or a number is taken; there it is a ValidationError",
}
"""What a method gives."""

_NEVER_EMPTY: Final = "an error without a message says what its status means"
_NO_OBJECT: Final = "an error whose body is JSON, but no object, is a ResponseError"
_NO_JSON: Final = "what is no JSON, or not that of an answer, is a ResponseError, too, and says what it is"
_SHORT: Final = "an answer that ends before its last part is a ResponseError"
_ERROR: Final = "an error in an answer is a ResponseError, whatever its shape"

FAILURES: Final = {
    "bad_gateway_empty": _NEVER_EMPTY,
    "host_refused": _NEVER_EMPTY,
    "panic": _NEVER_EMPTY,
    "error_body_list": _NO_OBJECT,
    "error_body_null": _NO_OBJECT,
    "error_body_number": _NO_OBJECT,
    "error_body_string": _NO_OBJECT,
    "html_with_200": _NO_JSON,
    "whole_empty": _NO_JSON,
    "whole_list": _NO_JSON,
    "malformed_line": _NO_JSON,
    "line_of_another_shape": _NO_JSON,
    "cut_inside_a_line": _SHORT,
    "cut_inside_the_first_line": _SHORT,
    "no_last_part": _SHORT,
    "nothing": _SHORT,
    "pull_without_success": _SHORT,
    "whole_not_done": _SHORT,
    "error_line_empty": _ERROR,
    "error_line_object": _ERROR,
    "error_with_200": _ERROR,
    "blank_lines": "blank lines are passed over",
    "next_line_character": "only a newline ends a line, and no other of Unicode's line ends",
    "refused": "for a stream it is httpx's ConnectError, as there, and the builtin ConnectionError, too",
    "cut by the network": "a stream that the network cuts is a ResponseError, too",
}
"""What is raised for the answers in tests/faults, and for what the network does."""

BEHAVIOUR: Final = {
    "import under a bad OLLAMA_HOST": "it is looked at by the first call: the import does not fail",
    "several event loops": "an AsyncClient serves one after the other",
}
"""What goes on working."""
