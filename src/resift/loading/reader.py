"""A model's way of reading texts: its family's format, its tokenizer and its lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from resift.errors import InvalidRequestError
from resift.families.protocol import Family
from resift.options import RankOptions
from resift.request import Request
from resift.text.tokenizer import PairTokenizer, TokenizedRequest
from resift.text.windows import LongDocuments


class _Lengths(TypedDict):
    max_length: int
    long_documents: LongDocuments
    max_document_tokens: int | None


@dataclass(frozen=True, slots=True)
class Reader:
    """Turns requests into token ids. Models that share a reader read the same tokens."""

    name: str
    """The model's name, for messages."""
    family: Family
    tokenizer: PairTokenizer
    window: int
    """The longest pair the model was built for, in tokens."""
    max_length: int
    """The longest pair, in tokens, where a call gives no ``max_length``."""

    def tokenize(self, request: Request, options: RankOptions) -> TokenizedRequest:
        """Tokenize a request.

        Raises ``InvalidRequestError`` for a ``max_length`` beyond the model's window, or one that
        leaves no room for text.
        """
        query, texts = self.family.format(request.query, request.texts)
        return self.tokenizer.tokenize(query, texts, **self._lengths(options))

    def cuts(self, request: Request, options: RankOptions) -> list[int | None]:
        """Find where each of a request's texts is cut; see ``Cutting``. Raises as ``tokenize``."""
        query, texts = self.family.format(request.query, request.texts)
        found = self.tokenizer.cuts(query, texts, **self._lengths(options))
        return [
            cut if cut is None else self._within(text, formatted, cut)
            for text, formatted, cut in zip(request.texts, texts, found, strict=True)
        ]

    def _within(self, text: str, formatted: str, cut: int) -> int:
        """The place in a text that the place ``cut`` in its ``formatted`` form is."""
        # A prompt may have words of its own before the text.
        before = formatted.rfind(text)
        if before < 0:
            raise InvalidRequestError(
                f"{self.name} can't tell where it cuts documents, as it rewrites their texts"
            )
        return max(0, cut - before)

    def _lengths(self, options: RankOptions) -> _Lengths:
        max_length = options.max_length or self.max_length
        if max_length > self.window:
            raise InvalidRequestError(
                f"max_length={max_length} is more than {self.name} was built for; expected at most "
                f"{self.window}. For longer documents: long_documents='windows'"
            )
        return {
            "max_length": max_length,
            "long_documents": options.long_documents,
            "max_document_tokens": options.max_document_tokens,
        }
