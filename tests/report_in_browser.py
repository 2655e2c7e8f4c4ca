"""
Opens a report of the benchmark in a real browser, in wide and narrow windows, light and dark: `make test-report`.

What the page looks like is asked by a script in a copy of it, since the page itself has none.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from html import unescape
from pathlib import Path
from typing import Any

from bench_values import level, run, sample
from browser import document, find_browser
from ollama_fast.bench import ClosedLoop, Run, make_html

_ASK = """<pre id=seen></pre><script>
const style = getComputedStyle(document.body), root = document.documentElement;
const boxes = [...document.querySelectorAll("svg")].map(each => each.getBoundingClientRect());
document.getElementById("seen").textContent = JSON.stringify({
  width: innerWidth, content: root.scrollWidth, ink: style.color, back: style.backgroundColor,
  plots: boxes.map(box => [box.width, box.height]), files: performance.getEntriesByType("resource").length,
});
</script></body>"""


def seen(browser: str, text: str, width: int, *, dark: bool) -> dict[str, Any]:
    """Give what a browser makes of a page in a window that is *width* pixels wide."""
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as folder:
        page = Path(folder) / "report.html"
        page.write_text(text.replace("</body>", _ASK), encoding="utf-8")
        found = re.search(
            r"<pre id=\"seen\">(.*?)</pre>", document(browser, page, (width, 900), Path(folder), dark=dark)
        )
    assert found is not None
    answer: dict[str, Any] = json.loads(unescape(found[1]))
    return answer


def lightness(colour: str) -> float:
    """Give how light a colour of CSS is, from 0 to 255."""
    red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def example(label: str) -> Run:
    """Make a run with two loads."""
    streams = [sample(0.5 + place, 0.75 + place, 1.5 + place, intended=float(place)) for place in range(8)]
    return run(level(*streams), level(*streams, load=ClosedLoop(2)), label=label)


def main() -> int:
    """Look at a page of one run and at one of two, and fail at what looks wrong."""
    browser = find_browser()
    if browser is None:
        print("no Chromium or Chrome is installed: apt-get install chromium")
        return 1
    pages = {
        "one run": make_html([example("a")]),
        "two runs": make_html([example("http://a.example:11434"), example("b")]),
    }
    for name, text in pages.items():
        for width in (500, 1400):
            for dark in (False, True):
                found = seen(browser, text, width, dark=dark)
                print(f"{name}, {found['width']} px, {'dark' if dark else 'light'}: {len(found['plots'])} plots")
                assert found["content"] <= found["width"], "the page is wider than its window"
                assert found["files"] == 0, "the page loads something"
                assert (lightness(found["back"]) < 128) == dark, found["back"]
                assert abs(lightness(found["ink"]) - lightness(found["back"])) > 150, "the text is hard to read"
                assert len(found["plots"]) >= 8
                assert all(200 < wide <= found["width"] and high > 100 for wide, high in found["plots"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
