"""The models that are made here: what each is made of, where it goes, and what its card says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import calibration
from files import BUNDLED, TRAINING, read_recipe
from teachers import START, TEACHERS

# By text, its use and its terms.
Texts = dict[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Model:
    """encoders: published encoders by name in `teachers.PUBLISHED`, and their use; the first one
    gives the first weights and the tokenizer.
    sets: training files that its logit is fitted on.
    before: the version that its card compares it with.
    estimator: the model that prune="auto" asks first.
    languages: ISO 639-1.
    """

    folder: Path
    revision: str
    encoders: dict[str, str]
    texts: Texts
    sets: Sequence[str] = tuple(calibration.SETS)
    before: str | None = None
    estimator: str | None = None
    languages: tuple[str, ...] = ("en",)
    license: str = "Apache-2.0"

    @property
    def start(self) -> str:
        """The encoder that it starts from."""
        return next(iter(self.encoders))


def _packages(use: str) -> Texts:
    packages = read_recipe()["gather"]["packages"]
    return {name.replace("==", " "): (use, terms) for name, terms in packages.items()}


def _packaged(name: str) -> Path:
    return TRAINING.parent / "models" / name / "src" / name.replace("-", "_") / name


_WORTH = "what words are worth"
_LEARNED = {START: "first weights, tokenizer and teacher"} | {
    name: "teacher" for name in TEACHERS if name != START
}
_TRAINED: Texts = {
    "SQuAD 1.1 train": ("training, calibration, early exit", "CC-BY-SA-4.0"),
    "Natural Questions open": ("training, calibration, early exit", "CC-BY-SA-3.0"),
    "MedQuAD": ("training, calibration, early exit", "CC-BY-4.0"),
    "TyDi QA train, English questions": ("training", "Apache-2.0"),
    **_packages("training"),
}

MODELS = {
    "small": Model(
        folder=BUNDLED / "resift-small",
        revision="0.5.0",
        before="0.4.0",
        estimator="nano",
        encoders=_LEARNED,
        texts=_TRAINED,
    ),
    "nano": Model(
        folder=BUNDLED / "resift-nano",
        revision="0.5.0",
        before="0.4.0",
        encoders=_LEARNED,
        texts=_TRAINED,
    ),
    "base": Model(
        folder=_packaged("resift-base"),
        revision="1.0.0",
        estimator="small",
        encoders={"gte-small": "weights and tokenizer"},
        texts={
            "SQuAD 1.1 train": (f"{_WORTH}, calibration, early exit", "CC-BY-SA-4.0"),
            "Natural Questions open": (f"{_WORTH}, calibration, early exit", "CC-BY-SA-3.0"),
            "MedQuAD": (f"{_WORTH}, calibration, early exit", "CC-BY-4.0"),
            **_packages(_WORTH),
        },
        license="MIT",
    ),
    "multilingual": Model(
        folder=_packaged("resift-multilingual"),
        revision="1.0.0",
        encoders={"multilingual-e5-small": "weights and tokenizer"},
        texts={
            name: (f"{_WORTH}, calibration, choice of words", terms)
            for name, terms in (
                ("SQuAD 1.1 train", "CC-BY-SA-4.0"),
                ("Natural Questions open", "CC-BY-SA-3.0"),
                ("Klexikon and Wikipedia, sections", "CC-BY-SA-4.0"),
                ("MDN, German", "CC-BY-SA-2.5"),
                ("PIAF 1.1", "MIT"),
                ("PHP manual, French", "CC-BY-3.0"),
            )
        }
        | {"django 5.2.19, Italian": ("choice of words", "BSD-3-Clause")},
        sets=tuple(calibration.MULTILINGUAL),
        languages=("de", "en", "fr", "it"),
        license="MIT",
    ),
}
