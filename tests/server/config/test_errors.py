"""Configurations of a server that are wrong: the line of each error, and its words."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from server.config.text import FAR, A, Read

from resift import InvalidRequestError
from resift.server.config import Config

WRONG: list[tuple[str, int, list[str]]] = [
    # No TOML.
    ("[server]\nport = \n", 2, ["isn't TOML"]),
    ("a = 1\na = 2\n", 2, ["isn't TOML"]),
    ('\n\n[server]\nhost = """', 4, ["isn't TOML"]),
    # Unknown names.
    (A + "\n[sever]\n", 4, ["sever", "did you mean 'server'?"]),
    (A + "[server]\nprot = 80\n", 4, ["server.prot", "did you mean 'port'?", "memory_mb"]),
    ("[limits]\nmax_queue_pair = 8\n", 2, ["did you mean 'max_queue_pairs'?"]),
    (A + 'precison = "int8"\n', 3, ["models.a.precison", "'precision'"]),
    (A + "# protocol\nprotocol = 1\n", 4, ["models.a.protocol isn't known beside 'model'"]),
    ('[options]\nmodel = "x"\n', 2, ["options.model"]),
    ('[options]\nprun = "auto"\n', 2, ["did you mean 'prune'?"]),
    (f"{FAR}protocol = 'tei'\nbackend = 'onnx'\n", 4, ["models.far.backend", "remote"]),
    (f"{FAR}protocol = 'tei'\nlimits = {{ docs = 1 }}\n", 4, ["models.far.limits.docs"]),
    (A + '"a key" = 1\n', 3, ['models.a."a key"']),
    # Wrong types and values.
    (A + '[server]\nport = "80"\n', 4, ["server.port must be an integer, not '80'"]),
    ("[server]\nport = true\n", 2, ["server.port must be an integer, not True"]),
    ("[server]\nhost = 1\n", 2, ["server.host must be a string, not 1"]),
    ("server = 1\n", 1, ["server must be a table, such as [server]"]),
    ("\n[server]\nport = 1\nmemory_mb = 0\n", 4, ["memory_mb must be an int of at least 1"]),
    ("[server]\nstrict_models = 1\n", 2, ["must be true or false"]),
    (A + 'aliases = "b"\n', 3, ["models.a.aliases must be a list, each a string, not 'b'"]),
    (A + "aliases = [1]\n", 3, ["models.a.aliases"]),
    (A + "default = 1\n", 3, ["models.a.default must be true or false, not 1"]),
    (A + "preload = 'yes'\n", 3, ["models.a.preload"]),
    (A + "max_length = 0\n", 3, ["max_length must be an int of at least 1"]),
    (A + 'prune = "on"\n', 3, ["prune must be one of", "'on'"]),
    ('[options]\n\nprune = "on"\n' + A, 3, ["prune must be one of", "'on'"]),
    (A + "prior = { place_weigth = 1 }\n", 3, ["prior must be", "place_weigth"]),
    (A + "[models.a.prior]\nplace_weight = -1\n", 3, ["place_weight", "-1"]),
    (A + "normalization = { slope = 0, intercept = 0 }\n", 3, ["slope > 0"]),
    (A + 'prune = "auto"\nnormalization = "softmax"\n', 4, ["prune='auto'"]),
    (A + 'device = "cpu"\ndevices = ["cpu"]\n', 4, ["devices=['cpu']"]),
    (A + "trust_remote_code = true\n", 3, ["full commit"]),
    ("[models]\na = 1\n", 2, ["models.a must be a table, such as [models.a]"]),
    ("[models.a]\nmodel = 1\n", 2, ["model must be a name or a path, not 1"]),
    # What a file, or a model, can't have.
    (A + "threads = 2\n", 3, ["all models share threads: give it in [server]"]),
    (A + "max_queue_pairs = 2\n", 3, ["[limits]"]),
    ("[options]\nthreads = 2\n", 2, ["all models share threads: give it in [server]"]),
    (A + "top_n = 2\n", 3, ["top_n is for each call"]),
    (A + "on_timing = 2\n", 3, ["on_timing is a function"]),
    # Kinds.
    ("[models.a]\n", 1, ["exactly one of model, remote, cascade, fallback, cached", "none"]),
    (A + 'cached = "b"\n', 3, ["exactly one of", "model and cached"]),
    (FAR, 2, ["[models.far] needs protocol"]),
    (f"{FAR}protocol = 'tie'\n", 3, ["protocol must be one of", "'tie'"]),
    (f"{FAR}protocol = 'cohere'\n", 3, ["needs model"]),
    (f"{FAR}protocol = 'tei'\ntimeout = -1\n", 4, ["timeout must be seconds above 0, not -1"]),
    (f"{FAR}protocol = 'tei'\nextra = 1\n", 4, ["models.far.extra must be a table"]),
    ("[models.a]\nprotocol = 'tei'\nremote = 'ftp://a'\n", 3, ["url must be the address"]),
    ("[models.a]\nremote = 1\nprotocol = 'tei'\n", 2, ["models.a.remote must be a string"]),
    (A + '[models.b]\ncascade = ["a", "a"]\n', 3, ["[models.b] needs keep"]),
    (A + '[models.b]\ncascade = ["a", "a"]\nkeep = [1, 2]\n', 5, ["keep=[1, 2]"]),
    (A + '[models.b]\ncascade = ["a", "a"]\nkeep = [0]\n', 5, ["keep[0] must be", "0"]),
    (A + '[models.b]\ncascade = ["a", "a"]\nkeep = [{ margn = 1 }]\n', 5, ["keep.0.margn"]),
    (A + '[models.b]\ncascade = ["a", "a"]\nkeep = [{ margin = -1 }]\n', 5, ["margin must be"]),
    (
        A + '[models.b]\ncascade = ["a", "a"]\nkeep = [{ margin = true }]\n',
        5,
        ["number, not True"],
    ),
    (A + '[models.b]\ncascade = ["a"]\nkeep = []\n', 5, ["at least two scorers"]),
    (A + '[models.b]\ncascade = "a"\nkeep = []\n', 4, ["must be a list of names of models"]),
    (A + '[models.b]\nfallback = ["a"]\n', 4, ["to fall back to"]),
    (A + '[models.b]\ncached = ["a"]\n', 4, ["models.b.cached must be a string"]),
    (A + '[models.b]\ncached = "a"\nmax_bytes = 0\n', 5, ["max_bytes"]),
    (A + '[models.b]\ncached = "a"\nfolder = 1\n', 5, ["folder must be a path"]),
    # Names.
    (A + '[models.b]\ncached = "aa"\n', 4, ["there is no model 'aa'; did you mean 'a'?"]),
    (A + '[models.b]\nfallback = ["a",\n"z"]\n', 4, ["there is no model 'z'", "['a', 'b']"]),
    (A + '[models.b]\nmodel = "b"\naliases = ["c", "a"]\n', 5, ["'a' is already a name of 'a'"]),
    (A + 'aliases = ["c", "c"]\n', 3, ["'c' is already a name of 'a'"]),
    (A + 'aliases = [""]\n', 3, ["an alias is empty"]),
    ('[models." "]\nmodel = "b"\n', 1, ["a model must have a name"]),
    (f"{A}default = true\n[models.b]\nmodel = 'b'\ndefault = true\n", 6, ["'a' is the default"]),
    # Circles.
    ('[models.a]\ncached = "a"\n', 2, ["a → a"]),
    (
        '[models.a]\nfallback = ["n", "b"]\n[models.n]\nmodel = "m"\n[models.b]\ncached = "a"\n',
        2,
        ["a → b → a"],
    ),
    # What isn't there.
    (A + 'backend = "abacus"\n', 3, ["abacus"]),
    (A + 'device = "abacus"\n', 3, ["no backend has a device 'abacus'"]),
]


@pytest.mark.parametrize(("text", "line", "parts"), WRONG, ids=range(len(WRONG)))
def test_an_error_names_the_line(read: Read, text: str, line: int, parts: list[str]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(text)
    message = str(caught.value)
    assert re.match(r".*resift\.toml:(\d+): ", message), message
    assert f"resift.toml:{line}: " in message
    assert [each for each in parts if each not in message] == [], message


def test_a_backend_that_is_not_installed(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "resift.backends.choice.find_spec", lambda x: None if x == "openvino" else find_spec(x)
    )
    with pytest.raises(InvalidRequestError, match=r"toml:4: in \[models.a\], backend 'openvino'"):
        read(A + '\nbackend = "openvino"\n')


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"none\.toml can't be read: No such file"):
        Config.read(tmp_path / "none.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b"# \xe9")
    with pytest.raises(InvalidRequestError, match="it isn't UTF-8"):
        Config.read(path)


def test_windows_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbf" + A.replace("\n", "\r\n").encode() + b"\r\nprnue = 1\r\n")
    with pytest.raises(InvalidRequestError, match=r"a\.toml:4: models\.a\.prnue"):
        Config.read(path)
