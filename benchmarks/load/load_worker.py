"""One scenario in this process; its figures are a line of JSON.

    python load_worker.py SCENARIO SETTINGS

Needs resift and benchmarks/cpu on its path.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

from adapters import end_first
from scenarios import SCENARIOS


def main() -> None:
    """Measure."""
    name, words = sys.argv[1:]
    settings = json.loads(words)
    end_first()
    reranker = import_module("resift").Reranker(settings["model"], threads=settings["threads"])
    reranker.warm_up()
    sys.stdout.write(json.dumps(SCENARIOS[name](reranker, settings)) + "\n")


if __name__ == "__main__":
    main()
