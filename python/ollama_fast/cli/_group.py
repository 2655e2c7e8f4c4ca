"""The group of all commands, each of which is loaded when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from ._advice import of_command

COMMANDS: Final = (
    "chat",
    "generate",
    "embed",
    "list",
    "ps",
    "show",
    "pull",
    "push",
    "create",
    "copy",
    "delete",
    "load",
    "unload",
    "bench",
    "record",
    "replay",
    "doctor",
    "version",
    "completion",
)
"""In the order of the help. The command `x` is the `x` of the module `_x`."""


COMPLETING: Final = "_OLLAMA_FAST_COMPLETE"
"""The environment variable by which a shell's script asks for completions."""


class Lazily(click.Group):
    """A group that imports the module of a command when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - what click hands over
        """Give the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        """Give the command with this name, if there is one."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(import_module(f"{__package__}._{cmd_name}"), cmd_name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take the command's name off *args*; of one that there is not, say which was meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"No such command {name!r}. {of_command(name, COMMANDS)}")
        return super().resolve_command(ctx, args)


def _tell_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from ollama_fast import __version__

    click.echo(f"ollama-fast {__version__}")
    ctx.exit()


@click.group(cls=Lazily, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Print the version of this program, and end.",
)
def ollama_fast() -> None:
    """
    Talk to Ollama.

    The server is the one of --host, or of the environment variable OLLAMA_HOST, or this machine's. All commands but
    completion have --json for programs. The exit code is 0, 1 after a failure, 2 after a wrong command line, and 130
    after Ctrl-C.
    """
