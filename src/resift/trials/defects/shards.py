"""Broken shards: a part of the documents that is never found.

A part is a stretch of the corpus's order or of the ids' order, all ids with the same beginning, or
those that a hash or a remainder sends to one of several shards.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from resift.trials.defects.defect import Defect, share

# Chances below this, by all the parts that are looked at, aren't chance.
_CHANCE = 1e-4
_SHARDS = range(2, 33)
_LEAST = 8
_MOST = 5000
_EVEN = 0.5
_RATE = 0.5
_STRETCH = "numbers"
_OFTEN, _PART, _EXCESS = 4, 0.03, 2

_ADVICE = (
    "A shard or a part of the index isn't searched or was never filled: compare the number of "
    "documents that it says it has with the corpus's"
)
Chosen = NDArray[np.bool_]
Hash = Callable[[str], int | None]


def _remainder(name: str) -> int | None:
    digits = re.search(r"(\d+)\D*$", name)
    return int(digits.group(1)) if digits else None


_HASHES: Mapping[str, Hash] = {
    "number": _remainder,
    "crc32": lambda name: zlib.crc32(name.encode()),
    "adler32": lambda name: zlib.adler32(name.encode()),
    "md5": lambda name: int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(), 16),
    "sha1": lambda name: int(hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(), 16),
    "sha256": lambda name: int(hashlib.sha256(name.encode()).hexdigest(), 16),
}


def broken(expected: Sequence[str], found: AbstractSet[str], *, relevant: bool) -> Defect | None:
    """A part of ``expected`` of which nothing is among ``found``, and shouldn't be by chance.

    ``expected``: ids of documents that should be found about alike often: with ``relevant``, those
    that are relevant to some query; otherwise all of the corpus, in its order.
    """
    names = _thinned(expected, found)
    hit = np.array([name in found for name in names], bool)
    if not 0 < hit.sum() < len(hit):
        return None
    lowest, label, part = 0.0, "", np.zeros(len(hit), bool)
    tried = 0
    for name, chosen in _parts(names, hit):
        tried += 1
        missed = int(chosen.sum())
        if missed < _LEAST or hit[chosen].any():
            continue
        # That as many are all missed, at the rate of those outside.
        outside = float(hit[~chosen].mean())
        if outside < _RATE and name.startswith(_STRETCH):
            # Neighbours in an order are alike: those of a question that nobody asked, or of one
            # that the first stage is poor at.
            continue
        chance = missed * float(np.log1p(-min(outside, 1 - 1e-12)))
        if chance < lowest:
            lowest, label, part = chance, name, chosen
    if lowest + np.log(max(tried, 1) * len(names)) > np.log(_CHANCE):
        return None
    return Defect(
        name="broken shard",
        where="first stage",
        said=f"{share(int(part.sum()), len(names))} {'relevant ' * relevant}documents, {label}, "
        f"were never found for any query; of all others, {100 * hit[~part].mean():.0f} % were",
        advice=_ADVICE,
        evidence={
            "part": label,
            "documents": int(part.sum()),
            "examples": [names[n] for n in np.flatnonzero(part)[:5]],
        },
    )


def never_found(names: Sequence[str], appearances: Mapping[str, int]) -> Defect | None:
    """Far more documents that are in no results than in one alone, where most are in several.

    ``appearances`` counts the queries that each was found for. However a shard is chosen, its
    documents are missing from all results; of others, some are in hardly any.
    """
    counts = np.array([appearances.get(name, 0) for name in names])
    none, one = int((counts == 0).sum()), int((counts == 1).sum())
    if len(counts) < _LEAST or counts.mean() < _OFTEN or none < max(_LEAST, _PART * len(counts)):
        return None
    if none < _EXCESS * max(one, 1):
        return None
    missing = [name for name, count in zip(names, counts, strict=True) if not count]
    return Defect(
        name="broken shard",
        where="first stage",
        said=f"{share(none, len(counts))} documents of the corpus were found for no query, and "
        f"only {one} for one alone, though each is found for {counts.mean():.1f} on average",
        advice=_ADVICE,
        evidence={"documents": none, "examples": missing[:5]},
    )


def missing_remainder(found: AbstractSet[str]) -> Defect | None:
    """One of several shards, by a hash or number of the id, that nothing that was found is from."""
    names = sorted(found)
    for kind, function in _HASHES.items():
        hashed = [function(name) for name in names]
        numbers = [each for each in hashed if each is not None]
        if len(numbers) < len(names) or not numbers:
            continue
        for shards in _SHARDS:
            # Numbers may be given in steps, and parts of a document are counted from 0.
            if kind == "number" and (shards == 2 or max(numbers) < 4 * shards):
                continue
            counts = np.bincount([each % shards for each in numbers], minlength=shards)
            missing = np.flatnonzero(counts == 0)
            chance = len(names) * np.log1p(-1 / shards) + np.log(len(_HASHES) * 32 * shards)
            even = counts[counts > 0].min() >= _EVEN * len(names) / shards
            if len(missing) == 1 and even and chance < np.log(_CHANCE):
                return Defect(
                    name="broken shard",
                    where="first stage",
                    said=f"of {len(names)} documents that were found, none has a {kind} that is "
                    f"{missing[0]} modulo {shards}; all other remainders have their share",
                    advice=_ADVICE,
                    evidence={"part": f"{kind} {missing[0]} modulo {shards}"},
                )
    return None


def _thinned(names: Sequence[str], found: AbstractSet[str]) -> list[str]:
    """Thin the names to 5,000 in their order, half of them found, where there are as many."""
    if len(names) <= _MOST:
        return list(names)
    rng = np.random.default_rng(0)
    hit = np.array([name in found for name in names], bool)
    kept = [
        rng.permutation(places)[: max(_MOST // 2, _MOST - others)]
        for places, others in (
            (np.flatnonzero(hit), int((~hit).sum())),
            (np.flatnonzero(~hit), int(hit.sum())),
        )
    ]
    return [names[place] for place in np.sort(np.concatenate(kept))]


def _parts(names: Sequence[str], hit: Chosen) -> Iterable[tuple[str, Chosen]]:
    """The parts that may be a shard, by what they have in common."""
    yield from _stretches("in the corpus's order", np.arange(len(names)), hit)
    yield from _stretches("in the order of ids", np.argsort(np.array(names)), hit)
    numbers = [_remainder(name) for name in names]
    known = [each for each in numbers if each is not None]
    if len(known) == len(names):
        order = np.array(sorted(range(len(known)), key=known.__getitem__), np.intp)
        yield from _stretches("in the order of their numbers", order, hit)
    beginnings = [re.split(r"[-_/:.\d]", name)[0] for name in names]
    for beginning, count in Counter(beginnings).items():
        if _LEAST <= count < len(names):
            yield (
                f"those whose id begins with {beginning!r}",
                np.array([each == beginning for each in beginnings]),
            )
    for kind, function in _HASHES.items():
        hashed = [function(name) for name in names]
        if any(each is None for each in hashed):
            continue
        for shards in _SHARDS:
            remainders = np.array([int(each or 0) % shards for each in hashed])
            for shard in range(shards):
                # A remainder that no id has is no shard.
                if (remainders == shard).any():
                    yield f"those of {kind} {shard} modulo {shards}", remainders == shard


def _stretches(label: str, order: NDArray[np.intp], hit: Chosen) -> Iterable[tuple[str, Chosen]]:
    """The longest stretch without a hit."""
    at = np.flatnonzero(hit[order])
    edges = np.concatenate([[-1], at, [len(order)]])
    gap = int(np.diff(edges).argmax())
    start, end = int(edges[gap]) + 1, int(edges[gap + 1])
    chosen = np.zeros(len(order), bool)
    chosen[order[start:end]] = True
    yield f"{_STRETCH} {start + 1} to {end} {label}", chosen
