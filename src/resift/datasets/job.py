"""A dataset reranked from files to files: what was asked, its blocks, and which are done.

A block's rows are one file of the output. Its note, which is written last, says that it is done:
so whatever is killed, and however often a block is ranked again, each row is there once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

import resift
from resift import Reranker
from resift.checks import check_positive_int
from resift.datasets.columns import Columns
from resift.datasets.folder import Folder
from resift.datasets.inputs import Block, Form, Inputs, blocks_of, form_of
from resift.datasets.ranking import Rejected, RowRanker
from resift.datasets.slices import Slice
from resift.datasets.tasks import Task, task_of
from resift.errors import InvalidRequestError

_FORMAT = 1
# A block of long rows is less than its rows would be: this is some ten seconds of a processor.
_MOST_BYTES = 16 * 1024**2
# Options that change no score, so that a job may go on with others.
_FREE = ("threads", "cache_dir", "offline", "max_queue_pairs", "max_queue_tokens")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The question that is put to every row of a dataset, and how."""

    columns: Columns
    task: Task
    options: Mapping[str, Any]
    """The keywords of ``Reranker``."""
    most_documents: int | None = 100_000
    """A row with more documents is rejected; ``None`` takes any number."""
    block_rows: int = 1000
    """The most rows of a block, which is what a kill loses and what one call ranks."""

    def __post_init__(self) -> None:
        check_positive_int("most_documents", self.most_documents, "None for any number")
        if check_positive_int("block_rows", self.block_rows, "1000") is None:
            raise InvalidRequestError("block_rows must be an int of at least 1, not None")
        for name in ("on_timing", "scorer", "token"):
            if self.options.get(name) is not None:
                raise InvalidRequestError(
                    f"{name} can't be an option of a dataset, whose options are written down and "
                    "sent to other processes; for a token, set HF_TOKEN where the model is loaded"
                )
        object.__setattr__(self, "options", self.ranker().reranker.options)

    def ranker(self, threads: int | None = None) -> RowRanker:
        """Make what ranks rows; it loads no model yet. ``threads`` is in place of the option's.

        Raises ``InvalidRequestError`` for options that can't be.
        """
        own = {} if threads is None else {"threads": threads}
        return RowRanker(
            reranker=Reranker(**{**self.options, **own}),
            columns=self.columns,
            task=self.task,
            most_documents=self.most_documents,
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "columns": asdict(self.columns),
            "task": self.task.to_dict(),
            "options": dict(self.options),
            "most_documents": self.most_documents,
            "block_rows": self.block_rows,
        }

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Asked:
        """Read what ``to_dict`` wrote."""
        return cls(
            columns=Columns(**content["columns"]),
            task=task_of(content["task"]),
            options=content["options"],
            most_documents=content["most_documents"],
            block_rows=content["block_rows"],
        )


