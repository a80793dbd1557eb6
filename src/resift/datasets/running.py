"""Jobs run: on this machine, or by whatever takes blocks and returns their notes."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from resift.checks import check_positive
from resift.datasets.folder import Folder
from resift.datasets.job import Asked, Job, Worker, model_of
from resift.datasets.report import Report, finish

Progress = Callable[[int, int], object]
"""Gets the rows that are done, and all rows, before the first block and after each."""


class Runner(Protocol):
    """Ranks the blocks of a job."""

    def model(self, asked: Asked) -> dict[str, Any]:
        """The model of ``model_of``, where the work is done."""

    def run(self, job: Job) -> Generator[dict[str, Any], None, None]:
        """Rank the blocks that are left; gives the number and counts of each as it is done."""

    def close(self) -> None:
        """End what it started."""


class Here:
    """Runs jobs in this process, with the engine's threads on this machine's cores."""

    def model(self, asked: Asked) -> dict[str, Any]:
        """The model, which is loaded for the blocks, too."""
        self._ranker = asked.ranker()
        return model_of(self._ranker.reranker)

    def run(self, job: Job) -> Generator[dict[str, Any], None, None]:
        """Rank one block after the other."""
        worker = Worker(job, self._ranker)
        for block in job.left():
            yield worker.rank(block)

    def close(self) -> None:
        """Nothing was started."""


def rerank_files(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    asked: Asked,
    *,
    runner: Runner | None = None,
    cost_per_hour: float | None = None,
    progress: Progress | None = None,
) -> Report:
    """Rerank a dataset of JSON lines or Parquet from files to files, or go on where it stopped.

    ``source``: a file, a folder, or a pattern. ``out``: a new folder, or that of the same job, cut
    short. ``runner``: by default this process. ``cost_per_hour``: of all that works on it, for the
    report.

    Raises ``InvalidRequestError`` for what can't be read or asked, and for a folder of another job;
    and whatever the model raises.
    """
    check_positive("cost_per_hour", cost_per_hour, "None for no cost")
    runner, folder = runner or Here(), Folder(Path(out))
    with folder.claimed(), closing(runner):
        job = Job.begun(source, out, asked, runner.model(asked))
        number = len(folder.names("runs"))
        rows, done = job.rows, job.rows - sum(each.part.rows for each in job.left())
        report = progress or (lambda _done, _all: None)
        report(done, rows)
        start = perf_counter()
        with closing(runner.run(job)) as notes:
            for note in notes:
                done += note["counts"]["rows"]
                seconds = round(perf_counter() - start, 3)
                folder.note(f"runs/{number:06d}.json", {"seconds": seconds})
                report(done, rows)
        return finish(job, cost_per_hour)
