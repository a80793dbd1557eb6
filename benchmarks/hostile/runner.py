"""One case by one system, in this process; its outcome is a line of JSON.

    python runner.py CASE ADAPTER MODEL OPTIONS SETTINGS

``OPTIONS`` are the adapter's and ``SETTINGS`` the case's numbers, both as JSON. Needs
benchmarks/cpu on its path.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from adapters import end_first
from cases import CASES
from subject import Outcome, Subject, said


def main() -> None:
    """Run it."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # Whatever a library prints must not get between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    case, *words = sys.argv[1:]
    end_first()
    try:
        outcome = CASES[case].run(Subject.of(words, say))
    # Nobody expected it here: the case couldn't be done to its end.
    except Exception as error:
        traceback.print_exc()
        outcome = Outcome("crashed", said(error))
    say(outcome.as_json())


if __name__ == "__main__":
    main()
