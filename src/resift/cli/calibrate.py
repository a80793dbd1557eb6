"""The command ``resift calibrate``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from resift import Reranker
from resift.calibrations import CurveKind, is_path
from resift.cli.options import add_option
from resift.cli.output import EXIT_FAILED, EXIT_OK, EXIT_USAGE, to_json
from resift.declaring import declared_in
from resift.options import LoadOptions

if TYPE_CHECKING:
    # argparse has no public name for it.
    from argparse import _SubParsersAction

    from resift.calibrating.files import Inputs

_LOADING = [name for name, each in declared_in(LoadOptions).items() if each.kind == "data"]
_NAMES = [*_LOADING, "max_length", "max_document_tokens", "long_documents", "prior"]
_EPILOG = f"""\
JUDGED is a file of JSON lines, each a query with its candidates, whose "grade" says how relevant
they are, or a folder as BEIR has it (corpus.jsonl, queries.jsonl, qrels/test.tsv, run.*.txt).

exit status: {EXIT_OK} the calibration was written, {EXIT_USAGE} the call or a file was wrong, or
judgements say too little, {EXIT_FAILED} the model couldn't be used.

examples:
  resift calibrate judged.jsonl --out support-search --for-precision 0.9
  resift calibrate scifact/ --unjudged not-relevant --out scifact.json --report report/
  resift calibrate recorded.jsonl --labels labels.jsonl --recorded --out support-search
  resift calibrate recorded.jsonl --clicks clicks.jsonl --out clicked.json
then
  resift rank --normalization support-search …
"""


def add_parser(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``calibrate`` to the commands."""
    parser = commands.add_parser(
        "calibrate",
        help="fit scores that are chances of relevance, from judgements or clicks",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_calibrate)
    parser.add_argument("judged", metavar="JUDGED", type=Path, help="a file or a folder: see below")
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="a .json file, or a name to know it by"
    )
    parser.add_argument("--kind", choices=["auto", *get_args(CurveKind)], default="auto")
    _add_inputs(parser)
    share = parser.add_mutually_exclusive_group()
    share.add_argument(
        "--positives-in-use", type=float, metavar="SHARE", help="share that is relevant in use"
    )
    share.add_argument(
        "--traffic", type=Path, metavar="FILE", help="recorded queries to estimate that share from"
    )
    for goal in ("precision", "recall"):
        parser.add_argument(
            f"--for-{goal}", type=float, action="append", default=[], metavar="SHARE",
            help=f"find the score threshold for this {goal}; may be repeated",
        )  # fmt: skip
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write report.html and report.json there"
    )
    parser.add_argument("--format", choices=["table", "json"], default="table")
    for name in _NAMES:
        add_option(parser, name)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--labels", type=Path, metavar="FILE", help="grades as JSON lines")
    add("--qrels", type=Path, metavar="FILE", help="grades as TREC or BEIR has them")
    add("--run", type=Path, metavar="FILE", dest="run_file", help="the first stage's run, of TREC")
    add("--depth", type=int, default=100, help="candidates of a run's queries (default: 100)")
    add("--relevant", type=int, default=1, metavar="GRADE", help="least grade that is relevant "
        "(default: 1)")  # fmt: skip
    add("--unjudged", choices=["skip", "not-relevant"], default="skip",
        help="what candidates without a grade are (default: skip)")  # fmt: skip
    add("--recorded", action="store_true", help="take the logits that were recorded")
    add("--clicks", type=Path, metavar="FILE", help="what was shown and clicked, as JSON lines")
    ways = "equal, inverse-rank, estimate, or numbers such as 1,0.6,0.4 (default: estimate)"
    add("--propensities", default="estimate", metavar="HOW", help=f"how ranks are seen: {ways}")


def _calibrate(parsed: argparse.Namespace) -> int:
    # They import numpy for this command alone.
    from resift.calibrating.files import calibrate_files
    from resift.calibrating.page import write_report
    from resift.reports.plots import require_plots

    if parsed.report is not None:
        require_plots()
    options = {name: getattr(parsed, name) for name in _NAMES}
    fitted = calibrate_files(
        _inputs(parsed),
        lambda: Reranker(**{name: each for name, each in options.items() if each is not None}),
        kind=parsed.kind,
        positives_in_use=parsed.positives_in_use,
        goals=[
            *(("precision", each) for each in parsed.for_precision),
            *(("recall", each) for each in parsed.for_recall),
        ],
        name=Path(parsed.out).stem if is_path(parsed.out) else parsed.out,
    )
    file = fitted.save(parsed.out)
    if parsed.report is not None:
        write_report(fitted, parsed.report)
    if parsed.format == "json":
        content = {**fitted.normalization.to_dict(), "report": fitted.report.to_dict()}
        sys.stdout.write(to_json(content, sys.stdout))
    else:
        use = parsed.out if is_path(parsed.out) else fitted.normalization.name
        sys.stdout.write(fitted.report.to_text())
        sys.stdout.write(f"{file}: use it as normalization={use!r}\n")
    return EXIT_OK


def _inputs(parsed: argparse.Namespace) -> Inputs:
    from resift.calibrating.files import Inputs

    return Inputs(
        judged=parsed.judged,
        labels=parsed.labels,
        qrels=parsed.qrels,
        run=parsed.run_file,
        clicks=parsed.clicks,
        propensities=parsed.propensities,
        traffic=parsed.traffic,
        depth=parsed.depth,
        relevant=parsed.relevant,
        unjudged=parsed.unjudged,
        recorded=parsed.recorded,
    )
