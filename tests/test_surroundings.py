"""The whole suite, where it isn't usually run."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTEST = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
ONE_PROCESSOR = f"import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}}); {PYTEST}"
POSIX = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
# Not even root makes a folder there.
NO_HOME = {"HOME": "/sys", "XDG_CACHE_HOME": "/sys/cache"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize(
    ("program", "environment"),
    [(ONE_PROCESSOR, {}), (PYTEST, POSIX), (PYTEST, NO_HOME)],
    ids=["one processor", "POSIX locale", "unwritable home"],
)
def test_the_suite_passes(program: str, environment: dict[str, str]) -> None:
    # It takes minutes, and nothing hangs.
    faulthandler.cancel_dump_traceback_later()
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "warn_default_encoding",
            "-c",
            program,
            "-q",
            "-p",
            "no:cacheprovider",
        ],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
