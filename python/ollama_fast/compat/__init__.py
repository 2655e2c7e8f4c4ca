"""The names of the `ollama` package over this one: `import ollama_fast.compat as ollama`."""
