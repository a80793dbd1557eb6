"""The ranking contract as a pytest suite that the engine and every adapter inherit.

Subclass ``RankingContract`` in a test module, override the methods that build the subject under
test and read its results, and pytest runs every row of the contract. ``LateInteractionContract``
does the same for a model, and ``BackendContract`` and ``FamilyContract`` for parts of other
packages, each named by attributes; ``ScorerContract`` is for scorers. All need ``pytest`` and
``hypothesis``.
"""

from resift.testing.adapters import AdapterContract
from resift.testing.contract import CallOptionsContract, RankingContract
from resift.testing.late_interaction import LateInteractionContract
from resift.testing.parts import BackendContract, FamilyContract
from resift.testing.pydantic_adapters import PydanticAdapterContract
from resift.testing.scorers import ScorerContract
from resift.testing.subject import Kept
from resift.testing.texts import HOSTILE_TEXTS, QUERY, TEXTS, texts_strategy

__all__ = [
    "HOSTILE_TEXTS",
    "QUERY",
    "TEXTS",
    "AdapterContract",
    "BackendContract",
    "CallOptionsContract",
    "FamilyContract",
    "Kept",
    "LateInteractionContract",
    "PydanticAdapterContract",
    "RankingContract",
    "ScorerContract",
    "texts_strategy",
]
