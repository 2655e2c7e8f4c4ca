"""
A genuine Ollama server and a genuine registry of models on loopback, for tests, recording and benches.

`python tests/real/genuine.py` starts both, makes the models, and waits for Ctrl-C.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

BUILD: Final = Path(__file__).with_name("build.sh")

MODEL: Final = "smollm2"
MODEL_WITH_TOOLS: Final = "smollm2-tools"
MODEL_THAT_THINKS: Final = "smollm2-think"

TEMPLATES: Final[Mapping[str, str]] = {
    MODEL: (
        "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
        "{{ if .Prompt }}<|im_start|>user\n{{ .Prompt }}<|im_end|>\n{{ end }}"
        "<|im_start|>assistant\n{{ .Response }}<|im_end|>\n"
    ),
    MODEL_WITH_TOOLS: (
        "{{- range .Messages }}<|im_start|>{{ .Role }}\n"
        "{{ if .Content }}{{ .Content }}{{ else if .ToolCalls }}{{ range .ToolCalls }}"
        '{"name": "{{ .Function.Name }}", "parameters": {{ .Function.Arguments }}}{{ end }}{{ end }}<|im_end|>\n'
        "{{ end }}"
        "{{ if .Tools }}<|im_start|>system\nTools: {{ range .Tools }}{{ . }}{{ end }}<|im_end|>\n{{ end }}"
        "<|im_start|>assistant\n"
    ),
    MODEL_THAT_THINKS: (
        "{{- range .Messages }}<|im_start|>{{ .Role }}\n"
        "{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}<|im_end|>\n"
        "{{ end }}"
        "<|im_start|>assistant\n{{ if and .IsThinkSet .Think }}<think>{{ end }}"
    ),
}
"""What makes one small model three: the server takes a model's capabilities from its template."""

PARAMETERS: Final[Mapping[str, Any]] = {
    "temperature": 0,
    "seed": 7,
    "num_predict": 64,
    "num_ctx": 2048,
    "num_thread": 1,
    "stop": ["<|im_start|>", "<|im_end|>"],
}
"""Short and repeatable answers, by one thread: on a busy machine several wait for each other, ten times as long."""

_STARTS = 5
"""How often a start is tried because another process may take the port meanwhile."""
_PIECE = 1 << 20
"""Bytes of a file that are read at a time."""


@dataclass(frozen=True, slots=True)
class Paths:
    """What build.sh made: the server's binary and the model's GGUF file."""

    server: Path
    model: Path


@dataclass(frozen=True, slots=True)
class Server:
    """A running Ollama server, its log, where it keeps its models, and its process id."""

    url: str
    log: Path
    models_dir: Path
    pid: int


@dataclass(frozen=True, slots=True)
class Registry:
    """A running registry, as models' names say it ("127.0.0.1:5000"), and its log."""

    address: str
    log: Path
    pid: int

    def model(self, name: str) -> str:
        """Give the full name of the model *name* in this registry; it has no TLS, so calls need `insecure=True`."""
        return f"{self.address}/library/{name}"


class _PortTakenError(Exception):
    pass


def build() -> Paths:
    """Run build.sh, which builds the server and fetches the model unless the cache has them."""
    done = subprocess.run([BUILD], check=True, stdout=subprocess.PIPE, text=True)
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith(("SERVER=", "MODEL=")))
    return Paths(Path(found["SERVER"]), Path(found["MODEL"]))


@contextmanager
def server(paths: Paths, *, environment: Mapping[str, str] | None = None, seconds: float = 60) -> Generator[Server]:
    """
    Start an Ollama server without models, and stop it and its runners afterwards.

    Args:
        paths: What `build` gave.

        environment: More variables for the server, such as `{"OLLAMA_DEBUG": "1"}`.

        seconds: How long it may take to answer.
    """
    with _folder("ollama") as home:
        models_dir, log = home / "models", home / "server.log"

        def start(port: int) -> subprocess.Popen[bytes]:
            variables = {
                "HOME": str(home),
                "OLLAMA_HOST": f"127.0.0.1:{port}",
                "OLLAMA_MODELS": str(models_dir),
                "OLLAMA_NUM_PARALLEL": "4",
                **(environment or {}),
            }
            return _spawn([str(paths.server), "serve"], variables, log)

        with _running(start, "/api/version", log, seconds) as (process, port):
            yield Server(f"http://127.0.0.1:{port}", log, models_dir, process.pid)


@contextmanager
def registry(*, seconds: float = 30) -> Generator[Registry]:
    """
    Start a registry without models, and stop it afterwards.

    Ollama downloads only from where a registry redirects it, and only to another host name: without a redirect it says
    "http: no Location header in response". So this registry redirects to a server of its files on "localhost".
    """
    program = shutil.which("docker-registry", path=os.pathsep.join([os.environ.get("PATH", ""), _PATH]))
    if program is None:
        raise FileNotFoundError("docker-registry is not installed; build.sh installs Debian's")
    with _folder("registry") as folder, _file_server(folder / "storage") as files:
        config, log, storage = folder / "config.yml", folder / "registry.log", folder / "storage"

        def start(port: int) -> subprocess.Popen[bytes]:
            settings = {
                "version": 0.1,
                "log": {"level": "warn", "accesslog": {"disabled": True}},
                "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
                "middleware": {"storage": [{"name": "redirect", "options": {"baseurl": files}}]},
                "http": {"addr": f"127.0.0.1:{port}", "secret": "loopback only"},
            }
            config.write_text(json.dumps(settings))  # JSON is YAML
            return _spawn([program, "serve", str(config)], {"HOME": str(folder), "OTEL_TRACES_EXPORTER": "none"}, log)

        with _running(start, "/v2/", log, seconds) as (process, port):
            yield Registry(f"127.0.0.1:{port}", log, process.pid)


