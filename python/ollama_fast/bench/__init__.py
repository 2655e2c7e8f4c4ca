"""
Measure the streaming throughput of an Ollama server: `benchmark` loads it, and gives what was measured, with every
request.

    from ollama_fast.bench import Amount, ClosedLoop, Workload, benchmark, write_html

    run = benchmark(None, Workload("smollm2"), [ClosedLoop(1), ClosedLoop(2)], Amount(requests=16))
    write_html([run], "report.html")

The command is `ollama-fast bench`. docs/bench.md defines each number.
"""

from ._aggregate import Failures as Failures
from ._aggregate import Spread as Spread
from ._aggregate import Summary as Summary
from ._aggregate import summarise_level as summarise_level
from ._ceiling import self_test as self_test
from ._compare import ComparedNumber as ComparedNumber
from ._compare import Comparison as Comparison
from ._compare import compare_runs as compare_runs
from ._doubts import find_doubts as find_doubts
from ._html import make_html as make_html
from ._html import write_html as write_html
from ._json import decode_json as decode_json
from ._json import encode_json as encode_json
from ._json import read_json as read_json
from ._json import write_json as write_json
from ._loops import measure_load as measure_load
from ._prompts import read_prompts as read_prompts
from ._running import Begun as Begun
from ._running import benchmark as benchmark
from ._values import DEFAULT_PROMPTS as DEFAULT_PROMPTS
from ._values import Amount as Amount
from ._values import Ceiling as Ceiling
from ._values import ClosedLoop as ClosedLoop
from ._values import Level as Level
from ._values import Load as Load
from ._values import Machine as Machine
from ._values import OpenLoop as OpenLoop
from ._values import Prompt as Prompt
from ._values import Run as Run
from ._values import Sample as Sample
from ._values import Workload as Workload

__all__ = [
    "DEFAULT_PROMPTS",
    "Amount",
    "Begun",
    "Ceiling",
    "ClosedLoop",
    "ComparedNumber",
    "Comparison",
    "Failures",
    "Level",
    "Load",
    "Machine",
    "OpenLoop",
    "Prompt",
    "Run",
    "Sample",
    "Spread",
    "Summary",
    "Workload",
    "benchmark",
    "compare_runs",
    "decode_json",
    "encode_json",
    "find_doubts",
    "make_html",
    "measure_load",
    "read_json",
    "read_prompts",
    "self_test",
    "summarise_level",
    "write_html",
    "write_json",
]
