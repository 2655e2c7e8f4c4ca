"""Ask an Ollama server through Haystack: a chat, a stream, an embedding."""

import json
import sys

import ollama
from haystack.dataclasses import ChatMessage, StreamingChunk
from haystack_integrations.components.embedders.ollama import OllamaTextEmbedder
from haystack_integrations.components.generators.ollama import OllamaChatGenerator

url, model, question = sys.argv[1:]
settings = {"temperature": 0, "num_predict": 8}
messages = [ChatMessage.from_user(question)]
parts: list[str] = []


def keep(chunk: StreamingChunk) -> None:
    """Keep the text of a part."""
    parts.append(chunk.content)


whole = OllamaChatGenerator(model=model, url=url, generation_kwargs=settings).run(messages)
OllamaChatGenerator(model=model, url=url, generation_kwargs=settings, streaming_callback=keep).run(messages)
print(
    json.dumps(
        {
            "served": ollama.Client.__module__,
            "whole": whole["replies"][0].text,
            "parts": parts,
            "embedding": OllamaTextEmbedder(model=model, url=url).run(question)["embedding"],
        }
    )
)
