"""
Servers for tests, in place of Ollama: one that says what you tell it, and does wrong what you ask it to; one that
records what a genuine server says; and one that replays that.

They are of use to any client and listen on 127.0.0.1. As pytest fixtures they are `ollama_server` and `ollama_replay`.
"""

from ._faults import Fault as Fault
from ._models import models as models
from ._named_faults import FAULTS as FAULTS
from ._recorder import Recorder as Recorder
from ._recorder import record as record
from ._recording import RecordingError as RecordingError
from ._replaying import Replayer as Replayer
from ._replaying import replay as replay
from ._replies import reply_error as reply_error
from ._scripted import reply as reply
from ._scripted import script as script
from ._scripted import tool_call as tool_call
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
    "models",
    "record",
    "replay",
    "reply",
    "reply_error",
    "script",
    "serve",
    "tool_call",
]
