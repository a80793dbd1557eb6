"""The command ``resift rank``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from textwrap import shorten
from typing import IO, TYPE_CHECKING, get_args

from resift import Observer, Ranking, Reranker
from resift.cli.output import EXIT_FAILED, EXIT_NOTHING_KEPT, EXIT_OK, EXIT_USAGE, to_json
from resift.cli.request import as_text, read_request
from resift.normalization import NormalizationName
from resift.options import (
    DEFAULT_BACKEND,
    DEFAULT_LONG_DOCUMENTS,
    DEFAULT_MODEL,
    DEFAULT_NORMALIZATION,
    Prune,
)
from resift.text.windows import LongDocuments

if TYPE_CHECKING:
    # argparse has no public name for it.
    from argparse import _SubParsersAction

_EPILOG = f"""\
Without --query or --query-file, the first argument is the query. Documents are arguments and the
lines of files; with neither, the lines of standard input. With --jsonl each line is a JSON string,
or an object whose "text" is the document. "-" as a file is standard input.

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
    rank.add_argument("-n", "--top-n", type=int, help="how many to keep (default: all)")
    rank.add_argument("-t", "--score-threshold", type=float, help="keep scores from this up")
    rank.add_argument("--format", choices=["table", "json"], default="table")
    model = rank.add_mutually_exclusive_group()
    model.add_argument("-m", "--model", default=DEFAULT_MODEL, help="default: %(default)s")
    model.add_argument("--bundle", metavar="PATH", help="what resift models bundle wrote")
    rank.add_argument("--backend", default=DEFAULT_BACKEND, help="default: %(default)s")
    rank.add_argument("--max-length", type=int, help="tokens of query and document together")
    rank.add_argument("--device", help="default: the backend's")
    rank.add_argument(
        "--devices", action="append", metavar="DEVICE", help="instead: once for each of several"
    )
    rank.add_argument("--precision", help="default: the model's")
    rank.add_argument("--max-batch-tokens", type=int, help="padded tokens of one forward pass")
    rank.add_argument("--threads", type=int, help="default: the CPUs the process may use")
    rank.add_argument(
        "--normalization",
        choices=get_args(NormalizationName),
        default=DEFAULT_NORMALIZATION,
        help="logits to scores (default: %(default)s)",
    )
    rank.add_argument(
        "--long-documents",
        choices=get_args(LongDocuments),
        default=DEFAULT_LONG_DOCUMENTS,
        help="cut their tails, or score overlapping windows (default: %(default)s)",
    )
    rank.add_argument(
        "--prune",
        choices=get_args(Prune),
        help="the whole model only for documents that can reach --top-n",
    )
    rank.add_argument("--revision", help="of a model from the hub")
    rank.add_argument("--cache-dir", help="where downloaded models are kept")
    rank.add_argument("--offline", action="store_true", default=None, help="open no connection")
    rank.add_argument(
        "--trust-remote-code", action="store_true", help="of the commit that --revision names"
    )


def _rank(parsed: argparse.Namespace) -> int:
    query, documents = read_request(parsed)
    reranker = Reranker(
        parsed.bundle or parsed.model,
        backend=parsed.backend,
        device=parsed.device,
        devices=parsed.devices,
        precision=parsed.precision,
        max_length=parsed.max_length,
        max_batch_tokens=parsed.max_batch_tokens,
        threads=parsed.threads,
        normalization=parsed.normalization,
        long_documents=parsed.long_documents,
        prune=parsed.prune,
        revision=parsed.revision,
        cache_dir=parsed.cache_dir,
        offline=parsed.offline or (True if parsed.bundle else None),
        trust_remote_code=parsed.trust_remote_code,
    )
    with closing(_Progress()) as progress:
        ranking = reranker.rank(
            query,
            documents,
            top_n=parsed.top_n,
            score_threshold=parsed.score_threshold,
            observer=progress,
        )
    write = {"table": _write_table, "json": _write_json}[parsed.format]
    write(sys.stdout, ranking, documents)
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
        out.write(f"{place:>4}  {result.score:.4f}  {result.index:>5}  {text}\n")
    t, c = ranking.timings, ranking.counts
    out.write(
        f"{len(ranking)} of {c.documents} documents, {c.truncated_documents} truncated; "
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
