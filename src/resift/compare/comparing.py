"""``compare_server``: the same pairs there and here."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from resift.compare.asking import Answer, Asker
from resift.compare.judging import judge
from resift.compare.pairs import (
    AGAIN,
    ALONE,
    LONG,
    LONG_QUERIES,
    MAIN,
    MANY,
    NOT_EMPTY,
    ODD,
    PLAIN,
    REVERSED,
    SECOND,
    TOP,
    UP_TO,
    Probe,
)
from resift.compare.report import Report
from resift.compare.tables import Table, Tables
from resift.errors import InvalidRequestError
from resift.protocols import PROTOCOLS
from resift.reranker import Reranker
from resift.scales import LOGIT, ORDER
from resift.scoring.remote.secret import Key


def compare_server(
    url: str,
    *,
    protocol: str,
    reranker: Reranker | None = None,
    model: str | None = None,
    key: Key = None,
    timeout: float = 30.0,
) -> Report:
    """Score a fixed set of pairs with a server and here, and say what differs.

    ``url``, ``protocol``, ``model`` and ``key`` are those of ``resift.scoring.Remote``: the
    server's address, a name of ``resift.protocols.PROTOCOLS``, the model's name there, and the key.
    ``reranker`` is the model here, which has to give logits; by default it is the bundled one.
    ``timeout`` is in seconds, for each of at most 25 requests.

    A server that can't be reached, refuses or answers garbage is a finding too, and the report's
    ``status`` is then ``"unknown"``. Raises ``InvalidRequestError`` for an invalid option,
    ``BackendUnavailableError`` without the extra ``remote``, and what ``reranker`` raises.
    """
    if not isinstance(protocol, str) or protocol not in PROTOCOLS:
        raise InvalidRequestError(f"protocol must be one of {list(PROTOCOLS)}, not {protocol!r}")
    asker = Asker(url, protocol=protocol, model=model, key=key, timeout=timeout)
    local = Reranker() if reranker is None else reranker
    # Before anything is sent: without documents, a ranking names its model.
    here = local.rank(MAIN.query, ())
    if here.scale != LOGIT:
        raise InvalidRequestError(
            f"reranker must give logits, and {here.model} gives scores on the scale "
            f"{here.scale!r}; give a model on this machine"
        )
    answers = _ask(asker)
    tables = _score(local, answers)
    findings = tuple(judge(asker, tables, model))
    said = tables[MAIN.name].answer.model
    return Report(
        server=asker.address.server,
        protocol=protocol,
        model=here.model,
        remote_model=said or model,
        requests=asker.requests,
        findings=findings,
    )


def _ask(asker: Asker) -> list[tuple[Probe, Answer]]:
    """Ask for all that the protocol can say; nothing more where the first answer is none."""
    found = [(MAIN, asker.ask(MAIN))]
    if found[0][1].failed:
        return found
    found += [(each, asker.ask(each)) for each in (AGAIN, REVERSED, SECOND)]
    if asker.shape.scale == ORDER:
        return found
    plan = [*ALONE, MANY, ODD, LONG, *LONG_QUERIES]
    plan += [PLAIN] * asker.gives_logits + [TOP] * ("top_n" in asker.shape.speaks)
    for each in plan:
        answer = asker.ask(each)
        found.append((each, answer))
        if answer.failed in ("refused", "unreadable"):
            found += _ask_further(asker, each)
    return found


def _ask_further(asker: Asker, failed: Probe) -> Iterator[tuple[Probe, Answer]]:
    """Ask for the parts of a probe that failed, to see which of them did it."""
    if failed is ODD:
        yield NOT_EMPTY, asker.ask(NOT_EMPTY)
    if failed is LONG:
        for each in UP_TO:
            answer = asker.ask(each)
            yield each, answer
            if answer.failed:
                return


def _score(local: Reranker, answers: list[tuple[Probe, Answer]]) -> Tables:
    """The tables of all probes; nothing is scored here where nothing came from there."""
    first = answers[0][1]
    if first.failed:
        return {MAIN.name: Table(MAIN, first, np.full(len(MAIN.documents), np.nan))}
    asked = [(probe.query, probe.documents) for probe, _ in answers]
    scored = local.score_many(asked, normalization="none")
    return {
        probe.name: Table(probe, answer, np.array(logits, dtype=np.float64))
        for (probe, answer), logits in zip(answers, scored, strict=True)
    }
