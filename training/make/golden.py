"""What a built model is checked with: golden pairs, and sentences that are found by a word.

The pairs' logits are written down with the model. Every text of them was written for this file.
"""

from resift import Reranker
from resift.testing.late_interaction import KEYWORDS, SENTENCES

_HARBOUR = (
    "The harbour office opens at six in the morning, and the first ferry leaves twenty minutes "
    "later when the tide allows it. "
)

PAIRS: list[tuple[str, str]] = [
    (
        "how do I descale a kettle",
        "Fill the kettle with equal parts water and white vinegar, bring it to the boil, leave it"
        " for half an hour, then rinse it twice. Limescale comes off without scrubbing.",
    ),
    (
        "how do I descale a kettle",
        "Our kettles come in red, cream and brushed steel, and are delivered within three days.",
    ),
    (
        "how do I descale a kettle",
        "The council voted on Tuesday to move the bicycle market to the old tram depot.",
    ),
    (
        "when does the first ferry leave",
        "The first ferry leaves at twenty past six if the tide is high enough.",
    ),
    # Longer than the window: the document's tail is cut, the query is whole.
    ("when does the first ferry leave", _HARBOUR * 40),
    # What would have answered lies behind the cut.
    ("who paints the lighthouse", _HARBOUR * 40 + "Marta Lind paints the lighthouse every May."),
    ("who paints the lighthouse", "Marta Lind paints the lighthouse every May."),
    ("who paints the lighthouse", ""),
    ("what is 🍋 zest", "Lemon zest 🍋 is the yellow outer skin of the fruit, grated finely."),
    ("🙂", "🙂🙃"),
    (
        "Crème brûlée ohne Brenner zubereiten",
        "Wer keinen Brenner hat, karamellisiert den Zucker unter dem heißen Grill des Ofens.",
    ),
    ("日本の首都はどこですか", "東京は日本の首都です。"),
    ("متى يفتح المتحف", "يفتح المتحف أبوابه في التاسعة صباحا."),
    # Nothing is left of this query's text after normalisation.
    ("\u200b", "A document with words in it."),
    (
        "what does [SEP] mean",
        "In this format [SEP] stands between the two texts. [CLS] comes first.",
    ),
    (
        "python read file line by line",
        "with open(path, encoding='utf-8') as lines:\n    for line in lines:\n        print(line)",
    ),
]


def sentences_found(reranker: Reranker) -> int:
    """How many of `SENTENCES` come first for their first word."""
    firsts = [reranker.rank(keyword, SENTENCES)[0].index for keyword in KEYWORDS]
    return sum(first == place for place, first in enumerate(firsts))
