"""Looks at the way to a host, each within a limit of time: names, connections, TLS. These block."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import threading
from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple


class Place(NamedTuple):
    """An address that a name stands for, as the operating system takes it."""

    family: int
    address: Any

    def __str__(self) -> str:
        return str(self.address[0])


class Lookup(NamedTuple):
    """What a name stands for, and how long it took to find out."""

    places: tuple[Place, ...]
    seconds: float


class Attempt(NamedTuple):
    """A try to connect: how long it took, or why it failed."""

    place: Place
    seconds: float
    error: OSError | None = None


class Shaken(NamedTuple):
    """
    A TLS connection that was made.

    Args:
        version: Of TLS.

        names: What the server's certificate is for; none if it was not checked.

        expires_at: When it expires, in seconds since 1970; None if it was not checked.

        seconds: How long it took.
    """

    version: str
    names: tuple[str, ...]
    expires_at: float | None
    seconds: float


def look_up(name: str, port: int, seconds: float) -> Lookup:
    """Ask what *name* stands for. Raises OSError; TimeoutError if no answer comes within *seconds*."""
    came: list[Any] = []

    def ask() -> None:
        try:
            came.append(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except OSError as exc:
            came.append(exc)
        except UnicodeError as exc:  # of a label that is too long
            came.append(socket.gaierror(socket.EAI_NONAME, str(exc)))

    began = perf_counter()
    asking = threading.Thread(target=ask, name="ollama_fast", daemon=True)  # nothing can end it but the resolver
    asking.start()
    asking.join(seconds)
    if not came:
        raise socket.gaierror(socket.EAI_AGAIN, f"no answer within {seconds:g} s")
    (found,) = came
    if isinstance(found, OSError):
        raise found
    places = dict.fromkeys(Place(family, address) for family, _, _, _, address in found)
    return Lookup(tuple(places), perf_counter() - began)


def connect(places: Sequence[Place], seconds: float) -> list[Attempt]:
    """Try to connect to all of *places*, at the same time, and give what came of each."""
    began = perf_counter()
    done: dict[Place, Attempt] = {}
    try:
        selector = selectors.DefaultSelector()
    except OSError as exc:  # no more files may be open
        return [Attempt(place, perf_counter() - began, exc) for place in places]
    with selector as waiting:
        try:
            for place in places:
                error = _begin(place, waiting)
                if error is not None:
                    done[place] = Attempt(place, perf_counter() - began, error)
            while waiting.get_map() and (left := began + seconds - perf_counter()) > 0:
                for key, _ in waiting.select(left):
                    number = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
                    error = OSError(number, os.strerror(number)) if number else None
                    done[key.data] = Attempt(key.data, perf_counter() - began, error)
                    _drop(key, waiting)
        finally:
            for key in list(waiting.get_map().values()):
                silence = TimeoutError(errno.ETIMEDOUT, f"no answer within {seconds:g} s")
                done[key.data] = Attempt(key.data, perf_counter() - began, silence)
                _drop(key, waiting)
    return [done[place] for place in places]


def _begin(place: Place, waiting: selectors.BaseSelector) -> OSError | None:
    try:
        sock = socket.socket(place.family, socket.SOCK_STREAM)
    except OSError as exc:
        return exc
    sock.setblocking(False)
    number = sock.connect_ex(place.address)
    if number in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
        waiting.register(sock, selectors.EVENT_WRITE, place)
        return None
    sock.close()
    return OSError(number, os.strerror(number))


def _drop(key: selectors.SelectorKey, waiting: selectors.BaseSelector) -> None:
    waiting.unregister(key.fileobj)
    key.fileobj.close()  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]


def shake_hands(place: Place, name: str, verify: bool | str, seconds: float) -> Shaken:
    """Connect by TLS, as calls with the same *verify* do. Raises OSError, of which ssl.SSLError is one."""
    from ._certificates import trusting

    began = perf_counter()
    context = trusting(verify)
    with socket.socket(place.family, socket.SOCK_STREAM) as plain:
        plain.settimeout(seconds)
        plain.connect(place.address)
        with context.wrap_socket(plain, server_hostname=name) as sock:
            certificate: dict[str, Any] = dict(sock.getpeercert() or {})
            names = tuple(str(name) for _, name in certificate.get("subjectAltName", ()))
            until = certificate.get("notAfter")
            expires_at = None if until is None else float(ssl.cert_time_to_seconds(until))
            return Shaken(sock.version() or "TLS", names, expires_at, perf_counter() - began)
