"""Plan batches by token budget: integers in, integers out."""

from __future__ import annotations

from collections.abc import Sequence


def plan_batches(
    lengths: Sequence[int], max_batch_tokens: int, *, equal_lengths: bool = False
) -> list[list[int]]:
    """Group pairs into batches whose padded size stays within a budget.

    ``lengths[i]`` is pair ``i``'s length in tokens. Returns lists of ``i``: each pair once, longest
    first, so that pairs of like length share a batch and the largest allocation comes first. A
    batch of n pairs costs n × its longest pair ≤ ``max_batch_tokens``; a single pair above the
    budget is a batch of its own. With ``equal_lengths``, all pairs of a batch have the same length,
    so that there is no padding.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batches: list[list[int]] = []
    capacity = 0
    for pair in order:
        other = equal_lengths and batches and lengths[batches[-1][0]] != lengths[pair]
        if not batches or len(batches[-1]) >= capacity or other:
            batches.append([])
            capacity = max(1, max_batch_tokens // max(1, lengths[pair]))
        batches[-1].append(pair)
    return batches


def plan_in_order(
    lengths: Sequence[int], max_batch_tokens: int, *, equal_lengths: bool = False
) -> list[list[int]]:
    """Group pairs like ``plan_batches``, but in the order given, so that the first come first."""
    batches: list[list[int]] = []
    longest = 0
    for pair, length in enumerate(lengths):
        longest = max(longest, length)
        fits = batches and (len(batches[-1]) + 1) * longest <= max_batch_tokens
        if not fits or (equal_lengths and lengths[batches[-1][-1]] != length):
            batches.append([])
            longest = length
        batches[-1].append(pair)
    return batches
