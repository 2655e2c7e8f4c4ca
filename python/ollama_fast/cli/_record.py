"""The command `record`."""

from __future__ import annotations

import click

from ollama_fast import Host

from ._options import host_option, json_option
from ._output import print_json, say


@click.command
@click.argument("path", type=click.Path(dir_okay=False))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of this machine; by default a free one.")
@json_option('`{"url": "...", "path": "..."}`, and at the end `{"recorded": 3, "failures": []}`')
@host_option
def record(path: str, port: int, host: Host, as_json: bool) -> None:
    """
    Record what clients ask a server, into the file PATH.

    Let them use the OLLAMA_HOST that is printed: everything is passed on to the server of --host, and back. Ctrl-C ends
    it and writes the file, which `ollama-fast replay` serves. Passwords and tokens are not written, but what models are
    asked and say is.
    """
    from ollama_fast.testing import record as recording

    from ._exits import complain
    from ._until import until_ended

    with recording(host, path, port=port) as recorder:
        if as_json:
            print_json({"url": recorder.url, "path": path})
        else:
            say(f"OLLAMA_HOST={recorder.url}")
            click.echo(f"It passes on to {host.url}. Ctrl-C ends it and writes {path}.", err=True)
        until_ended()
    recorded, failures = recorder.recorded, recorder.failures
    if as_json:
        print_json({"recorded": recorded, "failures": failures})
        return
    for failure in failures:
        complain(failure)
    what = f"{recorded} exchange{'' if recorded == 1 else 's'} written to {path}"
    click.echo(what if recorded else f"Nothing was exchanged: {path} is as it was", err=True)
