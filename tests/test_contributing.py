"""CONTRIBUTING's map and recipes lead to what is there."""

import re
import subprocess

import pytest
from support.repository import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
MAP = TEXT.partition("## Where things are")[2].partition("## Recipes")[0]
RECIPES = TEXT.partition("## Recipes")[2].partition("\n## ")[0]
FILES = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.splitlines()
SOURCES = "".join(
    (ROOT / name).read_text() for name in FILES if name.startswith("auth_server/") and name[-3:] == ".py"
)


def folders() -> set[str]:
    """Return the repository's folders and the package's."""
    parts = [name.split("/") for name in FILES]
    package = {found[1] for found in parts if found[0] == "auth_server" and len(found) > 2}
    return {found[0] for found in parts if len(found) > 1 and found[0] != ".ci"} | package


@pytest.mark.parametrize("folder", sorted(folders()))
def test_the_map_names_every_folder(folder: str) -> None:
    """Whoever looks for a folder finds what it is for."""
    assert re.search(rf"(?<![\w/]){folder}/", MAP)


def test_the_map_names_every_module_beside_the_folders() -> None:
    """So it does for what stands in no folder."""
    modules = {name.split("/")[1] for name in FILES if re.fullmatch(r"auth_server/[a-z]\w*\.py", name)}
    assert modules <= set(re.findall(r"\w+\.py", MAP))


@pytest.mark.parametrize("name", sorted(set(re.findall(r"[\w/]+\.(?:py|conf)\b", MAP + RECIPES))))
def test_each_file_that_is_named_is_there(name: str) -> None:
    """A file is named by the end of its path."""
    assert any(f"/{path}".endswith(f"/{name}") for path in FILES)


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`(?:\w+\.)*(\w+)`", RECIPES)) - {"params", "Topic", "topic"})
)
def test_each_name_in_a_recipe_is_there(name: str) -> None:
    """What a recipe tells to extend exists under that name."""
    assert re.search(rf"\b{name}\b", SOURCES)
