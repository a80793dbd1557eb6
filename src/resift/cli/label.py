"""The command ``resift label``."""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from resift.cli.output import EXIT_OK, EXIT_USAGE
from resift.errors import InvalidRequestError

if TYPE_CHECKING:
    # argparse has no public name for it.
    from argparse import _SubParsersAction

    from resift.labelling.session import Session

_EPILOG = f"""\
CANDIDATES are JSON lines of searches, as recorders and rankers write them; what several rankers
found is pooled. Each grade is added to --out at once; the same command later goes on from there.

exit status: {EXIT_OK} the person was done, or paused, {EXIT_USAGE} the call was wrong.

examples:
  resift label traffic.jsonl --out labels.jsonl
  resift label bm25.jsonl dense.jsonl --out anna.jsonl --by anna --browser
  resift label --agreement anna.jsonl ben.jsonl
  resift label --to-qrels anna.jsonl ben.jsonl --out qrels.tsv
"""


def add_parser(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``label`` to the commands."""
    label = commands.add_parser(
        "label",
        help="judge documents yourself, in a terminal or a browser",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    label.set_defaults(run=_label)
    label.add_argument("candidates", nargs="*", type=Path, metavar="CANDIDATES", help="JSON lines")
    label.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the labels; of --to-qrels, the judgements: BEIR's form in .tsv, else TREC's",
    )
    where = label.add_mutually_exclusive_group()
    where.add_argument("--terminal", action="store_true", help="ask here (the default)")
    where.add_argument("--browser", action="store_true", help="ask on a page on this machine")
    label.add_argument(
        "--grades", default="0,1,2,3", help="digits to choose from (default: %(default)s)"
    )
    label.add_argument(
        "--depth",
        type=int,
        default=10,
        metavar="K",
        help="the first so many of each ranker (default: %(default)s)",
    )
    label.add_argument("--by", metavar="NAME", help="who labels, for the file")
    label.add_argument("--seed", type=int, default=0, help="of the order (default: %(default)s)")
    label.add_argument(
        "--agreement", nargs=2, type=Path, metavar=("A", "B"), help="compare two people's labels"
    )
    label.add_argument(
        "--to-qrels", nargs="+", type=Path, metavar="LABELS", help="write them as judgements"
    )


def _label(parsed: argparse.Namespace) -> int:
    if sum(map(bool, (parsed.candidates, parsed.agreement, parsed.to_qrels))) != 1:
        raise InvalidRequestError(
            "give either CANDIDATES, or --agreement A B, or --to-qrels LABELS"
        )
    if parsed.agreement:
        _compare(*parsed.agreement)
    elif parsed.to_qrels:
        _convert(parsed.to_qrels, parsed.out)
    else:
        _ask(parsed)
    return EXIT_OK


def _compare(first: Path, second: Path) -> None:
    # It imports numpy for this alone.
    from resift.files.grades import read_labels
    from resift.labelling.agreement import agreement

    sys.stdout.write(agreement(read_labels(first), read_labels(second)).to_text())


def _convert(paths: list[Path], out: Path | None) -> None:
    from resift.files.grades import read_labels
    from resift.labelling.labels import merged, to_qrels

    if out in paths:
        raise InvalidRequestError(f"--out {out} is one of the labels files; give another name")
    form = "beir" if out is not None and out.suffix == ".tsv" else "trec"
    text = to_qrels(merged(map(read_labels, paths)), form)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8", newline="\n")


def _ask(parsed: argparse.Namespace) -> None:
    from resift.files.recorded import read_recorded
    from resift.labelling.labels import LabelsFile
    from resift.labelling.pool import pooled
    from resift.labelling.session import Session
    from resift.labelling.terminal import require_terminal

    if parsed.out is None:
        raise InvalidRequestError("give --out FILE, where the labels go")
    if parsed.depth < 1:
        raise InvalidRequestError(f"--depth {parsed.depth} must be at least 1")
    if not parsed.browser:
        require_terminal()
    grades = _grades(parsed.grades)
    searches = chain.from_iterable(map(read_recorded, parsed.candidates))
    pool = pooled(searches, depth=parsed.depth, seed=parsed.seed)
    with LabelsFile.open(parsed.out) as file:
        session = Session(pool, file, grades, parsed.by)
        if file.mended:
            sys.stderr.write(
                f"resift: the last line of {parsed.out} was broken off; it is removed\n"
            )
        if pool.contradicted:
            sys.stderr.write(
                f"resift: {pool.contradicted} documents have several texts; the first is shown\n"
            )
        _show(session, in_browser=parsed.browser)
        sys.stdout.write(_summary(session, parsed.out))


def _show(session: Session, *, in_browser: bool) -> None:
    if in_browser:
        from resift.labelling.browser import label_in_browser

        label_in_browser(session)
    else:
        from resift.labelling.terminal import label_in_terminal

        label_in_terminal(session)


def _summary(session: Session, out: Path) -> str:
    skipped = f", {len(session.skipped)} skipped" if session.skipped else ""
    return f"{session.done} of {len(session.pairs)} pairs have a grade{skipped}: {out}\n"


def _grades(given: str) -> list[int]:
    digits = [each.strip() for each in given.split(",")]
    one_each = len(set(digits)) == len(digits) > 1
    if not one_each or not all(len(each) == 1 and each in "0123456789" for each in digits):
        raise InvalidRequestError(
            f"--grades {given!r} must be at least two different digits, such as 0,1,2,3"
        )
    return sorted(map(int, digits))
