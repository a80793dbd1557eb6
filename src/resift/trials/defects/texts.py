"""Cut fields: texts that are empty, constant, or end where no author would end them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from resift.trials.collection import Document
from resift.trials.defects.defect import SHARE, Defect, share

_FEW = 5
# A text's length is taken to be its own, unless so many more have it than have the next ones.
_PILED = 8
_NEAR = 12
_SHORTEST = 20
_ENDS = ".!?…:;)]}>\"'”’»。！？」"
_ADVICE = "Index and hand over the whole field; the reranker can read no more than it is given"


def empty(documents: Mapping[str, Document]) -> Defect | None:
    """Documents without any text, or whose main field is empty where they have a title."""
    bare = [name for name, each in documents.items() if not each.text.strip()]
    if len(bare) < max(1, SHARE * len(documents)):
        return None
    titled = sum(bool(documents[name].title.strip()) for name in bare)
    return Defect(
        name="empty texts",
        where="documents",
        said=f"{share(len(bare), len(documents))} documents have an empty text"
        + (f"; {titled} of them have a title" if titled else ""),
        advice="See which field the text is read from, and which documents lack it",
        evidence={"documents": len(bare), "examples": bare[:5]},
    )


def constant(documents: Mapping[str, Document]) -> Defect | None:
    """One text that many documents have."""
    counts = Counter(each.text.strip() for each in documents.values() if each.text.strip())
    if not counts:
        return None
    text, count = counts.most_common(1)[0]
    if count < max(_FEW, SHARE * len(documents)):
        return None
    same = [name for name, each in documents.items() if each.text.strip() == text]
    return Defect(
        name="constant texts",
        where="documents",
        said=f"{share(count, len(documents))} documents have the same text, {text[:60]!r}",
        advice="A field of a template or an error page may stand in place of the text",
        evidence={"documents": count, "examples": same[:5]},
    )


def cut(documents: Mapping[str, Document]) -> Defect | None:
    """Many texts that are of exactly one length, and break off there."""
    kinds: dict[str, tuple[Callable[[str], int], int]] = {
        "characters": (len, _SHORTEST),
        "bytes of UTF-8": (lambda text: len(text.encode()), _SHORTEST),
        "words": (lambda text: len(text.split()), _SHORTEST // 2),
    }
    for unit, (measure, least) in kinds.items():
        for part in ("text", "title"):
            texts = {name: getattr(each, part) for name, each in documents.items()}
            # A text that many have is of one length without being cut.
            different = {text: name for name, text in texts.items() if text}
            found = _pile({name: text for text, name in different.items()}, measure, least)
            if found is None:
                continue
            length, names = found
            open_ended = [n for n in names if texts[n].rstrip()[-1:] not in _ENDS]
            if len(open_ended) < max(_FEW, len(names) / 2):
                continue
            return Defect(
                name="cut field",
                where="documents",
                said=f"{share(len(names), len(documents))} documents have a {part} of exactly "
                f"{length} {unit}, and {len(open_ended)} of these break off without an end",
                advice=_ADVICE,
                evidence={"length": length, "unit": unit, "field": part, "examples": names[:5]},
            )
    return None


def _pile(
    texts: Mapping[str, str], measure: Callable[[str], int], least: int
) -> tuple[int, list[str]] | None:
    """The length that far more texts have than have lengths next to it, and their names."""
    by_length: defaultdict[int, list[str]] = defaultdict(list)
    for name, text in texts.items():
        by_length[measure(text)].append(name)
    for length, names in sorted(by_length.items(), key=lambda each: -len(each[1])):
        if len(names) < max(_FEW, SHARE * len(texts)):
            return None
        near = [len(by_length.get(length + n, ())) for n in range(-_NEAR, _NEAR + 1) if n]
        if length >= least and len(names) >= _PILED * max(1.0, sum(near) / len(near)):
            return length, names
    return None


def missing_titles(documents: Mapping[str, Document]) -> Defect | None:
    """Titles that a good part of the documents has, and the rest hasn't."""
    without = [name for name, each in documents.items() if not each.title.strip()]
    part = len(without) / max(len(documents), 1)
    if len(without) < _FEW or not SHARE < part < 1 - SHARE:
        return None
    return Defect(
        name="missing titles",
        level="note",
        where="documents",
        said=f"{share(len(without), len(documents))} documents have no title, and the others do",
        advice="See whether the field was lost for these; otherwise leave this aside",
        evidence={"documents": len(without), "examples": without[:5]},
    )


def contradicted(texts: Mapping[str, tuple[str, str]], known: int) -> Defect | None:
    """Documents of the same id with different texts: the first stage's cut, where it begins alike.

    ``texts``: two texts by id, the shorter first; ``known``: how many documents there are.
    """
    if not texts:
        return None
    begun = [name for name, (short, long) in texts.items() if long.startswith(short.rstrip("…. "))]
    inside = [name for name, (short, long) in texts.items() if short.rstrip("…. ") in long]
    is_cut = len(inside) > len(texts) / 2
    how = "the beginning" if len(begun) > len(texts) / 2 else "a part"
    what = f"in most, one is {how} of the other" if is_cut else "which agree in nothing"
    return Defect(
        name="cut field" if is_cut else "contradicting texts",
        where="first stage",
        said=f"{share(len(texts), known)} documents have two different texts: {what}",
        advice=_ADVICE if is_cut else "See that ids are the same documents' everywhere",
        evidence={"documents": len(texts), "examples": list(texts)[:5]},
    )


def unknown(missing: Sequence[str], found: int) -> Defect | None:
    """Documents that were found, and have no text."""
    if not missing:
        return None
    return Defect(
        name="unknown documents",
        where="first stage",
        said=f"{share(len(missing), found)} documents that the first stage found have no text "
        "here: the corpus doesn't have them",
        advice="See that run and corpus are of the same version, and spell ids alike",
        evidence={"documents": len(missing), "examples": list(missing)[:5]},
    )
