"""What must work in an environment that holds nothing but the wheel: run by smoke_wheel.sh."""

import asyncio
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import ollama_fast

tests = Path(sys.argv[1])
sys.path.insert(0, str(tests))

from exchange import load  # noqa: E402 - the tests' own modules are not installed
from replay import replay  # noqa: E402

PROMPT = "Why is the sky blue?"
OPTIONS: ollama_fast.types.Options = {"temperature": 0, "seed": 7, "num_predict": 64}


async def text(url: str) -> str:
    stream = ollama_fast.aio.generate_stream(url, "smollm2", PROMPT, options=OPTIONS)
    return "".join([part["response"] async for part in stream])


def import_time() -> float:
    """Give the least CPU time of several imports, in ms: others may use the machine, too."""
    program = "from time import process_time as now; start = now(); import ollama_fast; print(1000 * (now() - start))"
    runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, check=True) for _ in range(5)]
    return min(float(run.stdout) for run in runs)


def main() -> None:
    assert not Path(ollama_fast.__file__).is_relative_to(tests.parent), "the checkout was imported, not the wheel"
    with replay([load(tests / "exchanges" / "demo_generate.json")], pace="fast") as server:
        parts = list(ollama_fast.generate_stream(server.url, "smollm2", PROMPT, options=OPTIONS))
        assert parts[-1]["done"], parts[-1]
        assert asyncio.run(text(server.url)) == "".join(part["response"] for part in parts) != ""
        ollama_fast.close()
    (plugin,) = entry_points(group="pytest11", name="ollama_fast")
    assert plugin.value == "_ollama_fast_pytest", plugin
    assert find_spec(plugin.value) is not None, plugin
    print(f"ollama_fast {ollama_fast.__version__} from its wheel: {len(parts)} parts, sync and async alike")
    print(f"import ollama_fast takes {import_time():.0f} ms of CPU time")


if __name__ == "__main__":
    main()
