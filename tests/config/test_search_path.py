"""Config folders: attnbench's, those of other packages, and the user's own."""

from pathlib import Path

import pytest

from attnbench.config import search_path
from attnbench.config.compose import compose
from attnbench.errors import UserError


def install(folder: Path, value: str) -> None:
    """Put a package with an entry point for configs on disk, as pip would; other tests import one called `lab`."""
    (folder / "glow_lab" / "settings" / "attention").mkdir(parents=True)
    (folder / "glow_lab" / "__init__.py").write_text("raise AssertionError('imported')\n")
    (folder / "glow_lab" / "settings" / "attention" / "glow.yaml").write_text(
        "# Glow\n_target_: glow_lab.Glow\nwidth: 3\n"
    )
    metadata = folder / "glow_lab-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: glow_lab\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{search_path.ENTRY_POINTS}]\nlab = {value}\n")


def test_another_package_adds_configs_without_being_imported(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(own_folder, "glow_lab.settings")
    monkeypatch.syspath_prepend(own_folder)
    assert search_path.installed() == [own_folder / "glow_lab" / "settings"]
    assert compose(["attention=glow", "attention.width=5"])["attention"]["width"] == 5


def test_an_entry_point_without_a_folder_is_named(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(own_folder, "glow_lab.nothing")
    monkeypatch.syspath_prepend(own_folder)
    with pytest.raises(UserError, match=r"entry point lab of attnbench\.configs: glow_lab\.nothing is not a folder"):
        search_path.search_path()


def test_the_first_folder_with_a_name_wins(own_folder: Path) -> None:
    for name, text in (("bam", "# mine\n"), ("own", "# @package _global_\n# My own\n")):
        path = own_folder / "attention" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    files = search_path.choices("attention", [*search_path.search_path(), own_folder])  # as of another package
    assert files["bam"] == search_path.shipped() / "attention" / "bam.yaml"
    assert search_path.describe(files["own"]) == "My own"


def test_numbers_in_names_are_sorted_by_value() -> None:
    names = ["resnet110", "resnet20", "resnet", "wrn"]
    assert sorted(names, key=search_path.natural_order) == ["resnet", "resnet20", "resnet110", "wrn"]


def test_every_shipped_file_has_a_description() -> None:
    folders = search_path.search_path()
    for group in search_path.groups(folders):
        for choice, path in search_path.choices(group, folders).items():
            assert search_path.describe(path), f"{group}/{choice}"
