"""TLS contexts, which are shared: loading the certificates that are trusted takes 20 ms."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx


def trusting(verify: bool | str, *, trust_env: bool = True) -> ssl.SSLContext:
    """
    Give the context for the certificates that are trusted by default, or are in the file or folder *verify*, or all.

    With *trust_env* SSL_CERT_FILE and SSL_CERT_DIR say which those by default are. What has changed is read anew.

    Raises OSError, of which ssl.SSLError is one, that names what cannot be read.
    """
    named = [os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")] if trust_env else []
    paths = [verify] if isinstance(verify, str) else named if verify else []
    try:
        return _trusting(verify, trust_env, *(path and (path, _state(path)) for path in paths))
    except OSError as exc:  # ssl names no file
        where = " and ".join(path for path in paths if path)
        raise type(exc)(exc.errno, f"the certificates in {where} cannot be read: {exc.strerror}") from None


def _state(path: str) -> tuple[int, ...] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None  # whoever reads it says so
    return found.st_mtime_ns, found.st_size, found.st_ino


@lru_cache(maxsize=16)
def _trusting(verify: bool | str, trust_env: bool, *_paths: Any) -> ssl.SSLContext:
    if isinstance(verify, str):
        folder = Path(verify).is_dir()
        return ssl.create_default_context(capath=verify if folder else None, cafile=None if folder else verify)
    return httpx.create_ssl_context(verify=verify, trust_env=trust_env)


@lru_cache(maxsize=1)
def trusting_nobody() -> ssl.SSLContext:
    """
    Give a context without certificates, for plain http.

    If TLS were spoken through such a pool all the same, it would fail, not succeed.
    """
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
