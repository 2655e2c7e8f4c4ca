"""Calls that need several requests: pure functions, from arguments to Steps."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from . import _endpoints
from ._steps import Steps, Telling, ask, run_all, tell, upload
from .errors import HostError, OllamaError

if TYPE_CHECKING:
    from pathlib import Path

    from ._modelfile import Modelfile
    from ._upload import Files, Upload
    from .types import Message, ProgressResponse


_GATHERING: Final = "gathering model components"
"""What Ollama's own command says while it reads files for their digests."""


def is_running() -> Steps[bool]:
    """
    Ask whether Ollama answers at the host; no error of the exchange is raised, only HostError if there is no such host.

    A server that takes connections and says nothing is waited for as long as `Timeout.first_part` says, which is for
    ever by default: bound it by `host.with_options(timeout=10)`. `doctor` says why it does not answer, and in time.

    See https://github.com/ollama/ollama/blob/main/docs/api.md
    """
    try:
        return (yield from ask(_endpoints.root()))
    except HostError:
        raise
    except OllamaError:
        return False


def create_blob(path: str | os.PathLike[str], *, digest: str | None = None) -> Steps[str]:
    """
    Send a file of any size to the server, unless it has it, and give its digest for `create`.

    Args:
        path: Of the file. It is read in pieces of 1 MiB.

        digest: "sha256:" and the file's SHA-256 in lower-case hexadecimal digits, if known, to spare reading it twice.

    Raises OSError if the file cannot be read or is no regular one, ResponseError (also if *digest* is not the file's)
    or TransportError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#push-a-blob
    """
    from . import _upload

    file = _upload.Upload.of(path)
    if digest is None:
        (digest,) = yield from _digests([file])
    yield from _send_blob(digest, file)
    return digest


def _digests(files: Sequence[Upload]) -> Steps[list[str]]:
    from . import _upload

    jobs = [_upload.Digest(file) for file in files]
    try:
        return (yield from run_all(*jobs))
    finally:
        for job in jobs:  # who was interrupted, or left, need not wait for threads that read on
            job.held = True


def _send_blob(digest: str, file: Upload) -> Telling[ProgressResponse, None]:
    """Send *file*, unless the server has it."""
    there = yield from ask(_endpoints.has_blob(digest))
    if not there:
        view = partial(_progress, digest, file.size)
        yield from upload(_endpoints.upload_blob(digest, file), view)
    yield from tell(_progress(digest, file.size, file.size))


