"""
Plain functions for Ollama's REST API, over httpx and a Rust core; :mod:`ollama_fast.aio` has the same ones for asyncio.

The first argument of every function says where Ollama is: a :class:`Host`, its URL as a str, an httpx client of your
own, or None for what OLLAMA_HOST says.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import _endpoints, _procedures
from . import errors as errors
from ._core import DEBUG
from ._core import __version__ as __version__
from ._host import Host as Host
from ._host import Limits as Limits
from ._host import Timeout as Timeout
from ._retry import Retry as Retry
from ._stream import Stats as Stats
from ._sync import call, procedure, procedure_stream, stream
from ._sync_pool import close as close
from ._sync_stream import Stream as Stream
from ._sync_stream import collect as collect

if TYPE_CHECKING:
    from . import aio as aio
    from . import tools as tools
    from . import types as types
    from ._async_transport import AsyncTransport as AsyncTransport
    from ._composed import Answers as Answers
    from ._composed import ContextUse as ContextUse
    from ._composed import Conversation as Conversation
    from ._composed import Finding as Finding
    from ._composed import Parsed as Parsed
    from ._composed import Partial as Partial
    from ._composed import Progress as Progress
    from ._composed import Report as Report
    from ._composed import ToolResult as ToolResult
    from ._composed import call_tool as call_tool
    from ._composed import check_context as check_context
    from ._composed import context_of as context_of
    from ._composed import doctor as doctor
    from ._composed import embed_many as embed_many
    from ._composed import ensure_model as ensure_model
    from ._composed import ensure_model_stream as ensure_model_stream
    from ._composed import load as load
    from ._composed import map_chat as map_chat
    from ._composed import map_generate as map_generate
    from ._composed import parse as parse
    from ._composed import parse_stream as parse_stream
    from ._composed import progress as progress
    from ._composed import run_tools as run_tools
    from ._composed import run_tools_stream as run_tools_stream
    from ._composed import show_progress as show_progress
    from ._composed import unload as unload
    from ._composed import unload_all as unload_all
    from ._composed import wait_ready as wait_ready
    from ._embeddings import EmbedArray as EmbedArray
    from ._modelfile import Modelfile as Modelfile
    from ._modelfile import parse_modelfile as parse_modelfile
    from ._transport import Transport as Transport
    from .tools import tool as tool

__all__ = [
    "Answers",
    "AsyncTransport",
    "ContextUse",
    "Conversation",
    "EmbedArray",
    "Finding",
    "Host",
    "Limits",
    "Modelfile",
    "Parsed",
    "Partial",
    "Progress",
    "Report",
    "Retry",
    "Stats",
    "Stream",
    "Timeout",
    "ToolResult",
    "Transport",
    "__version__",
    "aio",
    "call_tool",
    "chat",
    "chat_stream",
    "check_context",
    "close",
    "collect",
    "context_of",
    "copy",
    "create",
    "create_blob",
    "create_stream",
    "delete",
    "doctor",
    "embed",
    "embed_array",
    "embed_many",
    "embeddings",
    "ensure_model",
    "ensure_model_stream",
    "errors",
    "generate",
    "generate_stream",
    "has_blob",
    "is_running",
    "list",
    "load",
    "map_chat",
    "map_generate",
    "model_recommendations",
    "parse",
    "parse_modelfile",
    "parse_stream",
    "progress",
    "ps",
    "pull",
    "pull_stream",
    "push",
    "push_stream",
    "run_tools",
    "run_tools_stream",
    "show",
    "show_progress",
    "signout",
    "status",
    "systemone",
    "tool",
    "tools",
    "types",
    "unload",
    "unload_all",
    "version",
    "wait_ready",
    "web_fetch",
    "web_search",
    "whoami",
]


def __dir__() -> Sequence[str]:
    return __all__


if DEBUG:
    import warnings

    warnings.warn(
        "the core of ollama_fast is a build without optimisation, many times slower: build it with --release",
        RuntimeWarning,
        stacklevel=2,
    )


if not TYPE_CHECKING:  # a type checker would take any name for one of the package
    _ROOMS = {
        "AsyncTransport": "_async_transport",
        "EmbedArray": "_embeddings",
        "Modelfile": "_modelfile",
        "Transport": "_transport",
        "parse_modelfile": "_modelfile",
        "tool": "tools",
        **dict.fromkeys(
            (
                "Answers",
                "ContextUse",
                "Conversation",
                "Finding",
                "Parsed",
                "Partial",
                "Progress",
                "Report",
                "ToolResult",
                "call_tool",
                "check_context",
                "context_of",
                "doctor",
                "embed_many",
                "ensure_model",
                "ensure_model_stream",
                "load",
                "map_chat",
                "map_generate",
                "parse",
                "parse_stream",
                "progress",
                "run_tools",
                "run_tools_stream",
                "show_progress",
                "unload",
                "unload_all",
                "wait_ready",
            ),
            "_composed",
        ),
    }
    """Where the names are that are loaded when they are first asked for."""

    def __getattr__(name: str) -> Any:
        # asyncio and httpx each take longer to import than all of this; these are for those who ask for them.
        if name in _ROOMS or name in ("aio", "tools", "types"):
            from importlib import import_module

            room = import_module(f"{__name__}.{_ROOMS.get(name, name)}")
            return globals().setdefault(name, getattr(room, name) if name in _ROOMS else room)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


generate = call(_endpoints.generate)
"""Complete a prompt with a model, and give the whole answer."""
generate_stream = stream(_endpoints.generate)
"""Complete a prompt with a model, part by part."""
chat = call(_endpoints.chat)
"""Answer a conversation with a model, and give the whole answer."""
chat_stream = stream(_endpoints.chat)
"""Answer a conversation with a model, part by part."""
embed = call(_endpoints.embed)
"""Turn texts into vectors of length 1."""
embed_array = call(_endpoints.embed_array)
"""Turn texts into vectors of length 1, as float32 in one buffer that numpy takes without a copy."""
embeddings = call(_endpoints.embeddings)
"""Turn one text into a vector; superseded by `embed`."""
systemone = call(_endpoints.systemone)
"""Answer questions about a state with probabilities, by a System One model."""

list = call(_endpoints.list_models, name="list")
"""List the models on the server, newest first."""
ps = call(_endpoints.ps)
"""List the models in memory."""
show = call(_endpoints.show)
"""Show what the server knows of a model."""
copy = call(_endpoints.copy)
"""Give a model a second name."""
delete = call(_endpoints.delete)
"""Remove a model from the server."""
pull = call(_endpoints.pull)
"""Download a model from its registry to the server."""
pull_stream = stream(_endpoints.pull)
"""Download a model from its registry to the server, and tell how far it is."""
push = call(_endpoints.push)
"""Upload a model from the server to its registry."""
push_stream = stream(_endpoints.push)
"""Upload a model from the server to its registry, and tell how far it is."""
create = procedure(_procedures.create)
"""Make a model from another one, from files, which are sent to the server unless it has them, or by a Modelfile."""
create_stream = procedure_stream(_procedures.create)
"""Make a model from another one, from files or by a Modelfile, and tell how far it is."""
create_blob = procedure(_procedures.create_blob)
"""Send a file of any size to the server, unless it has it, and give its digest."""
has_blob = call(_endpoints.has_blob)
"""Ask whether the server has the blob with a digest."""

is_running = procedure(_procedures.is_running)
"""Ask whether Ollama answers at the host."""
version = call(_endpoints.version)
"""Ask the server for its version."""
status = call(_endpoints.status)
"""Ask the server whether it may use ollama.com."""
model_recommendations = call(_endpoints.model_recommendations)
"""Ask the server which models it recommends."""
whoami = call(_endpoints.whoami)
"""Ask which account at ollama.com the server is signed in to."""
signout = call(_endpoints.signout)
"""Sign the server out of ollama.com."""
web_search = call(_endpoints.web_search)
"""Search the web by ollama.com."""
web_fetch = call(_endpoints.web_fetch)
"""Fetch the text of a web page by ollama.com."""
