"""
Where the program `ollama-fast` begins: beside the package, so that Ctrl-C while that is imported ends it in order.

It imports nothing before `main` runs.
"""

__all__ = ["main"]


def main() -> int:
    """Run the command line with the arguments of this process, and give the exit code."""
    try:
        from ollama_fast.cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130
