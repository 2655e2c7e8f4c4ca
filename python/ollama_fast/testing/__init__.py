"""
A server for tests: it says what a recorded Ollama said, and does wrong what you ask it to.

It is of use to any client, needs the standard library alone, and listens on 127.0.0.1. As a pytest fixture it is
`ollama_server`.
"""

from ._exchange import Chunk as Chunk
from ._exchange import Exchange as Exchange
from ._exchange import Reply as Reply
from ._exchange import load as load
from ._exchange import load_all as load_all
from ._faults import FAULTS as FAULTS
from ._faults import Fault as Fault
from ._faults import faulty as faulty
from ._loopback import End as End
from ._loopback import Received as Received
from ._replies import saying as saying
from ._serving import Server as Server
from ._serving import serve as serve

__all__ = [
    "FAULTS",
    "Chunk",
    "End",
    "Exchange",
    "Fault",
    "Received",
    "Reply",
    "Server",
    "faulty",
    "load",
    "load_all",
    "saying",
    "serve",
]
