"""The special tokens, or the prompt, that make one sequence of a query and a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from resift.errors import UnsupportedModelError
from resift.text.batch import Ids, as_ids
from resift.text.prompt import Prompt

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """The tokens around two texts: ``before + query + between + document + after``."""

    input_ids: tuple[Ids, Ids, Ids]
    """Special tokens before, between and after, ``int32 [tokens]`` each."""
    token_type_ids: tuple[Ids, Ids, Ids]
    """The types of those tokens, of the same shapes."""
    query_type: int
    """The type of the query's tokens."""
    document_type: int
    """The type of the document's tokens."""

    @property
    def size(self) -> int:
        """The number of special tokens in a pair."""
        return sum(map(len, self.input_ids))

    @classmethod
    def read(cls, tokenizer: Tokenizer) -> PairTemplate:
        """Read the template off a pair that the tokenizer itself has joined.

        Raises ``UnsupportedModelError`` where such a pair isn't the tokens of its two texts with
        special tokens around them.
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
        before, between, after = (as_ids(pair.ids[part]) for part in around)
        types = [as_ids(pair.type_ids[part]) for part in around]
        return cls(
            input_ids=(before, between, after),
            token_type_ids=(types[0], types[1], types[2]),
            query_type=pair.type_ids[at[0]],
            document_type=pair.type_ids[to[0]],
        )

    @classmethod
    def of_prompt(cls, tokenizer: Tokenizer, prompt: Prompt) -> PairTemplate:
        """Tokenize each piece of a prompt by itself.

        A language model has no token types: here they are 1 for the document and its label, 0
        elsewhere, and tell a backend where the document is.
        """

        def tokenize(pieces: Sequence[str]) -> Ids:
            encodings = [tokenizer.encode(piece, add_special_tokens=False) for piece in pieces]
            return as_ids([each for encoding in encodings for each in encoding.ids])

        pieces = (prompt.before, prompt.between, prompt.label, prompt.after)
        before, between, label, after = map(tokenize, pieces)
        types = np.concatenate([np.zeros_like(between), np.ones_like(label)])
        return cls(
            input_ids=(before, np.concatenate([between, label]), after),
            token_type_ids=(np.zeros_like(before), types, np.zeros_like(after)),
            query_type=0,
            document_type=1,
        )
