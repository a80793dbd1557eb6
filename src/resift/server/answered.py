"""Answers: rankings in the words of a shape, and what else there is to say, in headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resift.protocols import WireError, WireResponse, WireResult, WireScore, dumps
from resift.ranking import Ranking
from resift.scales import LOGIT
from resift.server.asked import Asked
from resift.server.models import Served


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a request that was ranked."""

    asked: Asked
    served: Served
    rankings: Sequence[Ranking]
    request_id: str
    cuts: Sequence[Mapping[int, int | None]]
    """For each query, where documents were cut, by their indices."""

    def body(self) -> bytes:
        """The body, in the request's shape."""
        shape, request = self.asked.shape, self.asked.request
        pairs = zip(self.rankings, self.cuts, strict=True)
        results = tuple(self._result(ranking, cuts) for ranking, cuts in pairs)
        return dumps(shape.encode_response(WireResponse(results=results), request))

    @property
    def status(self) -> str:
        """The status: that of the first ranking that isn't complete."""
        return next((x.status for x in self.rankings if x.status != "complete"), "complete")

    def headers(self) -> dict[str, str]:
        """The headers: what ran, how long it took, and what isn't in the body."""
        first = self.rankings[0]
        timings = first.timings
        counts = [each.counts for each in self.rankings]
        cut = sum(each.truncated_documents for each in counts)
        unscored = sum(each.documents - each.scored - each.pruned_documents for each in counts)
        found = {
            "x-resift-model": self.served.name,
            "x-resift-status": self.status,
            "x-resift-scale": first.scale,
            "x-resift-normalization": self._normalization(),
            # Text Embeddings Inference's, in milliseconds.
            "x-compute-type": first.device or first.backend,
            "x-compute-time": _milliseconds(timings.total),
            "x-total-time": _milliseconds(timings.total),
            "x-tokenization-time": _milliseconds(timings.tokenize),
            "x-queue-time": _milliseconds(timings.queue),
            "x-inference-time": _milliseconds(timings.infer - timings.queue),
            "x-compute-characters": str(self.asked.characters),
            "x-compute-tokens": str(sum(each.tokens for each in counts)),
        }
        if cut:
            found["x-resift-truncated"] = str(cut)
        pruned = sum(each.pruned_documents for each in counts)
        if pruned:
            found["x-resift-pruned"] = str(pruned)
        if unscored:
            found["x-resift-unscored"] = str(unscored)
        ignored = self.asked.ignored(self.served)
        if ignored:
            found["x-resift-ignored"] = ", ".join(ignored)
        return {name: _printable(value) for name, value in found.items()}

    def check_whole(self) -> None:
        """Raise ``WireError`` where the request forbids cutting, and something was cut."""
        if not self.asked.forbids_cutting:
            return
        for ranking in self.rankings:
            for each in ranking:
                if each.truncated_tokens:
                    raise WireError(
                        f"documents[{each.index}] has {each.truncated_tokens} tokens more than the "
                        "model reads, and the request forbids truncation; shorten it, or allow that"
                    )
            if ranking.query_truncated:
                raise WireError(
                    "the query has more tokens than the model reads, and the request forbids "
                    "truncation; shorten it, or allow that"
                )

    def _normalization(self) -> str:
        """The name of what made scores of what the model gave."""
        given = self.asked.options(None).get("normalization")
        found = self.served.entry.options.normalization if given in (None, "auto") else given
        if found == "auto":
            return "sigmoid" if self.rankings[0].scale == LOGIT else "none"
        return found if isinstance(found, str) else "calibration"

    def _result(self, ranking: Ranking, cuts: Mapping[int, int | None]) -> WireResult:
        if self.asked.shape.tells_all:
            said = ranking.to_dict()
            for each in said["results"]:
                if each["index"] in cuts:
                    each["cut_at"] = cuts[each["index"]]
            return WireResult.of(said, id=self.request_id)
        lowest = _below(ranking)
        scores = [
            WireScore(index=each.index, score=lowest if each.score is None else each.score)
            for each in ranking
        ]
        if self.asked.needs_all and len(scores) < ranking.counts.documents:
            # A cascade left them out, as they are below the others.
            kept = {each.index for each in scores}
            left_out = (i for i in range(ranking.counts.documents) if i not in kept)
            scores += [WireScore(index=index, score=lowest) for index in left_out]
        return WireResult(
            scores=tuple(scores),
            model=self.served.name,
            id=self.request_id,
            tokens=ranking.counts.tokens,
        )


def _below(ranking: Ranking) -> float:
    """A number for unscored documents, where a shape has no word for them: never above a score."""
    lowest = min((each.score for each in ranking if each.score is not None), default=0.0)
    return 0.0 if lowest >= 0 else lowest - 1.0


def _milliseconds(seconds: float) -> str:
    return str(max(0, round(seconds * 1000)))


def _printable(value: str) -> str:
    return "".join(each if " " <= each <= "~" else "?" for each in value)
