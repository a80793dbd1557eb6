"""Queries and documents, the same for everybody, made from a seed."""

from __future__ import annotations

import random

# Words of a document, from and to. "full" is beyond any model's 512 tokens, so that all cut it.
LENGTHS = {"short": (8, 20), "mixed": (40, 200), "full": (520, 600)}
COUNTS = (10, 50, 100, 200)

_COMMON = """the of and a to in is was for on that with as by at from it be are this which or an has
had not but its were been their more than also into can may most only such when where while after
before between through about some other these they there over under first second later often"""
_TOPICS = """
ocean tide current salinity plankton reef coral sediment seafloor harbour vessel trawler lighthouse
enzyme protein membrane mitochondria receptor antibody genome ribosome catalyst metabolism hormone
compiler register bytecode allocator garbage pointer thread scheduler mutex interpreter optimisation
orchestra symphony conductor violin sonata quartet melody counterpoint rehearsal librettist audience
parliament amendment constituency referendum coalition treaty ministry legislation jurisdiction vote
glacier moraine avalanche permafrost crevasse meltwater snowfield ridge summit expedition altitude
inflation liquidity bond dividend portfolio arbitrage collateral mortgage creditor ledger auditor
telescope nebula quasar spectrograph redshift parallax supernova orbit comet asteroid observatory
"""
_TOPIC_LINES = [line.split() for line in _TOPICS.strip().splitlines()]


def request(kind: str, count: int, number: int) -> tuple[str, list[str]]:
    """The ``number``-th query and its documents; with a smaller ``count``, the first of them."""
    generator = random.Random(f"{kind} {number}")
    query = " ".join(generator.choices(generator.choice(_TOPIC_LINES), k=generator.randint(5, 9)))
    lowest, highest = LENGTHS[kind]
    return query, [_document(generator, generator.randint(lowest, highest)) for _ in range(count)]


def _document(generator: random.Random, length: int) -> str:
    topics = [generator.choice(_TOPIC_LINES), generator.choice(_TOPIC_LINES)]
    share = generator.uniform(0.2, 0.6)
    words: list[str] = []
    sentence = 0
    for place in range(length):
        topical = generator.random() < share
        word = generator.choice(generator.choice(topics) if topical else _COMMON.split())
        words.append(word.capitalize() if sentence == 0 else word)
        sentence += 1
        if place == length - 1 or (sentence > 6 and generator.random() < 0.15):
            words[-1] += "."
            sentence = 0
        elif generator.random() < 0.07:
            words[-1] += ","
    return " ".join(words)
