"""Texts to token ids, once; truncation and windows; batches collated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resift.errors import InvalidRequestError, UnsupportedModelError
from resift.options import LongDocuments
from resift.prompt import Prompt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = NDArray[np.int32]

WINDOW_OVERLAP = 0.25
"""Share of a window that the next repeats: a passage up to that long is whole in one of them."""

# What the tokenizer gets at once: it keeps about 100 bytes for each token, and a request may have
# hundreds of documents of a megabyte each.
_TEXTS_AT_ONCE, _CHARACTERS_AT_ONCE = 64, 1_000_000


@dataclass(frozen=True, slots=True)
class Batch:
    """What a forward pass takes: three ``int64 [batch, length]``, padded at the right."""

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]
    token_type_ids: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Document:
    """One text in token ids, without special tokens, as the model will see it."""

    windows: tuple[Ids, ...]
    """One, or several that overlap."""
    truncated_tokens: int


@dataclass(frozen=True, slots=True)
class TokenizedRequest:
    """A query and its different texts in token ids."""

    query: Ids
    query_truncated: bool
    documents: tuple[Document, ...]

    @property
    def pairs(self) -> int:
        """How many pairs the model scores: one for each window."""
        return sum(len(document.windows) for document in self.documents)

    def only(self, kept: NDArray[np.bool_]) -> TokenizedRequest:
        """The same query, with the texts that are ``kept`` (``[texts]``)."""
        return replace(self, documents=tuple(compress(self.documents, kept)))


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and one window of a document: ``int32 [tokens]`` each, without special tokens."""

    query: Ids
    document: Ids


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """How two texts become one sequence: ``before + query + between + document + after``."""

    input_ids: tuple[Ids, Ids, Ids]
    """Special tokens before, between and after."""
    token_type_ids: tuple[Ids, Ids, Ids]
    query_type: int
    document_type: int

    @property
    def size(self) -> int:
        """How many special tokens a pair has."""
        return sum(map(len, self.input_ids))

    @classmethod
    def read(cls, tokenizer: Tokenizer) -> PairTemplate:
        """Read it off a pair that the tokenizer itself has joined.

        Raises ``UnsupportedModelError`` where a pair isn't its two parts with specials around.
        """
        query = tokenizer.encode("a", add_special_tokens=False).ids
        document = tokenizer.encode("b", add_special_tokens=False).ids
        pair = tokenizer.encode("a", "b")
        at = [i for i, owner in enumerate(pair.sequence_ids) if owner == 0]
        to = [i for i, owner in enumerate(pair.sequence_ids) if owner == 1]
        if not (
            at
            and to
            and pair.ids[at[0] : at[-1] + 1] == query
            and pair.ids[to[0] : to[-1] + 1] == document
            and at[-1] < to[0]
        ):
            raise UnsupportedModelError(
                f"the tokenizer joins 'a' and 'b' as {pair.tokens}, which is not its tokens of 'a' "
                "and of 'b' with special tokens around them; resift can't run such a model"
            )
        around = (slice(0, at[0]), slice(at[-1] + 1, to[0]), slice(to[-1] + 1, None))
        before, between, after = (_ids(pair.ids[part]) for part in around)
        types = [_ids(pair.type_ids[part]) for part in around]
        return cls(
            input_ids=(before, between, after),
            token_type_ids=(types[0], types[1], types[2]),
            query_type=pair.type_ids[at[0]],
            document_type=pair.type_ids[to[0]],
        )

    @classmethod
    def of_prompt(cls, tokenizer: Tokenizer, prompt: Prompt) -> PairTemplate:
        """Each piece of the prompt tokenized by itself; the document's types are 1, with its label.

        A language model has no types: they tell a backend where the document is.
        """

        def tokenize(pieces: Sequence[str]) -> Ids:
            encodings = [tokenizer.encode(piece, add_special_tokens=False) for piece in pieces]
            return _ids([each for encoding in encodings for each in encoding.ids])

        pieces = (prompt.before, prompt.between, prompt.label, prompt.after)
        before, between, label, after = map(tokenize, pieces)
        types = np.concatenate([np.zeros_like(between), np.ones_like(label)])
        return cls(
            input_ids=(before, np.concatenate([between, label]), after),
            token_type_ids=(np.zeros_like(before), types, np.zeros_like(after)),
            query_type=0,
            document_type=1,
        )


