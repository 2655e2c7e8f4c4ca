"""Ask an Ollama server through LangChain: a chat, a stream, an embedding."""

import json
import sys

import ollama
from langchain_ollama import ChatOllama, OllamaEmbeddings

url, model, question = sys.argv[1:]
chat = ChatOllama(model=model, base_url=url, temperature=0, num_predict=8)
print(
    json.dumps(
        {
            "served": ollama.Client.__module__,
            "whole": chat.invoke(question).content,
            "parts": [part.content for part in chat.stream(question)],
            "embedding": OllamaEmbeddings(model=model, base_url=url).embed_query(question),
        }
    )
)
