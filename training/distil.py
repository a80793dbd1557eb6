"""Stage 4: the student learns the teachers' scores.

Each step takes some queries of one source, their own passages and mined candidates, and scores
every query with every passage. The loss is

    margins_weight * squared difference of z-scores, over a query's own passage and candidates
    + batch_weight * KL(teachers || student) over all passages, both softmax of sharpened scores
    + tokens_weight * squared difference of the cosines of tokens with the query's own passages,
      standardised for each query token
    + gold_weight * cross-entropy of the query's own passage
    + early_weight * the first two of the scores of inner layers

A z-score is over the batch's passages; the teachers' is the mean of theirs.
"""

import json
import logging
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from encode import MODEL, Store, load_tokenizer
from encoder import inner, relevance, tokenize, where_present
from gather import read_lines
from student import Scores, Student, save

log = logging.getLogger("distil")


@dataclass(frozen=True)
class Batch:
    """Queries, and passages of which `own[query]` lists the places: its own first, then those that
    were mined for it.
    """

    queries: list[int]
    passages: list[int]
    own: list[list[int]]


@dataclass(frozen=True)
class Data:
    """What the earlier stages wrote."""

    queries: list[dict[str, Any]]
    candidates: NDArray[np.int32]
    query_ids: list[list[int]]
    passage_ids: list[list[int]]
    teachers: list[tuple[Store, Store]]


def read(teachers: list[str], limits: dict[str, int], cache: Path, out: Path) -> Data:
    """Read it, and tokenize."""
    tokenizer = load_tokenizer(cache)
    lines = {kind: read_lines(out / f"{kind}.jsonl") for kind in ("queries", "passages")}
    ids = {
        kind: tokenize(
            tokenizer,
            [line["text"] for line in lines[kind]],
            query=kind == "queries",
            limit=limits[kind],
        )
        for kind in lines
    }
    stores = [(Store(out / name / "queries"), Store(out / name / "passages")) for name in teachers]
    for store in stores:
        for kind, each in zip(ids, store, strict=True):
            if not np.array_equal(np.diff(each.offsets), [len(row) for row in ids[kind]]):
                raise ValueError(f"the vectors of {kind} in {out} are of other texts: remove {out}")
    return Data(
        lines["queries"],
        np.load(out / "candidates.npy"),
        ids["queries"],
        ids["passages"],
        stores,
    )


def batches(data: Data, settings: dict[str, Any], seed: int) -> Iterator[Batch]:
    """Without end: each epoch has every query that isn't held out once, a source at a time."""
    sources: dict[str, list[int]] = {}
    for number, query in enumerate(data.queries):
        if not query["held_out"]:
            sources.setdefault(query["source"], []).append(number)
    epoch = 0
    while True:
        chance = random.Random(f"{seed} epoch {epoch}")
        parts: list[list[int]] = []
        for numbers in sources.values():
            shuffled = chance.sample(numbers, len(numbers))
            size = settings["lists"]
            parts += [shuffled[n : n + size] for n in range(0, len(shuffled) - size + 1, size)]
        chance.shuffle(parts)
        for part in parts:
            yield _batch(data, part, settings["negatives"], chance)
        epoch += 1


def _batch(data: Data, queries: list[int], negatives: int, chance: random.Random) -> Batch:
    place: dict[int, int] = {}
    own = []
    for query in queries:
        found = [int(each) for each in data.candidates[query] if each >= 0]
        mine = [data.queries[query]["passage"], *chance.sample(found, min(negatives, len(found)))]
        own.append([place.setdefault(passage, len(place)) for passage in mine])
    return Batch(queries, list(place), own)


@torch.no_grad()
def teach(data: Data, batch: Batch, device: Any) -> tuple[Tensor, list[Tensor]]:
    """The teachers' mean z-score, `[queries, passages]`, and standardised cosines of tokens, one
    tensor for each query (see `token_cosines`).
    """
    scores: list[Tensor] = []
    cosines: list[list[Tensor]] = []
    for queries, passages in data.teachers:
        asked, held = queries.texts(batch.queries, device), passages.texts(batch.passages, device)
        found = Scores(*relevance(asked, held))
        scores.append(_standard(found.relevance, dim=1))
        cosines.append(token_cosines(found.cosines, batch, asked.present, held.present))
    means = [torch.stack(each).mean(dim=0) for each in zip(*cosines, strict=True)]
    return torch.stack(scores).mean(dim=0), means


def token_cosines(cosines: Tensor, batch: Batch, asked: Tensor, held: Tensor) -> list[Tensor]:
    """For each query `[inner tokens, tokens of its own passages]`, of mean 0 and variance 1."""
    asking = inner(asked)
    found = []
    for number, own in enumerate(batch.own):
        rows = cosines[number][asking[number]][:, own]
        found.append(_standard(rows[:, held[own]], dim=1))
    return found


def _standard(values: Tensor, dim: int) -> Tensor:
    centred = values - values.mean(dim=dim, keepdim=True)
    return centred / centred.square().mean(dim=dim, keepdim=True).sqrt().clamp(min=1e-4)


