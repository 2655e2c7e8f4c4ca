"""Ask an Ollama server with OpenTelemetry's instrumentation: a chat, a stream, an embedding, and a span of each."""

import json
import sys

import ollama
from opentelemetry.instrumentation.ollama import OllamaInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

url, model, question = sys.argv[1:]
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
OllamaInstrumentor().instrument(tracer_provider=provider)
client = ollama.Client(url)
messages = [{"role": "user", "content": question}]
settings = {"temperature": 0, "num_predict": 8}
print(
    json.dumps(
        {
            "served": ollama.Client.__module__,
            "whole": client.chat(model, messages, options=settings).message.content,
            "parts": [part.message.content for part in client.chat(model, messages, options=settings, stream=True)],
            "embedding": client.embed(model, question)["embeddings"][0],
            "spans": [
                [span.name, (span.attributes or {}).get("gen_ai.usage.output_tokens")]
                for span in spans.get_finished_spans()
            ],
        }
    )
)
