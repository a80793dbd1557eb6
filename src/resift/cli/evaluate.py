"""The command ``resift evaluate``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from resift.cli.output import EXIT_FAILED, EXIT_OK, EXIT_USAGE, to_json
from resift.errors import BackendUnavailableError, InvalidRequestError

if TYPE_CHECKING:
    # argparse has no public name for it.
    from argparse import _SubParsersAction

    from resift.reranker import Reranker

_EPILOG = f"""\
COLLECTION is a BEIR folder (corpus.jsonl, queries.jsonl, qrels/test.tsv, run.NAME.txt) or JSON
lines with candidates. Files may end in .gz. It needs the extra "evaluate".

A ranker is NAME=SPEC, or SPEC alone; all are compared with the first. SPEC is "none" (the first
stage's own order), a model with options (resift-small,prune=auto), a server
(tei+http://127.0.0.1:8080,timeout=5,key_env=RERANK_KEY), or the name of a model of --config.
Without any, they are none, resift-small, and resift-small,prior=auto, which is what adapters do.

exit status: {EXIT_OK} the report is written, whatever it says, {EXIT_USAGE} the call was wrong,
{EXIT_FAILED} a ranker couldn't be used.

examples:
  resift evaluate scifact --out report
  resift evaluate scifact --out report --ranker none --ranker "fast=resift-nano,prior=auto"
  resift evaluate traffic.jsonl --out report --queries 200
  resift evaluate --run run.txt --topics queries.tsv --documents corpus.jsonl --out report
"""


def add_parser(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``evaluate`` to the commands."""
    parser = commands.add_parser(
        "evaluate",
        help="measure rerankers on your own queries and documents",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_evaluate)
    parser.add_argument(
        "collection", nargs="?", metavar="COLLECTION", help="a folder or JSON lines"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the report")
    for name, text in (
        ("run", "the first stage's results, as TREC's six columns"),
        ("qrels", "judgements: TREC's, BEIR's, or JSON lines of labels"),
        ("topics", "the queries' texts: JSON lines, or an id, a tab and a text"),
        ("documents", "the documents' texts, likewise"),
    ):
        # "run" is what runs the command.
        parser.add_argument(f"--{name}", dest=f"{name}_file", metavar="FILE", help=text)
    parser.add_argument(
        "--first-stage",
        metavar="MODULE:FUNCTION",
        help="a function that takes a query and returns (id, text, score) for each document",
    )
    parser.add_argument("--ranker", action="append", metavar="[NAME=]SPEC", help="may be repeated")
    parser.add_argument("--config", metavar="FILE", help="a server's models, for --ranker")
    parser.add_argument("--queries", type=int, metavar="N", help="a sample of so many")
    parser.add_argument("--depth", type=int, default=100, help="candidates (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of samples (default: %(default)s)")
    parser.add_argument(
        "--timed",
        type=int,
        default=10,
        metavar="N",
        help="queries that each depth is timed on; 0 leaves time out (default: %(default)s)",
    )
    parser.add_argument(
        "--tried",
        type=int,
        default=50,
        metavar="N",
        help="queries of the budget curve; 0 leaves it out (default: %(default)s)",
    )
    parser.add_argument("--format", choices=["table", "json"], default="table")


def _evaluate(parsed: argparse.Namespace) -> int:
    # They import scipy, matplotlib and tqdm for this command alone.
    from resift.trials import evaluate, read_collection
    from resift.trials.rankers import DEFAULT, Rankers

    _require()
    rankers = Rankers(_configured(parsed.config))
    chosen = [rankers.read(each) for each in parsed.ranker or DEFAULT]
    collection = read_collection(
        parsed.collection,
        run=parsed.run_file,
        qrels=parsed.qrels_file,
        topics=parsed.topics_file,
        documents=parsed.documents_file,
        first_stage=_function(parsed.first_stage),
        queries=parsed.queries,
        depth=parsed.depth,
        seed=parsed.seed,
    )
    report = evaluate(
        collection,
        chosen,
        timed=parsed.timed,
        tried=parsed.tried,
        seed=parsed.seed,
        progress=_progress,
    )
    report.write(parsed.out)
    if parsed.format == "json":
        sys.stdout.write(to_json(report.to_dict(), sys.stdout))
    else:
        page = os.path.join(parsed.out, "report.html")  # noqa: PTH118
        sys.stdout.write(f"{report.to_text()}\n{page}\n")
    return EXIT_OK


def _require() -> None:
    """Say what is missing before anything is read or scored."""
    for name in ("ir_measures", "scipy", "matplotlib"):
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            raise BackendUnavailableError(
                f"{error.name} isn't installed, which resift evaluate needs: "
                "pip install 'resift[evaluate]'"
            ) from error


def _configured(path: str | None) -> dict[str, Reranker]:
    if path is None:
        return {}
    from resift.server.config import Config
    from resift.server.models import Models

    return {each.name: each.keeping_all for each in Models(Config.read(path)).all}


def _function(given: str | None) -> Callable[[str], Any] | None:
    if given is None:
        return None
    module, colon, name = given.partition(":")
    if not (module and colon and name):
        raise InvalidRequestError(f"--first-stage {given!r} must be MODULE:FUNCTION")
    # As python -m has it: a module in this folder is found.
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise InvalidRequestError(
            f"--first-stage {given!r}: there is no module {error.name!r} here or installed"
        ) from error
    finally:
        sys.path.pop(0)
    if not callable(found):
        raise InvalidRequestError(f"--first-stage {given!r}: {module} has no function {name!r}")
    return found  # type: ignore[no-any-return]


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[], object]]:
    from tqdm import tqdm

    with tqdm(desc=what, total=total or None, unit="query", leave=False, disable=None) as bar:
        yield bar.update
