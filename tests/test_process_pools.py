"""The public functions in pools of processes: what goes there and what comes back pickles, however they are started."""

from __future__ import annotations

import pytest

from exchange import EXCHANGES, load
from programs import program
from replay import replay

PROGRAM = """
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import ollama_fast
from colours import Colour
from ollama_fast import Host, Limits, Timeout, errors

def main(way, asynchronous):
    colour = Colour(asynchronous)
    kept = Limits(keepalive_expiry=None)  # a connection shall not expire while a busy machine starts processes
    host = Host(url, headers={"X-Team": "search"}, timeout=Timeout(first_part=60), limits=kept)
    known = colour.attempt("embed", host, "smollm2", "sea")
    refusal = colour.attempt("embed", host, "no-such-model", "sea").error
    assert type(refusal) is errors.ModelNotFoundError
    numbers = colour.attempt("embed_array", host, "smollm2", "sea")
    with ProcessPoolExecutor(2, mp_context=get_context(way)) as pool:
        jobs = [pool.submit(colour.attempt, "embed", host, "smollm2", "sea") for _ in range(40)]
        refused = [pool.submit(colour.attempt, "embed", host, "no-such-model", "sea") for _ in range(40)]
        arrays = [pool.submit(colour.attempt, "embed_array", host, "smollm2", "sea") for _ in range(4)]
        whole = pool.submit(ollama_fast.embed, host, "no-such-model", "sea")
        longer = pool.submit(Host.with_options, host, timeout=Timeout(idle=1))
        assert os.getpid() not in {pool.submit(os.getpid).result() for _ in range(4)}
        assert [job.result() for job in jobs] == [known] * 40
        assert [array.result() for array in arrays] == [numbers] * 4
        assert longer.result() == host.with_options(timeout=Timeout(idle=1))
        for error in [whole.exception(), *(job.result().error for job in refused)]:
            assert (type(error), str(error), vars(error)) == (type(refusal), str(refusal), vars(refusal))
    assert colour.attempt("embed", host, "smollm2", "sea") == known
    say("done")
"""


@pytest.mark.parametrize("asynchronous", [False, True], ids=["blocking", "asyncio"])
@pytest.mark.parametrize("way", ["fork", "forkserver", "spawn"])
def test_functions_run_in_a_pool_of_processes(way: str, *, asynchronous: bool) -> None:
    exchanges = [load(EXCHANGES / f"{name}.json") for name in ("embed_one", "embed_unknown_model")]
    with (
        replay(exchanges, pace="fast") as server,
        program(f"{PROGRAM}\nmain({way!r}, {asynchronous})", server.url, develop=False) as running,
    ):
        ended = running.end(100)
    assert (ended.code, ended.out, ended.err) == (0, "done\n", "")
    assert len(server.requests) == 89
    if not asynchronous:  # an event loop's connections end with it, and each of these calls has a loop of its own
        assert server.connections <= 3
