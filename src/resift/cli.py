"""The command line: ``resift rank``, ``resift export`` and ``resift models``."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from textwrap import shorten
from typing import IO, get_args

from resift import Observer, Ranking, Reranker, ResiftError, __version__
from resift.cli_models import add_parser as add_models_parser
from resift.cli_models import to_json
from resift.errors import InvalidRequestError
from resift.normalization import NormalizationName
from resift.options import (
    DEFAULT_BACKEND,
    DEFAULT_LONG_DOCUMENTS,
    DEFAULT_MODEL,
    DEFAULT_NORMALIZATION,
    LongDocuments,
    Prune,
)

EXIT_OK, EXIT_NOTHING_KEPT, EXIT_USAGE, EXIT_FAILED = 0, 1, 2, 3

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status that ``--help`` lists."""
    parsed = _parser().parse_args(arguments)
    try:
        with _escaping():
            return int(parsed.run(parsed) or EXIT_OK)
    except (InvalidRequestError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"resift: {error}\n")
        return EXIT_USAGE
    except ResiftError as error:
        sys.stderr.write(f"resift: {error}\n")
        return EXIT_FAILED


@contextmanager
def _escaping() -> Iterator[None]:
    r"""Write what standard output's encoding doesn't have as escapes, such as ``\xf6``."""
    out = sys.stdout
    if not isinstance(out, io.TextIOWrapper):
        yield
        return
    errors = out.errors
    out.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        out.reconfigure(errors=errors)


def _export(parsed: argparse.Namespace) -> int:
    # It imports a package that only this command needs.
    from resift.export import export

    card = export(parsed.model, parsed.out, parsed.precision, parsed.calibration, parsed.target)
    measured = card["metrics"]["calibration"]
    sys.stdout.write(
        f"{parsed.out}: {card['artifacts'][0]['precision']}, attention {card['attention']}; of "
        f"{measured['pairs']} pairs, logits within {measured['max_logit_difference']:.2g} of the "
        f"source's, Kendall's tau {measured['kendall_tau']:.3f}; neighbours move them by "
        f"{measured['neighbour_difference']:.2g}; verified {card['verified']}\n"
    )
    return EXIT_OK


def _rank(parsed: argparse.Namespace) -> int:
    query, documents = _read_request(parsed)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="resift", description="Rerank documents for a query.")
    parser.add_argument("--version", action="version", version=f"resift {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    rank = commands.add_parser(
        "rank",
        help="order documents by relevance to a query",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rank.set_defaults(run=_rank)
    rank.add_argument("texts", nargs="*", type=_text, metavar="TEXT", help="query, then documents")
    query = rank.add_mutually_exclusive_group()
    query.add_argument("-q", "--query", type=_text, help="the query; then all TEXTs are documents")
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
    add_models_parser(commands)
    _add_export(commands.add_parser("export", help="prepare a model of transformers for resift"))
    return parser


def _add_export(export: argparse.ArgumentParser) -> None:
    export.set_defaults(run=_export)
    export.add_argument("model", metavar="MODEL", help="a folder or a hub name")
    export.add_argument("out", metavar="OUT", help="the folder to write, which is new or empty")
    export.add_argument(
        "--precision",
        choices=["fp32", "bf16", "int8"],
        default="fp32",
        help="of matrix products (default: %(default)s)",
    )
    export.add_argument(
        "--target",
        default="auto",
        help="the processor that int8 is for: avx2, avx512-vnni, arm64, any of them, or auto, "
        "which is this one (default: %(default)s)",
    )
    export.add_argument(
        "--calibration",
        metavar="FILE",
        help='JSON lines to verify on: {"query": …, "documents": […], "grades": […]}, the grades '
        "being optional (default: a small English set)",
    )


def _text(argument: str) -> str:
    """An argument as files are: what the locale has no characters for is UTF-8."""
    try:
        # Python keeps in surrogates what it couldn't decode.
        return (
            os.fsencode(argument).decode() if re.search("[\udc80-\udcff]", argument) else argument
        )
    except UnicodeDecodeError as error:
        raise argparse.ArgumentTypeError(f"expected UTF-8, not {argument!a}") from error


def _read_request(parsed: argparse.Namespace) -> tuple[str, list[str]]:
    texts = list(parsed.texts)
    if parsed.query is not None:
        query = parsed.query
    elif parsed.query_file is not None:
        query = _read(parsed.query_file).strip()
    elif texts:
        query = texts.pop(0)
    else:
        raise InvalidRequestError("no query: give one as the first argument, or with --query")
    files = parsed.file if parsed.file or texts else ["-"]
    for name in files:
        for number, line in enumerate(_read(name).split("\n"), start=1):
            if line.strip():
                texts.append(_parse_json(line, f"{name}:{number}") if parsed.jsonl else line)
    return query, texts


def _read(name: str) -> str:
    if name != "-":
        return Path(name).read_text(encoding="utf-8")
    # As files are, whatever the locale. Once something was read, it can't be changed.
    if isinstance(sys.stdin, io.TextIOWrapper) and sys.stdin.encoding.lower() != "utf-8":
        sys.stdin.reconfigure(encoding="utf-8")
    return sys.stdin.read()


def _parse_json(line: str, place: str) -> str:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise InvalidRequestError(f"{place} is not JSON: {error}") from error
    text = content.get("text") if isinstance(content, dict) else content
    if not isinstance(text, str):
        raise InvalidRequestError(
            f'{place} must be a JSON string or an object with a string "text": {line[:80]!r}'
        )
    return text


def _write_json(out: IO[str], ranking: Ranking, documents: Sequence[str]) -> None:
    content = ranking.to_dict()
    for result in content["results"]:
        result["document"] = documents[result["index"]]
    out.write(to_json(content, out))


def _write_table(out: IO[str], ranking: Ranking, documents: Sequence[str]) -> None:
    out.write("rank  score   index  document\n")
    for place, result in enumerate(ranking, start=1):
        # Documents are other people's text: none of it may steer the terminal.
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
    """A progress bar for work that takes long, on a terminal alone."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit="pair", leave=False, delay=0.5, disable=None)

    def progress(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Take the bar off the terminal."""
        self._bar.close()
