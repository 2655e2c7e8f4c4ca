"""What was measured, as benches/RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from . import decode, images, imports, machine, streams, vector_rows, vectors
from .remembering import Remembered
from .stream_rows import OFFICIAL, OURS, RAW
from .table import Figure, minus, over, short, table

_DECODE_TITLES = {
    "chat": "A chat line into a dict, us per line",
    "embed": "An answer of embed, 64 vectors of 768 numbers, us",
    "base64": "An image of 1 MiB into base64, us",
}


def report(
    decoded: decode.Groups,
    streamed: streams.Colours,
    embedded: vectors.Found,
    imported: dict[str, imports.Row],
    bodies: dict[str, images.Row],
    remembered: Remembered,
) -> str:
    """Give the whole text."""
    sections = [
        _head(),
        _targets(decoded, streamed, embedded, imported, remembered),
        _decode(decoded),
        _streams(streamed),
        _vectors(embedded),
        _imports(imported),
        _images(bodies),
    ]
    return "\n\n".join(sections) + "\n"


def _head() -> str:
    today = datetime.now(tz=UTC).date().isoformat()
    return f"""# Results of the benches

`make bench` made this on {today}; do not edit. Every figure is a median, with the middle half of the figures behind it,
over rounds in which all rows take turns. Differences and ratios are taken within a round. Compare only within a table:
another machine, or the same one on another day, has other figures. Every row checks its own answer.

* Machine: {machine.machine()}
* Versions: {machine.versions()}"""


def _targets(
    decoded: decode.Groups,
    streamed: streams.Colours,
    embedded: vectors.Found,
    imported: dict[str, imports.Row],
    remembered: Remembered,
) -> str:
    official, array = embedded.rows[vector_rows.OFFICIAL], embedded.rows[vector_rows.OURS]
    whole = embedded.body + embedded.numbers
    chat, bare, ours = decoded[decode.CHAT], imported[imports.BARE], imported[imports.OURS]
    official_line, our_line = chat[decode.OFFICIAL_CHAT], chat[decode.OURS_CHAT]
    rows: list[tuple[object, ...]] = [
        (
            "A chat line into a dict, times as fast as the official client's parse",
            "at least 8",
            over(official_line, our_line),
            short(min(official_line) / min(our_line)),
        ),
        *(
            (
                f"A part of a burst, {colour}, CPU us more than httpx's raw bytes",
                "at most 1.5",
                minus(reads[OURS].cpu, reads[RAW].cpu),
                short(min(reads[OURS].cpu) - min(reads[RAW].cpu)),
            )
            for colour, reads in streamed.items()
        ),
        (
            "What a stream remembers of a part, CPU us more than with nothing remembered",
            "at most 0.1",
            Figure.of(remembered.microseconds),
            short(min(remembered.microseconds)),
        ),
        (
            "What a stream remembers of a part, bytes",
            "at most 100",
            Figure.of(remembered.bytes),
            short(min(remembered.bytes)),
        ),
        (
            "A function as a tool, again, CPU us",
            "at most 20",
            Figure.of(remembered.tool),
            short(min(remembered.tool)),
        ),
        (
            "embed_array, times as fast as the official client's embed",
            "at least 10",
            over(official.cpu, array.cpu),
            short(min(official.cpu) / min(array.cpu)),
        ),
        (
            "embed_array, peak of memory over body and numbers",
            "at most 1.2",
            Figure.of(peak / whole for peak in array.peak),
            short(min(array.peak) / whole),
        ),
        (
            "import, ms more than a bare interpreter",
            "at most 40",
            minus(ours.wall, bare.wall),
            short(min(ours.wall) - min(bare.wall)),
        ),
        (
            "import, MB more than a bare interpreter",
            "at most 15",
            minus(ours.memory, bare.memory),
            short(min(ours.memory) - min(bare.memory)),
        ),
    ]
    text = """## Targets

The last column compares the least figures of all rounds: noise of a shared machine only ever adds."""
    return f"{text}\n\n" + table(("what", "target", "measured", "between the least"), rows)


def _decode(decoded: decode.Groups) -> str:
    text = f"""## Bytes into objects

`test_decode.py` with pytest-benchmark: the median of each row, in {decode.SESSIONS} sessions, collector off, CPU time.
Each row is called through a function without arguments, which costs all of them the same. The official client is given
the line as text, as it reads it."""
    for group, rows in decoded.items():
        best = rows[min(rows, key=lambda name: Figure.of(rows[name]).median)]
        lines = [(f"`{name}`", Figure.of(found), over(found, best)) for name, found in rows.items()]
        text += f"\n\n### {_DECODE_TITLES[group]}\n\n" + table(("row", "us", "times the best"), lines)
    return text


def _streams(streamed: streams.Colours) -> str:
    def tables() -> Iterator[str]:
        for colour, rows in streamed.items():
            lines = [
                (
                    name,
                    Figure.of(row.cpu),
                    short(min(row.cpu)),
                    minus(row.cpu, rows[RAW].cpu),
                    over(row.cpu, rows[OURS].cpu),
                    Figure.of(row.wall),
                    Figure.of(row.first),
                )
                for name, row in rows.items()
            ]
            head = (
                "row",
                "CPU us/part",
                "least",
                "more than raw",
                "times ollama_fast",
                "wall us/part",
                "first part after, us",
            )
            yield f"### {colour}\n\n" + table(head, lines)
            ratio = over(rows[OFFICIAL].cpu, rows[OURS].cpu)
            yield f"The official client takes {ratio} times the CPU of ollama_fast."

    text = f"""## A chat's stream