class PairTokenizer:
    """A ``tokenizer.json``, configured once here and never changed, so that threads may share it.

    ``pad_token_id`` fills up batches; ``prompt`` is for models whose pairs the tokenizer doesn't
    join. Raises ``UnsupportedModelError`` for a file that can't be read or whose pairs have no
    plain template.
    """

    def __init__(self, path: Path, *, pad_token_id: int, prompt: Prompt | None = None) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        # The binding raises bare Exception for every fault in the file.
        except Exception as error:
            raise UnsupportedModelError(
                f"{path} is not a readable tokenizer.json: {error}"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._path = path
        self._template = (
            PairTemplate.of_prompt(self._tokenizer, prompt)
            if prompt
            else PairTemplate.read(self._tokenizer)
        )
        self._pad_token_id = pad_token_id

    def token_ids(self, tokens: Sequence[str]) -> list[int]:
        """Their ids. Raises ``UnsupportedModelError`` for a token that isn't in the vocabulary."""
        found = (self._tokenizer.token_to_id(token) for token in tokens)
        ids = [token_id for token_id in found if token_id is not None]
        if len(ids) < len(tokens):
            raise UnsupportedModelError(
                f"{self._path} lacks one of the tokens {list(tokens)}, whose logits are the "
                "relevance for this kind of model; is it another kind? A card.json names the family"
            )
        return ids

    @property
    def min_length(self) -> int:
        """The shortest ``max_length`` with room for one token of each text."""
        return self._template.size + 2

    def tokenize(
        self, query: str, texts: Sequence[str], *, max_length: int, long_documents: LongDocuments
    ) -> TokenizedRequest:
        """Cut a query and its documents to ``max_length`` tokens a pair.

        The query keeps at most half of ``max_length``; a document gets the rest, and loses its
        tail (``"truncate"``) or is spread over overlapping windows (``"windows"``).
        Raises ``InvalidRequestError`` where ``max_length`` is below ``min_length``.
        """
        if max_length < self.min_length:
            raise InvalidRequestError(
                f"max_length={max_length} leaves no room for text: this model needs at least "
                f"{self.min_length}, special tokens included"
            )
        whole_query = next(self._encode([query]))
        room = max_length - self._template.size
        kept_query = whole_query[: min(max_length // 2, room - 1)]
        room -= len(kept_query)
        cut = _cut_windows if long_documents == "windows" else _cut_tail
        return TokenizedRequest(
            query=kept_query,
            query_truncated=len(kept_query) < len(whole_query),
            documents=tuple(cut(ids, room) for ids in self._encode(texts)),
        )

    def length(self, pair: Pair) -> int:
        """Tokens of a pair, special tokens included."""
        return self._template.size + len(pair.query) + len(pair.document)

    def collate(self, pairs: Sequence[Pair], length: int | None = None) -> Batch:
        """Join and pad pairs to ``[len(pairs), length]``, by default the longest pair's."""
        shape = (len(pairs), length or max(map(self.length, pairs)))
        input_ids = np.full(shape, self._pad_token_id, dtype=np.int64)
        attention_mask = np.zeros(shape, dtype=np.int64)
        token_type_ids = np.zeros(shape, dtype=np.int64)
        template = self._template
        for row, pair in enumerate(pairs):
            before, between, after = template.input_ids
            ids = np.concatenate([before, pair.query, between, pair.document, after])
            before, between, after = template.token_type_ids
            query_types = np.full(len(pair.query), template.query_type)
            document_types = np.full(len(pair.document), template.document_type)
            types = np.concatenate([before, query_types, between, document_types, after])
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
            token_type_ids[row, : len(ids)] = types
        return Batch(input_ids, attention_mask, token_type_ids)

    def _encode(self, texts: Sequence[str]) -> Iterator[Ids]:
        for chunk in _chunks(texts):
            for encoding in self._tokenizer.encode_batch_fast(chunk, add_special_tokens=False):
                yield _ids(encoding.ids)


def _chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    characters = 0
    for text in texts:
        if chunk and (len(chunk) == _TEXTS_AT_ONCE or characters + len(text) > _CHARACTERS_AT_ONCE):
            yield chunk
            chunk, characters = [], 0
        chunk.append(text)
        characters += len(text)
    if chunk:
        yield chunk


def _ids(ids: list[int]) -> Ids:
    return np.asarray(ids, dtype=np.int32)


def _cut_tail(ids: Ids, room: int) -> Document:
    # A copy, so that the rest of a long document is freed.
    kept = ids[:room].copy() if len(ids) > room else ids
    return Document(windows=(kept,), truncated_tokens=len(ids) - len(kept))


def _cut_windows(ids: Ids, room: int) -> Document:
    return Document(
        windows=tuple(ids[start : start + room] for start in window_starts(len(ids), room)),
        truncated_tokens=0,
    )


def window_starts(length: int, size: int) -> list[int]:
    """Where windows of ``size`` tokens begin, so that together they cover ``length`` tokens.

    Each overlaps the one before by ``WINDOW_OVERLAP`` of ``size`` or more; the last is moved back
    to end with the text, so that it is full too.
    """
    if length <= size:
        return [0]
    stride = max(1, round(size * (1 - WINDOW_OVERLAP)))
    return [*range(0, length - size, stride), length - size]
