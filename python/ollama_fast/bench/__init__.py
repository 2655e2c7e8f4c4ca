"""
Measure the streaming throughput of an Ollama server: `run` loads it, and gives what was measured, with every request.

    from ollama_fast.bench import Amount, Closed, Workload, run, write_html

    done = run(None, Workload("smollm2"), [Closed(1), Closed(2)], Amount(requests=16))
    write_html([done], "report.html")

The command is `ollama-fast bench`. docs/bench.md defines each number.
"""

from ollama_fast._whole_file import check_writable as check_writable

from ._aggregate import Spread as Spread
from ._aggregate import Summary as Summary
from ._aggregate import percentile as percentile
from ._aggregate import spread as spread
from ._aggregate import summarise as summarise
from ._ceiling import self_test as self_test
from ._compare import Comparison as Comparison
from ._compare import Row as Row
from ._compare import compare as compare
from ._doubts import doubts as doubts
from ._html import html as html
from ._html import write_html as write_html
from ._json import decode as decode
from ._json import encode as encode
from ._json import read as read
from ._json import write_json as write_json
from ._loops import measure as measure
from ._prompts import read_prompts as read_prompts
from ._running import Begun as Begun
from ._running import run as run
from ._values import DEFAULT_PROMPTS as DEFAULT_PROMPTS
from ._values import Amount as Amount
from ._values import Ceiling as Ceiling
from ._values import Closed as Closed
from ._values import Level as Level
from ._values import Load as Load
from ._values import Machine as Machine
from ._values import Open as Open
from ._values import Prompt as Prompt
from ._values import Run as Run
from ._values import Sample as Sample
from ._values import Workload as Workload

__all__ = [
    "DEFAULT_PROMPTS",
    "Amount",
    "Begun",
    "Ceiling",
    "Closed",
    "Comparison",
    "Level",
    "Load",
    "Machine",
    "Open",
    "Prompt",
    "Row",
    "Run",
    "Sample",
    "Spread",
    "Summary",
    "Workload",
    "check_writable",
    "compare",
    "decode",
    "doubts",
    "encode",
    "html",
    "measure",
    "percentile",
    "read",
    "read_prompts",
    "run",
    "self_test",
    "spread",
    "summarise",
    "write_html",
    "write_json",
]