A server in another process sends {streams.PARTS:,} lines at once, an HTTP chunk per line, over a connection that is
open. CPU and wall are the client's, in {streams.ROUNDS} rounds after one to warm up, collector off. Every row but the
raw one takes the text out of each part. The first part is that of a stream of two lines, counted from the call: the
median of {streams.SHORT_STREAMS} per round. The raw row decodes nothing: it is the floor of httpx."""
    return "\n\n".join([text, *tables()])


def _vectors(embedded: vectors.Found) -> str:
    ours, whole = embedded.rows[vector_rows.OURS], embedded.body + embedded.numbers
    lines = [
        (
            name,
            Figure.of(row.cpu),
            short(min(row.cpu)),
            over(row.cpu, ours.cpu),
            Figure.of(row.wall),
            Figure.of(row.peak),
            Figure.of(peak / whole for peak in row.peak),
        )
        for name, row in embedded.rows.items()
    ]
    head = ("row", "CPU ms", "least", "times embed_array", "wall ms", "memory MB", "over body and numbers")
    text = f"""## Many vectors

A server in another process sends an answer of embed with {vectors.VECTORS} vectors of {vectors.LENGTH} numbers, the
shortest texts of float32, as one HTTP chunk of {short(embedded.body)} MB; as float32 they are
{short(embedded.numbers)} MB. CPU and wall are the client's, in {vectors.ROUNDS} rounds after one to warm up, collector
off. Memory is how much the peak of a process grows in one such call, after one for a single vector; in
{vectors.PEAKS} processes for each row, in turn."""
    return f"{text}\n\n{table(head, lines)}"


def _imports(imported: dict[str, imports.Row]) -> str:
    bare = imported[imports.BARE]
    lines = [
        (
            name,
            Figure.of(row.wall),
            minus(row.wall, bare.wall),
            minus(row.cpu, bare.cpu),
            minus(row.memory, bare.memory),
        )
        for name, row in imported.items()
    ]
    text = f"""## import

Fresh interpreters, {imports.ROUNDS} of each in turn after one that writes the bytecode: wall time from starting the
process to its end, and the process's own CPU time and peak of memory after the import."""
    head = ("row", "wall ms", "more than bare, ms", "CPU more than bare, ms", "memory more than bare, MB")
    return f"{text}\n\n{table(head, lines)}"


def _images(bodies: dict[str, images.Row]) -> str:
    official = bodies[images.OFFICIAL]
    lines = [
        (
            name,
            Figure.of(row.cpu),
            short(min(row.cpu)),
            over(official.cpu, row.cpu),
            Figure.of(row.resident),
            Figure.of(row.traced),
        )
        for name, row in bodies.items()
    ]
    head = ("row", "CPU ms", "least", "official over it", "peak memory, resident", "peak memory, allocated")
    times = over(official.cpu, bodies[images.OURS].cpu)
    ratio = short(min(official.cpu) / min(bodies[images.OURS].cpu))
    targets: list[tuple[object, ...]] = [
        (
            "Body with bytes, times as cheap as the official client's",
            "at least 20",
            times,
            ratio,
            _met(times.median >= 20),
        ),
    ]
    for name in images.TARGETED:
        for what, figures in (("resident", bodies[name].resident), ("allocated", bodies[name].traced)):
            most = Figure.of(figures)
            met = _met(most.median <= 1.1)
            targets.append(
                (f"{name}: peak memory, {what}, over the body", "at most 1.1", most, short(min(figures)), met)
            )
    return f"""## The body of a request with an image of 10 MiB

From a message with an image to the bytes of the body: {images.ROUNDS} rounds, all rows in turn in one process, after
one to warm up, collector off. The official client's row is what its `chat` does before it sends, with httpx's encoding
of the result. Memory is the peak beside what was there before, the body included, over the body's length:
{images.MEMORY_ROUNDS} processes each, after a small body. Resident is what the system gave (`VmHWM`), allocated what
was asked for (`tracemalloc`): orjson asks for eight times the length of a long text, and uses little of it.

{table(head, lines)}

{table(("what", "target", "measured", "between the least", ""), targets)}"""


def _met(met: bool) -> str:
    return "met" if met else "not met"
