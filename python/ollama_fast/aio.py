"""The functions of :mod:`ollama_fast`, for asyncio: same names, same parameters, to be awaited or iterated over."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import _answers, _bars, _conversation, _doctor, _endpoints, _many, _models, _procedures, _progress
from ._async import call, examination, procedure, procedure_stream, stream, task
from ._async_map import Answers as Answers
from ._async_map import many
from ._async_pool import close as close
from ._async_progress import relay
from ._async_stream import Stream as Stream
from ._async_stream import collect as collect

if TYPE_CHECKING:
    from ._context import check_context as check_context
    from ._modelfile import parse_modelfile as parse_modelfile
    from .tools import tool as tool

__all__ = [
    "Answers",
    "Stream",
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


if not TYPE_CHECKING:  # a type checker would take any name for one of the module
    _ROOMS = {"check_context": "_context", "parse_modelfile": "_modelfile", "tool": "tools"}
    """Where the functions are that wait for nothing; they are loaded when they are first asked for."""

    def __getattr__(name: str) -> Any:
        if name in _ROOMS:
            from importlib import import_module

            return getattr(import_module(f"{__package__}.{_ROOMS[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


generate = call(_endpoints.generate)
"""Complete a prompt with a model, and give the whole answer."""
generate_stream = stream(_endpoints.generate)
"""Complete a prompt with a model, part by part."""
chat = call(_endpoints.chat)
"""Answer a conversation with a model, and give the whole answer."""
chat_stream = stream(_endpoints.chat)
"""Answer a conversation with a model, part by part."""
doctor = examination(_doctor.doctor)
"""Look at a host and at all that leads to it, and say what is wrong and what to do."""
parse = procedure(_answers.parse)
"""Answer a conversation in the form of a type, and give a value of that type."""
parse_stream = procedure_stream(_answers.parse)
"""Answer a conversation in the form of a type, and give its value while it arrives, then whole."""
run_tools = procedure(_conversation.run_tools)
"""Answer a conversation with a model that may call functions, as often as it needs them."""
run_tools_stream = procedure_stream(_conversation.run_tools)
"""Answer a conversation with a model that may call functions, and give parts and results as they come."""
call_tool = task(_conversation.call_tool)
"""Call the function that a model's tool call names, and give the message with its result."""
embed = call(_endpoints.embed)
"""Turn texts into vectors of length 1."""
embed_array = call(_endpoints.embed_array)
"""Turn texts into vectors of length 1, as float32 in one buffer that numpy takes without a copy."""
embed_many = many(_many.embed_many)
"""Turn each of many texts into a vector, in batches, over one host or several."""
map_generate = many(_many.map_generate)
"""Complete each of many prompts, over one host or several."""
map_chat = many(_many.map_chat)
"""Answer each of many conversations, over one host or several."""
progress = relay(_progress.progress)
"""Turn the parts of a pull, push or create into how far all of it is."""
show_progress = relay(_bars.show_progress)
"""Show how far a pull, push or create is, and give its parts on."""
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
ensure_model = procedure(_models.ensure_model)
"""Download a model to the server unless it is there."""
ensure_model_stream = procedure_stream(_models.ensure_model)
"""Download a model to the server unless it is there, and tell how far it is."""
load = procedure(_models.load)
"""Load a model into memory, and wait until it is there."""
unload = procedure(_models.unload)
"""Let the server free the memory that a model takes."""
unload_all = procedure(_models.unload_all)
"""Let the server free the memory of all models, and give their names."""
context_of = procedure(_models.context_of)
"""Ask how many tokens the context of a model has, as it is loaded now."""
wait_ready = procedure(_models.wait_ready)
"""Wait until the server answers, such as after its start."""

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
