"""The model to export, as transformers runs it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift.errors import ModelNotFoundError, UnsupportedModelError
from resift.export.libraries import Libraries
from resift.families.protocol import Family
from resift.families.table import family_name, find_family
from resift.text.batch import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A cross-encoder in float32, on the CPU."""

    name: str
    revision: str | None
    family_name: str
    family: Family
    config: Any
    tokenizer: Any
    model: Any
    torch: Any

    @classmethod
    def load(cls, libraries: Libraries, model: str | os.PathLike[str]) -> Source:
        """Load a folder or a hub name with transformers.

        Raises ``ModelNotFoundError`` where that fails, and ``UnsupportedModelError`` for a model
        that isn't a cross-encoder.
        """
        path, transformers = os.fspath(model), libraries.transformers
        name = Path(path).resolve().name if Path(path).is_dir() else path
        try:
            config = transformers.AutoConfig.from_pretrained(path)
            family = find_family(config.to_dict(), None, name)
            if config.num_labels not in (1, 2):
                raise UnsupportedModelError(
                    f"{name} has {config.num_labels} labels; expected one, or two as "
                    "[irrelevant, relevant]"
                )
            tokenizer = transformers.AutoTokenizer.from_pretrained(path)
            loaded, report = transformers.AutoModelForSequenceClassification.from_pretrained(
                path,
                config=config,
                dtype=libraries.torch.float32,
                attn_implementation="eager",
                output_loading_info=True,
            )
        except (OSError, ValueError) as error:
            raise ModelNotFoundError(
                f"transformers can't load {path!r}: {error}; expected a folder or a hub name with "
                "the configuration, weights and tokenizer of a sequence classifier"
            ) from error
        if report["missing_keys"]:
            raise UnsupportedModelError(
                f"{name} lacks weights: {sorted(report['missing_keys'])[:5]}; expected a trained "
                "head of one or two labels. An embedding model can't score pairs."
            )
        if getattr(tokenizer, "backend_tokenizer", None) is None:
            raise UnsupportedModelError(
                f"{name} has no fast tokenizer, so no tokenizer.json can be written; expected one"
            )
        if config.pad_token_id is None:
            config.pad_token_id = tokenizer.pad_token_id
        return cls(
            name=name,
            revision=getattr(config, "_commit_hash", None),
            family_name=family_name(family),
            family=family,
            config=config,
            tokenizer=tokenizer,
            model=loaded.eval(),
            torch=libraries.torch,
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The arrays of ``Batch`` that the model takes."""
        types = int(getattr(self.config, "type_vocab_size", 0)) > 1
        return ("input_ids", "attention_mask", *(["token_type_ids"] if types else []))

    def logits(self, batch: Batch) -> NDArray[np.float32]:
        """Compute one relevance logit for each pair, ``float32 [batch]``."""
        tensors = {name: self.torch.from_numpy(getattr(batch, name)) for name in self.inputs}
        with self.torch.inference_mode():
            outputs: NDArray[np.float32] = self.model(**tensors).logits.numpy()
        return self.family.logits(outputs)

    def write_config_and_tokenizer(self, folder: Path) -> None:
        """Write ``config.json``, and ``tokenizer.json`` without truncation and padding."""
        config = json.loads(self.config.to_json_string(use_diff=False))
        # The path it was loaded from.
        config.pop("_name_or_path", None)
        text = json.dumps(config, ensure_ascii=False, indent=2) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")
        tokenizer = type(self.tokenizer.backend_tokenizer).from_str(
            self.tokenizer.backend_tokenizer.to_str()
        )
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.save(str(folder / "tokenizer.json"))
