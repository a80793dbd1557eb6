"""A few steps of training on made-up data, and the graph against the scorer in torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from data import Data, batches  # noqa: E402
from distil import Distillation, standard  # noqa: E402
from encode import Store, write  # noqa: E402
from encoder import make_bert  # noqa: E402
from files import BUNDLED, read_recipe  # noqa: E402
from golden import PAIRS  # noqa: E402
from late_interaction import WORTH, Scorer, build  # noqa: E402
from reference import ReferenceScorer  # noqa: E402
from scoring import OnnxScorer, load_tokenizer  # noqa: E402
from student import Student  # noqa: E402
from train import train  # noqa: E402

SETTINGS: dict[str, Any] = {
    **read_recipe()["train"],
    "teachers": {"made-up": 1},
    "lists": 2,
    "drawn_tokens": 20,
    "steps": 6,
    "warmup": 1,
    "learning_rate": 1e-3,
    "evaluate_every": 6,
    "checkpoint_every": 6,
}
FORMULA = {"share": 0.5, "power": 0.5}


def bert(seed: int) -> Any:
    torch.manual_seed(seed)
    return make_bert(layers=1, intermediate_size=64)


def teacher() -> Any:
    """Another, to whom ten words in a row mean much the same."""
    found = bert(1)
    words = found.embeddings.word_embeddings.weight.data
    words.mul_(0.3).add_(words[torch.arange(len(words)) // 10 * 10] / 0.3)
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("teacher")
    rng = np.random.default_rng(0)
    # A query is the beginning of its passage.
    passages = [[101, *rng.integers(1000, 1200, 12).tolist(), 102] for _ in range(12)]
    queries = [[*passage[:5], 102] for passage in passages]
    for kind, ids in (("queries", queries), ("passages", passages)):
        write(teacher(), "mean", ids, 4096, folder / kind)
    return Data(
        queries=[
            {"source": "made up", "passage": n, "held_out": n >= 8, "text": ""} for n in range(12)
        ],
        candidates=np.array([[(n + d) % 12 for d in range(1, 6)] for n in range(12)], np.int32),
        query_ids=queries,
        passage_ids=passages,
        teachers=[(Store(folder / "queries"), Store(folder / "passages"))],
    )


def trained(data: Data, out: Path, *ends: int | None) -> list[dict[str, Any]]:
    for end in ends:
        student = Student(bert(2), FORMULA["share"], SETTINGS["sharpness"])
        # Most of the weights, and of the time.
        student.bert.embeddings.word_embeddings.requires_grad_(False)
        train(student, Distillation(data, SETTINGS, FORMULA, 0), 0, end, out)
    lines = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_student_learns_and_resumes_where_it_stopped(data: Data, tmp_path: Path) -> None:
    whole = trained(data, tmp_path / "whole", None)
    steps = {line["step"]: line["loss"] for line in whole if "loss" in line}
    assert list(steps) == [*range(1, 7)]
    before, after = whole[0], whole[-1]
    assert after["step"] == 6
    assert after["correlation"] > before["correlation"]
    assert before["mrr_teachers"] == after["mrr_teachers"]
    stopped = trained(data, tmp_path / "stopped", 3, None)
    assert {n["step"]: n["loss"] for n in stopped if "loss" in n} == pytest.approx(steps, rel=1e-3)
    files = {path.name for path in (tmp_path / "whole").iterdir()}
    assert files == {"log.jsonl", "checkpoint.pt", "model.safetensors"}


def test_a_teacher_learns_nothing_from_itself(data: Data) -> None:
    distillation = Distillation(data, SETTINGS, FORMULA, 0)
    batch = next(batches(data, SETTINGS, 0))
    drawn = distillation.draw(batch)
    student = Student(teacher(), FORMULA["share"], SETTINGS["sharpness"])
    parts = {
        name: float(part.detach()) for name, part in distillation(student, batch, drawn).items()
    }
    other = Student(bert(2), FORMULA["share"], SETTINGS["sharpness"])
    others = {
        name: float(part.detach()) for name, part in distillation(other, batch, drawn).items()
    }
    for name in ("margins", "tokens", "pairs"):
        # What int8 and bfloat16 leave.
        assert parts[name] < 0.02 < others[name]


def test_standard_values_have_mean_0_and_variance_1() -> None:
    values = standard(torch.arange(12.0).view(3, 4) ** 2, dim=1)
    assert values.mean(dim=1).tolist() == pytest.approx([0] * 3, abs=1e-6)
    assert values.square().mean(dim=1).tolist() == pytest.approx([1] * 3, abs=1e-5)


def test_the_graph_computes_what_the_reference_does() -> None:
    state = bert(3).state_dict()
    state[WORTH] = torch.rand(30522, generator=torch.Generator().manual_seed(0)) + 0.1
    tokenizer = load_tokenizer(BUNDLED / "resift-small/tokenizer.json")
    scorer = Scorer(heads=12, layers=1, epsilon=1e-12, share=0.5)
    graph = build({name: value.numpy() for name, value in state.items()}, scorer)
    logits = OnnxScorer(graph.SerializeToString(), tokenizer)(PAIRS)
    expected = ReferenceScorer(state, 0.5, tokenizer)(PAIRS)
    assert np.ptp(expected) > 0.1
    assert logits == pytest.approx(expected, abs=1e-5)
