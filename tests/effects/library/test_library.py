"""Effect by effect: each package registers one effect, has a page, and stands alone; what is shared is shared."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from mayfly.effects import library, registry

ROOT = Path(__file__).parents[3]
LIBRARY = ROOT / "effects" / "library"
PACKAGES = sorted(path.parent.name for path in LIBRARY.glob("*/__init__.py"))
SHARED = sorted(path.stem for path in (ROOT / "effects" / "shared").glob("*.py") if path.stem != "__init__")


def imported(path):
    """The modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_an_effect_is_a_package():
    assert {path.name for path in LIBRARY.iterdir() if not path.name.startswith("_")} == set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_registers_the_effect_of_its_name(name):
    known = [
        effect
        for effect in registry.load().values()
        if f"{effect.__module__}.".startswith(f"{library.__name__}.{name}.")
    ]
    assert [effect.declaration.name for effect in known] == [name], f"{name} does not register one effect of its name"
    # What others import is the package's.
    package = importlib.import_module(f"{library.__name__}.{name}")
    assert getattr(package, known[0].__name__) is known[0]
    parameters = known[0].declaration.parameters
    assert getattr(package, parameters.__name__) is parameters


@pytest.mark.parametrize("name", PACKAGES)
def test_it_has_a_page(name):
    assert re.search(rf"^## {name}$", (ROOT / "docs" / "effects.md").read_text(), re.M), f"docs/effects.md lacks {name}"


@pytest.mark.parametrize("name", PACKAGES)
def test_it_has_its_tests(name):
    assert list((ROOT / "tests" / "effects" / "library" / name).glob("test_*.py")), f"{name} has no tests"


@pytest.mark.parametrize("name", PACKAGES)
def test_nobody_else_needs_it(name):
    others = [path for path in (ROOT / "effects").rglob("*.py") if LIBRARY / name not in path.parents]
    mine = re.compile(rf".*\beffects\.library\.{name}(\.|$)")
    assert [path.name for path in others if any(mine.match(module) for module in imported(path))] == []


@pytest.mark.parametrize("name", SHARED)
def test_what_is_shared_is_used_by_two(name):
    """By two effects, or by what effects share."""
    users = set()
    for path in (ROOT / "effects").rglob("*.py"):
        if any(re.search(rf"\beffects\.shared\.{name}(\.|$)", module) for module in imported(path)):
            users.add(path.relative_to(LIBRARY).parts[0] if LIBRARY in path.parents else path.parent.name)
    assert len(users) >= 2, f"mayfly.effects.shared.{name} belongs to {users}"
