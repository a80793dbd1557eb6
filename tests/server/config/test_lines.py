"""Lines of a configuration's keys, whatever its TOML."""

from __future__ import annotations

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from resift.server.lines import Place, lines_of

VALUES = [
    "1", "'it'", '"a \\" [b] # c"', "'''\n[no]\n'it'''''", '"""\nno = 1 \\""" ""\n"""""', "[]",
    "[ # a ]\n 1, ']',\n [2] ]", "{ a = 1, b = [\n{ c = '}' }] }", "2026-01-01T00:00:00Z", '""',
    "''", '""""""', "0x1F # a = 'b", "-inf", '[ """a"""", "]",\n"" ]', "[ '''a'''', ']',\n1 ]",
    "[ # it's ]\n]",
]  # fmt: skip
KEYS = [
    ("k{}", ["k{}"]), ('"k {}"', ["k {}"]), ("'k.{}'", ["k.{}"]), ("k{} . 'a' ", ["k{}", "a"]),
    ('"\\u00e9{}"."]"', ["é{}", "]"]), ('"#{}"', ["#{}"]), ("{}", ["{}"]),
]  # fmt: skip
BETWEEN = ["", "\n", "# [a] = '''", "  ", "\t# x\n\n"]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_each_key_has_its_line(data: st.DataObject) -> None:
    text = "# first\n[ a . b ] # ]\n"
    table: Place = ("a", "b")
    wanted: dict[Place, int] = {("a",): 2, ("a", "b"): 2}

    def name(place: Place, parts: list[str]) -> Place:
        for part in parts:
            place = (*place, part)
            wanted.setdefault(place, text.count("\n") + 1)
        return place

    for number in range(data.draw(st.integers(0, 6))):
        key, forms = data.draw(st.sampled_from(KEYS))
        key, parts = key.format(number), [each.format(number) for each in forms]
        place: Place = table
        for element in range(data.draw(st.integers(0, 2))):
            place = (*name(("a", "b"), parts), element)
            wanted[place] = text.count("\n") + 1
            text += f" [[ a.b.{key}]]\n"
            if data.draw(st.booleans()):
                place = name(place, ["x"])
                text += f"[a.'b'.{key}.x]\n"
        table = place
        name(table, parts)
        text += (
            f"{key} = {data.draw(st.sampled_from(VALUES))}\n{data.draw(st.sampled_from(BETWEEN))}\n"
        )
    tomllib.loads(text)
    assert lines_of(text) == wanted
    assert lines_of(text.replace("\n", "\r\n")) == wanted
