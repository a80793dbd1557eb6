"""Questions in the four languages of `resift-multilingual` find their answers among others.

Questions and answers were written for this file, with few words in common.
"""

from __future__ import annotations

from functools import cache

import pytest
from packages import MODELS

from resift import Reranker

ANSWERS = {
    "de": {
        "Wann kommt die Müllabfuhr?": "Die Tonnen werden jeden Dienstag ab sechs Uhr geleert.",
        "Was kostet ein neuer Reisepass?": "Für das Dokument fallen Gebühren von 70 Euro an.",
        "Wie kündige ich meine Wohnung?": "Der Mietvertrag endet drei Monate nach einem Brief "
        "an den Vermieter.",
        "Warum ist der Himmel blau?": "Kurze Wellen des Lichts werden in der Luft stärker "
        "gestreut als lange.",
        "Wer schrieb den Faust?": "Goethe arbeitete an dem Drama fast sein ganzes Leben.",
        "Wie bekomme ich Rotwein aus dem Teppich?": "Salz auf den Fleck streuen und mit "
        "Mineralwasser abtupfen.",
    },
    "fr": {
        "À quelle heure ouvre la mairie ?": "Les guichets accueillent le public dès huit heures.",
        "Comment faire pousser des tomates ?": "Semez au chaud en mars et repiquez les plants "
        "après les gelées.",
        "Combien de temps cuire un œuf mollet ?": "Six minutes dans l'eau bouillante suffisent.",
        "Où déclarer la naissance d'un enfant ?": "Le père se rend à l'état civil dans les cinq "
        "jours.",
        "Qui a peint la Joconde ?": "Léonard de Vinci réalisa ce portrait au début du XVIe siècle.",
        "Pourquoi les feuilles tombent-elles ?": "En automne, l'arbre économise l'eau et se "
        "sépare de sa verdure.",
    },
    "it": {
        "Quando parte l'ultimo treno per Milano?": "Dopo le 23:15 non ci sono più corse verso il "
        "capoluogo lombardo.",
        "Come si prepara il risotto?": "Si tosta il riso nel burro e si aggiunge il brodo poco "
        "alla volta.",
        "Chi ha scritto la Divina Commedia?": "Dante compose il poema durante l'esilio.",
        "Quanto costa il biglietto del museo?": "L'ingresso per gli adulti è di dodici euro.",
        "Perché il mare è salato?": "I fiumi portano sali minerali che l'acqua evaporando lascia.",
        "Dove si rinnova la carta d'identità?": "Il documento si richiede all'ufficio anagrafe "
        "del comune.",
    },
    "en": {
        "when is the library closed": "Nobody can borrow books on Sundays and public holidays.",
        "how do I get rid of ants": "Cinnamon and vinegar along their path keep the insects away.",
        "what causes thunder": "Air that lightning heats expands faster than sound.",
        "who discovered penicillin": "Fleming noticed a mould that killed bacteria in 1928.",
        "how long does milk keep": "Once opened, drink it within three days.",
        "why do cats purr": "The animals vibrate their throat when they are content.",
    },
}
EVERY = [answer for answers in ANSWERS.values() for answer in answers.values()]


@cache
def _reranker() -> Reranker:
    return Reranker(MODELS["resift-multilingual"], precision="fp32")


@pytest.mark.parametrize("language", ANSWERS)
def test_questions_find_their_answers(language: str) -> None:
    found = {query: _reranker().rank(query, EVERY)[0] for query in ANSWERS[language]}
    right = sum(EVERY[result.index] == ANSWERS[language][query] for query, result in found.items())
    assert right >= len(found) - 1


def test_letters_of_its_languages_are_words() -> None:
    texts = [text for answers in ANSWERS.values() for each in answers.items() for text in each]
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(
        str(MODELS["resift-multilingual"] / "tokenizer.json")
    )
    for text in (*texts, "Äußerst Œuvre perché naïf 5 € – „so“ «là»"):
        assert "<unk>" not in tokenizer.encode(text).tokens
