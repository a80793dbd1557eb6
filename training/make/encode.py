"""Stage 2: the teachers' vectors of every token, kept on disk so that training needs no teacher.

A vector is stored as int8 with a scale of its own, which moves a cosine by about 0.001.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from encoder import Texts, forward, load_state, load_teacher, texts, tokenize, where_present
from gather import read_lines
from teachers import START, TEACHERS, fetch

log = logging.getLogger("encode")

MODEL = "model.safetensors"
FINISHED = "finished.safetensors"
# Texts that are encoded before any is written.
_BLOCK = 512


class Store:
    """The vectors of one teacher for the queries or the passages: files in a folder, mapped."""

    def __init__(self, folder: Path) -> None:
        self.offsets = np.load(folder / "offsets.npy")
        self.vectors: NDArray[np.int8] = np.load(folder / "vectors.npy", mmap_mode="r")
        self.pooled: NDArray[np.float16] = np.load(folder / "pooled.npy")

    def texts(self, places: list[int], device: Any) -> Texts:
        """Those of some texts; scales don't matter to unit vectors."""
        rows = [
            torch.from_numpy(self.vectors[self.offsets[place] : self.offsets[place + 1]].copy())
            for place in places
        ]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)
        present = where_present([len(row) for row in rows], device)
        pooled = torch.from_numpy(self.pooled[places]).to(device)
        return texts(padded, present, pooled)


def encode(
    teachers: Iterable[str], limits: dict[str, int], batch_tokens: int, cache: Path, out: Path
) -> None:
    """Encode all texts with every teacher, those of `TEACHERS` or models that were trained here.

    A file that is there isn't made again.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = load_tokenizer(cache)
    for name in teachers:
        taught = name in TEACHERS
        bert = load_teacher(name, cache) if taught else load_state(load_file(out / name / FINISHED))
        bert.to(device)
        way = TEACHERS[name if taught else START]
        for kind in ("queries", "passages"):
            folder = out / name / kind
            if (folder / "vectors.npy").exists():
                continue
            strings = [line["text"] for line in read_lines(out / f"{kind}.jsonl")]
            ids = tokenize(tokenizer, strings, limit=limits[kind])
            write(bert, way.pooling, ids, batch_tokens, folder)
            log.info("%s: %d %s", name, len(strings), kind)


def load_tokenizer(cache: Path) -> Tokenizer:
    """That of all encoders, which cuts and pads nothing."""
    tokenizer = Tokenizer.from_file(str(fetch(START, cache) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def write(bert: Any, pooling: str, ids: list[list[int]], batch_tokens: int, folder: Path) -> None:
    """Encode the texts of token ids, and write what a `Store` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in ids])])
    hidden = bert.config.hidden_size
    temporary = folder / "vectors.tmp.npy"
    stored = np.lib.format.open_memmap(temporary, "w+", np.int8, (int(offsets[-1]), hidden))
    pooled = np.empty((len(ids), hidden), np.float16)
    # Texts of similar length together, without holding all of them at once.
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    for start in range(0, len(ids), _BLOCK):
        places = order[start : start + _BLOCK]
        vectors, whole = _vectors(bert, [ids[place] for place in places], pooling, batch_tokens)
        pooled[places] = whole
        for place, row in zip(places, vectors, strict=True):
            stored[offsets[place] : offsets[place + 1]] = row[: len(ids[place])]
    stored.flush()
    np.save(folder / "offsets.npy", offsets)
    np.save(folder / "pooled.npy", pooled)
    temporary.rename(folder / "vectors.npy")


@torch.no_grad()  # type: ignore[untyped-decorator]
def _vectors(
    bert: Any, ids: list[list[int]], pooling: str, batch_tokens: int
) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    with torch.autocast(bert.device.type, dtype=torch.bfloat16):
        states, present = forward(bert, ids, batch_tokens=batch_tokens)
    found: Tensor = states.float()
    pooled = texts(found, present, found[:, 0] if pooling == "cls" else None).pooled
    scaled = found * (127 / found.abs().amax(dim=-1, keepdim=True).clamp(min=1e-6))
    return scaled.round().to(torch.int8).cpu().numpy(), pooled.half().cpu().numpy()
