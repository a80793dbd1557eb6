"""The contract's rows on the engine itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from resift import Ranking, Reranker
from resift.testing import CallOptionsContract, Kept


class _Scored(list[Any]):
    """Texts with scores, which the engine takes apart."""

    def __init__(self, texts: Sequence[Any], scores: Sequence[float | None]) -> None:
        super().__init__(texts)
        self.scores = scores


class TestEngine(CallOptionsContract):
    import_name = "resift"
    default_top_n = None

    def build(self, **options: Any) -> tuple[Reranker, int | None]:
        # The engine has top_n at call time alone.
        top_n = options.pop("top_n", None)
        return Reranker(**options), top_n

    def to_native(
        self, texts: Sequence[Any], metadata: Sequence[Mapping[str, Any]] | None = None
    ) -> list[Any]:
        return list(texts)

    def to_scored(self, texts: Sequence[Any], scores: Sequence[float | None]) -> list[Any]:
        return _Scored(texts, scores)

    def run(
        self,
        subject: tuple[Reranker, int | None],
        query: Any,
        documents: list[Any],
        **call_options: Any,
    ) -> Ranking:
        reranker, top_n = subject
        scores = getattr(documents, "scores", None)
        return reranker.rank(
            query, documents, first_stage_scores=scores, **{"top_n": top_n, **call_options}
        )

    async def arun(
        self,
        subject: tuple[Reranker, int | None],
        query: Any,
        documents: list[Any],
        **call_options: Any,
    ) -> Ranking:
        reranker, top_n = subject
        scores = getattr(documents, "scores", None)
        return await reranker.arank(
            query, documents, first_stage_scores=scores, **{"top_n": top_n, **call_options}
        )

    def read(self, output: Ranking, documents: list[Any]) -> list[Kept]:
        return [Kept(result.index, result.score) for result in output]


def test_import_is_framework_free() -> None:
    import subprocess
    import sys

    program = (
        "import sys, resift;"
        "print(sorted({name.split('.')[0] for name in sys.modules} & "
        "{'langchain_core', 'llama_index', 'haystack', 'pytest', 'onnx', 'asyncio.runners'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == "[]"
