"""Batches without padding: all texts end to end, and attention that stays inside each.

Only the call of torch's kernel needs a GPU; the CPU runs the same code with ``attend_one_by_one``
in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from resift.backends.torch.network import to_device
from resift.text.batch import Batch

ATTENTION = "resift_packed"

# Models whose position ids start after the padding id: transformers, modeling_roberta.py.
_POSITIONS_AFTER_PADDING = frozenset({"camembert", "roberta", "xlm-roberta"})
_PACKABLE = _POSITIONS_AFTER_PADDING | {"bert", "electra", "modernbert"}


@dataclass(frozen=True, slots=True)
class Packed:
    """Texts end to end, on a device."""

    input_ids: Any
    """``int64 [1, tokens]``, like the next two."""
    token_type_ids: Any
    position_ids: Any
    starts: Any
    """``int32 [texts + 1]``: the start of each text, and the end of the last one."""
    longest: int
    """The length of the longest text, in tokens."""

    @property
    def attention(self) -> dict[str, Any]:
        """The keywords that transformers passes on to the attention of each layer."""
        return {
            "cu_seq_lens_q": self.starts,
            "cu_seq_lens_k": self.starts,
            "max_length_q": self.longest,
            "max_length_k": self.longest,
        }


def pack(batch: Batch, device: Any, *, first_position: int = 0) -> Packed:
    """Pack the rows of ``batch`` without their padding; positions start at ``first_position``."""
    present = batch.attention_mask == 1
    lengths = present.sum(axis=1)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    positions = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths) + first_position

    def row(values: NDArray[Any]) -> Any:
        return to_device(values.astype(np.int64)[None], device)

    return Packed(
        input_ids=row(batch.input_ids[present]),
        token_type_ids=row(batch.token_type_ids[present]),
        position_ids=row(positions),
        starts=to_device(starts.astype(np.int32), device),
        longest=int(lengths.max()),
    )


def can_pack(config: Any, device: Any, dtype: Any) -> bool:
    """Whether a model can run packed: its kind must allow it, and on a GPU the kernel."""
    kind = getattr(config, "model_type", None) in _PACKABLE
    return kind and has_kernel(config, device, dtype)


def has_kernel(config: Any, device: Any, dtype: Any) -> bool:
    """Whether attention over packed texts runs on ``device``: the CPU, or flash attention."""
    if device.type == "cpu":
        return True
    # What mha_varlen_fwd of torch's flash_api.cpp takes.
    width = config.hidden_size // config.num_attention_heads
    fits = width % 8 == 0 and width <= 256 and dtype in (torch.float16, torch.bfloat16)
    return device.type == "cuda" and fits and torch.cuda.get_device_capability(device)[0] >= 8


class PackedNetwork:
    """An encoder with a head that reads each pair's first token, or the mean of its tokens."""

    def __init__(self, model: Any) -> None:
        self.model, self.config = model, model.config
        kind = self.config.model_type
        after_padding = kind in _POSITIONS_AFTER_PADDING
        self._first_position = self.config.pad_token_id + 1 if after_padding else 0
        self._has_types = int(getattr(self.config, "type_vocab_size", 0)) > 1
        of_means = getattr(self.config, "classifier_pooling", "cls") == "mean"
        pooled = _keep_means if of_means else _keep_first_tokens
        model.base_model.register_forward_hook(pooled, with_kwargs=True)

    def __call__(self, batch: Batch) -> Any:
        """Run a batch; see ``Network``."""
        packed = pack(batch, self.model.device, first_position=self._first_position)
        types = {"token_type_ids": packed.token_type_ids} if self._has_types else {}
        return self.model(
            input_ids=packed.input_ids,
            position_ids=packed.position_ids,
            **types,
            **packed.attention,
        ).logits


def _keep_first_tokens(module: Any, _: Any, given: dict[str, Any], output: Any) -> Any:
    """Give the head a batch of texts of one token each: ``[texts, 1, hidden]``."""
    first = output.last_hidden_state[0, given["cu_seq_lens_q"][:-1].long()][:, None]
    output.last_hidden_state = first
    if getattr(module, "pooler", None) is not None:
        output.pooler_output = module.pooler(first)
    return output


def _keep_means(_: Any, __: Any, given: dict[str, Any], output: Any) -> Any:
    """Give the head, which takes means, a batch of texts of one token: ``[texts, 1, hidden]``."""
    hidden = output.last_hidden_state[0]
    lengths = given["cu_seq_lens_q"].diff()
    texts = torch.arange(len(lengths), device=hidden.device)
    # With their number, nothing waits for the GPU to count them.
    texts = texts.repeat_interleave(lengths, output_size=len(hidden))
    sums = hidden.new_zeros(len(lengths), hidden.shape[1], dtype=torch.float32)
    means = sums.index_add(0, texts, hidden.float()) / lengths[:, None]
    output.last_hidden_state = means.to(hidden.dtype)[:, None]
    return output


Kernel = Callable[[Any, Any, Any, Any, int, float, int], Any]


def attend_one_by_one(
    query: Any, key: Any, value: Any, starts: Any, longest: int, scale: float, window: int
) -> Any:
    """Attention within each text; all of ``query``, ``key``, ``value`` ``[tokens, heads, width]``.

    Returns the same shape. ``starts``: ``int32 [texts + 1]``, as in ``Packed``. ``window``: the
    number of tokens that a token sees to each side, or -1 for the whole text.
    """
    del longest
    outputs = []
    for start, stop in pairwise(starts.tolist()):
        texts = (each[start:stop].transpose(0, 1)[None] for each in (query, key, value))
        mask = None
        if -1 < window < stop - start - 1:
            index = torch.arange(stop - start, device=query.device)
            mask = (index[:, None] - index).abs() <= window
        attended = torch.nn.functional.scaled_dot_product_attention(
            *texts, attn_mask=mask, scale=scale
        )
        outputs.append(attended[0].transpose(0, 1))
    return torch.cat(outputs)


def attend_at_once(
    query: Any, key: Any, value: Any, starts: Any, longest: int, scale: float, window: int
) -> Any:
    """``attend_one_by_one`` with torch's flash attention: float16 or bfloat16, on a GPU."""
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn(
        query,
        key,
        value,
        starts,
        starts,
        longest,
        longest,
        scale=scale,
        window_size=(window, window),
    )


def _attention(
    _: Any,
    query: Any,
    key: Any,
    value: Any,
    __: Any,
    *,
    cu_seq_lens_q: Any,
    max_length_q: int,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **___: Any,
) -> tuple[Any, None]:
    """Attention as transformers calls it: ``[1, heads, tokens, width]`` three times.

    Returns ``[1, tokens, heads, width]``.
    """
    kernel: Kernel = attend_at_once if query.is_cuda else attend_one_by_one
    query, key, value = (each[0].transpose(0, 1) for each in (query, key, value))
    output = kernel(
        query,
        key,
        value,
        cu_seq_lens_q,
        max_length_q,
        query.shape[-1] ** -0.5 if scaling is None else scaling,
        # transformers' number includes the token itself.
        -1 if sliding_window is None else sliding_window - 1,
    )
    return output[None], None


# Without a mask function of the same name, transformers makes no mask.
transformers.AttentionInterface.register(ATTENTION, _attention)
