"""The command `bench`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ollama_fast import Host

from ._exits import FAILURE, INTERRUPTED, complain
from ._options import ModelName, Seconds, host_of, json_option
from ._run_options import WrongOptionError, options_of

if TYPE_CHECKING:
    from rich.console import Console

    from ollama_fast.bench import Amount, Load, Run, Workload

T = TypeVar("T")

_MISSING: Final = "the command bench needs matplotlib and rich: pip install 'ollama_fast[bench,cli]'"


if TYPE_CHECKING:
    _Several = click.ParamType[tuple[float, ...]]
else:
    _Several = click.ParamType  # which is generic only from click 8.4 on, but works before


class _Numbers(_Several):
    """Numbers with commas between them, such as 1,2,4."""

    name = "numbers"

    def __init__(self, kind: Callable[[str], float], most: float) -> None:
        self._kind = kind
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Give the numbers, of which each is more than 0, and none is there twice."""
        if not isinstance(value, str):
            numbers: tuple[float, ...] = value
            return numbers
        try:
            found = tuple(self._kind(text) for text in value.split(","))
        except ValueError:
            found = ()
        if not found or not all(0 < number <= self._most for number in found):
            what = "whole numbers" if self._kind is int else "numbers"
            self.fail(
                f"{value!r} must be {what} above 0, up to {self._most:,}, with commas between them, as in 1,2,4",
                param,
                ctx,
            )
        if len(set(found)) < len(found):
            self.fail(f"{value!r} has a number twice", param, ctx)
        return found


@click.command
@click.argument("model", type=ModelName(), required=False)
@click.option("--host", multiple=True, metavar="HOST", help="As of other commands; two are measured and compared.")
@click.option("--timeout", type=Seconds(), metavar="SECONDS", help="Of each wait, at most.")
@click.option(
    "--concurrency", type=_Numbers(int, 10_000), metavar="N,...", help="Workers of closed loops.  [default: 1,2,4,8]"
)
@click.option(
    "--rate", type=_Numbers(float, 10_000), metavar="R,...", help="Arrivals a second of open loops, in its place."
)
@click.option("--requests", type=click.IntRange(1), help="Requests of each load.  [default: 32, or as time allows]")
@click.option("--duration", type=Seconds(), metavar="SECONDS", help="How long each load sends.")
@click.option("--warm-up", type=click.IntRange(0), help="Requests before each load.  [default: one for each worker]")
@click.option("--prompts", type=click.Path(), metavar="FILE", help="A prompt a line; JSON if it is named .jsonl.")
@click.option(
    "--api", type=click.Choice(["chat", "generate"]), default="chat", show_default=True, help="What is called."
)
@click.option(
    "--num-predict", type=click.IntRange(1), default=128, show_default=True, help="Tokens of an answer, at most."
)
@click.option("--option", "pairs", multiple=True, metavar="KEY=VALUE", help="Of the model's run, as temperature=0.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the arrivals in open loops.")
@click.option("-o", "--output", type=click.Path(), metavar="FILE", help="Write all that was measured, as JSON.")
@json_option("all that was measured; the table is on stderr then")
@click.option("--html", "html_path", type=click.Path(), metavar="FILE", help="Write a report with plots.")
@click.option("--compare", "others", multiple=True, type=click.Path(), metavar="FILE", help="JSON of a run before.")
@click.option("--self-test", "only_self_test", is_flag=True, help="Measure what this client can read, and end.")
def bench(
    model: str | None,
    host: tuple[str, ...],
    timeout: float | None,
    concurrency: tuple[int, ...] | None,
    rate: tuple[float, ...] | None,
    requests: int | None,
    duration: float | None,
    warm_up: int | None,
    prompts: str | None,
    api: str,
    num_predict: int,
    pairs: tuple[str, ...],
    seed: int,
    output: str | None,
    as_json: bool,
    html_path: str | None,
    others: tuple[str, ...],
    only_self_test: bool,
) -> int | None:
    """
    Measure how fast a server streams MODEL's answers.

    Each load is a number of workers that ask again and again, or with --rate requests that arrive at random, whether
    or not others were answered. A second --host is measured after the first one, and compared to it; --compare does
    the same with a run that --output wrote, also without MODEL. Ctrl-C ends it, and what was measured is written.
    """
    if only_self_test:
        with _usage():
            _refuse(model is None, "--self-test is of this client alone: leave out MODEL")
        _self_test(max(concurrency or (8,)))
        return None
    hosts = tuple(host_of(each, timeout) for each in host or (None,))
    with _usage():
        _refuse(model is not None or len(others) > 1, "name a MODEL, or at least two files to --compare")
        _refuse(not (concurrency and rate), "--concurrency is of closed loops and --rate of open ones: choose one")
        for name, is_given in (("--json", as_json), ("--output", output is not None)):
            _refuse(not is_given or len(hosts) == 1, f"{name} is of one run, so of one --host")
            _refuse(not is_given or model is not None, f"{name} is of a new run, so it needs a MODEL")
        same = output is not None and html_path is not None and Path(output).resolve() == Path(html_path).resolve()
        _refuse(not same, "--output and --html name one file, which can be only one of the two")
        before = _read(others)
        _check(output, html_path)
        if model is None:
            _report(before, None, html_path, as_json=False)
            return None
        work = _workload(model, prompts, api, num_predict, pairs)
        amount = _amount(requests, duration, warm_up)
    runs = _runs(hosts, work, _loads(concurrency, rate), amount, seed, on_stderr=as_json)
    measured = [run for run in runs if run.levels]
    if not measured:
        click.echo("Nothing was measured, so nothing is written.", err=True)
        return INTERRUPTED if any(run.cut for run in runs) else FAILURE
    _report([*before, *measured], output, html_path, as_json=as_json)
    return _code(runs)


