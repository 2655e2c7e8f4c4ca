"""The tables of a report. Each number stands in its cell also as it is, unrounded, with the key it has in the JSON."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from html import escape

from ._aggregate import Summary, summarise_level
from ._compare import ComparedNumber, Comparison
from ._metrics import COUNTS, STATISTICS, Metric, Unit, number, shown
from ._values import Ceiling, Prompt, Run

_MOST_PROMPTS = 5


def counts_table(run: Run, index: int) -> str:
    """Give the counts and rates of each load, a row for each."""
    head = ["Load", *(metric.label for metric in COUNTS)]
    rows = [
        f"<tr><th>{escape(str(level.load))}{' (cut)' if level.cut else ''}</th>"
        + "".join(_cell(summarise_level(level), metric.key, metric.unit, f"{index}.{place}") for metric in COUNTS)
        + "</tr>"
        for place, level in enumerate(run.levels)
    ]
    return _table(head, rows)


def spreads_table(run: Run, index: int, metrics: Sequence[Metric]) -> str:
    """Give how *metrics* are spread, a row for each of them under each load."""
    summaries = [(place, level, summarise_level(level)) for place, level in enumerate(run.levels)]
    rows = [
        f"<tr{' class=first' if first == 0 else ''}><th>{escape(metric.label)}</th>"
        f"<th class=left>{escape(str(level.load))}</th>" + _spread(summary, metric, f"{index}.{place}") + "</tr>"
        for metric in metrics
        for first, (place, level, summary) in enumerate(summaries)
        if getattr(summary, metric.key) is not None
    ]
    if not rows:
        return "<p class=soft>Nothing was measured.</p>"
    return _table(["Metric", "Load", "n", *STATISTICS], rows, left=2)


def _spread(summary: Summary, metric: Metric, place: str) -> str:
    count = _cell(summary, f"{metric.key}.count", "", place)
    return count + "".join(_cell(summary, f"{metric.key}.{name}", metric.unit, place) for name in STATISTICS)


def errors_table(run: Run) -> str:
    """Give the errors by kind, with the first message of each; nothing if there were none."""
    rows: list[str] = []
    for level in run.levels:
        for one in summarise_level(level).errors:
            said = f"<th>{escape(str(level.load))}</th><td>{escape(one.kind)}</td><td>{one.count}</td>"
            rows.append(f"<tr>{said}<td class=wrap>{escape(one.message)}</td></tr>")
    return "<h3>Errors</h3>" + _table(["Load", "Kind", "Count", "The first one"], rows) if rows else ""


def comparison_table(comparison: Comparison, index: int, *, keys: Container[str] | None = None) -> str:
    """Give the numbers of both runs and their ratios; only those of *keys*, if there are some."""
    rows: list[str] = []
    load = ""
    for row in comparison.rows:
        if keys is not None and row.key not in keys:
            continue
        rows.append(_compared(row, index, begins=row.load != load))
        load = row.load
    if not rows:
        return "<p class=soft>The runs have no load in common.</p>"
    return _table(["Load", "Metric", comparison.first, comparison.second, "Ratio"], rows, left=2)


def _compared(row: ComparedNumber, index: int, *, begins: bool) -> str:
    sense = "" if row.better is None else " class=good" if row.better else " class=bad"
    key = f"{index}.{row.load}.{row.key}"
    return (
        f"<tr{' class=first' if begins else ''}><th>{escape(row.load) if begins else ''}</th>"
        f"<th class=left>{escape(row.label)}</th>"
        f"<td {_data('first', key, row.first)}>{escape(shown(row.first, row.unit))}</td>"
        f"<td {_data('second', key, row.second)}>{escape(shown(row.second, row.unit))}</td>"
        f"<td{sense} {_data('ratio', key, row.ratio)}>{'-' if row.ratio is None else f'{row.ratio:.2f}'}</td></tr>"
    )


def ceiling(found: Ceiling | None, index: int) -> str:
    """Say what the client can do at most."""
    if found is None:
        return "<p class=soft>It was not measured.</p>"
    limit = {
        "client": "The client took all of its core, so this is the most that it can read.",
        "server": "The server of the self-test took all of its core, so the client can read more than this.",
        "neither": "Neither of the two had a core to itself, so other programs took part of the machine.",
    }[found.limited_by]
    names: list[tuple[str, str, Unit]] = [
        ("streams", "Streams at once", ""),
        ("tokens_per_second", "Tokens/s", "/s"),
        ("requests_per_second", "Requests/s", "/s"),
        ("client_cpu", "Client CPU", "share"),
        ("server_cpu", "Server CPU", "share"),
        ("seconds", "Duration", "s"),
    ]
    cells = "".join(_of_ceiling(getattr(found, name), unit, f"{index}.{name}") for name, _, unit in names)
    return _table([label for _, label, _ in names], [f"<tr>{cells}</tr>"]) + f"<p class=note>{limit}</p>"


def _of_ceiling(value: float, unit: Unit, key: str) -> str:
    return f"<td {_data('ceiling', key, value)}>{escape(shown(value, unit))}</td>"


def settings(run: Run) -> str:
    """Say what was asked, how, and with what."""
    work, amount, machine = run.workload, run.amount, run.machine
    each = [f"{amount.requests} requests"] * (amount.requests is not None)
    each += [] if amount.seconds is None else [f"{amount.seconds:g} s"]
    warm = "as many requests as there are workers" if amount.warm_up is None else f"{amount.warm_up} requests"
    pairs = {
        "Host": run.host,
        "Server": run.server or "unknown",
        "Model": f"{work.model}, by {work.api}",
        "num_predict": "the model's own" if work.num_predict is None else str(work.num_predict),
        "Options": ", ".join(f"{name}={value!r}" for name, value in work.options.items()) or "none",
        "Prompts": f"{len(work.prompts)}: {_shown_prompts(work.prompts)}",
        "Each load": " or ".join(each),
        "Warm-up of each load": warm,
        "Seed of arrivals": str(run.seed),
        "Began": run.began_at,
        "Client": f"{machine.processor}, {machine.cores} cores; {machine.system}; {machine.python}",
        "Versions": ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
    }
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs.items()) + "</dl>"


def _shown_prompts(prompts: Sequence[Prompt]) -> str:
    texts = [prompt.text or str(prompt.messages[-1].get("content", "")) for prompt in prompts[:_MOST_PROMPTS]]
    shortened = [text if len(text) <= 80 else f"{text[:79]}…" for text in texts]
    return " / ".join(shortened) + (" / …" if len(prompts) > _MOST_PROMPTS else "")


def _cell(summary: Summary, key: str, unit: Unit, place: str) -> str:
    value = number(summary, key)
    return f"<td {_data('summary', f'{place}.{key}', value)}>{escape(shown(value, unit))}</td>"


def _data(kind: str, key: str, value: float | None) -> str:
    return f'data-{kind}="{escape(key)}" data-value="{"" if value is None else repr(value)}"'


def _table(head: Iterable[str], rows: Iterable[str], *, left: int = 1) -> str:
    cells = "".join(
        f"<th{' class=left' if place < left else ''}>{escape(text)}</th>" for place, text in enumerate(head)
    )
    body = "\n".join(rows)
    return f"<div class=scroll><table><thead><tr>{cells}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