def make_models(server: Server, paths: Paths) -> None:
    """Upload the GGUF file and make a model of it for each of TEMPLATES; needs nothing of the package under test."""
    with paths.model.open("rb") as file:
        digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    blob = f"{server.url}/api/blobs/{digest}"
    if _ask("HEAD", blob) == 404:
        with paths.model.open("rb") as file:
            size = str(paths.model.stat().st_size)
            status = _ask("POST", blob, file, {"Content-Length": size, "Content-Type": "application/octet-stream"})
        if status != 201:
            raise RuntimeError(f"the upload of {paths.model.name} was answered with {status}")
    for name, template in TEMPLATES.items():
        body = {
            "model": name,
            "files": {paths.model.name: digest},
            "template": template,
            "parameters": PARAMETERS,
            "stream": False,
        }
        content = json.dumps(body).encode()
        status = _ask("POST", f"{server.url}/api/create", content, {"Content-Type": "application/json"})
        if status != 200:
            raise RuntimeError(f"creating {name} was answered with {status}; see {server.log}")


@contextmanager
def _file_server(root: Path) -> Generator[str]:
    """Serve the files under *root*, or a range of one, as the storage behind a registry does."""

    class Files(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = (root / self.path.lstrip("/")).resolve()
            if not (path.is_relative_to(root.resolve()) and path.is_file()):
                self.send_error(404)
                return
            size = path.stat().st_size
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            first, last = (int(asked[1]), min(int(asked[2]), size - 1)) if asked else (0, size - 1)
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.send_header("Content-Length", str(last - first + 1))
            self.end_headers()
            if self.command == "HEAD":
                return
            with path.open("rb") as file, suppress(ConnectionError):
                file.seek(first)
                left = last - first + 1
                while left > 0 and (piece := file.read(min(_PIECE, left))):
                    self.wfile.write(piece)
                    left -= len(piece)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as files:
        thread = threading.Thread(target=files.serve_forever, kwargs={"poll_interval": 0.05}, name="files", daemon=True)
        thread.start()
        try:
            yield f"http://localhost:{files.server_address[1]}"
        finally:
            files.shutdown()
            thread.join()


# --- processes -------------------------------------------------------------------------------------------------------

_PATH = "/usr/local/bin:/usr/bin:/bin"


def _spawn(command: Sequence[str], variables: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    # setpriv (util-linux) has the kernel stop the child if this process is killed and cannot do it itself. Elsewhere
    # only the context managers do.
    setpriv = shutil.which("setpriv", path=_PATH)
    prefix = [] if setpriv is None else [setpriv, "--pdeathsig", "TERM"]
    with log.open("ab") as out:
        return subprocess.Popen(
            [*prefix, *command],
            env={"PATH": _PATH, "LANG": "C.UTF-8", **variables},  # no proxies: all is on loopback
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            start_new_session=True,
        )


@contextmanager
def _running(
    start: Callable[[int], subprocess.Popen[bytes]], path: str, log: Path, seconds: float
) -> Generator[tuple[subprocess.Popen[bytes], int]]:
    for left in reversed(range(_STARTS)):
        port = _free_port()
        process = start(port)
        try:
            _wait(process, f"http://127.0.0.1:{port}{path}", log, seconds)
            yield process, port
        except _PortTakenError:
            if not left:
                raise
        else:
            return
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = log.read_text(errors="replace")
            if "address already in use" in said:
                log.unlink()
                raise _PortTakenError(url)
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}:\n{said[-2000:]}")
        try:
            answered = _ask("GET", url)
        except OSError:
            answered = None
        if answered == 200 and process.poll() is None:
            return
        time.sleep(0.02)
    raise TimeoutError(f"{url} did not answer within {seconds:g} s:\n{log.read_text(errors='replace')[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    # The group has the process's own id: it holds the server's runners too, and nothing else.
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _folder(name: str) -> Generator[Path]:
    # A server that was just killed may still be seen writing; nothing is lost if a file of it stays.
    with tempfile.TemporaryDirectory(prefix=f"{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _ask(method: str, url: str, content: Any = None, headers: Mapping[str, str] | None = None) -> int:
    request = urllib.request.Request(url, content, dict(headers or {}), method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=300) as response:
            response.read()
            status: int = response.status
            return status
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code


def main() -> None:
    """Start both, say where they are, and wait for Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have had ignored
    paths = build()
    with suppress(KeyboardInterrupt), server(paths) as ollama, registry() as shop:
        make_models(ollama, paths)
        print(f"OLLAMA_HOST={ollama.url}")
        print(f"REGISTRY={shop.address}   (names such as {shop.model(MODEL)}, with insecure=True)")
        print(f"models: {', '.join(TEMPLATES)}; log: {ollama.log}; Ctrl-C stops it", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
