"""Texts to rank: words of several scripts, and documents of them."""

from __future__ import annotations

from random import Random


def texts() -> tuple[list[str], list[str]]:
    """Words of several scripts, and 200 documents of 0 to 120 of them."""
    random = Random(7)
    syllables = ["ka", "lor", "mi", "ten", "su", "ré", "vô", "ßel", "да", "но", "東", "京"]
    words = ["".join(random.choices(syllables, k=random.randint(1, 4))) for _ in range(300)]
    words += ["Harbour", "ferry", "twenty-six", "don't", "🍋", "😀👍🏽", "...", "3.14", "متحف"]
    lengths = [*range(1, 121), *(random.randint(1, 20) for _ in range(79)), 0]
    random.shuffle(lengths)
    return words, [" ".join(random.choices(words, k=length)) for length in lengths]


WORDS, DOCUMENTS = texts()
QUERY = " ".join(WORDS[:5])
