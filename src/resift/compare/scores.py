"""Whether a server's scores are the same model's, and on which scale they are."""

from __future__ import annotations

import numpy as np

from resift.compare.findings import Finding
from resift.compare.fitting import REQUESTWISE, Fit, Grain
from resift.compare.tables import Table, Tables, Values, kendall

_SAME_ORDER = 0.95
"""Kendall's tau of the order alone, above which it is the same but for near ties."""
_NEARLY = 0.95

_SCALES = {
    "logit": "logits",
    "sigmoid": "sigmoids of the logits, from 0 to 1",
    "sigmoid of sigmoid": "sigmoids of sigmoids, from 0.5 to 0.731",
    "negated logit": "logits with their sign turned",
    "negated sigmoid": "1 less the sigmoid: the sign is turned",
    "softmax": "shares of the request (softmax): a score depends on the other documents",
    "minmax": "stretched from 0 to 1 over the request: a score depends on the other documents",
    "temperature": "logits times a factor, plus an offset",
    "sigmoid with temperature": "sigmoids of logits times a factor, plus an offset",
}
_ADVICE = {
    "logit": "they pass every threshold from 0 to 1: have the server take their sigmoid, or read "
    "them as logits (scale='logit' of resift.scoring.Remote)",
    "sigmoid": "the server doesn't know the word for logits: name another scale= to "
    "resift.scoring.Remote, or update the server",
    "sigmoid of sigmoid": "a sigmoid too many: the model's own and the server's. Switch one off "
    "(in sentence-transformers, activation_fn=torch.nn.Identity()); until then no threshold holds",
    "negated logit": "the worst come first: turn the sign, or read the other label of the model",
    "negated sigmoid": "the worst come first: read the other label of the model",
    "softmax": "set no threshold on them, don't split requests, and don't compare queries",
    "minmax": "set no threshold on them, don't split requests, and don't compare queries",
    "temperature": "set thresholds on the server's own scores, not on resift's",
    "sigmoid with temperature": "set thresholds on the server's own scores, not on resift's",
}


def judge_model(tables: Tables, found: Fit | None, *, order_alone: bool) -> Finding:
    """Whether it is the same model, by all requests that were answered."""
    kept = [tables[name] for name in ("main", "second") if name in tables]
    taus = [kendall(each.here, _by_rank(each) if order_alone else each.there) for each in kept]
    tau = float(np.mean(taus))
    evidence = {"pairs": sum(len(each.here) for each in kept), "kendall_tau": round(tau, 3)}
    if order_alone:
        same = tau >= _SAME_ORDER
        return Finding(
            topic="model",
            verdict="same" if same else "differs",
            said="the same order, as far as an order shows" if same else "another order",
            evidence=evidence,
            advice="" if same else "another model, or another prompt: compare it by relevance",
        )
    if found is not None:
        differences = {"mean_logit": round(found.mean, 3), "largest_logit": round(found.largest, 3)}
        return Finding(
            topic="model",
            verdict="same",
            said=f"the same model: logits within {found.largest:.2g}",
            evidence={**evidence, **differences},
        )
    constant = all(np.nanmax(each.there) == np.nanmin(each.there) for each in kept)
    if constant:
        said, advice = "every score is the same", "check that the server's model is a reranker"
    elif tau >= _NEARLY:
        said = "another model, or the same one in a much coarser precision or another prompt"
        advice = "compare the names, revisions, precisions and prompts of both"
    else:
        said, advice = "another model", "give --model the model of the server, or the reverse"
    return Finding(topic="model", verdict="differs", said=said, evidence=evidence, advice=advice)


def _by_rank(table: Table) -> Values:
    ranks = np.full(len(table.here), np.nan)
    for rank, each in enumerate(table.answer.scores):
        if 0 <= each.index < len(ranks):
            ranks[each.index] = -rank
    return ranks


def judge_scale(topic: str, found: Fit | None, scores: Values, wanted: tuple[str, ...]) -> Finding:
    """Whether scores are on the scale that the protocol promises.

    ``wanted`` has ``"logit"``, ``"sigmoid"``, or both. ``found`` is ``None`` for another model,
    whose scores tell by their range alone.
    """
    known = scores[np.isfinite(scores)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    evidence: dict[str, object] = {"lowest": round(low, 4), "highest": round(high, 4)}
    scale = found.scale if found else _by_range(low, high, wanted)
    if scale is None:
        said = "another model's scores, which tell no more than their range"
        return Finding(topic=topic, verdict="unknown", said=said, evidence=evidence)
    if found and not found.is_simple:
        evidence |= {"factor": round(found.factor, 3), "offset": round(found.offset, 3)}
    same = scale in wanted
    return Finding(
        topic=topic,
        verdict="same" if same else "differs",
        said=_SCALES[scale] + ("" if found else ", by their range"),
        evidence={"scale": scale, "expected": " or ".join(wanted), **evidence},
        advice="" if same else _ADVICE[scale],
    )


def _by_range(low: float, high: float, wanted: tuple[str, ...]) -> str | None:
    if low == high:
        return None
    if low >= 0.5 and high <= 0.7311:
        return "sigmoid of sigmoid"
    if "logit" not in wanted and (low < 0 or high > 1):
        return "logit"
    if "sigmoid" not in wanted and low >= 0 and high <= 1:
        return "sigmoid"
    return None


def judge_rounding(tables: Tables, grain: Grain) -> Finding:
    """Whether scores are rounded, and documents become equal by it."""
    ties = 0
    for each in (tables[name] for name in ("main", "second") if name in tables):
        upper = np.triu_indices(len(each.here), 1)
        equal = each.there[:, None] == each.there[None, :]
        apart = np.abs(each.here[:, None] - each.here[None, :]) > 0.2
        ties += int((equal & apart)[upper].sum())
    if grain.name is None:
        return Finding(topic="rounding", verdict="same", said="scores aren't rounded")
    harmless = grain.name == "float16" and not ties
    return Finding(
        topic="rounding",
        verdict="note" if harmless else "differs",
        said=f"scores are rounded to {grain.name}",
        evidence={"rounding": grain.name, "ties": ties},
        advice="sort before rounding, or by logits: the best documents' scores become equal first",
    )


def is_requestwise(found: Fit | None) -> bool:
    """Whether a document's score depends on the others by its scale."""
    return found is not None and found.scale in REQUESTWISE
