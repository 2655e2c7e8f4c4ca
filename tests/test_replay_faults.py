"""A recording that is replayed with a fault: what goes wrong is what goes wrong with any reply."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from colours import Colour
from ollama_fast.errors import ConnectError, IncompleteStreamError, OllamaError, ResponseError
from ollama_fast.testing import FAULTS, Chunk, Fault, Received, Reply, record, replay, reply, serve
from ollama_fast.testing._faults import faulty
from ollama_fast.testing._recording import Recorded, RecordedRequest
from ollama_fast.testing._replaying import Pace, Replies
from ollama_fast.testing._values import Action, End

HELLO: list[Any] = [{"role": "user", "content": "Hi!"}]
BODY = {"model": "m", "messages": HELLO}
SENT = json.dumps(BODY).encode()
REQUEST = Received("POST", "/api/chat", (), SENT, len(SENT), "")
SAID = reply("The sky is blue today.")(REQUEST)


def recorded(said: Reply | None = SAID, end: Any = None) -> list[Recorded]:
    return [Recorded(RecordedRequest("POST", "/api/chat", BODY), said, end)]


def acts(replies: Replies, request: Received = REQUEST) -> list[Action]:
    return list(islice(replies(request), 300))


def sent(replies: Replies, request: Received = REQUEST) -> bytes:
    return b"".join(action for action in acts(replies, request) if isinstance(action, bytes))


@pytest.mark.unsent
@pytest.mark.parametrize("pace", ["recorded", "fast"])
@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_what_it_is_for_a_script(name: str, pace: Pace) -> None:
    replies = Replies(recorded(), pace=pace, strict=True)
    replies.turns.begin(FAULTS[name])
    assert acts(replies) == list(islice(faulty(FAULTS[name], SAID, model="m"), 300))
    replies.turns.begin(None)
    assert sent(replies) == b"".join(action for action in faulty(None, SAID) if isinstance(action, bytes))


@pytest.mark.unsent
def test_a_recorded_end_stays_behind_a_fault_that_lets_it_come() -> None:
    replies = Replies(recorded(end="reset"), pace="fast", strict=True)
    replies.turns.begin(Fault.insert(b"!", part=0))
    assert acts(replies)[-1] is End.RESET
    assert sent(replies).endswith(b"\n\r\n")  # no last chunk
    replies.turns.begin(Fault.cut("close", part=0))
    assert acts(replies)[-1] is End.CLOSE
    replies = Replies(recorded(None, "close"), pace="fast", strict=True)
    replies.turns.begin(FAULTS["no JSON"])
    assert acts(replies) == [End.CLOSE]


@pytest.mark.unsent
def test_a_head_that_came_alone_is_no_part() -> None:
    first, *rest = SAID.chunks
    alone = Reply(200, SAID.headers, (Chunk(0, b""), first._replace(ms=30), *rest))
    replies = Replies(recorded(alone), pace="fast", strict=True)
    replies.turns.begin(Fault.cut("close", part=1))
    assert acts(replies) == list(faulty(Fault.cut("close", part=1), SAID))


@pytest.mark.unsent
def test_what_is_not_recorded_has_its_fault_and_is_told() -> None:
    replies = Replies(recorded(), pace="fast", strict=True)
    replies.turns.begin([FAULTS["error of too many"]])
    other = Received("POST", "/api/chat", (), b"{}", 2, "")
    assert sent(replies, other).startswith(b"HTTP/1.1 429")
    assert sent(replies, other).startswith(b"HTTP/1.1 501")
    assert len(replies.unknown) == 2


def test_a_client_meets_it(both: Colour, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    with serve(reply("The sky is blue.")) as genuine, record(genuine.url, path) as recorder:
        whole = both.parts("chat_stream", recorder.url, "m", HELLO)
    assert whole.error is None

    def error_of(url: str) -> OllamaError | None:
        seen = both.parts("chat_stream", url, "m", HELLO)
        assert seen.parts == whole.parts[: len(seen.parts)]
        return seen.error

    with replay(path, pace="fast", fault=[FAULTS["closed between parts"], FAULTS["error of no model"]]) as replayer:
        assert isinstance(error_of(replayer.url), IncompleteStreamError)
        error = error_of(replayer.url)
        assert isinstance(error, ResponseError)
        assert "model 'm' not found" in str(error)
        assert error_of(replayer.url) is None
        replayer.fault = FAULTS["refused"]
        assert replayer.fault is FAULTS["refused"]
        assert isinstance(error_of(replayer.url), ConnectError)
        replayer.fault = Fault.cut("reset", part=99)
        assert isinstance(error_of(replayer.url), IncompleteStreamError)
        assert replayer.moved == [f"there is no part 99: the reply has {len(whole.parts)}"]
        with pytest.raises(TypeError, match="fault must be a Fault"):
            replayer.fault = "refused"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
