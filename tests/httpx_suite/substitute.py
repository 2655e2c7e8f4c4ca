"""
A pytest plugin: clients that httpx's tests make without a transport get one of this package's.

It counts the requests that the core sent and those that went on to httpx's own transports, and fails the run if the
core had none. Tests that cannot apply are skipped with their reasons, which must fit the suite: see `EXCEPTIONS`.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, Final

import httpx
import pytest
import uvicorn.config

from exceptions import EXCEPTIONS
from ollama_fast import AsyncTransport, Transport
from ollama_fast._plan import Plan

sent: Final[Counter[str]] = Counter()
"""How many requests came to the transports, and how many of them were passed on."""


class Counted(Transport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        sent["all"] += 1
        return super().handle_request(request)


class AsyncCounted(AsyncTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent["all"] += 1
        return await super().handle_async_request(request)


def pytest_configure() -> None:
    _replace(httpx.Client, Counted)
    _replace(httpx.AsyncClient, AsyncCounted)
    plan: Any = Plan
    other = plan.other

    def count(self: Any, request: httpx.Request, *loop: Any) -> Any:
        sent["passed"] += 1
        return other(self, request, *loop)

    plan.other = count
    config: Any = uvicorn.config.Config
    begin = config.__init__
    # At a free port; without a log, which tests of httpx's own log would find beside it; and with h11, whose
    # spelling of header names httpx's tests expect: uvicorn takes httptools where that is installed.
    changed = {"port": int(os.environ["HTTPX_SUITE_PORT"]), "log_level": "warning", "http": "h11"}

    def begin_otherwise(self: Any, *args: Any, **options: Any) -> None:
        begin(self, *args, **changed | options)

    config.__init__ = begin_otherwise


def _replace(client: Any, ours: type[Transport | AsyncTransport]) -> None:
    # Not httpx's transports, because to replace those is to ask the package's own to step aside.
    def make(_self: Any, transport: Any = None, **options: Any) -> Any:
        return ours(**options) if transport is None else transport

    client._init_transport = make


@pytest.hookimpl(tryfirst=True)  # before any are deselected
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if unknown := set(EXCEPTIONS) - {item.nodeid for item in items}:
        raise pytest.UsageError(f"httpx {httpx.__version__} has no tests of these names: {sorted(unknown)}")
    for item in items:
        reason = "needs the internet" if item.get_closest_marker("network") else EXCEPTIONS.get(item.nodeid)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"{by_core()} requests by the core, {sent['passed']} passed to httpx")
    if by_core() == 0:
        terminalreporter.write_line("failed: these tests say nothing about the core unless it sends some")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if by_core() == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def by_core() -> int:
    return sent["all"] - sent["passed"]
