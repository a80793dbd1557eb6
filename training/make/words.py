"""The words of `resift-multilingual`: which pieces of a large vocabulary its languages need.

A piece stays if the languages' texts use it, or if it is a single character. What room is left goes
to the pieces in Latin letters that are most frequent anywhere, for words that no text here has. The
scores stay, so that a text whose pieces are all there is cut as before.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer
from tokenizers.models import Unigram
from tokenizers.normalizers import NFKC, Nmt, Replace
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing

from packed import Packed, Piece

BEGIN, PAD, END, UNKNOWN = "<s>", "<pad>", "</s>", "<unk>"
SPECIAL = (BEGIN, PAD, END, UNKNOWN)
_WORDS = "embeddings.word_embeddings.weight"
_AT_ONCE = 2000
_SPACE = "\u2581"


def make_tokenizer(pieces: Sequence[Piece]) -> Tokenizer:
    """The tokenizer of these pieces, the `SPECIAL` ones first.

    SentencePiece's rules "nmt_nfkc", which the package writes out character by character, are those
    of the two normalizers for all but two characters.
    """
    tokenizer = Tokenizer(
        Unigram([(each.text, each.score) for each in pieces], unk_id=SPECIAL.index(UNKNOWN))
    )
    tokenizer.normalizer = Normalizers([Nmt(), NFKC(), Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = Metaspace(replacement=_SPACE, prepend_scheme="always")
    tokenizer.add_special_tokens([BEGIN, PAD, END])
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BEGIN} $A {END}",
        pair=f"{BEGIN} $A {END} {BEGIN}:1 $B:1 {END}:1",
        special_tokens=[(BEGIN, SPECIAL.index(BEGIN)), (END, SPECIAL.index(END))],
    )
    return tokenizer


def count(tokenizer: Tokenizer, texts: Iterable[str]) -> Counter[int]:
    """How often `texts`, each once, use each piece."""
    found: Counter[int] = Counter()
    different = list(dict.fromkeys(texts))
    for start in range(0, len(different), _AT_ONCE):
        chunk = different[start : start + _AT_ONCE]
        for encoding in tokenizer.encode_batch(chunk, add_special_tokens=False):
            found.update(encoding.ids)
    return found


def choose(
    pieces: Sequence[Piece],
    used: Mapping[str, Counter[int]],
    least: Mapping[str, int],
    size: int,
) -> list[int]:
    """The ids of the `size` pieces that stay, in order.

    `used` and `least` are by language: how often its texts use each piece, and how often they must.
    Raises `ValueError` where `size` has no room for all of those.
    """
    needed = set(range(len(SPECIAL)))
    needed |= {number for number, each in enumerate(pieces) if _single(each.text)}
    for language, found in used.items():
        needed |= {
            number
            for number, times in found.items()
            if times >= least[language] and _is_latin(pieces[number].text)
        }
    if len(needed) > size:
        raise ValueError(f"{len(needed)} pieces are needed, more than the {size} that are wanted")
    others = [
        number
        for number, each in enumerate(pieces)
        if number not in needed and _is_latin(each.text)
    ]
    others.sort(key=lambda number: -pieces[number].score)
    return sorted(needed | set(others[: size - len(needed)]))


def cut(packed: Packed, kept: Collection[int]) -> Packed:
    """The same encoder with the pieces `kept` alone, which come in their order."""
    rows = np.fromiter(kept, np.int64)
    words: NDArray[Any] = packed.state[_WORDS][rows]
    state = packed.state | {_WORDS: np.ascontiguousarray(words, np.float32)}
    return Packed(state, [packed.pieces[number] for number in rows])


def _single(text: str) -> bool:
    """Whether it is a Latin, Greek or Cyrillic letter, or a mark, with or without a space."""
    letter = text.removeprefix(_SPACE)
    return len(letter) == 1 and (ord(letter) < 0x530 or 0x2000 <= ord(letter) < 0x2C00)


def _is_latin(text: str) -> bool:
    return all(not each.isalpha() or "LATIN" in unicodedata.name(each, "") for each in text)
