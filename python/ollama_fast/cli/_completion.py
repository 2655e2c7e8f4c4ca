"""The command `completion`."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

from ._group import COMPLETING
from ._output import say

PROGRAM: Final = "ollama-fast"
SHELLS: Final = ("bash", "zsh", "fish")


@click.command
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """
    Print the script that completes commands, options and models in a SHELL.

    In bash: `source <(ollama-fast completion bash)`; in zsh the same with zsh; in fish:
    `ollama-fast completion fish | source`.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"this version of click cannot complete in {shell}")
    say(kind(ctx.find_root().command, {}, PROGRAM, COMPLETING).source())
