"""Texts to token ids, and pairs of them to batches."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resift.errors import InvalidRequestError, UnsupportedModelError
from resift.text.batch import Batch, Ids, Pair, as_ids
from resift.text.prompt import Prompt
from resift.text.template import PairTemplate
from resift.text.windows import LongDocuments, TokenizedText, cut_text

# The most that the tokenizer gets at once: it keeps about 100 bytes for each token, and a request
# may have hundreds of documents of a megabyte each.
_TEXTS_AT_ONCE, _CHARACTERS_AT_ONCE = 64, 1_000_000


@dataclass(frozen=True, slots=True)
class TokenizedRequest:
    """A query and its different texts as token ids."""

    query: Ids
    query_truncated: bool
    texts: tuple[TokenizedText, ...]

    @property
    def pairs(self) -> int:
        """The number of pairs that the model scores: one for each window."""
        return sum(len(text.windows) for text in self.texts)


class PairTokenizer:
    """The tokenizer of a ``tokenizer.json``; threads may share it.

    ``path`` is the file's. ``pad_token_id`` fills up batches; ``prompt`` is for models whose
    tokenizer doesn't join pairs. Raises ``UnsupportedModelError`` for a file that can't be read or
    whose pairs have no plain template.
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
        """The ids of ``tokens``. Raises ``UnsupportedModelError`` for an unknown token."""
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
        self,
        query: str,
        texts: Sequence[str],
        *,
        max_length: int,
        long_documents: LongDocuments,
        max_document_tokens: int | None = None,
    ) -> TokenizedRequest:
        """Cut a query and its documents to ``max_length`` tokens a pair.

        The query keeps at most half of ``max_length``; a document gets the rest, and loses its
        tail (``"truncate"``) or is spread over overlapping windows (``"windows"``). Before that,
        it is cut to ``max_document_tokens``.
        Raises ``InvalidRequestError`` where ``max_length`` is below ``min_length``.
        """
        whole_query, kept_query, room = self._room(query, max_length)
        return TokenizedRequest(
            query=kept_query,
            query_truncated=len(kept_query) < len(whole_query),
            texts=tuple(
                cut_text(ids, room, long_documents, max_document_tokens)
                for ids in self._encode(texts)
            ),
        )

    def cuts(
        self,
        query: str,
        texts: Sequence[str],
        *,
        max_length: int,
        long_documents: LongDocuments,
        max_document_tokens: int | None = None,
    ) -> Iterator[int | None]:
        """Find where ``tokenize`` cuts the tail of each text.

        The offset, in code points, where the first token begins that isn't kept; ``None`` where all
        are. Raises as ``tokenize`` does.
        """
        _, _, room = self._room(query, max_length)
        rooms = [max_document_tokens, None if long_documents == "windows" else room]
        most = min((each for each in rooms if each is not None), default=sys.maxsize)
        for chunk in _chunks(texts):
            for encoding in self._tokenizer.encode_batch(chunk, add_special_tokens=False):
                dropped = encoding.offsets[most:]
                yield dropped[0][0] if dropped else None

    def _room(self, query: str, max_length: int) -> tuple[Ids, Ids, int]:
        """The query's tokens, those that are kept, and how many of each document's are."""
        if max_length < self.min_length:
            raise InvalidRequestError(
                f"max_length={max_length} leaves no room for text: this model needs at least "
                f"{self.min_length}, special tokens included"
            )
        whole = next(self._encode([query]))
        room = max_length - self._template.size
        kept = whole[: min(max_length // 2, room - 1)]
        return whole, kept, room - len(kept)

    def length(self, pair: Pair) -> int:
        """The number of tokens in a pair, special tokens included."""
        return self._template.size + len(pair.query) + len(pair.document)

    def collate(self, pairs: Sequence[Pair], length: int | None = None) -> Batch:
        """Join and pad pairs to ``[len(pairs), length]``; by default, to the longest pair."""
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
                yield as_ids(encoding.ids)


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
