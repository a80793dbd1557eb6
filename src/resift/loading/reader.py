"""A model's way of reading texts: its family's format, its tokenizer and its lengths."""

from __future__ import annotations

from dataclasses import dataclass

from resift.errors import InvalidRequestError
from resift.families.protocol import Family
from resift.options import RankOptions
from resift.request import Request
from resift.text.tokenizer import PairTokenizer, TokenizedRequest


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
        max_length = options.max_length or self.max_length
        if max_length > self.window:
            raise InvalidRequestError(
                f"max_length={max_length} is more than {self.name} was built for; expected at most "
                f"{self.window}. For longer documents: long_documents='windows'"
            )
        query, texts = self.family.format(request.query, request.texts)
        return self.tokenizer.tokenize(
            query,
            texts,
            max_length=max_length,
            long_documents=options.long_documents,
            max_document_tokens=options.max_document_tokens,
        )
