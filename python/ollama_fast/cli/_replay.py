"""The command `replay`."""

from __future__ import annotations

from typing import Literal

import click

from ._options import json_option
from ._output import print_json, say


@click.command
@click.argument("path", type=click.Path(dir_okay=False))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of this machine; by default a free one.")
@click.option(
    "--pace",
    type=click.Choice(["recorded", "fast"]),
    default="recorded",
    help="Send each chunk when it came at the recording, or at once.",
)
@click.option(
    "--any-body", is_flag=True, help="Do without an equal body where only one request is recorded for a path."
)
@json_option('`{"url": "...", "path": "..."}`, and at the end `{"requests": 3, "unknown": []}`')
def replay(path: str, port: int, pace: Literal["recorded", "fast"], any_body: bool, as_json: bool) -> None:
    """
    Serve the recording in the file PATH, in place of Ollama.

    Let clients use the OLLAMA_HOST that is printed. A request that is not recorded gets an error that names the nearest
    one. Ctrl-C ends it.
    """
    from ollama_fast.testing import replay as replaying

    from ._exits import complain
    from ._until import until_ended

    with replaying(path, pace=pace, strict=not any_body, port=port) as replayer:
        if as_json:
            print_json({"url": replayer.url, "path": path})
        else:
            say(f"OLLAMA_HOST={replayer.url}")
            click.echo(f"It replays {path}. Ctrl-C ends it.", err=True)
        until_ended()
    if as_json:
        print_json({"requests": len(replayer.requests), "unknown": replayer.unknown})
        return
    for unknown in replayer.unknown:
        complain(unknown)
