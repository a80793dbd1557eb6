"""A server's behaviour: repeated, among other documents, with many, and with odd texts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from resift.compare.findings import Finding
from resift.compare.fitting import Fit, expected
from resift.compare.order import failure
from resift.compare.pairs import ALONE, MAIN, ODD_NAMES, REVERSED
from resift.compare.tables import Table, Tables, differences, spread

_SLIGHT = 0.01
"""A share of the spread of all scores: what rounding in a batch may do."""


def noise(tables: Tables, *, requestwise: bool) -> float:
    """The largest difference of a score from itself, in another request or place."""
    found = [_repeated(tables)]
    if not requestwise:
        found += list(_neighbours(tables).values())
    return max(found)


def _repeated(tables: Tables) -> float:
    again = tables.get("again")
    return 0.0 if again is None else differences(tables["main"].there, again.there)


def judge_repeated(tables: Tables) -> Iterator[Finding]:
    """Whether the same request has the same answer."""
    if "again" not in tables:
        return
    if not tables["again"].is_answered:
        yield failure("repeated", tables["again"])
        return
    difference, width = _repeated(tables), spread(tables["main"].there)
    evidence = {"largest_difference": difference, "spread": width}
    if difference <= 1e-6 * width:
        said = "the same request has the same scores"
        yield Finding(topic="repeated", verdict="same", said=said, evidence=evidence)
        return
    slight = difference <= _SLIGHT * width
    yield Finding(
        topic="repeated",
        verdict="note" if slight else "differs",
        said=f"the same request has {'slightly ' * slight}other scores",
        evidence=evidence,
        advice="look for several replicas with different models, or for dropout that is left on",
    )


def _neighbours(tables: Tables) -> dict[str, float]:
    """Differences of scores from those of the probe ``main``, in other company."""
    main = tables["main"].there
    found = {}
    back = tables.get(REVERSED.name)
    if back is not None and back.is_answered:
        found["reversed"] = differences(main, back.there[::-1])
    for each in ALONE:
        alone = tables.get(each.name)
        if alone is not None and alone.is_answered:
            at = MAIN.documents.index(each.documents[0])
            found["alone"] = max(found.get("alone", 0.0), differences(main[at], alone.there[0]))
    many = tables.get("many")
    if many is not None and many.is_answered:
        found["among many"] = differences(main, many.there[: len(main)])
    odd = tables.get("odd")
    if odd is not None and odd.is_answered and len(odd.there) == len(ODD_NAMES):
        found["twice in a request"] = differences(odd.there[0], odd.there[-1])
    return found


def judge_neighbours(tables: Tables, *, requestwise: bool, listwise: bool) -> Iterator[Finding]:
    """Whether a document's score depends on the others of the request."""
    found, width = _neighbours(tables), spread(tables["main"].there)
    if not found:
        return
    if requestwise or listwise:
        why = "the scale" if requestwise else "the model, which reads all documents at once"
        said = f"scores depend on the other documents by {why}"
        yield Finding(topic="neighbours", verdict="unknown", said=said)
        return
    evidence = {name: float(value) for name, value in found.items()} | {"spread": width}
    largest = max(found.values())
    if largest <= _SLIGHT * width:
        said = f"scores don't depend on the other documents: within {largest:.2g}"
        yield Finding(topic="neighbours", verdict="same", said=said, evidence=evidence)
        return
    if largest <= 3 * _repeated(tables):
        said = "scores change by themselves, by as much as among other documents"
        yield Finding(topic="neighbours", verdict="unknown", said=said, evidence=evidence)
        return
    worst = max(found, key=lambda name: found[name])
    yield Finding(
        topic="neighbours",
        verdict="differs",
        said=f"a document's score differs by up to {largest:.2g} {worst}",
        evidence=evidence,
        advice="look for padding without an attention mask, for scores scaled over the request, or "
        "for int8 with a range taken from the batch",
    )


def judge_many(table: Table | None, limit: int | None) -> Iterator[Finding]:
    """Whether more than 32 documents are taken in one request."""
    if table is None:
        return
    count = len(table.probe.documents)
    if table.is_answered:
        yield Finding(topic="many", verdict="same", said=f"{count} documents are taken at a time")
        return
    if table.answer.failed != "refused":
        yield failure("many", table)
        return
    yield Finding(
        topic="many",
        # A cap that the protocol names is one that clients split by.
        verdict="note" if limit is not None and limit < count else "differs",
        said=f"{count} documents at a time are refused",
        evidence={"documents": count, "status": table.answer.status, "why": table.answer.why},
        advice="split requests, as resift.scoring.Remote does for protocols that name a cap, or "
        "raise the server's own (TEI: --max-client-batch-size)",
    )


def judge_odd(tables: Tables, found: Fit | None, *, requestwise: bool) -> Iterator[Finding]:
    """Whether empty texts, other scripts, other forms of letters and duplicates are scored."""
    table = tables.get("odd")
    if table is None:
        return
    if not table.is_answered:
        yield from _refused_odd(table, tables.get("not empty"))
        return
    evidence: dict[str, object] = {}
    if found is not None and not requestwise:
        wanted = expected(found, table.here)
        width = spread(expected(found, tables["main"].here))
        far = np.abs(wanted - table.there) > 0.1 * width
        evidence = {
            name: {"there": float(table.there[at]), "here": round(float(wanted[at]), 4)}
            for at, name in enumerate(ODD_NAMES)
            if far[at]
        }
    if not evidence:
        yield Finding(
            topic="odd texts",
            verdict="same",
            said="empty texts, duplicates, emoji and other scripts are scored",
        )
        return
    yield Finding(
        topic="odd texts",
        verdict="differs",
        said=f"{', '.join(evidence)}: other scores than here",
        evidence=evidence,
        advice="look for a step that changes or drops characters before the tokenizer, or for "
        "another tokenizer",
    )


def _refused_odd(table: Table, rest: Table | None) -> Iterator[Finding]:
    evidence = {"status": table.answer.status, "why": table.answer.why}
    if table.answer.failed == "unavailable":
        yield failure("odd texts", table)
    elif rest is not None and rest.is_answered:
        yield Finding(
            topic="odd texts",
            verdict="differs",
            said="an empty document makes the whole request fail",
            evidence=evidence,
            advice="leave empty documents out, or mend the server",
        )
    else:
        yield Finding(
            topic="odd texts",
            verdict="differs",
            said="a request with emoji, other scripts and decomposed letters fails",
            evidence=evidence,
            advice="look for a step that takes no more than ASCII or one script",
        )
