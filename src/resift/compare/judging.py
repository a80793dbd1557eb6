"""The findings of a comparison, in their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from resift.compare.asking import Asker
from resift.compare.behaviour import judge_many, judge_neighbours, judge_odd, judge_repeated, noise
from resift.compare.findings import Finding
from resift.compare.fitting import Fit, Grain, fit, grain_of
from resift.compare.lengths import eye_of, judge_length, judge_query
from resift.compare.order import judge_indices, judge_order
from resift.compare.pairs import AGAIN, MAIN, MANY, PLAIN, SECOND
from resift.compare.scores import is_requestwise, judge_model, judge_rounding, judge_scale
from resift.compare.tables import Table, Tables, spread
from resift.scales import ORDER

_WAVERING = 0.05
"""A share of the spread of scores: of what wavers more, no scale is told."""

_NO_ANSWER = {
    "unavailable": (
        "the server can't be asked",
        "see that it runs at this address, is done loading and has time, and ask again",
    ),
    "refused": (
        "the server refuses",
        "check the address, the protocol, the model's name and the key",
    ),
    "unreadable": ("the answer can't be read", "check the address and the protocol"),
}


def judge(asker: Asker, tables: Tables, model: str | None) -> Iterator[Finding]:
    """All findings, of which later ones rest on earlier ones."""
    main = tables[MAIN.name]
    order_alone = asker.shape.scale == ORDER
    yield _judge_answer(main, order_alone=order_alone)
    if not main.is_answered or (not order_alone and not np.isfinite(main.there).any()):
        return
    if order_alone:
        kept = {name: each for name, each in tables.items() if each.is_answered}
        yield judge_model(kept, None, order_alone=True)
        yield _judge_same_order(tables)
        return
    grain = _grain(tables)
    indices = list(judge_indices(tables, asker.shape.name, grain))
    yield from indices
    yield from judge_order(tables, asker.shape.name)
    if any(each.topic == "index" and each.verdict == "differs" for each in indices):
        yield from _judge_misplaced(asker, tables, grain)
        return
    found = _fit(tables, grain)
    yield judge_model(_fitted(tables), found, order_alone=False)
    yield from _judge_scales(asker, tables, found)
    yield judge_rounding(_fitted(tables), grain)
    yield from _judge_behaviour(asker, tables, found, grain, model)


def _judge_answer(main: Table, *, order_alone: bool) -> Finding:
    if not main.is_answered:
        what, advice = _NO_ANSWER[main.answer.failed or "unreadable"]
        status = main.answer.status
        return Finding(
            topic="answer",
            verdict="unknown",
            said=f"{what}: {main.answer.why}",
            evidence={} if status is None else {"status": status},
            advice=advice,
        )
    if not order_alone and not np.isfinite(main.there).any():
        return Finding(
            topic="answer",
            verdict="unknown",
            said="the answer has no finite score",
            advice="look for NaN in the server's log: a model in float16 may overflow",
        )
    return Finding(topic="answer", verdict="same", said="the server answers in this protocol")


def _fitted(tables: Tables) -> Tables:
    """The requests that the scale is fitted on."""
    names = (MAIN.name, SECOND.name)
    return {name: tables[name] for name in names if tables[name].is_answered}


def _grain(tables: Tables) -> Grain:
    """The rounding of all scores but those of the default scale."""
    kept = [each.there for each in tables.values() if each.is_answered and not each.probe.plain]
    return grain_of(np.concatenate(kept))


def _fit(tables: Tables, grain: Grain) -> Fit | None:
    """The scale; where scores waver, the simplest one that is as near as that allows."""
    pairs = [(each.here, each.there) for each in _fitted(tables).values()]
    found = fit(pairs, grain)
    if found is not None and found.is_simple:
        return found
    wavers = noise(tables, requestwise=False)
    if wavers > _WAVERING * spread(tables[MAIN.name].there):
        return found
    return fit(pairs, replace(grain, absolute=grain.absolute + wavers)) or found


def _wanted(asker: Asker) -> tuple[str, ...]:
    """The scales that the protocol promises."""
    if asker.gives_logits:
        return ("logit",)
    # Its scores are for sorting alone, and are whatever the model's configuration makes of them.
    return ("sigmoid", "logit") if asker.shape.name == "weaviate" else ("sigmoid",)


def _judge_scales(asker: Asker, tables: Tables, found: Fit | None) -> Iterator[Finding]:
    scores = np.concatenate([each.there for each in _fitted(tables).values()])
    yield judge_scale("scale", found, scores, _wanted(asker))
    plain = tables.get(PLAIN.name)
    if plain is not None and plain.is_answered:
        # Without the model, the range tells; with it, a second scale of the same logits.
        again = fit([(plain.here, plain.there)], grain_of(plain.there)) if found else None
        yield judge_scale("default scale", again, plain.there, ("sigmoid",))


def _judge_misplaced(asker: Asker, tables: Tables, grain: Grain) -> Iterator[Finding]:
    """The model and the scale by the scores in their order; the rest needs indices."""
    ordered = {
        name: Table(each.probe, each.answer, np.sort(each.here)) for name, each in tables.items()
    }
    pairs = [(each.here, np.sort(each.there)) for each in _fitted(ordered).values()]
    found = fit(pairs, grain)
    if found is not None:
        said = "the same model, by its scores in their order"
        yield Finding(topic="model", verdict="same", said=said)
        scores = np.concatenate([each for _, each in pairs])
        yield judge_scale("scale", found, scores, _wanted(asker))
        yield judge_rounding({}, grain)
    else:
        said = "another model, or scores that belong to nothing"
        yield Finding(topic="model", verdict="unknown", said=said)
    for topic in ("repeated", "neighbours", "length", "query", "odd texts"):
        said = "indices can't be relied on, so it isn't known what a score belongs to"
        yield Finding(topic=topic, verdict="unknown", said=said)


def _judge_behaviour(
    asker: Asker, tables: Tables, found: Fit | None, grain: Grain, model: str | None
) -> Iterator[Finding]:
    requestwise = is_requestwise(found)
    listwise = asker.shape.is_listwise(model)
    yield from judge_repeated(tables)
    yield from judge_neighbours(tables, requestwise=requestwise, listwise=listwise)
    noisy = noise(tables, requestwise=requestwise or listwise)
    eye = eye_of(tables, found, grain, noisy, requestwise=requestwise)
    yield from judge_length(tables, eye)
    yield from judge_query(tables, eye)
    yield from judge_many(tables.get(MANY.name), asker.shape.limits.documents)
    yield from judge_odd(tables, found, requestwise=requestwise)


def _judge_same_order(tables: Tables) -> Finding:
    again = tables[AGAIN.name].answer
    first = [each.index for each in tables[MAIN.name].answer.scores]
    if again.failed:
        return Finding(topic="repeated", verdict="unknown", said=f"no answer: {again.why}")
    same = first == [each.index for each in again.scores]
    return Finding(
        topic="repeated",
        verdict="same" if same else "differs",
        said=f"the same request has {'the same' if same else 'another'} order",
        advice="" if same else "set the temperature to 0, or ask several times and merge",
    )
