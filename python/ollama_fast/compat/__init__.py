"""
The package `ollama` over this one: `import ollama_fast.compat as ollama` and change nothing else.

The names, signatures, models and exceptions are those of `ollama` 0.6.3. The functions ask the host of OLLAMA_HOST,
which is looked at when one is first called.
"""

from ollama_fast._stand_in import install as install
from ollama_fast._stand_in import uninstall as uninstall

from ._client import AsyncClient, Client
from ._types import (
    ChatResponse,
    EmbeddingsResponse,
    EmbedResponse,
    GenerateResponse,
    Image,
    ListResponse,
    Message,
    Options,
    ProcessResponse,
    ProgressResponse,
    RequestError,
    ResponseError,
    ShowResponse,
    StatusResponse,
    SystemOneAnswer,
    SystemOneChoiceAnswer,
    SystemOneChoiceQuestion,
    SystemOneContent,
    SystemOneNoulAnswer,
    SystemOneNoulQuestion,
    SystemOneQuestion,
    SystemOneRequest,
    SystemOneResponse,
    SystemOneScoreAnswer,
    SystemOneScoreQuestion,
    SystemOneUsage,
    Tool,
    WebFetchResponse,
    WebSearchResponse,
)

__all__ = [
    "AsyncClient",
    "ChatResponse",
    "Client",
    "EmbedResponse",
    "EmbeddingsResponse",
    "GenerateResponse",
    "Image",
    "ListResponse",
    "Message",
    "Options",
    "ProcessResponse",
    "ProgressResponse",
    "RequestError",
    "ResponseError",
    "ShowResponse",
    "StatusResponse",
    "SystemOneAnswer",
    "SystemOneChoiceAnswer",
    "SystemOneChoiceQuestion",
    "SystemOneContent",
    "SystemOneNoulAnswer",
    "SystemOneNoulQuestion",
    "SystemOneQuestion",
    "SystemOneRequest",
    "SystemOneResponse",
    "SystemOneScoreAnswer",
    "SystemOneScoreQuestion",
    "SystemOneUsage",
    "Tool",
    "WebFetchResponse",
    "WebSearchResponse",
]


class _DefaultClient(Client):
    """The client of the functions, which becomes one of httpx at its first use: an import must not fail."""

    def __init__(self) -> None:
        pass

    def __getattr__(self, name: str) -> object:
        if name not in {"_client", "_direct", "_underway"}:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        import atexit  # here, since the module has the names of the genuine one

        replaced = dict(vars(self))
        super().__init__()
        atexit.register(vars(self)["_client"].close)  # nobody else does, and httpx's own sockets would warn of it
        vars(self).update(replaced)
        return vars(self)[name]


_client = _DefaultClient()

generate = _client.generate
chat = _client.chat
embed = _client.embed
embeddings = _client.embeddings
pull = _client.pull
push = _client.push
create = _client.create
delete = _client.delete
list = _client.list
copy = _client.copy
show = _client.show
ps = _client.ps
web_search = _client.web_search
web_fetch = _client.web_fetch
systemone = _client.systemone
