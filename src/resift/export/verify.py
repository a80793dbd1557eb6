"""Verification of a graph: its logits against the source's, and the influence of neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift import machine
from resift.backends.onnx import OnnxBackend
from resift.errors import BackendUnavailableError, UnsupportedModelError
from resift.evaluation.measures import Gains, in_order, ndcg
from resift.export.calibration import Group
from resift.export.source import Source
from resift.text.batch import Batch, Pair
from resift.text.tokenizer import PairTokenizer

Logits = NDArray[np.float32]

_AT_ONCE = 16
# Tokens beyond the longest pair, so that every batch has padding.
_MORE_PADDING = 13
# The gains of the bundled models' cards, so that nDCG means the same in every card.
_GAINS: Gains = "linear"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Measured differences over all pairs of the calibration set, in logits."""

    calibration: dict[str, int]
    max_difference: float
    mean_difference: float
    neighbour_difference: float
    """Largest difference between a pair alone and among others: in another order with more padding,
    or, where the backend doesn't pad, of the same length."""
    kendall_tau: float
    """Mean over the queries; 1 is the source's order."""
    ndcg: tuple[float, float] | None
    """The source's and the graph's nDCG@10, where there are grades."""

    def to_dict(self, precision: str) -> dict[str, Any]:
        """The ``metrics`` of a card."""
        content: dict[str, Any] = {
            "calibration": {
                **self.calibration,
                "max_logit_difference": float(f"{self.max_difference:.3g}"),
                "mean_logit_difference": float(f"{self.mean_difference:.3g}"),
                "neighbour_difference": float(f"{self.neighbour_difference:.3g}"),
                "kendall_tau": round(self.kendall_tau, 4),
            }
        }
        if self.ndcg:
            source, ours = (round(value, 4) for value in self.ndcg)
            scores = {"source": source, precision: ours, "change": round(ours - source, 4)}
            content["ndcg@10"] = {"gains": _GAINS, "calibration": scores}
        return content


class Scorer:
    """The calibration set as token ids, with the source's logits for it."""

    def __init__(
        self, source: Source, tokenizer: Path, *, max_length: int, groups: Sequence[Group]
    ) -> None:
        self.name, self.groups, self.max_length = source.name, groups, max_length
        self._family = source.family
        self._pad_token_id = int(source.config.pad_token_id or 0)
        self._tokenizer = PairTokenizer(tokenizer, pad_token_id=self._pad_token_id)
        self.pairs = [self.tokenize(group.query, group.documents) for group in groups]
        self._check_tokens(source)
        self.expected = [
            np.concatenate([source.logits(self._tokenizer.collate([pair])) for pair in pairs])
            for pairs in self.pairs
        ]
        self.scale = max(1.0, *(float(np.abs(logits).max()) for logits in self.expected))
        """The largest absolute logit, or 1: rounding errors are relative to it."""

    def tokenize(self, query: str, documents: Sequence[str]) -> list[Pair]:
        """Tokenize a query with each document, cut as ``Reranker`` cuts them: one pair each."""
        query, texts = self._family.format(query, documents)
        request = self._tokenizer.tokenize(
            query, texts, max_length=self.max_length, long_documents="truncate"
        )
        return [Pair(request.query, text.windows[0]) for text in request.texts]

    def logits(self, backend: OnnxBackend, pairs: Sequence[Pair], *, padding: int = 0) -> Logits:
        """Score one batch: ``float32 [len(pairs)]``, with ``padding`` tokens beyond the longest."""
        batch = self._tokenizer.collate(pairs)
        length = batch.input_ids.shape[1]
        more = ((0, 0), (0, min(padding, self.max_length - length)))
        padded = Batch(
            input_ids=np.pad(batch.input_ids, more, constant_values=self._pad_token_id),
            attention_mask=np.pad(batch.attention_mask, more),
            token_type_ids=np.pad(batch.token_type_ids, more),
        )
        return self._family.logits(backend.forward(padded))

    def some(self, count: int) -> Iterator[Batch]:
        """Give at most ``count`` pairs, from all queries, each in a batch of its own."""
        pairs = [pair for group in self.pairs for pair in group]
        for at in np.unique(np.linspace(0, len(pairs) - 1, count).astype(int)):
            yield self._tokenizer.collate([pairs[at]])

    def golden(
        self, path: Path, texts: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[str, str, float]]:
        """Give each pair of ``texts`` with its logit from the graph at ``path``."""
        backend = OnnxBackend(path, device=None, precision="fp32", threads=1)
        for query, document in texts:
            (logit,) = self.logits(backend, self.tokenize(query, [document])).tolist()
            yield query, document, logit

    def _check_tokens(self, source: Source) -> None:
        for group, pairs in zip(self.groups, self.pairs, strict=True):
            for document, pair in zip(group.documents, pairs, strict=True):
                batch = self._tokenizer.collate([pair])
                whole = batch.input_ids.shape[1] < self.max_length
                if not whole or len(pair.query) >= self.max_length // 2:
                    continue
                types = "token_type_ids" in source.inputs
                # In lists, as transformers would take an empty document for none.
                theirs = source.tokenizer([group.query], [document], return_token_type_ids=types)
                for name in source.inputs:
                    if theirs[name] != getattr(batch, name).tolist():
                        raise UnsupportedModelError(
                            f"{source.name}: the {name} of the pair {group.query[:40]!r} and "
                            f"{document[:40]!r} are not those of its tokenizer in transformers; "
                            "resift can't run such a model"
                        )


