"""What the student is taught: the teachers' scores.

Each step takes some queries of one source, their own passages and mined candidates, and scores
every query with every passage. The loss is

    margins_weight * squared difference of z-scores, over a query's own passage and candidates
    + batch_weight * KL(teachers || student) over all passages, both softmax of sharpened scores
    + tokens_weight * squared difference of the cosines of tokens with the query's own passages,
      standardised for each query token
    + pairs_weight * the same for pairs of tokens drawn from all passages, which no query chose
    + gold_weight * cross-entropy of the query's own passage

A z-score is over the batch's passages; the teachers' is that of the weighted sum of theirs.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from data import Batch, Data
from encoder import Texts, inner, relevance, where_present
from student import Scores, Student
from worth import worth


@dataclass(frozen=True)
class Target:
    """What the teachers say of a batch, each part the weighted mean of theirs.

    scores: z-scores, `[queries, passages]`.
    tokens: for each query, as `token_cosines` gives them.
    pairs: as `pair_cosines` gives them.
    """

    scores: Tensor
    tokens: list[Tensor]
    pairs: Tensor


class Distillation:
    """The loss of a student on `data`, by `settings`; `share` and `power` are the formula's.

    Random tokens are drawn by `seed`.
    """

    def __init__(
        self, data: Data, settings: dict[str, Any], formula: dict[str, float], seed: int
    ) -> None:
        self.data = data
        self.settings = settings
        self.share = formula["share"]
        self.worth = torch.from_numpy(worth(data.passage_ids, formula["power"]))
        self._chance = torch.Generator().manual_seed(seed)

    def asking(self, queries: list[int], device: Any) -> Tensor:
        """`[queries, length]`: what their tokens are worth, 0 for all but inner ones."""
        rows = [self.worth[torch.tensor(self.data.query_ids[each])] for each in queries]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)
        return padded * inner(where_present([len(row) for row in rows], device))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def teach(self, batch: Batch, drawn: Tensor, device: Any) -> Target:
        """What they say of a batch and of the pairs of `drawn` tokens."""
        asking = self.asking(batch.queries, device)
        weights = torch.tensor([*self.settings["teachers"].values()], device=device)
        shares = weights / weights.sum()
        scores: list[Tensor] = []
        tokens: list[list[Tensor]] = []
        pairs: list[Tensor] = []
        for queries, passages in self.data.teachers:
            asked = queries.texts(batch.queries, device)
            held = passages.texts(batch.passages, device)
            found = Scores(*relevance(asked, held, asking, self.share))
            scores.append(standard(found.relevance, dim=1))
            tokens.append(token_cosines(found.cosines, batch, asked.present, held.present))
            pairs.append(pair_cosines(held, drawn))

        def mean(parts: Any) -> Tensor:
            return torch.stack([w * part for w, part in zip(shares, parts, strict=True)]).sum(dim=0)

        return Target(
            standard(mean(scores), dim=1),
            [mean(each) for each in zip(*tokens, strict=True)],
            mean(pairs),
        )

    def draw(self, batch: Batch) -> Tensor:
        """Some of the passages' tokens: places in `[passages, length]`, flattened.

        For every batch in turn, also for those that a run which goes on leaves out: what is drawn
        depends on what was drawn before.
        """
        lengths = [len(self.data.passage_ids[each]) for each in batch.passages]
        places = where_present(lengths, "cpu").flatten().nonzero()[:, 0]
        order = torch.randperm(len(places), generator=self._chance)
        return places[order[: self.settings["drawn_tokens"]]]

    def __call__(self, student: Student, batch: Batch, drawn: Tensor) -> dict[str, Tensor]:
        """The parts of the loss, unweighted; `drawn` are the tokens whose pairs count."""
        device = student.bert.device
        scores, asked, held = student(
            [self.data.query_ids[each] for each in batch.queries],
            [self.data.passage_ids[each] for each in batch.passages],
            self.asking(batch.queries, device),
        )
        drawn = drawn.to(device)
        target = self.teach(batch, drawn, device)
        mine = token_cosines(scores.cosines, batch, asked.present, held.present)
        logits = student.sharpened(scores)
        softened = log_softmax(target.scores * self.settings["sharpness"], dim=1)
        divergence = softened.exp() * (softened - log_softmax(logits, dim=1))
        parts = {
            "margins": _margins(standard(scores.relevance, dim=1), target.scores, batch.own),
            "batch": divergence.sum(dim=1).mean(),
            "tokens": torch.stack(
                [
                    (left - right).square().mean()
                    for left, right in zip(mine, target.tokens, strict=True)
                    if left.numel()
                ]
            ).mean(),
            "pairs": (pair_cosines(held, drawn) - target.pairs).square().mean(),
        }
        known = torch.tensor(batch.gold, device=device)
        if (known >= 0).any():
            parts["gold"] = cross_entropy(logits, known, ignore_index=-1)
        return parts

    def total(self, parts: dict[str, Tensor]) -> Tensor:
        """The weighted sum."""
        return torch.stack(
            [self.settings[f"{name}_weight"] * part for name, part in parts.items()]
        ).sum()


def token_cosines(cosines: Tensor, batch: Batch, asked: Tensor, held: Tensor) -> list[Tensor]:
    """For each query `[inner tokens, tokens of its own passages]`, of mean 0 and variance 1."""
    asking = inner(asked)
    found = []
    for number, own in enumerate(batch.own):
        rows = cosines[number][asking[number]][:, own]
        found.append(standard(rows[:, held[own]], dim=1))
    return found


def pair_cosines(held: Texts, drawn: Tensor) -> Tensor:
    """`[drawn, drawn - 1]`: each drawn token's with the others, of mean 0 and variance 1."""
    vectors = held.vectors.flatten(0, 1)[drawn]
    apart = ~torch.eye(len(drawn), dtype=torch.bool, device=drawn.device)
    return standard((vectors @ vectors.T)[apart].view(len(drawn), -1), dim=1)


def standard(values: Tensor, dim: int) -> Tensor:
    """Of mean 0 and variance 1 along `dim`."""
    centred = values - values.mean(dim=dim, keepdim=True)
    return centred / centred.square().mean(dim=dim, keepdim=True).sqrt().clamp(min=1e-4)


def _margins(scores: Tensor, taught: Tensor, own: list[list[int]]) -> Tensor:
    """Mean square of the difference that is left when the mean over a query's own is taken away."""
    apart = [(scores[number] - taught[number])[places] for number, places in enumerate(own)]
    return torch.stack([each.var(unbiased=False) for each in apart]).mean()
