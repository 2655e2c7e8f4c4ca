"""`doctor` at a genuine server."""

from __future__ import annotations

import json

import pytest

from colours import Colour
from ollama_fast import Report
from real.target import Genuine

pytestmark = pytest.mark.real


def test_a_genuine_server_is_ok_and_its_model_is_seen(every: Colour, real: Genuine) -> None:
    every.whole("generate", real.url, real.model)  # loads it
    report: Report = every.whole("doctor", real.url)
    print(report)
    assert report.ok, str(report)
    found = {finding.topic: finding for finding in report.findings}
    assert real.model in " ".join(found["models"].facts["models"])
    assert abs(found["clock"].facts["ahead"]) <= 60
    assert found["memory"].facts["context_length"] > 0
    assert found["memory"].facts["in_vram"] is not None
    assert found["memory"].facts["expires_in"] > 0
    assert json.loads(json.dumps(report.as_dict()))["ok"] is True


def test_a_path_that_is_doubled_is_found_at_a_genuine_server(both: Colour, real: Genuine) -> None:
    report: Report = both.whole("doctor", f"{real.url}/v1")
    assert [finding.topic for finding in report.problems] == ["host", "server"]  # the cause first
    assert report.problems[0].todo.endswith(real.url)


def test_a_genuine_server_without_tls_is_told(both: Colour, real: Genuine) -> None:
    report: Report = both.whole("doctor", real.url.replace("http://", "https://"))
    assert [finding.topic for finding in report.problems] == ["tls"]
    assert "http://" in report.problems[0].todo
