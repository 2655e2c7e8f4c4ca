"""
A server for tests: it replies as Ollama does, and does wrong what you ask it to.

It is of use to any client, needs the standard library alone, and listens on 127.0.0.1. As a pytest fixture it is
`ollama_server`.
"""

from ._faults import FAULTS as FAULTS
from ._faults import Fault as Fault
from ._recorder import Recorder as Recorder
from ._recorder import record as record
from ._recording import RecordingError as RecordingError
from ._replaying import Replayer as Replayer
from ._replaying import replay as replay
from ._replies import reply as reply
from ._serving import Server as Server
from ._serving import serve as serve
from ._values import Chunk as Chunk
from ._values import Received as Received
from ._values import Reply as Reply

__all__ = [
    "FAULTS",
    "Chunk",
    "Fault",
    "Received",
    "Recorder",
    "RecordingError",
    "Replayer",
    "Reply",
    "Server",
    "record",
    "replay",
    "reply",
    "serve",
]
