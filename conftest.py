"""What holds for every test: no connection beyond loopback, no telemetry, and a closing line."""

from __future__ import annotations

import os
import re
import runpy
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

_GUARD = Path(__file__).parent / "tests/loopback"
_REFUSED = Path(tempfile.mkdtemp(prefix="resift-tests-"), "connections")

# For the processes that tests start, too. Frameworks read these at their import.
os.environ.update(
    {
        "DO_NOT_TRACK": "1",
        "HAYSTACK_TELEMETRY_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "LANGCHAIN_TRACING_V2": "false",
        "LANGSMITH_TRACING": "false",
        # Loopback alone, in spite of its name; Ray reads it at its import.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        # It would put a function of its own in place of print, for all tests to come.
        "RAY_TQDM_PATCH_PRINT": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_GUARD), os.environ.get("PYTHONPATH")])),
        "RESIFT_TEST_CONNECTIONS": str(_REFUSED),
    }
)
runpy.run_path(str(_GUARD / "sitecustomize.py"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--slow``, for what takes longer than it tells most of the time."""
    parser.addoption("--slow", action="store_true", help="run the slow tests, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is slow unless it is asked for."""
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow, for --slow"))


@pytest.fixture(autouse=True)
def _no_connection_beyond_loopback() -> Iterator[None]:
    """Fail the test in which one was tried, whatever swallowed its refusal."""
    yield
    if _REFUSED.exists():
        refused = _REFUSED.read_text(encoding="utf-8")
        _REFUSED.unlink()
        pytest.fail(f"connections beyond loopback were tried:\n{refused}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what wasn't checked on this machine."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.getreports("skipped"):
        if isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
            package = re.match(r"could not import '([\w.]+)'", reason)
            reasons[f"no {package[1]}" if package else reason] += 1
    if reasons:
        what = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
        terminalreporter.write_line(f"not checked on this machine: {what}")
    else:
        terminalreporter.write_line("all that was asked for was checked on this machine")
