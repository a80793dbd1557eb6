"""Find clauses in German and French contracts that are longer than what a model reads at once.

`long_documents="windows"` scores overlapping windows over all of a contract, where `"truncate"`
reads its beginning alone. What ranks first is then ranked clause by clause. The contracts are put
together from the civil codes of both countries; contracts/ has them, with source and terms. They
are short for contracts, so `max_length` is 128 here, as if they were four times as long.

What to expect: the bundled models are English, and a clause is found by the words and pieces of
words that it shares with the question. A question in other words is lost, such as the one on
somebody else's debts, whose clause speaks of a surety. A word of the German texts also takes 2.4
tokens and one of the French 1.9, where it is 1.5 in English, so less of them is read at once. For
German and French in earnest take `Reranker("resift-multilingual")`, a package of its own.

    pip install resift
    python examples/contracts_windows.py

prints the place of the right contract among four, cut and with windows, and the clause found:

    bgb.txt: 4 contracts
      1 1  Wie hoch ist der Verzugszinssatz?
           § 288 (1) Eine Geldschuld ist während des Verzugs zu verzinsen. Der Ve
      1 1  Welche Form hat die Kündigung des Mietverhältnisses?
           § 568 (1) Die Kündigung des Mietverhältnisses bedarf der schriftlichen
      2 1  Wann verjährt ein Anspruch?  (not § 195)
           § 280 (1) Verletzt der Schuldner eine Pflicht aus dem Schuldverhältnis
    ...
      4 4  Wer haftet für die Schulden eines anderen?  (not § 765 (1))
           § 280 (1) Verletzt der Schuldner eine Pflicht aus dem Schuldverhältnis
      of 6: 4 right first when cut, 5 with windows; 4 right clauses
    ...
      2 1  Le vendeur répond-il des défauts cachés de la chose ?
           Art. 1641 Le vendeur est tenu de la garantie à raison des défauts cach
    ...
      of 6: 5 right first when cut, 6 with windows; 6 right clauses
"""

from __future__ import annotations

from pathlib import Path

from resift import Reranker

FOLDER = Path(__file__).parent / "contracts"
# Questions, each with the clause that answers it.
QUESTIONS = {
    "bgb.txt": {
        "Wie hoch ist der Verzugszinssatz?": "§ 288 (1)",
        "Welche Form hat die Kündigung des Mietverhältnisses?": "§ 568 (1)",
        "Wann verjährt ein Anspruch?": "§ 195",
        "Darf der Mieter die Wohnung weiter vermieten?": "§ 540 (1)",
        "Was kann der Käufer verlangen, wenn die Sache mangelhaft ist?": "§ 437",
        "Wer haftet für die Schulden eines anderen?": "§ 765 (1)",
    },
    "code-civil.txt": {
        "Qu'est-ce que la force majeure ?": "Art. 1218",
        "Le locataire peut-il sous-louer ?": "Art. 1717",
        "Le vendeur répond-il des défauts cachés de la chose ?": "Art. 1641",
        "Peut-on demander la renégociation du contrat ?": "Art. 1195",
        "En combien d'années se prescrivent les actions personnelles ?": "Art. 2224",
        "Qui paie les réparations du logement ?": "Art. 1720",
    },
}
MAX_LENGTH = 128


def contracts(path: Path) -> list[list[str]]:
    """The clauses of each contract of a file."""
    found: list[list[str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("= "):
            found.append([])
        elif line and not line.startswith("#"):
            found[-1].append(line)
    return found


def main() -> None:
    """Ask each question of the contracts in its language."""
    reranker = Reranker(max_length=MAX_LENGTH)
    for file, questions in QUESTIONS.items():
        clauses = contracts(FOLDER / file)
        texts = ["\n".join(each) for each in clauses]
        right = {"truncate": 0, "windows": 0, "clause": 0}
        print(f"{file}: {len(texts)} contracts")
        for question, answer in questions.items():
            at = next(n for n, text in enumerate(texts) if f"{answer} " in text)
            places = {}
            for how in ("truncate", "windows"):
                ranking = reranker.rank(question, texts, long_documents=how)
                places[how] = [each.index for each in ranking].index(at) + 1
                right[how] += places[how] == 1
            # The last ranking is that with windows, which read all of each contract.
            assert ranking.counts.truncated_documents == 0
            best = clauses[ranking[0].index]
            (first,) = reranker.rank(question, best, top_n=1, long_documents="windows")
            found = best[first.index]
            right["clause"] += found.startswith(f"{answer} ")
            mark = "" if found.startswith(f"{answer} ") else f"  (not {answer})"
            print(f"  {places['truncate']} {places['windows']}  {question}{mark}")
            print(f"       {found[:70]}")
        print(
            f"  of {len(questions)}: {right['truncate']} right first when cut, {right['windows']} "
            f"with windows; {right['clause']} right clauses"
        )


if __name__ == "__main__":
    main()
