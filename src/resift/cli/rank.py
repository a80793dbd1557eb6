"""The command ``resift rank``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from textwrap import shorten
from typing import IO, TYPE_CHECKING

from resift import Observer, Ranking, Reranker
from resift.cli.options import NAMES, add_option, given_options
from resift.cli.output import EXIT_FAILED, EXIT_NOTHING_KEPT, EXIT_OK, EXIT_USAGE, to_json
from resift.cli.request import as_text, read_request
from resift.options import defaults

if TYPE_CHECKING:
    # argparse has no public name for it.
    from argparse import _SubParsersAction

_EPILOG = f"""\
Without --query or --query-file, the first argument is the query. Documents are arguments and the
lines of files; with neither, the lines of standard input. With --jsonl each line is a JSON string,
or an object whose "text" is the document, and whose "score", if it has one, is the first stage's,
for --prior. "-" as a file is standard input.

exit status: {EXIT_OK} documents were ranked, {EXIT_NOTHING_KEPT} none was kept, {EXIT_USAGE} the
call was wrong, {EXIT_FAILED} the model couldn't be used.

examples:
  resift rank "how to sort a dict" "use sorted with a key" "bread needs yeast"
  git log --format=%s | resift rank "speed up tokenizing" -n 5
  resift rank --query-file query.txt -f passages.jsonl --jsonl --format json
"""


def add_parser(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``rank`` to the commands."""
    rank = commands.add_parser(
        "rank",
        help="order documents by relevance to a query",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rank.set_defaults(run=_rank)
    rank.add_argument(
        "texts", nargs="*", type=as_text, metavar="TEXT", help="query, then documents"
    )
    query = rank.add_mutually_exclusive_group()
    query.add_argument(
        "-q", "--query", type=as_text, help="the query; then all TEXTs are documents"
    )
    query.add_argument("--query-file", metavar="FILE", help="a file that is the query")
    rank.add_argument(
        "-f", "--file", action="append", default=[], help="a file of documents; may be repeated"
    )
    rank.add_argument("--jsonl", action="store_true", help="lines of documents are JSON")
    rank.add_argument("--format", choices=["table", "json"], default="table")
    model = rank.add_mutually_exclusive_group()
    model.add_argument("--bundle", metavar="PATH", help="what resift models bundle wrote")
    for name in NAMES:
        add_option(model if name == "model" else rank, name)


def _rank(parsed: argparse.Namespace) -> int:
    given = read_request(parsed)
    options = given_options(parsed)
    if parsed.bundle:
        options |= {"model": parsed.bundle, "offline": True}
    made = {name: value for name, value in options.items() if name in defaults("made")}
    called = {name: value for name, value in options.items() if name not in made}
    reranker = Reranker(**made)
    with closing(_Progress()) as progress:
        ranking = reranker.rank(
            given.query,
            given.documents,
            first_stage_scores=given.scores,
            **called,
            observer=progress,
        )
    write = {"table": _write_table, "json": _write_json}[parsed.format]
    write(sys.stdout, ranking, given.documents)
    return EXIT_OK if ranking else EXIT_NOTHING_KEPT


def _write_json(out: IO[str], ranking: Ranking, documents: Sequence[str]) -> None:
    content = ranking.to_dict()
    for result in content["results"]:
        result["document"] = documents[result["index"]]
    out.write(to_json(content, out))


def _write_table(out: IO[str], ranking: Ranking, documents: Sequence[str]) -> None:
    out.write("rank  score   index  document\n")
    for place, result in enumerate(ranking, start=1):
        # Documents are untrusted text, which must not send control characters to the terminal.
        text = "".join(c if c.isprintable() else " " for c in documents[result.index])
        text = shorten(text, 80, placeholder=" …")
        score = "     -" if result.score is None else f"{result.score:.4f}"
        out.write(f"{place:>4}  {score}  {result.index:>5}  {text}\n")
    t, c = ranking.timings, ranking.counts
    status = "" if ranking.status == "complete" else f", {ranking.status}"
    out.write(
        f"{len(ranking)} of {c.documents} documents, {c.truncated_documents} truncated{status}; "
        f"{ranking.model} on {ranking.backend}; {t.total * 1000:.0f} ms "
        f"(load {t.load * 1000:.0f}, tokenize {t.tokenize * 1000:.0f}, "
        f"infer {t.infer * 1000:.0f}, rank {t.rank * 1000:.0f})\n"
    )


class _Progress(Observer):
    """A progress bar for slow calls, shown only on a terminal."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit="pair", leave=False, delay=0.5, disable=None)

    def progress(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Clear the bar from the terminal."""
        self._bar.close()
