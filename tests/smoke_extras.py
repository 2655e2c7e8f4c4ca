"""What a wheel says where the package of an extra is missing: run by smoke_wheel.sh."""

import re
import subprocess
import sys

# By the extra that is installed: what else a program needs, and that program. Without `progress` there are plain lines.
WANTED = {
    "none": {
        "cli": "import sys; from ollama_fast.cli import main; sys.exit(main(['--version']))",
        "otel": "from ollama_fast import telemetry; telemetry.instrument()",
        "retry": "from ollama_fast import Host, Retry; Host('localhost', retry=Retry(attempts=2))",
    },
    "cli": {
        "bench": "import sys; from ollama_fast.cli import main; sys.exit(main(['bench', 'm', '--html', 'x.html']))",
        "parquet": "import sys; from ollama_fast.cli import main; sys.exit(main(['embed', 'm', '-o', 'x.parquet']))",
    },
}


def main(installed: str) -> int:
    """Print which programs do not name the extra that they need; give 1 if there is one."""
    failed = 0
    for extra, program in WANTED[installed].items():
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
        named = re.search(r"pip install 'ollama_fast\[([\w,]+)\]'", ran.stderr)
        if ran.returncode != 1 or named is None or extra not in named[1].split(","):
            failed = 1
            print(f"without the extra {extra}: exit code {ran.returncode}, and on stderr:\n{ran.stderr}")
    print(f"what is missing without {', '.join(WANTED[installed])} is said" if not failed else "see above")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
