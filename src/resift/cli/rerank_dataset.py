"""The command ``resift rerank-dataset``."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from resift.cli.options import NAMES, add_option, given_options
from resift.cli.output import EXIT_FAILED, EXIT_OK, EXIT_USAGE, to_json
from resift.errors import BackendUnavailableError, InvalidRequestError

if TYPE_CHECKING:
    # argparse has no public name for it.
    from argparse import _SubParsersAction

    from resift.datasets import Runner, Task

EXIT_REJECTED = 1
_EPILOG = f"""\
IN is a file, a folder, or a pattern in quotes, of JSON lines (.jsonl, .ndjson, .json; .gz too) or
Parquet. OUT is a folder; the same command goes on where it was killed. Rows that can't be ranked
are in OUT/_rejected.jsonl, with their reasons, and figures in OUT/_report.json.

exit status: {EXIT_OK} all rows are in the output, {EXIT_REJECTED} some were rejected, {EXIT_USAGE}
the call or a file was wrong, {EXIT_FAILED} the model couldn't be used.

examples:
  resift rerank-dataset searches.jsonl ranked -n 10
  resift rerank-dataset "pairs/*.parquet" mined --task negatives --positives answer \\
    --negatives 5 --relative-margin 0.05
  resift rerank-dataset searches/ ranked --ray auto --cost-per-hour 12.80
"""
_COLUMNS = {
    "query": "the column of the query (default: query)",
    "documents": "the column of the documents: a list of texts or objects (default: documents)",
    "text": "the key of a document's text, where they are objects (default: text)",
    "id": "a column that names rejected rows",
    "positives": "the column of what is known to be relevant: texts, objects, or positions",
}
_ANSWERS = {
    "into": "the new column (default: ranking, scores or negatives_ranking)",
    "documents_into": "the column of the documents kept; that of --documents replaces them",
}
_MINING = {
    "range_min": (int, "RANK", "the first rank that is taken, from 0"),
    "range_max": (int, "RANK", "the first rank that isn't taken any more"),
    "min_score": (float, "SCORE", "the lowest score"),
    "max_score": (float, "SCORE", "the highest score"),
    "absolute_margin": (float, "SCORE", "least distance below the positive's score"),
    "relative_margin": (float, "SHARE", "the same as a share of that score, such as 0.05"),
}
# A call's deadline says nothing about a dataset.
_OPTIONS = [name for name in NAMES if name not in ("deadline_ms", "top_n")]
# Where there is no terminal to draw a bar on.
_SECONDS_BETWEEN_LINES = 30.0


def add_parser(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``rerank-dataset`` to the commands."""
    parser = commands.add_parser(
        "rerank-dataset",
        help="rerank a whole dataset, from files to files",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_rerank)
    add = parser.add_argument
    add("source", metavar="IN", help="a file, a folder or a pattern")
    add("out", metavar="OUT", help="a new folder, or that of the same job")
    for name, text in {**_COLUMNS, **_ANSWERS}.items():
        add(f"--{name.replace('_', '-')}", metavar="NAME", help=text)
    add("--task", choices=["rank", "score", "negatives"], default="rank",
        help="the best documents, a score for each, or hard negatives (default: rank)")  # fmt: skip
    add("--negatives", type=int, metavar="N", help="hard negatives of each row")
    for name, (kind, shown, text) in _MINING.items():
        add(f"--{name.replace('_', '-')}", type=kind, metavar=shown, help=f"of negatives: {text}")
    add("--most-documents", type=int, default=100_000, metavar="N",
        help="reject rows with more (default: %(default)s)")  # fmt: skip
    add("--block-rows", type=int, default=1000, metavar="N",
        help="rows written at once, which a kill loses (default: %(default)s)")  # fmt: skip
    add("--cost-per-hour", type=float, metavar="PRICE", help="of all machines, for the report")
    _add_ray(parser)
    add("--format", choices=["table", "json"], default="table")
    for name in ["top_n", *_OPTIONS]:
        add_option(parser, name)


