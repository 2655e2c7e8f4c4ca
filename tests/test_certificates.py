"""TLS contexts are shared as long as the files that they are of stay the same."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
import trustme

from ollama_fast._certificates import trusting


def names(context: ssl.SSLContext) -> list[str]:
    """Give who is trusted."""
    return [str(found["serialNumber"]) for found in context.get_ca_certs()]


@pytest.mark.parametrize("how", ["verify", "SSL_CERT_FILE"])
def test_a_file_that_is_replaced_is_read_anew(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ca.pem"
    if how != "verify":
        monkeypatch.setenv(how, str(path))
    verify: bool | str = str(path) if how == "verify" else True
    trustme.CA().cert_pem.write_to_path(str(path))
    before = trusting(verify)
    assert trusting(verify) is before
    trustme.CA().cert_pem.write_to_path(str(path))
    os.utime(path, ns=(1, 1))  # two writes may come within a tick of the clock
    after = trusting(verify)
    assert len(names(before)) == len(names(after)) == 1
    assert names(before) != names(after)


def test_a_folder_that_has_changed_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    before = trusting(verify=True)
    assert trusting(verify=True) is before
    os.utime(tmp_path, ns=(1, 1))
    assert trusting(verify=True) is not before
    assert trusting(verify=True, trust_env=False) is trusting(verify=True, trust_env=False)


def test_a_file_that_comes_later_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    with pytest.raises(FileNotFoundError):
        trusting(str(path))
    trustme.CA().cert_pem.write_to_path(str(path))
    assert len(names(trusting(str(path)))) == 1
