"""Ask an Ollama server through LlamaIndex: a chat, a stream, an embedding."""

import json
import sys

import ollama
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.ollama import OllamaEmbedding
from llama_index.llms.ollama import Ollama

url, model, question = sys.argv[1:]
chat = Ollama(model=model, base_url=url, temperature=0, additional_kwargs={"num_predict": 8})
messages = [ChatMessage(role="user", content=question)]
print(
    json.dumps(
        {
            "served": ollama.Client.__module__,
            "whole": chat.chat(messages).message.content,
            "parts": [part.delta for part in chat.stream_chat(messages)],
            "embedding": OllamaEmbedding(model_name=model, base_url=url).get_query_embedding(question),
        }
    )
)
