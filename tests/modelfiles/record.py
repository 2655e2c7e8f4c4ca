"""
Record what Ollama's own parser makes of Modelfiles, in answers.json: `python tests/modelfiles/record.py`.

It needs Go, which fetches the module that go.mod names.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Final

import orjson

HERE: Final = Path(__file__).parent

TEXTS: Final = (
    "FROM llama3",
    "from llama3\n",
    "FROM llama3:8b   \n\n# a remark\n   # another, behind blanks\nSYSTEM You are terse.\n",
    "FROM  a  # no remark\n",
    "\ufeffFROM x\n",
    "FROM x\r\nSYSTEM a\r\nPARAMETER num_ctx 4096\r\n",
    'FROM x\nSYSTEM "quoted text"\n',
    'FROM x\nSYSTEM "over\nlines"\n',
    'FROM x\nSYSTEM """over\n  several "quoted"\n\nlines\n"""\nPARAMETER seed 1\n',
    'FROM x\nSYSTEM """one line"""\n',
    'FROM x\nTEMPLATE """{{ .System }}\n{{ .Prompt }}"""\n',
    'FROM x\nSYSTEM """a""" b\nc"""\n',
    'FROM x\nSYSTEM say "hi"\n',
    "FROM x\nSYSTEM 'single'\n",
    'FROM x\nSYSTEM ""\n',
    'FROM x\nSYSTEM """"""\n',
    'FROM x\nSYSTEM "never ends\n',
    'FROM x\nSYSTEM """never ends"\n',
    "FROM x\nSYSTEM a\nSYSTEM b\n",
    "FROM x\nSYSTEM\ta\tb\n",
    "FROM x\nLICENSE MIT\nLICENSE Apache-2.0\n",
    'FROM x\nMESSAGE user Hello: there\nMESSAGE assistant "Hi\nyou"\nMESSAGE system a: b\n',
    "FROM x\nMESSAGE tool a\n",
    "FROM x\nMESSAGE User a\n",
    "FROM x\nMESSAGE  user a\n",
    'FROM x\nPARAMETER stop <a>\nPARAMETER stop "b c"\nPARAMETER stop <a>\n',
    "FROM x\nPARAMETER temperature 0.7\nPARAMETER top_k 40\nPARAMETER use_mmap false\nPARAMETER seed -1\n",
    "FROM x\nPARAMETER temperature 1\nPARAMETER temperature 2e-1\n",
    "FROM x\nPARAMETER temperature hot\n",
    "FROM x\nPARAMETER num_ctx 4096.0\n",
    "FROM x\nPARAMETER num_ctx +8\n",
    "FROM x\nPARAMETER use_mmap yes\n",
    "FROM x\nPARAMETER use_mmap T\n",
    "FROM x\nPARAMETER Temperature 1\n",
    "FROM x\nPARAMETER colour blue\n",
    "FROM x\nPARAMETER  num_ctx 1\n",
    "FROM x\nPARAMETER num_ctx\n",
    "FROM x\nREQUIRES 0.14.0\n",
    "FROM x\nREQUIRES v0.14\n",
    "FROM x\nREQUIRES 0.14.0-rc1+build.5\n",
    "FROM x\nREQUIRES 0.014.0\n",
    "FROM x\nREQUIRES soon\n",
    "FROM x\nRENDERER qwen3-coder\nPARSER qwen3-coder\n",
    "FROM a\nFROM b\n",
    "FROM\n",
    "FROM x\nFORM y\n",
    "FROM x\nSYSTEM\n",
    "FROM x\n12 y\n",
    "FROM x\nSYST\u00c9M y\n",
    "SYSTEM without a model\n",
    "",
    "# only a remark\n",
    "FROM x\nSYSTEM a\u00a0b\u200bc \U0001f600\n",
)


def main() -> None:
    """Ask the parser, and write what it says."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["go", "run", ".", folder], cwd=HERE, input=orjson.dumps(TEXTS), stdout=subprocess.PIPE, check=True
        )
    (HERE / "answers.json").write_bytes(done.stdout)


if __name__ == "__main__":
    main()
