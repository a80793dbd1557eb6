"""BERT as an encoder of texts by themselves, and the relevance that late interaction gives.

    relevance = share * cosine(mean of the query's vectors, mean of the document's vectors)
              + mean over the query's inner tokens of the largest cosine to any document token

as in `late_interaction.py`, the second mean weighted by what words are worth. A text is
`[CLS] text [SEP]`, a query as well as a document.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import normalize, pad

from late_interaction import LEAST_WORTH
from scoring import groups
from teachers import TEACHERS, fetch, read_state

CLS, SEP = 101, 102


class Texts(NamedTuple):
    """Token vectors of several texts: unit vectors `[texts, length, hidden]`, zero where a text has
    no token (bool `present`, `[texts, length]`), and the pooled unit vectors `[texts, hidden]`.
    """

    vectors: Tensor
    present: Tensor
    pooled: Tensor


def relevance(
    queries: Texts, documents: Texts, worth: Tensor, share: float
) -> tuple[Tensor, Tensor]:
    """Of every query and document: `[queries, documents]`, and the cosines of their tokens,
    `[queries, length, documents, length]`.

    `worth` is `[queries, length]`, 0 for what isn't one of a query's inner tokens.
    """
    cosines = torch.einsum("qih,djh->qidj", queries.vectors, documents.vectors)
    best = cosines.masked_fill(~documents.present, -1).amax(dim=3)
    total = worth.sum(dim=1).clamp(min=float(LEAST_WORTH))
    matches = (best * worth[:, :, None]).sum(dim=1) / total[:, None]
    return share * (queries.pooled @ documents.pooled.T) + matches, cosines


def inner(present: Tensor) -> Tensor:
    """`present` without each text's first and last token."""
    shorter = pad(present, (0, 1))[:, 1:] & present
    return torch.cat([torch.zeros_like(shorter[:, :1]), shorter[:, 1:]], dim=1)


def texts(vectors: Tensor, present: Tensor, pooled: Tensor | None = None) -> Texts:
    """From raw vectors; without `pooled`, the mean of the vectors stands for the text."""
    vectors = vectors.float() * present[..., None]
    if pooled is None:
        pooled = vectors.sum(dim=1)
    return Texts(normalize(vectors, dim=-1), present, normalize(pooled.float(), dim=-1))


def load_teacher(name: str, cache: Path) -> Any:
    """A teacher's encoder, float32, in evaluation mode."""
    state = read_state(fetch(name, cache), TEACHERS[name])
    return load_state({key: torch.tensor(value) for key, value in state.items()})


def load_state(state: Mapping[str, Tensor]) -> Any:
    """The BERT that has the weights of `state`; what else is in there is left."""
    bert = make_bert(
        layers=len({name for name in state if name.endswith("intermediate.dense.bias")}),
        intermediate_size=len(state["encoder.layer.0.intermediate.dense.bias"]),
    )
    bert.load_state_dict({name: state[name] for name in bert.state_dict()})
    return bert


def make_bert(*, layers: int, intermediate_size: int) -> Any:
    """An encoder of random weights, in evaluation mode; all here agree in the other sizes.

    Its attention is written out: at these lengths, torch's fused kernel takes a third of a training
    step on a CPU.
    """
    config = transformers.BertConfig(
        vocab_size=30522,
        hidden_size=384,
        num_attention_heads=12,
        num_hidden_layers=layers,
        intermediate_size=intermediate_size,
    )
    bert = transformers.BertModel._from_config(
        config, add_pooling_layer=False, attn_implementation="eager"
    )
    return bert.eval()


def tokenize(tokenizer: Tokenizer, strings: Sequence[str], *, limit: int) -> list[list[int]]:
    """Token ids, at most `limit`, special tokens included."""
    encodings = tokenizer.encode_batch(list(strings), add_special_tokens=False)
    return [[CLS, *encoding.ids[: limit - 2], SEP] for encoding in encodings]


def where_present(lengths: Sequence[int], device: Any) -> Tensor:
    """Bool `[texts, length]`: where texts of these lengths have a token."""
    counts = torch.tensor(lengths, device=device)
    return torch.arange(max(lengths), device=device) < counts[:, None]


def forward(bert: Any, ids: Sequence[Sequence[int]], *, batch_tokens: int) -> tuple[Tensor, Tensor]:
    """The last hidden states, `[texts, length, hidden]`, and what is present."""
    device = bert.device
    longest = max(map(len, ids))
    order: list[int] = []
    states: list[Tensor] = []
    for places in groups([len(each) for each in ids], batch_tokens):
        width = max(len(ids[place]) for place in places)
        rows = [torch.tensor(ids[place]) for place in places]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)
        mask = where_present([len(row) for row in rows], device)
        found = bert(padded, attention_mask=mask.long()).last_hidden_state
        states.append(pad(found, (0, 0, 0, longest - width)))
        order += places
    back = torch.tensor(order, device=device).argsort()
    return torch.cat(states)[back], where_present([len(each) for each in ids], device)
