"""The smaller student: a few of the trained layers, with fewer inner neurons and narrower words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from encoder import load_state, make_bert
from student import Student


def nano(
    trained: Path,
    settings: dict[str, Any],
    ids: Sequence[Sequence[int]],
    share: float,
) -> Student:
    """The first `layers` of the `trained` model, cut down to `intermediate_size` and `word_size`.

    Words keep their strongest directions, weighted by how often they occur in `ids`; inner
    neurons, those whose outputs weigh most on the same texts.
    """
    state = load_file(str(trained))
    layers, inner, size = (settings[key] for key in ("layers", "intermediate_size", "word_size"))
    kept = {name: state[name] for name in state if _layer(name) < layers}
    whole = load_state(kept)
    words = state[f"{_WORDS}.weight"]
    weights = _neuron_weights(whole, ids)
    counts = torch.bincount(
        torch.tensor([token for row in ids for token in row]),
        minlength=len(words),
    )

    bert = make_bert(layers=layers, intermediate_size=inner)
    bert.embeddings.word_embeddings = narrow(words, counts, size)
    cut = {name: value for name, value in whole.state_dict().items() if not name.startswith(_WORDS)}
    for number, weight in enumerate(weights):
        kept = weight.argsort(descending=True)[:inner].sort().values
        prefix = f"encoder.layer.{number}"
        for name in (f"{prefix}.intermediate.dense.weight", f"{prefix}.intermediate.dense.bias"):
            cut[name] = cut[name][kept]
        cut[f"{prefix}.output.dense.weight"] = cut[f"{prefix}.output.dense.weight"][:, kept]
    missing, unexpected = bert.load_state_dict(cut, strict=False)
    if unexpected or any(not name.startswith(_WORDS) for name in missing):
        raise ValueError(f"{trained} doesn't fit: {missing} missing, {unexpected} unexpected")
    bert.embeddings.position_embeddings.weight.requires_grad_(False)
    return Student(bert.eval(), share, settings["sharpness"])


_WORDS = "embeddings.word_embeddings"


def narrow(words: Tensor, counts: Tensor, size: int) -> nn.Sequential:
    """A table `[words, size]` and the matrix that widens its rows again, nearest to `words` in the
    sum of squares weighted by the roots of `counts`.
    """
    # Words that the texts don't have still count.
    weight = (counts.float() + 1).sqrt().sqrt()[:, None]
    _, _, directions = torch.linalg.svd(words * weight, full_matrices=False)
    table = nn.Embedding(words.shape[0], size, _weight=words @ directions[:size].T)
    widen = nn.Linear(size, words.shape[1], bias=False)
    widen.weight.data.copy_(directions[:size].T)
    return nn.Sequential(table, widen)


def _layer(name: str) -> int:
    """The number of the layer that a weight belongs to, from 0; -1 for what is before them."""
    return int(name.split(".")[2]) if name.startswith("encoder.layer.") else -1


@torch.no_grad()  # type: ignore[untyped-decorator]
def _neuron_weights(bert: Any, ids: Sequence[Sequence[int]]) -> list[Tensor]:
    """For each layer, how much each inner neuron adds to the hidden state: the root mean square of
    its output times the length of its column.
    """
    squares = [torch.zeros(bert.config.intermediate_size) for _ in bert.encoder.layer]
    hooks = [
        layer.intermediate.register_forward_hook(
            lambda _module, _inputs, output, total=total: total.add_(
                output.float().square().sum(dim=(0, 1))
            )
        )
        for layer, total in zip(bert.encoder.layer, squares, strict=True)
    ]
    for row in ids:
        bert(torch.tensor([row]))
    for hook in hooks:
        hook.remove()
    return [
        total.sqrt() * layer.output.dense.weight.norm(dim=0)
        for layer, total in zip(bert.encoder.layer, squares, strict=True)
    ]
