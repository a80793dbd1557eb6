"""The table of wire shapes."""

from __future__ import annotations

from resift.protocols.cohere import Cohere, CohereV1
from resift.protocols.infinity import Infinity
from resift.protocols.jina import Jina
from resift.protocols.kserve import KServe
from resift.protocols.openai import OpenAIListwise
from resift.protocols.resift import Resift
from resift.protocols.shape import Shape
from resift.protocols.tei import Tei
from resift.protocols.vllm import Vllm, VllmScore
from resift.protocols.voyage import Voyage
from resift.protocols.weaviate import Weaviate

PROTOCOLS: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Resift(),
        Tei(),
        Cohere(),
        CohereV1(),
        Jina(),
        Voyage(),
        Vllm(),
        VllmScore(),
        Infinity(),
        Weaviate(),
        KServe(),
        OpenAIListwise(),
    )
}
"""Each wire shape by its name."""
