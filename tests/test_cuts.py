"""Cuts of documents, in characters: what is before fits, and what is after doesn't."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbers_scorer import Numbers
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from resift import InvalidRequestError, Reranker
from resift.families import SequenceClassification
from resift.loading.reader import Reader
from resift.options import RankOptions
from resift.scoring import Cached, Cascade, Fallback, Local, Request
from resift.text.prompt import Prompt
from resift.text.tokenizer import PairTokenizer

QUERY = "how do I sort a dictionary"
WORDS = [
    *("sort", "Unbelievably", "naïve", "café,", "日本語", "東京都で", "🎉", "👩‍👩‍👧‍👦", "שלום"),
    *("مرحبا", "e\u0301te\u0301", "x" * 120, "\x00", "don't", "ﬁne"),
]
SPACES = [" ", "  ", "\n", "\t", "\u3000", "\u00a0"]
MODELS = {name: Reranker(name) for name in ("resift-small", "resift-nano")}


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(SPACES)), max_size=60),
    max_length=st.integers(20, 60),
)
def test_whole_words_before_a_cut_fit_and_one_more_does_not(
    model: str, words: list[tuple[str, str]], max_length: int
) -> None:
    reranker = MODELS[model]
    text = "".join(word + space for word, space in words)
    (cut,) = reranker.cuts(QUERY, [text], max_length=max_length)
    if cut is None:
        assert reranker.rank(QUERY, [text], max_length=max_length)[0].truncated_tokens == 0
        return
    assert 0 < cut < len(text)
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    fits = max((end for end in ends if end <= cut), default=0)
    more = min(end for end in ends if end > cut)
    results = reranker.rank(QUERY, [text, text[:fits], text[:more]], max_length=max_length)
    lost = {result.index: result.truncated_tokens for result in results}
    assert lost[0] >= lost[2] > lost[1] == 0


def test_what_the_model_reads_ends_at_the_cut() -> None:
    text = "日本語 🎉 naïve " * 40
    reranker = MODELS["resift-small"]
    (cut,) = reranker.cuts(QUERY, [text], max_length=50)
    assert cut is not None
    whole, before = reranker.score(QUERY, [text, text[:cut]], max_length=50, normalization="none")
    assert before == pytest.approx(whole, abs=1e-4)
    assert reranker.rank(QUERY, [text[:cut]], max_length=50)[0].truncated_tokens == 0


def test_cuts_are_in_the_order_given_with_the_options_that_ranking_has(tiny: Path) -> None:
    long = "good " * 5 + "bad " * 40
    reranker = Reranker(tiny, max_length=3 + 1 + 5)
    documents = ["a", long, None, "", long, "b"]
    assert reranker.cuts("a", documents) == [None, 25, None, None, 25, None]
    # A long query leaves less room.
    assert reranker.cuts("a a a a", [long]) == [10]
    assert reranker.cuts("a", [long], max_length=3 + 1 + 6) == [29]
    assert reranker.cuts("a", [long], long_documents="windows") == [None]
    assert Reranker(tiny, long_documents="windows").cuts("a", [long]) == [None]
    assert reranker.cuts("a", []) == []
    # A lone surrogate is read as another character, and still is one.
    assert reranker.cuts("a", ["\ud800 " + long]) == [2 + 20]
    for wrong in ({"max_length": 4}, {"max_length": 33}, {"long_documents": "windowed"}):
        with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
            reranker.cuts("a", [long], **wrong)
    with pytest.raises(InvalidRequestError, match="query"):
        reranker.cuts(" ", [long])


def test_scorers_of_one_model_tell_where_they_cut(
    tiny: Path, caplog: pytest.LogCaptureFixture
) -> None:
    long, model = "good " * 40, Local(tiny)
    for scorer in (model, Cached(model), Cached(Cached(model))):
        assert Reranker(scorer=scorer, max_length=9).cuts("a", [long]) == [25]
    others = (
        Numbers(),
        Cached(Numbers()),
        Fallback(model, model),
        Cascade([model, model], keep=[1]),
    )
    for other in others:
        with pytest.raises(InvalidRequestError, match="doesn't tell where it cuts"):
            Reranker(scorer=other).cuts("a", [long])
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


@pytest.fixture
def bytewise(tmp_path: Path) -> Path:
    """A ``tokenizer.json`` that makes each byte a token: an emoji is four."""
    alphabet = sorted(ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({each: at for at, each in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


class Prompted(SequenceClassification):
    """A family with a prompt of no special tokens, which begins documents with ``words``."""

    def __init__(self, words: str) -> None:
        self._words = words

    @property
    def prompt(self) -> Prompt:
        return Prompt((), "{}", (), (), self._words, (), ())

    def format(self, query: str, documents: Sequence[str]) -> tuple[str, Sequence[str]]:
        return query, [self._words.format(text) for text in documents]


@pytest.mark.parametrize("words", ["{}", " {}", "b: {}"])
def test_a_prompts_own_words_do_not_count_and_a_part_of_a_character_does_not(
    bytewise: Path, words: str
) -> None:
    family = Prompted(words)
    tokenizer = PairTokenizer(bytewise, pad_token_id=0, prompt=family.prompt)
    reader = Reader("it", family, tokenizer, window=99, max_length=99)
    request = Request.of("q", ["abcdef", "a🎉b", "ab"])
    # One token is the query's.
    lengths = [1 + len(words.format("")) + kept for kept in (1, 2, 4, 5, 6)]
    found = [reader.cuts(request, RankOptions(max_length=each)) for each in lengths]
    assert found == [[1, 1, 1], [2, 1, None], [4, 1, None], [5, 2, None], [None, None, None]]
    if len(words) > 2:
        # Nothing of the document was read.
        assert reader.cuts(request, RankOptions(max_length=2))[0] == 0


def test_a_family_that_rewrites_texts_cannot_tell(bytewise: Path) -> None:
    class Rewriting(Prompted):
        def format(self, query: str, documents: Sequence[str]) -> tuple[str, Sequence[str]]:
            return query, [text.upper() for text in documents]

    family = Rewriting("{}")
    tokenizer = PairTokenizer(bytewise, pad_token_id=0, prompt=family.prompt)
    reader = Reader("it", family, tokenizer, window=99, max_length=3)
    assert reader.cuts(Request.of("q", ["ab"]), RankOptions()) == [None]
    with pytest.raises(InvalidRequestError, match="it can't tell where it cuts"):
        reader.cuts(Request.of("q", ["abcdef"]), RankOptions())
