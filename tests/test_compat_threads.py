"""The first calls of a process, from many threads together: they build the schemas of the models."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

PROGRAM: Final = """
import sys, threading
import httpx
from pydantic import BaseModel, ValidationError
from ollama_fast.compat import Client, _types

answer = {"model": "m", "done": True, "message": {"role": "assistant", "content": "x"}, "response": "x", "models": []}
client = Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=answer)))

def add(a: int) -> int:
    '''Add.'''

def validate(cls):
    try:
        cls.model_validate({})
    except ValidationError:
        pass

steps = [
    lambda: client.chat("m", [{"role": "user", "content": "x"}], tools=[add], options=_types.Options(seed=1)),
    lambda: client.generate("m", "x", images=[b"x"]),
    lambda: client.list(),
]
for cls in vars(_types).values():
    if isinstance(cls, type) and issubclass(cls, BaseModel) and cls.__module__ == _types.__name__:
        steps.append(lambda cls=cls: validate(cls))

errors, together = [], threading.Barrier(8)
def run():
    for step in steps:
        together.wait()
        try:
            step()
        except Exception as exc:
            errors.append(repr(exc))

sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=run) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(steps) > 40, sorted(set(errors)))
"""


def test_the_first_calls_may_come_from_many_threads() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "True []\n")
