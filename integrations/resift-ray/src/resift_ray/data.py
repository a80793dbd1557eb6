"""Datasets reranked on Ray: ``rerank_dataset`` for those of Ray Data, ``OnRay`` for files."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset
from ray.exceptions import RayError

from resift import InvalidRequestError, ResiftError
from resift.adapter import check_positive_int
from resift.datasets import Asked, Columns, Job, Rank, TableRanker, Task, Worker, model_of

__all__ = ["OnRay", "rerank_dataset"]

Actors = int | tuple[int, int] | None


def rerank_dataset(
    ds: Dataset,
    *,
    query: str = "query",
    documents: str = "documents",
    top_n: int | None = None,
    text: str = "text",
    positives: str | None = None,
    task: Task | None = None,
    rejected: str = "rejected",
    batch_rows: int = 256,
    most_documents: int | None = 100_000,
    actors: Actors = None,
    cpus_per_actor: int = 1,
    gpus_per_actor: float = 0,
    **options: Any,
) -> Dataset:
    """Rerank a dataset of Ray: each row comes out once, with its answer in new columns.

    ``query``, ``documents``, ``text``, ``positives``: as in ``resift.datasets.Columns``. ``task``:
    a ``Rank``, which is the default, with ``top_n``, ``Score`` or ``Negatives``. ``rejected``: a
    new column with the reason why a row can't be ranked, whose answer is null; null for the others.
    ``batch_rows``: rows that are ranked with one call. ``actors``: how many, or the least and the
    most; by default, as many as the cluster has room for. Each has ``cpus_per_actor`` threads.
    ``options``: of ``Reranker``, such as ``model``.

    Nothing is ranked until the result is read or written. Raises ``InvalidRequestError`` for what
    can't be asked; columns that aren't there are an error of the run.
    """
    if task is None:
        task = Rank(top_n=top_n)
    elif top_n is not None:
        raise InvalidRequestError(
            f"top_n={top_n!r} is of the task Rank, and task={task!r} is given; give it to that"
        )
    asked = Asked(
        columns=Columns(query=query, documents=documents, text=text, positives=positives),
        task=task,
        options=options,
        most_documents=most_documents,
        block_rows=batch_rows,
    )
    pool = _pool(actors, cpus_per_actor, gpus_per_actor)
    # What it would refuse is refused here, and not in each actor.
    TableRanker(asked, rejected, threads=cpus_per_actor)
    return ds.map_batches(
        _Batches,
        fn_constructor_args=(asked.to_dict(), rejected, cpus_per_actor),
        batch_size=batch_rows,
        batch_format="pyarrow",
        udf_modifying_row_count=False,
        **pool,
    )


class OnRay:
    """Runs the blocks of a job of files in actors, for ``resift.datasets.rerank_files``.

    Every node must see the input and the output under the same paths. A block whose actor or node
    is lost is ranked again, and written over what may be there of it.
    """

    def __init__(
        self,
        address: str = "auto",
        *,
        actors: Actors = None,
        cpus_per_actor: int = 1,
        gpus_per_actor: float = 0,
    ) -> None:
        """``address``: of a cluster, ``"auto"`` for the one around, ``"local"`` for a new one here.

        The others are as in ``rerank_dataset``. Raises ``InvalidRequestError`` for what can't be.
        """
        self._address, self._threads = address, cpus_per_actor
        self._pool = _pool(actors, cpus_per_actor, gpus_per_actor)
        self._connected = False

    def model(self, asked: Asked) -> dict[str, Any]:
        """The model, as a node with an actor's resources has it."""
        needed = {name: self._pool[name] for name in ("num_cpus", "num_gpus")}
        with _own_errors():
            self._connect()
            found = ray.remote(**needed)(_model).remote(asked.to_dict(), self._threads)
            return dict(ray.get(found))

    def run(self, job: Job) -> Generator[dict[str, Any], None, None]:
        """Rank the blocks that are left; gives the number and counts of each as it is done."""
        left = [{"number": block.number} for block in job.left()]
        if not left:
            return
        where = os.fspath(job.folder.path.resolve()), os.fspath(job.root.resolve())
        with _own_errors(), _quiet():
            self._connect()
            # A block of the job for each of Ray's, so that each is a task, lost or done by itself.
            notes = ray.data.from_items(left, override_num_blocks=len(left)).map_batches(
                _Blocks,
                fn_constructor_args=(*where, self._threads),
                batch_size=1,
                batch_format="pyarrow",
                **self._pool,
            )
            for batch in notes.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield from map(json.loads, batch.column("note").to_pylist())

    def close(self) -> None:
        """Leave the cluster, and end one that was begun here, unless the program was in it."""
        if self._connected:
            ray.shutdown()
        self._connected = False

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        own: dict[str, Any] = {}
        if self._address == "local":
            # Switched off, Ray still reports that it is.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            os.environ.setdefault("RAY_USAGE_STATS_REPORT_URL", "http://127.0.0.1:9/")
            own = {"include_dashboard": False}
        try:
            ray.init(self._address, log_to_driver=False, logging_level=logging.WARNING, **own)
        except ConnectionError as error:
            raise InvalidRequestError(
                f"there is no Ray cluster at {self._address!r}: {error}; start one, or give 'local'"
            ) from error
        self._connected = True


class _Batches:
    """An actor that ranks batches of rows."""

    def __init__(self, asked: dict[str, Any], rejected: str, threads: int) -> None:
        self._ranker = TableRanker(Asked.of(asked), rejected, threads=threads)
        self._ranker.warm_up()

    def __call__(self, table: pa.Table) -> pa.Table:
        return self._ranker(table)


class _Blocks:
    """An actor that ranks blocks of files."""

    def __init__(self, out: str, root: str, threads: int) -> None:
        job = Job.read(out, root)
        self._blocks = job.blocks
        self._worker = Worker(job, job.asked.ranker(threads))

    def __call__(self, numbers: pa.Table) -> pa.Table:
        notes = []
        for number in numbers.column("number").to_pylist():
            note = self._worker.rank(self._blocks[number])
            notes.append(json.dumps({name: note[name] for name in ("number", "counts")}))
        return pa.table({"note": notes})


def _model(asked: dict[str, Any], threads: int) -> dict[str, Any]:
    return model_of(Asked.of(asked).ranker(threads).reranker)


def _pool(actors: Actors, cpus: int, gpus: float) -> dict[str, Any]:
    """The arguments of ``map_batches`` for actors. Raises ``InvalidRequestError``."""
    if check_positive_int("cpus_per_actor", cpus, "1") is None:
        raise InvalidRequestError("cpus_per_actor must be an int of at least 1, not None")
    least, most = actors if isinstance(actors, tuple) else (actors or 1, actors)
    for each in (least, most):
        check_positive_int("actors", each, "None for as many as there is room for")
    if most is not None and most < least:
        raise InvalidRequestError(f"actors={actors!r} must be the least, then the most")
    compute = ActorPoolStrategy(min_size=least, max_size=most, max_tasks_in_flight_per_actor=2)
    return {"compute": compute, "num_cpus": cpus, "num_gpus": gpus}


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave the progress to whoever asked for the job."""
    context = DataContext.get_current()
    before = context.enable_progress_bars, context.print_on_execution_start
    context.enable_progress_bars = context.print_on_execution_start = False
    try:
        yield
    finally:
        context.enable_progress_bars, context.print_on_execution_start = before


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise resift's errors as they were raised in an actor."""
    try:
        yield
    except RayError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ResiftError):
            cause = getattr(cause, "cause", None) or cause.__cause__
        if cause is None:
            raise
        raise getattr(cause, "cause", None) or cause from error
