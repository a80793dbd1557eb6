"""Backend torch: texts end to end, without padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from parity.torch_models import PACKED, PADDED, make_encoder, open_network, torch

from resift.backends.torch import packing
from resift.text.batch import Batch


@pytest.mark.parametrize("name", sorted(PACKED | PADDED))
def test_which_encoders_run_packed(name: str, tmp_path: Path) -> None:
    network = open_network(make_encoder(name, tmp_path).folder)
    assert isinstance(network, packing.PackedNetwork) is (name in PACKED)


def test_attention_stays_inside_each_text() -> None:
    """``attend_one_by_one`` against one masked attention over all texts."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(13, 2, 8, generator=generator) for _ in range(3))
    starts = torch.tensor([0, 1, 9, 13], dtype=torch.int32)
    owner = torch.tensor([0] + [1] * 8 + [2] * 4)
    index = torch.arange(13)
    for window in (-1, 2):
        seen = owner[:, None] == owner
        if window >= 0:
            seen &= (index[:, None] - index).abs() <= window
        expected = torch.nn.functional.scaled_dot_product_attention(
            *(each.transpose(0, 1) for each in (query, key, value)), attn_mask=seen, scale=0.3
        ).transpose(0, 1)
        found = packing.attend_one_by_one(query, key, value, starts, 8, 0.3, window)
        torch.testing.assert_close(found, expected)


def test_packing_removes_padding(device: str) -> None:
    batch = Batch(
        input_ids=np.array([[5, 6, 7], [8, 0, 0]]),
        attention_mask=np.array([[1, 1, 1], [1, 0, 0]]),
        token_type_ids=np.array([[0, 0, 1], [1, 0, 0]]),
    )
    packed = packing.pack(batch, torch.device(device), first_position=2)
    assert packed.input_ids.tolist() == [[5, 6, 7, 8]]
    assert packed.token_type_ids.tolist() == [[0, 0, 1, 1]]
    assert packed.position_ids.tolist() == [[2, 3, 4, 2]]
    assert packed.starts.tolist() == [0, 3, 4]
    assert (packed.longest, packed.starts.dtype) == (3, torch.int32)