def measure(scorer: Scorer, path: Path, precision: str) -> Measured:
    """Score the calibration set with the graph at ``path``, each pair alone and among others.

    Raises ``BackendUnavailableError`` where this processor doesn't run the precision.
    """
    reason = machine.processor().lacking("onnx", precision)
    if reason is not None:
        raise BackendUnavailableError(f"{path.name} can't be verified here: {reason}")
    backend = OnnxBackend(path, device=None, precision=precision, threads=1)
    alone = [
        np.concatenate([scorer.logits(backend, [pair]) for pair in pairs]) for pairs in scorer.pairs
    ]
    differences = np.abs(np.concatenate(alone) - np.concatenate(scorer.expected))
    taus = [kendall_tau(e, a) for e, a in zip(scorer.expected, alone, strict=True) if np.ptp(e)]
    graded = [
        (_ndcg(e, group.grades), _ndcg(a, group.grades))
        for e, a, group in zip(scorer.expected, alone, scorer.groups, strict=True)
        # Without a relevant document, no order is better than another.
        if group.grades is not None and any(group.grades)
    ]
    return Measured(
        calibration={"queries": len(alone), "pairs": len(differences)},
        max_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        neighbour_difference=_among_neighbours(scorer, backend, np.concatenate(alone)),
        kendall_tau=float(np.mean(taus)) if taus else 1.0,
        ndcg=tuple(np.mean(graded, axis=0).tolist()) if graded else None,
    )


def _among_neighbours(scorer: Scorer, backend: OnnxBackend, alone: Logits) -> float:
    pairs = [pair for group in scorer.pairs for pair in group]
    if not backend.pads:
        return _among_equals(scorer, backend, pairs, alone)
    order = np.random.default_rng(0).permutation(len(pairs))
    moved = 0.0
    for start in range(0, len(order), _AT_ONCE):
        batch = order[start : start + _AT_ONCE]
        logits = scorer.logits(backend, [pairs[i] for i in batch], padding=_MORE_PADDING)
        # Python's max() would lose a NaN.
        moved = float(np.maximum(moved, np.abs(logits - alone[batch]).max()))
    return moved


def _among_equals(
    scorer: Scorer, backend: OnnxBackend, pairs: Sequence[Pair], alone: Logits
) -> float:
    moved = 0.0
    for at, pair in enumerate(pairs):
        length = len(pair.query) + len(pair.document)
        others = [
            Pair(other.query, other.document[: length - len(other.query)])
            for other in pairs
            if len(other.query) <= length <= len(other.query) + len(other.document)
        ]
        before, after = others[:2], others[-1:]
        logits = scorer.logits(backend, [*before, pair, *after])
        moved = float(np.maximum(moved, np.abs(logits[len(before)] - alone[at])))
    return moved


def round_up(value: float) -> float:
    """Round up to one significant digit: 0.0123 to 0.02."""
    if value <= 0:
        return 0.0
    exponent = math.floor(math.log10(value))
    return float(f"{math.ceil(value / 10**exponent)}e{exponent}")


def kendall_tau(expected: Logits, found: Logits) -> float:
    """Kendall's tau: concordant less discordant pairs, as a share of those ``expected`` orders."""
    first, second = np.triu_indices(len(expected), 1)
    wanted = np.sign(expected[first] - expected[second])
    same = wanted * np.sign(found[first] - found[second])
    return float(same.sum() / max(1, np.count_nonzero(wanted)))


def _ndcg(logits: Logits, grades: Sequence[float]) -> float:
    return ndcg(np.asarray(grades)[in_order(logits)], grades, gains=_GAINS)
