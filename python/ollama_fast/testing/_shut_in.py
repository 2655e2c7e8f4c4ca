"""What keeps a test from the network: connections that would leave this machine, or reach a genuine Ollama on it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any


class NetworkBlockedError(RuntimeError):
    """A test that replays a recording connects to another place."""


@contextmanager
def shut_in(*ports: int) -> Generator[None]:
    """
    Refuse connections of Python's sockets to other machines, until the block ends.

    This package and other clients notice that sockets are replaced, and use them. Raises NetworkBlockedError in the
    program that connects.

    Args:
        ports: Those of this machine to which connections are refused, too.
    """
    names = ("connect", "connect_ex")
    kept = {name: vars(socket.socket)[name] for name in names if name in vars(socket.socket)}  # by another such tool
    for name in names:
        setattr(socket.socket, name, _refusing(getattr(socket.socket, name), ports))
    try:
        yield
    finally:
        for name in names:
            if name in kept:
                setattr(socket.socket, name, kept[name])
            else:
                delattr(socket.socket, name)


def _refusing(connect: Callable[[socket.socket, Any], Any], ports: tuple[int, ...]) -> Callable[..., Any]:
    def refusing(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and (not _is_here(address[0]) or address[1] in ports):
            raise NetworkBlockedError(
                f"this test replays a recording, and connects to {address[0]}:{address[1]}: let it ask "
                "ollama_replay.url, or OLLAMA_HOST, which names the same"
            )
        return connect(self, address)

    return refusing


def _is_here(name: Any) -> bool:
    try:
        return ipaddress.ip_address(str(name).partition("%")[0]).is_loopback
    except ValueError:
        return str(name) in ("", "localhost")
