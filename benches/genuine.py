"""
Measures a genuine server at 1, 2, 4 and 8 streams by `ollama-fast bench`, and takes the picture for the docs.

`make bench-genuine` runs it. JSON and report are left in target/bench-genuine; the picture needs Chromium, and stays as
it was without. With OLLAMA_HOST and OLLAMA_MODEL it measures that server, and leaves the docs alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from browser import find_browser, screenshot
from ollama_fast.cli import main as ollama_fast
from real import genuine

_ROOT: Final = Path(__file__).parent.parent
_FOLDER: Final = _ROOT / "target" / "bench-genuine"
_PICTURE: Final = _ROOT / "docs" / "images" / "bench.png"
_SIZE: Final = (1280, 1090)
"""Of the picture: down to the plots of the latencies."""


def main() -> int:
    """Measure, write, and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--num-predict", type=int, default=64)
    settings = parser.parse_args()
    _FOLDER.mkdir(parents=True, exist_ok=True)
    files = ["--output", str(_FOLDER / "run.json"), "--html", str(_FOLDER / "run.html")]
    loads = ["--concurrency", "1,2,4,8", "--requests", str(settings.requests)]
    with ExitStack() as stack:
        model = os.environ.get("OLLAMA_MODEL")
        is_theirs = bool(model and os.environ.get("OLLAMA_HOST"))
        if model is None or not is_theirs:
            paths = genuine.build()
            server = stack.enter_context(genuine.server(paths))
            genuine.make_models(server, paths)
            os.environ["OLLAMA_HOST"], model = server.url, genuine.MODEL
        code = ollama_fast(["bench", model, *loads, "--num-predict", str(settings.num_predict), *files])
    if code or is_theirs:
        return code
    browser = find_browser()
    if browser is None:
        print("no Chromium, so the picture in the docs stays as it was")
        return 0
    _PICTURE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="browser-") as profile:
        screenshot(browser, _FOLDER / "run.html", _PICTURE, _SIZE, Path(profile))
    print(f"Written: {_PICTURE.relative_to(_ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
