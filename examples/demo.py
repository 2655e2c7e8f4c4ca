"""
Stream a generate and a chat, and say how fast they came.

It talks to OLLAMA_HOST (by default this machine's server) if Ollama answers there, and with OLLAMA_MODEL or else the
first model there. Otherwise it starts a loopback server that replays recorded exchanges of a genuine one, at their own
pace.
"""

import os
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import ollama_fast
from ollama_fast.types import Message, Options

RECORDED_MODEL = "smollm2"
PROMPT = "Why is the sky blue?"
MESSAGES: list[Message] = [{"role": "user", "content": "Name three colours of the rainbow."}]
OPTIONS: Options = {"temperature": 0, "seed": 7, "num_predict": 64}
EXCHANGES = ("demo_generate", "demo_chat")


def show(texts: Iterable[str]) -> None:
    """Print *texts* as they come, and then how fast they came. Ollama sends a token per text."""
    began = perf_counter()
    first, count = 0.0, 0
    for text in texts:
        first = first or perf_counter() - began
        count += bool(text)  # the last part has no token, but figures
        print(text, end="", flush=True)
    rate = (count - 1) / (perf_counter() - began - first) if count > 1 else 0.0
    print(f"\n  [{count} tokens: the first after {first * 1000:.0f} ms, then {rate:.1f} tokens/s]\n")


def run(host: str | None, model: str) -> None:
    """Do the main job: one streamed generate and one streamed chat."""
    print(f"> generate: {PROMPT}")
    show(part["response"] for part in ollama_fast.generate_stream(host, model, PROMPT, options=OPTIONS))
    print(f"> chat: {MESSAGES[-1].get('content')}")
    show(part["message"]["content"] for part in ollama_fast.chat_stream(host, model, MESSAGES, options=OPTIONS))


def model_there() -> str | None:
    """Give a model of the environment's server, or None if there is no server or no model."""
    if not ollama_fast.is_running(None):
        return None
    models = [model["name"] for model in ollama_fast.list(None)["models"]]
    wanted = os.environ.get("OLLAMA_MODEL")
    return wanted or next(iter(models), None)


@contextmanager
def recorded_server() -> Generator[str]:
    """Start the server that replays the demo's exchanges; it belongs to the tests of the checkout."""
    tests = Path(__file__).parent.parent / "tests"
    sys.path.insert(0, str(tests))
    from exchange import load
    from replay import replay

    with replay([load(tests / "exchanges" / f"{name}.json") for name in EXCHANGES], pace="recorded") as server:
        yield server.url


def main() -> None:
    """Choose the server, say which it is, and run."""
    where = ollama_fast.Host.from_env().url
    model = model_there()
    if model is not None:
        version = ollama_fast.version(None)["version"]
        print(f"Talking to the Ollama {version} server at {where}, model {model}.\n")
        run(None, model)
        return
    with recorded_server() as url:
        print(f"No Ollama with a model answers at {where}.")
        print(f"Talking to a REPLAY at {url} of exchanges recorded from a genuine server, at their own pace.\n")
        run(url, RECORDED_MODEL)


if __name__ == "__main__":
    main()