# --- what was asked for ----------------------------------------------------------------------------------------------


@contextmanager
def _usage() -> Generator[None]:
    """Make a wrong command line of what is no value of the benchmark's, and name the extra where it is missing."""
    try:
        yield
    except ImportError as exc:
        raise click.ClickException(f"{_MISSING} ({exc})") from exc
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc


def _refuse(holds: bool, text: str) -> None:
    if not holds:
        raise ValueError(text)


def _workload(model: str, path: str | None, api: str, num_predict: int, pairs: Sequence[str]) -> Workload:
    from ollama_fast.bench import DEFAULT_PROMPTS, Workload, read_prompts

    try:
        options: Any = options_of(pairs) or {}
    except WrongOptionError as exc:
        raise click.BadParameter(str(exc), param_hint="'--option'") from exc
    _refuse("num_predict" not in options, "num_predict has an option of its own: --num-predict")
    prompts = DEFAULT_PROMPTS if path is None else read_prompts(path)
    called: Any = api
    return Workload(model, prompts, called, num_predict, options)


def _amount(requests: int | None, duration: float | None, warm_up: int | None) -> Amount:
    from ollama_fast.bench import Amount

    return Amount(requests, duration, warm_up)


def _loads(concurrency: tuple[int, ...] | None, rate: tuple[float, ...] | None) -> list[Load]:
    from ollama_fast.bench import ClosedLoop, OpenLoop

    return [OpenLoop(each) for each in rate] if rate else [ClosedLoop(each) for each in concurrency or (1, 2, 4, 8)]


def _read(paths: Sequence[str]) -> list[Run]:
    from ollama_fast.bench import read_json

    return [read_json(path) for path in paths]


def _check(output: str | None, html_path: str | None) -> None:
    """See to it before a load that what comes of it can be written."""
    from ollama_fast._whole_file import check_writable

    import_module("rich")  # so that they are missed before the load
    if html_path is not None:
        import_module("matplotlib")
    for path in (output, html_path):
        if path is not None:
            check_writable(path)


# --- what is done ----------------------------------------------------------------------------------------------------


def _console(*, on_stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=on_stderr, highlight=False)


def _self_test(streams: int) -> None:
    from ollama_fast.bench import self_test
    from ollama_fast.bench._live import said_of

    click.echo(said_of(self_test(streams)))


def _runs(
    hosts: Sequence[Host], work: Workload, loads: Sequence[Load], amount: Amount, seed: int, *, on_stderr: bool
) -> list[Run]:
    """Measure one host after the other, until Ctrl-C."""
    from ollama_fast.bench import benchmark
    from ollama_fast.bench._live import table

    runs: list[Run] = []
    for host in hosts:
        with table(_console(on_stderr=on_stderr), f"{work.model} at {host.url}") as tell:
            runs.append(benchmark(host, work, loads, amount, seed=seed, tell=tell))
        if runs[-1].cut:
            break
    return runs


def _report(runs: Sequence[Run], output: str | None, html_path: str | None, *, as_json: bool) -> None:
    """Say and write what was measured; the last one of *runs* is the new one."""
    from ollama_fast.bench import encode_json, find_doubts, write_html, write_json
    from ollama_fast.bench._live import print_comparison, said_of, say

    console = _console(on_stderr=as_json)
    if len(runs) > 1:
        print_comparison(console, runs)
    say(console, said_of(runs[-1].ceiling))
    for doubt in find_doubts(runs[-1]):
        say(console, f"Note: {doubt}")
    if as_json:
        click.echo(encode_json(runs[-1]))
    if output is not None:
        write_json(runs[-1], output)
    if html_path is not None:
        write_html(runs, html_path)
    for path in (output, html_path):
        if path is not None:
            say(console, f"Written: {path}")


def _code(runs: Sequence[Run]) -> int | None:
    """Give the exit code: a host of which every request failed was not measured."""
    if any(run.cut for run in runs):
        return INTERRUPTED
    failed = [run.label for run in runs if {one.outcome for level in run.levels for one in level.samples} == {"failed"}]
    for label in failed:
        complain(f"every request to {label} failed")
    return FAILURE if failed else None