def losses(
    student: Student,
    data: Data,
    batch: Batch,
    settings: dict[str, Any],
) -> dict[str, Tensor]:
    """The parts of the loss, unweighted."""
    device = student.bert.device
    taught, token_target = teach(data, batch, device)
    target = log_softmax(taught * settings["sharpness"], dim=1)
    query_ids = [data.query_ids[each] for each in batch.queries]
    passage_ids = [data.passage_ids[each] for each in batch.passages]
    scores = student(query_ids, passage_ids)
    logits = student.sharpened(scores)
    *early, last = student.layers
    asked, held = (
        where_present([len(each) for each in ids], device) for ids in (query_ids, passage_ids)
    )
    mine = token_cosines(scores[last].cosines, batch, asked, held)
    squares = [
        (left - right).square().mean()
        for left, right in zip(mine, token_target, strict=True)
        if left.numel()
    ]
    gold = torch.tensor([own[0] for own in batch.own], device=device)
    margins = {
        layer: _margins(_standard(each.relevance, dim=1), taught, batch.own)
        for layer, each in scores.items()
    }
    parts = {
        "margins": margins[last],
        "batch": _divergence(target, logits[last]),
        "tokens": torch.stack(squares).mean(),
        "gold": cross_entropy(logits[last], gold),
    }
    if early:
        both = [
            settings["margins_weight"] * margins[each]
            + settings["batch_weight"] * _divergence(target, logits[each])
            for each in early
        ]
        parts["early"] = torch.stack(both).mean()
    return parts


def _margins(scores: Tensor, taught: Tensor, own: list[list[int]]) -> Tensor:
    """Mean square of the difference that is left when the mean over a query's own is taken away."""
    apart = [(scores[number] - taught[number])[places] for number, places in enumerate(own)]
    return torch.stack([each.var(unbiased=False) for each in apart]).mean()


def _divergence(target: Tensor, logits: Tensor) -> Tensor:
    return (target.exp() * (target - log_softmax(logits, dim=1))).sum(dim=1).mean()


def total(parts: dict[str, Tensor], settings: dict[str, Any]) -> Tensor:
    """The weighted sum."""
    return torch.stack([settings[f"{name}_weight"] * part for name, part in parts.items()]).sum()


@torch.no_grad()
def develop(student: Student, data: Data, settings: dict[str, Any]) -> dict[str, float]:
    """On the held-out queries, each with its mined candidates: mean reciprocal rank of its own
    passage, by the teachers and by each of the student's layers, and how well the student's order
    is the teachers': the mean correlation of scores.
    """
    student.eval()
    found: dict[str, list[float]] = {}
    held = [number for number, query in enumerate(data.queries) if query["held_out"]]
    held = random.Random("develop").sample(held, min(settings["develop_queries"], len(held)))
    for number in held:
        query = data.queries[number]
        candidates = [int(each) for each in data.candidates[number] if each >= 0]
        if not candidates:
            continue
        passages = [query["passage"], *candidates]
        batch = Batch([number], passages, [list(range(len(passages)))])
        taught, _ = teach(data, batch, student.bert.device)
        scores = student([data.query_ids[number]], [data.passage_ids[each] for each in passages])
        systems = {"teachers": taught[0]}
        systems |= {f"layer_{layer}": each.relevance[0] for layer, each in scores.items()}
        for name, each in systems.items():
            rank = 1 + int((each[1:] >= each[0]).sum())
            found.setdefault(f"mrr_{name}", []).append(1 / rank)
            found.setdefault(f"mrr_{name}_{query['source']}", []).append(1 / rank)
            if name != "teachers":
                stacked = torch.stack([each, systems["teachers"]])
                found.setdefault(f"correlation_{name}", []).append(
                    float(torch.corrcoef(stacked)[0, 1])
                )
    student.train()
    return {name: round(float(np.mean(values)), 4) for name, values in sorted(found.items())}


def train(
    student: Student, data: Data, settings: dict[str, Any], seed: int, steps: int | None, out: Path
) -> None:
    """Train, or go on from `checkpoint.pt`; ends after `steps`, or after as many as in `settings`.

    Writes `log.jsonl`, a line for each step, and `model.safetensors`.
    """
    out.mkdir(exist_ok=True)
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    student.to(device).train()
    # Dropout would make the scores of a small step noise.
    for module in student.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    optimiser = torch.optim.AdamW(
        [each for each in student.parameters() if each.requires_grad],
        lr=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda n: _rate(n, settings))
    checkpoint = out / "checkpoint.pt"
    done = 0
    if checkpoint.exists():
        kept = torch.load(checkpoint, map_location=device, weights_only=True)
        student.load_state_dict(kept["student"])
        optimiser.load_state_dict(kept["optimiser"])
        schedule.load_state_dict(kept["schedule"])
        done = kept["step"]
    else:
        _note(out, {"step": 0, **develop(student, data, settings)})
    end = min(settings["steps"], steps or settings["steps"])
    for step, batch in enumerate(batches(data, settings, seed), start=1):
        if step > end:
            break
        if step <= done:
            continue
        parts = losses(student, data, batch, settings)
        loss = total(parts, settings)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), settings["clip"])
        optimiser.step()
        schedule.step()
        source = data.queries[batch.queries[0]]["source"]
        values = {name: round(float(value.detach()), 5) for name, value in parts.items()}
        _note(
            out, {"step": step, "source": source, "loss": round(float(loss.detach()), 5), **values}
        )
        if step % settings["evaluate_every"] == 0 or step == end:
            _note(out, {"step": step, **develop(student, data, settings)})
        if step % settings["checkpoint_every"] == 0 or step == end:
            _keep(checkpoint, student, optimiser, schedule, step)
            save(student, out / MODEL)


def _keep(path: Path, student: Student, optimiser: Any, schedule: Any, step: int) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(
        {
            "student": student.state_dict(),
            "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "step": step,
        },
        temporary,
    )
    temporary.replace(path)


def _rate(step: int, settings: dict[str, Any]) -> float:
    """Linear warm-up, then half a cosine down to a tenth."""
    warm = settings["warmup"] * settings["steps"]
    if step < warm:
        return float((step + 1) / warm)
    share = min(1.0, (step - warm) / max(1.0, settings["steps"] - warm))
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * share))


def _note(out: Path, values: dict[str, Any]) -> None:
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")
    log.info("%s", values)
