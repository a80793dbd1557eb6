"""Most of the suite, where it isn't usually run: all at once, as each takes the suite's time."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ON_ONE_PROCESSOR = (
    "import os, sys, pytest; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    "sys.exit(pytest.main(sys.argv[1:]))"
)
# Without what takes long and is the same wherever it runs: other programs, which have surroundings
# of their own; time limits of sockets; models' numbers and shapes on the wire; and the texts of
# this project, which other tests read.
LEFT_OUT = (
    "integrations/resift-ray",
    "tests/clients",
    "tests/compare_server",
    "tests/cpu_benchmark",
    "tests/labelling/test_browser.py",
    "tests/protocols",
    "tests/server/limits",
    "tests/server/page",
    "tests/server/test_life.py",
    "tests/server/test_remote.py",
    "tests/test_benchmarks_load.py",
    "tests/test_benchmarks_serve.py",
    "tests/test_bundled.py",
    "tests/test_conventions.py",
    "tests/test_examples.py",
    "tests/test_late_interaction.py",
    "tests/test_public.py",
    "tests/test_site.py",
    "tests/test_structure.py",
    "tests/trials",
)
POSIX = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
# Not even root makes a folder there.
NO_HOME = {"HOME": "/sys", "XDG_CACHE_HOME": "/sys/cache"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_it_passes_on_one_processor_in_a_posix_locale_and_without_a_home() -> None:
    # It takes minutes, and nothing hangs.
    faulthandler.cancel_dump_traceback_later()
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "warn_default_encoding",
            "-c",
            ON_ONE_PROCESSOR,
            "-q",
            "-p",
            "no:cacheprovider",
            *(f"--ignore={each}" for each in LEFT_OUT),
        ],
        cwd=ROOT,
        env={**os.environ, **POSIX, **NO_HOME},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=3600,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
