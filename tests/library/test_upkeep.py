"""``resift models verify``, ``remove`` and ``show``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from resift import Reranker
from resift.cli.main import main
from resift.models.packages import packaged_models


def test_verify_names_the_fault(
    tiny: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("good", "bad"):
        archive = tmp_path / f"{name}.zip"
        model = Path(shutil.copytree(tiny, tmp_path / name))
        (model / "README.md").write_text(name, encoding="utf-8")
        shutil.make_archive(str(tmp_path / name), "zip", model)
        Reranker(archive).warm_up()
    (bad,) = (
        path
        for path in cache.glob("file--*")
        if (path / "README.md").read_text(encoding="utf-8") == "bad"
    )
    (bad / "tokenizer.json").unlink()
    assert main(["models", "verify"]) == 3
    out, err = capsys.readouterr()
    told = [line.partition(":") for line in out.splitlines()]
    packaged = [each.name for each in packaged_models()]
    assert [each[0] for each in sorted(told)] == ["fault", "whole", *("whole" for _ in packaged)]
    assert [each[2].partition(" of ")[0].strip() for each in told[2:]] == packaged
    assert str(bad / "tokenizer.json") in out
    assert f"1 of {2 + len(packaged)}" in err
    assert main(["models", "verify", bad.name]) == 3
    assert main(["models", "verify", "none"]) == 3
    (cache / ".resift/records" / f"{bad.name}.json").write_text("[]", encoding="utf-8")
    assert main(["models", "verify", bad.name]) == 3
    assert "is not a list of a model's files" in capsys.readouterr().out
    assert main(["models", "remove", bad.name]) == 0
    assert main(["models", "verify"]) == 0


@pytest.mark.parametrize("name", ["..", ".", ".resift", "", "/", "../x", "a/../../b"])
def test_remove_deletes_models_alone(cache: Path, name: str) -> None:
    (cache / ".resift/records").mkdir(parents=True)
    for folder in (cache, cache / ".resift"):
        folder.chmod(0o700)
    for folder in (cache / "a", cache.parent / "b"):
        folder.mkdir()
    assert main(["models", "remove", name]) == 3
    assert (cache / ".resift/records").is_dir()
    assert (cache.parent / "b").is_dir()


def test_remove_deletes_links_and_not_their_targets(cache: Path, tiny: Path) -> None:
    cache.mkdir(mode=0o700)
    (cache / "ms-marco-MiniLM-L-12-v2").symlink_to(tiny)
    assert main(["models", "remove", "ms-marco-MiniLM-L-12-v2"]) == 0
    assert not list(cache.glob("ms-marco*"))
    assert (tiny / "config.json").is_file()


def test_unknown_models_and_conflicting_flags_are_refused(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "show", "none"]) == 3
    assert main(["models", "pull", "none"]) == 3
    assert "resift models list" in capsys.readouterr().err
    assert main(["models", "show", "resift-small"]) == 0
    assert json.loads(capsys.readouterr().out)["card"]["license"] == "Apache-2.0"
    with pytest.raises(SystemExit):
        main(["rank", "--bundle", "a", "--model", "b", "q", "d"])
