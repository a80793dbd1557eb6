"""Short texts, from code written for these tests."""

import ast
from collections import Counter

import short

_CODE = '''
class {name}Reader:
    """{opening} reads rows, one at a time. Each row is a list of strings."""
    def open_{name}(self): "{opening}let opens the file that is named."
    def close{name}File(self): "{opening}ling closes it again, whatever happened."
'''
_WORDS = ("Alpha", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel", "India", "Kilo")


def _pairs() -> list[short.Short]:
    trees = [
        (f"{word}.py", ast.parse(_CODE.format(name=word.lower(), opening=word))) for word in _WORDS
    ]
    return list(short.described(trees))


def test_pairs_are_names_openings_and_descriptions() -> None:
    pairs = _pairs()
    named = [each for each in pairs if each.query.endswith("reader")]
    openings = [each for each in pairs if each.passage.startswith(each.query)]
    to_names = [each for each in pairs if len(each.passage.split()) <= 4]
    assert len(named) == len(to_names) == len(openings) == len(_WORDS)
    assert all(each.passage.split()[0].lower() == each.query.split()[0] for each in named)
    assert all(each.query.endswith(".") for each in to_names)
    assert all(1 <= len(each.query.split()) <= 3 for each in openings)
    assert {each.group for each in pairs} == {f"{word}.py" for word in _WORDS}


def test_names_with_several_answers_are_left_out() -> None:
    code = "\n".join(
        f'def f{n}(): "Return the value of the field with the number {n}."' for n in "ab"
    )
    assert list(short.described([("a.py", ast.parse(code)), ("b.py", ast.parse(code))])) == []
    lines = [
        ("Oslo", "one"),
        ("Oslo", "two"),
        ("Turku", "three"),
        ("A title of too many words", "x"),
    ]
    assert list(short.titled(lines)) == [("Turku", "Turku", "three")]


def test_names_become_words() -> None:
    names = {"read_csv": "read csv", "HTTPServer2": "http server 2", "camelCase": "camel case"}
    assert {name: short.in_words(name) for name in names} == names
    assert not short.usable(short.Short("", "a", "the letter"))
    assert not short.usable(short.Short("", "copy file", "copy file"))
    assert Counter(map(short.usable, _pairs())) == {True: len(_pairs())}
