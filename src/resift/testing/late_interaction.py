"""Properties of every model that scores by late interaction, as a pytest suite to inherit.

Query and document are each encoded as a text by itself, so that a document's first word counts as
much as any other, and a text of one word as much as a long one.
"""

from __future__ import annotations

from functools import cache
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resift import Reranker
from resift.testing.scores import PROPERTY

SENTENCES = (
    "Paris is lovely in the spring.",
    "Copper conducts electricity better than iron.",
    "Honey never spoils if it is kept dry.",
    "Glaciers move a few metres every year.",
    "Bicycles need less space than cars.",
    "Tea was first grown in China.",
    "Volcanoes may sleep for centuries.",
    "Mondays are when the museum is closed.",
    "Penguins can't fly but swim very well.",
    "Concrete hardens even under water.",
    "Jupiter has more than ninety moons.",
    "Basil grows best in a sunny window.",
    "Whales sleep with half of their brain.",
    "Rust is what iron turns into when wet.",
    "Chess was brought to Europe by the Moors.",
    "Lightning heats the air around it.",
    "Salt lowers the temperature at which water freezes.",
    "Bees tell each other where flowers are.",
    "Coffee loses its aroma after grinding.",
    "Bamboo can grow a metre in one day.",
    "Violins are tuned in fifths.",
    "Owls turn their heads very far.",
    "Glass is made from sand.",
    "Maps distort the size of countries.",
    "Cheese ripens in cool cellars.",
    "Tides follow the moon.",
    "Paper was invented two thousand years ago.",
    "Wolves hunt in packs.",
    "Deserts are cold at night.",
    "Snow muffles sound.",
)
"""Sentences, each of which begins with a word that no other has."""

MARKS = ("- ", "* ", "… ", '"', "(", "1. ", "# ")
"""Punctuation in front of sentences, as in lists, quotations and headings."""

KEYWORDS = tuple(sentence.split()[0].lower() for sentence in SENTENCES)

_words = st.lists(st.sampled_from([*KEYWORDS, "the", "of", "is"]), min_size=1, max_size=8)
_short_texts = st.lists(_words.map(" ".join), min_size=2, max_size=8, unique=True)


class LateInteractionContract:
    """Rows for one model. Subclasses name the model, and how far its logits may move."""

    model: str | Path
    """A name or a folder, as ``Reranker`` takes it."""
    place_tolerance: float = 2.0
    """The most that a keyword's place in a sentence may move the logit."""
    punctuation_tolerance: float = 1.0
    """The most that punctuation in front of a sentence may move the logit."""

    @pytest.fixture(params=[None, "fp32"], ids=["default", "fp32"])
    def scorer(self, request: pytest.FixtureRequest) -> Reranker:
        """The model with raw logits as scores, in each precision that every machine runs."""
        return _scorer(self.model, request.param)

    def test_first_words_find_their_sentences(self, scorer: Reranker) -> None:
        found = [scorer.rank(keyword, SENTENCES)[0].index for keyword in KEYWORDS]
        assert found == list(range(len(SENTENCES)))

    @pytest.mark.parametrize("words", range(1, 9))
    def test_a_text_finds_itself_at_every_length(self, scorer: Reranker, words: int) -> None:
        every = " ".join(SENTENCES).split()
        texts = [" ".join(every[n : n + words]) for n in range(0, 48, 2)]
        for place, text in enumerate(texts):
            assert scorer.rank(text, texts)[0].index == place

    def test_single_words_are_told_apart(self, scorer: Reranker) -> None:
        assert scorer.rank("last", ["first", "last"])[0].index == 1
        for place, keyword in enumerate(KEYWORDS):
            assert scorer.rank(keyword, KEYWORDS)[0].index == place

    @PROPERTY
    @given(texts=_short_texts)
    def test_no_text_answers_another_better_than_itself(self, texts: list[str]) -> None:
        ranking = _scorer(self.model, "fp32").rank(texts[0], texts)
        assert ranking[0].index == 0

    def test_a_keywords_place_moves_the_logit_little(self, scorer: Reranker) -> None:
        spreads = []
        for keyword, sentence in zip(KEYWORDS, SENTENCES, strict=True):
            others = sentence.split()[1:]
            moved = [
                " ".join([*others[:place], keyword, *others[place:]])
                for place in range(len(others) + 1)
            ]
            logits = scorer.score(keyword, moved)
            spreads.append(max(logits) - min(logits))
        assert max(spreads) <= self.place_tolerance

    @pytest.mark.parametrize("mark", MARKS)
    def test_punctuation_in_front_moves_the_logit_little(self, scorer: Reranker, mark: str) -> None:
        moved = []
        for keyword, sentence in zip(KEYWORDS, SENTENCES, strict=True):
            plain, marked = scorer.score(keyword, [sentence, mark + sentence])
            moved.append(abs(marked - plain))
        assert max(moved) <= self.punctuation_tolerance

    def test_first_words_are_found_behind_punctuation(self, scorer: Reranker) -> None:
        marked = [mark + each for mark, each in zip(cycle(MARKS), SENTENCES, strict=False)]
        found = [scorer.rank(keyword, marked)[0].index for keyword in KEYWORDS]
        assert found == list(range(len(SENTENCES)))


@cache
def _scorer(model: str | Path, precision: str | None) -> Reranker:
    """Load the model once, as loading takes longer than a row."""
    return Reranker(model, precision=precision, normalization="none")