@dataclass(frozen=True)
class Job:
    """Blocks that are to be ranked, and a folder for them. ``begun`` and ``read`` make one."""

    asked: Asked
    folder: Folder
    root: Path
    """The folder that the inputs' names begin at."""
    kind: str
    blocks: tuple[Block, ...]
    model: Mapping[str, Any]
    """What the model is, as ``model_of`` says."""

    @classmethod
    def begun(
        cls,
        source: str | os.PathLike[str],
        out: str | os.PathLike[str],
        asked: Asked,
        model: Mapping[str, Any],
    ) -> Job:
        """Begin a job, or go on with it, where ``out`` has the same one; within ``claimed``.

        Raises ``InvalidRequestError`` where it has another one, and says what differs.
        """
        folder, inputs = Folder(Path(out)), Inputs.of(source)
        if folder.path.resolve().is_relative_to(Path(source).resolve()):
            raise InvalidRequestError(
                f"{out} is inside {source}, whose files would not stay as they are"
            )
        content = {
            "format": _FORMAT,
            "resift": resift.__version__,
            "kind": inputs.kind,
            "model": dict(model),
            "files": inputs.describe(),
            **asked.to_dict(),
        }
        if folder.has_begun:
            _check_same(folder, folder.noted("job.json"), content)
        else:
            form = form_of(inputs.kind, asked.columns, asked.task)
            blocks = blocks_of(inputs, form, asked.block_rows, _MOST_BYTES)
            folder.note("blocks.json", [(x.file, *x.part) for x in blocks])
            folder.note("job.json", content)
        return cls.read(out, inputs.root)

    @classmethod
    def read(cls, out: str | os.PathLike[str], root: str | os.PathLike[str]) -> Job:
        """A job that has begun, as each of its workers reads it; ``root`` is that of the inputs."""
        folder = Folder(Path(out))
        content = folder.noted("job.json")
        blocks = tuple(
            Block(number, file, Slice(*part))
            for number, (file, *part) in enumerate(folder.noted("blocks.json"))
        )
        asked = Asked.of(content)
        return cls(asked, folder, Path(root), content["kind"], blocks, content["model"])

    @cached_property
    def form(self) -> Form:
        """The format of the rows."""
        return form_of(self.kind, self.asked.columns, self.asked.task)

    @property
    def rows(self) -> int:
        """Rows of the whole input."""
        return sum(each.part.rows for each in self.blocks)

    def done(self) -> list[dict[str, Any]]:
        """The notes of the blocks that are done."""
        return [self.folder.noted(each) for each in self.folder.names("blocks")]

    def left(self) -> list[Block]:
        """The blocks that aren't done."""
        done = {Path(each).stem for each in self.folder.names("blocks")}
        return [each for each in self.blocks if str(each.number) not in done]


class Worker:
    """Ranks blocks of a job, one at a time; a process or an actor has one."""

    def __init__(self, job: Job, ranker: RowRanker) -> None:
        """``ranker``: of ``job.asked``. Raises what loading its model raises, and
        ``InvalidRequestError`` where that isn't the job's.
        """
        self._job, self._ranker = job, ranker
        found = model_of(self._ranker.reranker)
        if found != job.model:
            raise InvalidRequestError(
                f"{job.folder.path} is of the model {_named(job.model)}, and here it is "
                f"{_named(found)}: all processes and nodes of a job need the same one"
            )

    def rank(self, block: Block) -> dict[str, Any]:
        """Read a block, rank its rows, write them, and note it; returns the note."""
        start = perf_counter()
        form, folder = self._job.form, self._job.folder
        table = form.read(self._job.root / block.file, block.part)
        outcomes, work = self._ranker.rank(form.rows(table))
        rejected = [
            {"file": block.file, **form.reject(table, block.part.first, at, each.reason)}
            for at, each in enumerate(outcomes)
            if isinstance(each, Rejected)
        ]
        path = folder.part(block.number, form.suffix)
        folder.write(path, lambda file: form.write(table, outcomes, file))
        note = {
            "number": block.number,
            "counts": work.counts,
            "ran": work.ran,
            "seconds": round(perf_counter() - start, 3),
            "rejected": rejected,
        }
        folder.note(f"blocks/{block.number}.json", note)
        return note


def model_of(reranker: Reranker) -> dict[str, Any]:
    """The model's name, revision and identity, which no machine changes. It loads the model."""
    reranker.warm_up()
    source = reranker._scorer.source
    identity = source.identity() if source.identity is not None else None
    return {"name": source.model, "revision": source.revision, "identity": identity}


def _check_same(folder: Folder, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differing = [
        f"{name} was {json.dumps(then)} and is {json.dumps(given)}"
        for name, then, given in _differences(before, now)
        if name != "resift" and name.removeprefix("options.") not in _FREE
    ]
    if differing:
        raise InvalidRequestError(
            f"{folder.path} has another job: {'; '.join(differing)}. Repeat that one's options to "
            "go on with it, or give another folder as output"
        )


def _differences(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            inside = f"{path}.{name}" if path else name
            yield from _differences(before.get(name), now.get(name), inside)
    elif isinstance(before, list) and isinstance(now, list) and path == "files":
        then, given = ({each["name"]: each for each in files} for files in (before, now))
        yield from _differences(then, given, path)
    elif before != now:
        yield path, before, now


def _named(model: Mapping[str, Any]) -> str:
    return " ".join(str(each) for each in model.values() if each is not None)