def create(
    model: str,
    *,
    from_: str | None = None,
    files: Files | None = None,
    adapters: Files | None = None,
    modelfile: Modelfile | os.PathLike[str] | None = None,
    draft_files: Files | None = None,
    template: str | None = None,
    system: str | None = None,
    license: str | Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    messages: Sequence[Message | Mapping[str, Any]] | None = None,
    quantize: str | None = None,
    draft_quantize: str | None = None,
    renderer: str | None = None,
    parser: str | None = None,
    requires: str | None = None,
    info: Mapping[str, Any] | None = None,
    remote_host: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Telling[ProgressResponse, ProgressResponse]:
    """
    Make *model* from another one, from files, which are sent to the server unless it has them, or by a Modelfile.

    Args:
        model: Name of the new model; one that has it is overwritten.

        from_: Name of a model to start from; the server pulls it if need be.

        files: The model's files: names on the server to digests (a str) or local files (a path); or a path alone, of a
            GGUF file or of a folder with a safetensors model.

        adapters: An adapter's files, in the same way; or a path alone.

        modelfile: The path of a Modelfile, or what `parse_modelfile` made of one. Arguments that are given beside it
            count in place of what it says, such as `parameters` in place of all of its own.

        draft_files: Files of a draft model, in the same way; or a path alone.

        template: Prompt template.

        system: System message.

        license: One or several, added to the model's.

        parameters: Options of every run. The server checks them only when it loads the model.

        messages: A conversation that comes before every chat.

        quantize: Such as "q4_K_M"; the files must be F16, BF16 or F32.

        draft_quantize: The same for the draft model.

        renderer: Name of a built-in renderer of prompts.

        parser: Name of a built-in parser of answers.

        requires: Oldest version of Ollama that can run the model.

        info: Facts about a remote model, such as its context_length.

        remote_host: Where the model runs, if not here.

        extra: More fields for the request's body. One that is given by its own parameter, too, is a ValueError.

    Before the server's own parts, a stream has parts of the same form for local files: one whose status is "gathering
    model components" while they are read for their digests, some whose status begins with "uploading" while they are
    sent, ten in a second at most. The last part has the status "success". Raises OSError if a file cannot be read or is
    no regular one, ValueError if none is of a kind that models are made of, ModelfileError, ResponseError,
    TransportError, DecodeError or IncompleteStreamError.

    See https://github.com/ollama/ollama/blob/main/docs/api.md#create-a-model
    """
    from . import _upload

    body: dict[str, Any] = {
        "from": from_,
        "template": template,
        "system": system,
        "license": license,
        "parameters": parameters,
        "messages": messages,
        "quantize": quantize,
        "draft_quantize": draft_quantize,
        "renderer": renderer,
        "parser": parser,
        "requires": requires,
        "info": info,
        "remote_host": remote_host,
    }
    sets: dict[str, Files | None] = {"files": files, "adapters": adapters, "draft_files": draft_files}
    if modelfile is not None:
        _fill(body, sets, modelfile)
    named = {field: _upload.named(given) for field, given in sets.items() if given is not None}
    for digest in (file for files_of_set in named.values() for file in files_of_set.values() if isinstance(file, str)):
        _endpoints.check_digest(digest)
    _endpoints.create_from(model, body, extra).draft(stream=False)  # better refused before an upload than after it
    return _create(model, body, named, extra)


def _fill(body: dict[str, Any], sets: dict[str, Files | None], modelfile: Modelfile | os.PathLike[str]) -> None:
    """Put what *modelfile* says where no argument was given."""
    from . import _modelfile

    if isinstance(modelfile, str | bytes):
        raise TypeError("modelfile is a path or a Modelfile: wrap a str in pathlib.Path, or call parse_modelfile(text)")
    if isinstance(modelfile, _modelfile.Modelfile):
        known = modelfile
    else:
        known = _modelfile.read(modelfile)
        for sentence in known.dropped:
            warnings.warn(f"{os.fspath(modelfile)!r}, {sentence}", stacklevel=_outside())
    made_of = body["from"] is not None or sets["files"] is not None
    for name, value in _modelfile.arguments(known).items():
        field = name.removesuffix("_")
        place: dict[str, Any] = sets if field in sets else body
        if place[field] is None and not (made_of and field in ("from", "files")):
            place[field] = value


def _outside() -> int:
    """Give the stacklevel of a warning that is shown where this package was called."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    return level


def _create(
    model: str,
    body: Mapping[str, Any],
    sets: Mapping[str, Mapping[str, str | Path]],
    extra: Mapping[str, Any] | None,
) -> Telling[ProgressResponse, ProgressResponse]:
    from . import _upload

    local = sorted({file for files in sets.values() for file in files.values() if not isinstance(file, str)})
    digests: dict[Path, str] = {}
    if local:
        uploads = [_upload.Upload.of(file) for file in local]
        _upload.check_kind(sets.get("files", {}))
        gathering: ProgressResponse = {"status": _GATHERING}
        yield from tell(gathering)
        found = yield from _digests(uploads)
        digests = dict(zip(local, found, strict=True))
        for digest, each in zip(found, uploads, strict=True):  # all of them first, so that it is seen how much there is
            yield from tell(_progress(digest, each.size, 0))
        for digest, each in zip(found, uploads, strict=True):
            yield from _send_blob(digest, each)
    uploaded = {
        field: {name: digests[file] if not isinstance(file, str) else file for name, file in files.items()}
        for field, files in sets.items()
    }
    return (yield from ask(_endpoints.create_from(model, {**body, **uploaded}, extra)))


def _progress(digest: str, total: int, completed: int) -> ProgressResponse:
    short = digest.removeprefix("sha256:")[:12]
    part: ProgressResponse = {"status": f"uploading {short}", "digest": digest, "total": total}
    if completed:  # left out when 0, as the server does
        part["completed"] = completed
    return part
