"""The report of a job: what became of its rows, how fast, and at what cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from resift.datasets.job import Job
from resift.errors import InvalidRequestError


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Figures of a whole job, over all of its runs."""

    rows: int
    ranked: int
    """Rows of the output."""
    rejected: int
    """Rows of ``_rejected.jsonl``. ``ranked`` and these are all ``rows``."""
    kept: int
    """Documents in the answers."""
    documents: int
    pairs: int
    """As in ``resift.Counts``, and so are the next three."""
    tokens: int
    padded_tokens: int
    truncated_documents: int
    ran: dict[str, int]
    """Rows by what ranked them."""
    blocks: int
    runs: int
    """How often the job was begun or gone on with."""
    seconds: float
    """From the start of each run to the last block that it finished. Here, loading the model isn't
    counted; on Ray, the start of the actors is.
    """
    cost: float | None
    """In the unit of ``cost_per_hour``; ``None`` where that wasn't given."""

    def to_dict(self) -> dict[str, Any]:
        """All of it, and rates by second and cost by million, as plain values."""
        rates = {
            f"{name}_per_second": self.per_second(name) for name in ("rows", "pairs", "tokens")
        }
        costs = {f"cost_per_million_{name}": self._per_million(name) for name in ("rows", "pairs")}
        return {**asdict(self), **rates, **costs}

    def per_second(self, name: str) -> float | None:
        """Rate, by second, of ``"rows"``, ``"pairs"`` or ``"tokens"`` a second."""
        return round(getattr(self, name) / self.seconds, 3) if self.seconds else None

    def to_text(self) -> str:
        """The report as a table for people."""
        lines = [
            f"{self.rows:,} rows: {self.ranked:,} ranked, {self.rejected:,} rejected",
            f"{self.documents:,} documents, {self.truncated_documents:,} truncated; "
            f"{self.kept:,} in the answers",
            *(f"{rows:,} rows by {what}" for what, rows in self.ran.items()),
            f"{self.seconds:,.1f} s in {self.runs} run{'s' * (self.runs > 1)}: "
            + ", ".join(
                f"{self.per_second(name) or 0:,.1f} {name}/s"
                for name in ("rows", "pairs", "tokens")
            ),
        ]
        if self.cost is not None:
            by_rows, by_pairs = self._per_million("rows"), self._per_million("pairs")
            lines.append(
                f"cost {self.cost:,.4f}: {by_rows or 0:,.2f} for a million rows, "
                f"{by_pairs or 0:,.2f} for a million pairs"
            )
        return "".join(f"{line}\n" for line in lines)

    def _per_million(self, name: str) -> float | None:
        count = getattr(self, name)
        return None if self.cost is None or not count else round(self.cost / count * 1e6, 6)


def finish(job: Job, cost_per_hour: float | None = None) -> Report:
    """Check that each row is in the output or rejected, once, and write what is left to write.

    Those are ``_rejected.jsonl``, in the order of the rows, and ``_report.json``. Raises
    ``InvalidRequestError`` where a file of the output has other rows than were written to it.
    """
    counts: Counter[str] = Counter()
    ran: Counter[str] = Counter()
    rejected: list[dict[str, Any]] = []
    notes = {note["number"]: note for note in job.done()}
    for block in job.blocks:
        note = notes.get(block.number, {"counts": {}, "ran": {}, "rejected": []})
        ranked = note["counts"].get("ranked", 0)
        path = job.folder.part(block.number, job.form.suffix)
        found = job.form.count(path)
        if found != ranked or ranked + len(note["rejected"]) != block.part.rows:
            raise InvalidRequestError(
                f"{path} has {found} rows, and of {block.part.rows} rows "
                f"{len(note['rejected'])} were rejected; to have them ranked again, remove "
                f"_resift/blocks/{block.number}.json there, and run the same command"
            )
        counts.update(note["counts"])
        ran.update(note["ran"])
        rejected += note["rejected"]
    runs = [job.folder.noted(each) for each in job.folder.names("runs")]
    seconds = sum(each["seconds"] for each in runs)
    names = Report.__dataclass_fields__.keys() & {*counts, "rows", "ranked", "rejected", "kept"}
    report = Report(
        **{
            **dict.fromkeys(("documents", "pairs", "tokens", "padded_tokens"), 0),
            "truncated_documents": 0,
            **{name: counts[name] for name in names},
        },
        ran=dict(sorted(ran.items())),
        blocks=len(job.blocks),
        runs=len(runs),
        seconds=round(seconds, 3),
        cost=None if cost_per_hour is None else cost_per_hour * seconds / 3600,
    )
    job.folder.write_lines("_rejected.jsonl", rejected)
    job.folder.write_json("_report.json", report.to_dict())
    return report
