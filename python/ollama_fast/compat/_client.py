"""Clients with the surface of those of `ollama`, over this package's endpoints and transports."""

# Annotations are real objects here, since programs look at them.

import inspect
import ipaddress
import os
import platform
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar, get_args

from ollama_fast import _core, _endpoints, _upload, types
from ollama_fast._host import api_key
from ollama_fast._stand_in import VERSION
from ollama_fast._upload import Upload
from ollama_fast._url import Auth, read

from . import _calls, _types
from ._calls import Call
from ._types import Image, Message, StatusResponse, Tool
from ._utils import convert_function_to_tool

if TYPE_CHECKING:
    import httpx

    from ._direct import Direct, Route
    from ._signatures import AsyncMethods, Methods  # pyright: ignore[reportMissingModuleSource]
    from ._underway import Underway
else:
    AsyncMethods = Methods = object

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_Awaited: TypeAlias = Coroutine[Any, Any, T]

__version__ = VERSION

CONNECTION_ERROR_MESSAGE = (
    "Failed to connect to Ollama. Please check that Ollama is downloaded, running and accessible."
    " https://ollama.com/download"
)


def __getattr__(name: str) -> Any:
    """Give what the module of `ollama` has beside: programs take models from there, and tests patch httpx there."""
    if name in {"httpx", "json"}:
        return import_module(name)
    try:
        return getattr(_types, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


# --- arguments -------------------------------------------------------------------------------------------------------


def _copy_images(images: Sequence[Any] | None) -> Iterator[Image]:
    for image in images or ():
        yield image if isinstance(image, Image) else Image(value=image)


def _copy_messages(messages: Sequence[Mapping[str, Any] | Message] | None) -> Iterator[Message]:
    known = types.Message.__annotations__
    for message in messages or ():
        # By the names that the API knows: what else is in there, a model need not be able to hold.
        given = {name: value for name, value in dict(message).items() if value and name in known}
        if "images" in given:
            given["images"] = list(_copy_images(given["images"]))
        yield Message.model_validate(given)


def _copy_tools(tools: Sequence[Mapping[str, Any] | Tool | Callable[..., Any]] | None = None) -> Iterator[Tool]:
    for tool in tools or ():
        yield convert_function_to_tool(tool) if callable(tool) else Tool.model_validate(tool)


def _as_path(s: str | os.PathLike[str] | None) -> Path | None:
    try:
        path = Path(s) if isinstance(s, str | Path) else None
        return path if path is not None and path.exists() else None
    except (OSError, ValueError):  # too long, or with a NUL: no path
        return None


def _parse_host(host: str | None) -> str:
    return _read_host(host or "")[0]


def _read_host(text: str, source: str = "given as host") -> tuple[str, Auth | None]:
    """Give the URL that *text* stands for, with an IPv6 address as it is written there, and credentials in it."""
    url, credentials = read(text, source)
    written = re.search(r"(?:^|//|@)\[([^]%]*)", text)
    if written is not None and url.startswith(("http://[", "https://[")):
        short = ipaddress.IPv6Address(written[1]).compressed
        url = url.replace(f"[{short}", f"[{written[1]}", 1)
    return url, credentials


# --- methods ---------------------------------------------------------------------------------------------------------


def _blocking(
    build: Callable[P, Call[R]], name: str | None = None, asks: str | None = None
) -> Callable[Concatenate[Any, P], R]:
    """
    Make a call a method of Client.

    Args:
        build: What makes the call of the method's arguments.

        name: Of the method, if it is not the builder's.

        asks: What the client must have a key for.
    """

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        call = build(*args, **kwargs)
        options = self._options(call, asks)
        if call.cls is StatusResponse:
            return _status(self._request_raw(*call.place, **options))
        return self._request(call.cls, *call.place, **options)

    faced: Callable[Concatenate[Any, P], R] = _faced(method, build, name, "Client", Iterator)
    return faced


def _awaited(build: Callable[P, Call[R]], name: str | None = None) -> Callable[Concatenate[Any, P], _Awaited[R]]:
    """Make a call a method of AsyncClient, which is a coroutine function, as `_blocking` does."""

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        call = build(*args, **kwargs)
        options = self._options(call)
        if call.cls is StatusResponse:
            return _status(await self._request_raw(*call.place, **options))
        return await self._request(call.cls, *call.place, **options)

    faced: Callable[Concatenate[Any, P], _Awaited[R]] = _faced(method, build, name, "AsyncClient", AsyncIterator)
    return faced


def _faced(method: Any, build: Callable[..., Any], name: str | None, owner: str, iterator: Any) -> Any:
    """Give *method* the name, signature and doc of *build*."""
    method.__name__ = name or build.__name__
    method.__qualname__ = f"{owner}.{method.__name__}"
    method.__doc__ = build.__doc__
    signature = inspect.signature(build)
    answer = get_args(signature.return_annotation)[0]
    given = answer | iterator[answer] if "stream" in signature.parameters else answer
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    method.__signature__ = signature.replace(
        parameters=[first, *signature.parameters.values()], return_annotation=given
    )
    method.__annotations__ = {**build.__annotations__, "return": given}
    return method


def _status(response: "httpx.Response") -> StatusResponse:
    return StatusResponse(status="success" if response.status_code == 200 else "error")


# --- clients ---------------------------------------------------------------------------------------------------------

_OF_TRANSPORTS: Final = ("verify", "cert", "http1", "http2", "limits", "proxy")
"""Arguments of httpx's clients that are for the transport that they make."""

_OTHER_TRANSPORTS: Final = ("transport", "app", "proxies")
"""Arguments with which they make another; the latter two are those of httpx 0.27."""


class BaseClient(AbstractContextManager[Any], AbstractAsyncContextManager[Any]):
    """What both clients are: a client of httpx that knows where Ollama is."""

    _client: Any
    _direct: "Direct"
    _underway: "Underway"

    def __init__(
        self,
        client: Any,
        host: str | None = None,
        *,
        follow_redirects: bool = True,
        timeout: Any = None,
        headers: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        """
        Make a client of httpx.

        Args:
            client: Its class.

            host: Where Ollama is, by the rules of OLLAMA_HOST, which counts if this is None or "".

            follow_redirects: As httpx's.

            timeout: As httpx's, but without a limit by default.

            headers: Sent with every request.

            kwargs: The other arguments of httpx's client. Without `transport` this package's transport serves.
        """
        from ._direct import Direct
        from ._underway import Underway

        if host:
            url, credentials = _read_host(host)
        else:
            url, credentials = _read_host(os.environ.get("OLLAMA_HOST", ""), "read from OLLAMA_HOST")
        given: dict[str, Any] = {name.lower(): value for name, value in dict(headers or {}).items()} | {
            "content-type": "application/json",
            "accept": "application/json",
            "user-agent": _user_agent(),
        }
        sent = {name: value for name, value in given.items() if value is not None}
        if not sent.get("authorization") and (key := api_key(url, os.environ)[0]):
            sent["authorization"] = f"Bearer {key}"
        if credentials is not None and "authorization" not in sent:
            kwargs.setdefault("auth", credentials)
        if not any(kwargs.get(name) for name in _OTHER_TRANSPORTS):
            from ._transports import transports

            options: dict[str, Any] = {name: kwargs.pop(name) for name in _OF_TRANSPORTS if name in kwargs}
            trust_env = kwargs.get("trust_env", True)
            kwargs |= transports(client, url, options, kwargs.get("mounts"), trust_env=trust_env)
        self._client = client(base_url=url, follow_redirects=follow_redirects, timeout=timeout, headers=sent, **kwargs)
        self._direct = Direct(self._client)
        self._underway = Underway()

    def _route(self, words: tuple[Any, ...], named: dict[str, Any]) -> "Route | None":
        """Give the short way for a request, if there is one."""
        inner = self._client  # first: that of the functions is made when it is asked for
        return self._direct.route(inner, words, named)

    def _options(self, call: Call[Any], asks: str | None = None) -> dict[str, Any]:
        """
        Give the options of the request for *call*.

        A key for ollama.com goes along to ollama.com, if the client has none. Raises ValueError if there is no key,
        and *asks* says what for.
        """
        options = call.options
        if call.request.origin is not None:
            bearer: str = self._client.headers.get("authorization", "")
            if not bearer and (key := api_key(call.request.origin, os.environ)[0]):
                bearer = f"Bearer {key}"
                options["headers"] = {"authorization": bearer}
            if asks is not None and not bearer.startswith("Bearer "):
                raise ValueError(f"Authorization header with Bearer token is required for {asks}")
        return options


class Client(BaseClient, Methods):
    """A blocking client of one host."""

    def __init__(self, host: str | None = None, **kwargs: Any) -> None:
        """
        Make a client.

        Args:
            host: Where Ollama is, by the rules of OLLAMA_HOST, which counts if this is None or "".

            kwargs: Arguments of httpx.Client, such as `timeout`, which is None by default, `headers` and `auth`.

        Raises ValueError if the host cannot be understood.
        """
        import httpx

        super().__init__(httpx.Client, host, **kwargs)

    def close(self) -> None:
        """Close the client's connections; who waits for more of a stream gets httpx's ReadError."""
        self._client.close()
        for response in list(self._underway.streams):
            response.close()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        self.close()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        self.close()

    def _request_raw(self, *args: Any, **kwargs: Any) -> "httpx.Response":
        from ._sending import send

        return send(self, args, kwargs)

    def _request(self, cls: type[T], *args: Any, stream: bool = False, **kwargs: Any) -> T | Iterator[T]:
        from ._sending import receive, whole

        if stream:
            return receive(self, cls, args, kwargs)
        return whole(cls, self._request_raw(*args, **kwargs))

    if not TYPE_CHECKING:
        generate = _blocking(_calls.generate)
        chat = _blocking(_calls.chat)
        systemone = _blocking(_calls.systemone)
        embed = _blocking(_calls.embed)
        embeddings = _blocking(_calls.embeddings)
        pull = _blocking(_calls.pull)
        push = _blocking(_calls.push)
        create = _blocking(_calls.create)
        delete = _blocking(_calls.delete)
        copy = _blocking(_calls.copy)
        show = _blocking(_calls.show)
        ps = _blocking(_calls.ps)
        web_search = _blocking(_calls.web_search, asks="web search")
        web_fetch = _blocking(_calls.web_fetch, asks="web fetch")
        list = _blocking(_calls.list_models, "list")

    def create_blob(self, path: str | Path) -> str:
        """Send the file at *path* to the server, for `create`, and give its digest."""
        digest, upload = _upload.digest(path), Upload.of(path)
        request = _endpoints.upload_blob(digest, upload)
        self._request_raw(request.method, request.path, content=upload, headers=_length(upload))
        return digest


class AsyncClient(BaseClient, AsyncMethods):
    """A client of one host for asyncio."""

    def __init__(self, host: str | None = None, **kwargs: Any) -> None:
        """
        Make a client.

        Args:
            host: Where Ollama is, by the rules of OLLAMA_HOST, which counts if this is None or "".

            kwargs: Arguments of httpx.AsyncClient, such as `timeout`, which is None by default, `headers` and `auth`.

        Raises ValueError if the host cannot be understood.
        """
        import httpx

        super().__init__(httpx.AsyncClient, host, **kwargs)

    async def close(self) -> None:
        """Close the client's connections; who waits for an answer, or for more of one, gets httpx's ReadError."""
        await self._client.aclose()
        self._underway.end_waiting()
        for response in list(self._underway.streams):
            await response.aclose()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Leave a `with` block, which cannot wait: the connections are closed with the client's last reference."""

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.close()

    async def _request_raw(self, *args: Any, **kwargs: Any) -> "httpx.Response":
        from ._sending import asend

        return await asend(self, args, kwargs)

    async def _request(self, cls: type[T], *args: Any, stream: bool = False, **kwargs: Any) -> T | AsyncIterator[T]:
        from ._sending import areceive, whole

        if stream:
            return areceive(self, cls, args, kwargs)
        return whole(cls, await self._request_raw(*args, **kwargs))

    if not TYPE_CHECKING:
        generate = _awaited(_calls.generate)
        chat = _awaited(_calls.chat)
        systemone = _awaited(_calls.systemone)
        embed = _awaited(_calls.embed)
        embeddings = _awaited(_calls.embeddings)
        pull = _awaited(_calls.pull)
        push = _awaited(_calls.push)
        create = _awaited(_calls.create)
        delete = _awaited(_calls.delete)
        copy = _awaited(_calls.copy)
        show = _awaited(_calls.show)
        ps = _awaited(_calls.ps)
        web_search = _awaited(_calls.web_search)
        web_fetch = _awaited(_calls.web_fetch)
        list = _awaited(_calls.list_models, "list")

    async def create_blob(self, path: str | Path) -> str:
        """Send the file at *path* to the server, for `create`, and give its digest."""
        from ollama_fast._async_aside import Pieces, off_the_loop

        digest = await off_the_loop(partial(_upload.digest, path))
        upload = Upload.of(path)
        request = _endpoints.upload_blob(digest, upload)
        await self._request_raw(request.method, request.path, content=Pieces(upload), headers=_length(upload))
        return digest


def _length(upload: Upload) -> dict[str, str]:
    return {"Content-Length": str(upload.size)}


@cache
def _user_agent() -> str:
    machine, system = platform.machine(), platform.system().lower()
    ours = f"ollama-fast/{_core.__version__}"
    return f"ollama-python/{__version__} ({machine} {system}) Python/{platform.python_version()} {ours}"