def _add_ray(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("on Ray, with resift-ray").add_argument
    add("--ray", metavar="ADDRESS", help="a cluster's address, auto, or local for one here")
    add("--actors", type=int, metavar="N", help="the most (default: what the cluster has room for)")
    add("--cpus-per-actor", type=int, metavar="N", help="and threads of each (default: 1)")
    add("--gpus-per-actor", type=float, metavar="N", help="of each (default: 0)")


def _rerank(parsed: argparse.Namespace) -> int:
    # They import numpy for this command alone.
    from resift.datasets import Asked, Columns, rerank_files

    columns = {name: getattr(parsed, name) for name in _COLUMNS}
    asked = Asked(
        columns=Columns(**{name: each for name, each in columns.items() if each is not None}),
        task=_task(parsed),
        options={name: each for name, each in given_options(parsed).items() if name in _OPTIONS},
        most_documents=parsed.most_documents,
        block_rows=parsed.block_rows,
    )
    with closing(_Bar() if sys.stderr.isatty() else _Lines()) as progress:
        report = rerank_files(
            parsed.source,
            parsed.out,
            asked,
            runner=_runner(parsed),
            cost_per_hour=parsed.cost_per_hour,
            progress=progress,
        )
    if parsed.format == "json":
        sys.stdout.write(to_json(report.to_dict(), sys.stdout))
    else:
        sys.stdout.write(report.to_text())
    return EXIT_REJECTED if report.rejected else EXIT_OK


def _task(parsed: argparse.Namespace) -> Task:
    from resift.datasets import Negatives, Rank, Score

    kinds: dict[str, type[Task]] = {"rank": Rank, "score": Score, "negatives": Negatives}
    kind = kinds[parsed.task]
    known = {each.name for each in fields(kind)}
    flags = {"count": "negatives"}
    given = {
        name: getattr(parsed, flags.get(name, name))
        for name in ("top_n", "count", *_MINING, *_ANSWERS)
    }
    given = {name: each for name, each in given.items() if each is not None}
    strange = sorted(given.keys() - known)
    if strange:
        flag = flags.get(strange[0], strange[0]).replace("_", "-")
        raise InvalidRequestError(f"--{flag} isn't for --task {parsed.task}; leave one of them out")
    return kind(**given)


def _runner(parsed: argparse.Namespace) -> Runner | None:
    given = {name: getattr(parsed, name) for name in ("actors", "cpus_per_actor", "gpus_per_actor")}
    given = {name: each for name, each in given.items() if each is not None}
    if parsed.ray is None:
        if given:
            flag = next(iter(given)).replace("_", "-")
            raise InvalidRequestError(f"--{flag} is of actors on Ray; give --ray ADDRESS too")
        return None
    try:
        from resift_ray.data import OnRay
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f"{error.name} isn't installed, which --ray needs: pip install resift-ray"
        ) from error
    runner: Runner = OnRay(parsed.ray, **given)
    return runner


class _Bar:
    """Draws a bar on a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        from tqdm import tqdm

        if self._bar is None:
            # Rows of an earlier run took none of this one's time.
            self._bar = tqdm(total=total, initial=done, unit="row", leave=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Clear the bar from the terminal."""
        if self._bar is not None:
            self._bar.close()


class _Lines:
    """Writes a line now and then, for logs."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = done
            if done:
                sys.stderr.write(f"resift: {done:,} of {total:,} rows were done before\n")
        elif now - self._last >= _SECONDS_BETWEEN_LINES:
            rate = (done - self._first) / (now - self._start)
            left = f", {(total - done) / rate:,.0f} s left" if rate else ""
            sys.stderr.write(f"resift: {done:,} of {total:,} rows, {rate:,.1f} a second{left}\n")
            self._last = now

    def close(self) -> None:
        """Leave the lines as they are."""
