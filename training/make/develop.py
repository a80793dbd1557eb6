"""How well a student does on queries that are held out of training."""

import random

import numpy as np
import torch

from data import Batch, Data
from distil import Distillation
from student import Student


@torch.no_grad()  # type: ignore[untyped-decorator]
def develop(student: Student, distillation: Distillation) -> dict[str, float]:
    """On held-out queries, as many of each source, each with its mined candidates: mean reciprocal
    rank of its own passage, by the teachers and by the student, and how well the student's order is
    the teachers': the mean correlation of scores. All by source too.
    """
    data, settings = distillation.data, distillation.settings
    student.eval()
    device = student.bert.device
    # Pairs of tokens don't count here.
    drawn = torch.tensor([0, 1], device=device)
    found: dict[str, list[float]] = {}
    for number in _held_out(data, settings["develop_queries"]):
        first = data.own(number)
        passages = [*first, *data.mined(number)]
        if len(passages) < 2:
            continue
        places = list(range(len(passages)))
        batch = Batch([number], passages, [places], [0 if first else -1])
        taught = distillation.teach(batch, drawn, device).scores[0]
        scores, _, _ = student(
            [data.query_ids[number]],
            [data.passage_ids[each] for each in passages],
            distillation.asking([number], device),
        )
        mine = scores.relevance[0]
        values = {"correlation": float(torch.corrcoef(torch.stack([mine, taught]))[0, 1])}
        if first:
            for name, each in (("mrr", mine), ("mrr_teachers", taught)):
                values[name] = 1 / (1 + int((each[1:] >= each[0]).sum()))
        for name, value in values.items():
            found.setdefault(name, []).append(value)
            found.setdefault(f"{name}_{data.queries[number]['source']}", []).append(value)
    student.train()
    return {name: round(float(np.mean(values)), 4) for name, values in sorted(found.items())}


def _held_out(data: Data, each: int) -> list[int]:
    """Held-out queries, at most `each` of a source: always the same."""
    sources: dict[str, list[int]] = {}
    for number, query in enumerate(data.queries):
        if query["held_out"]:
            sources.setdefault(query["source"], []).append(number)
    chance = random.Random("develop")
    drawn = (chance.sample(held, min(each, len(held))) for _, held in sorted(sources.items()))
    return [number for numbers in drawn for number in numbers]
