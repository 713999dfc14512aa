"""Imports run one way; the syntax trees are walked to keep it so."""

import ast
from pathlib import Path

import pytest
from setuptools.config.setupcfg import read_configuration

ROOT = Path(__file__).parents[1]

# What each package may import of ours, besides itself, `errors` and `folders`; a longer name allows that module alone.
ALLOWED = {
    "mayfly.db": set(),
    "mayfly.effects": set(),
    "mayfly.media": set(),
    "mayfly.purge": {"mayfly.db", "mayfly.media.errors", "mayfly.media.storage", "mayfly.settings"},
    "mayfly.tasks": {
        "mayfly.purge",
        "mayfly.effects",
        "mayfly.media",
        "mayfly.db",
        "mayfly.settings",
        "mayfly.celeryconfig",
    },
    "mayfly.workers": {"mayfly.tasks", "mayfly.effects", "mayfly.db", "mayfly.settings"},
    "mayfly": {
        "mayfly.tasks",
        "mayfly.purge",
        "mayfly.effects.contract",
        "mayfly.effects.errors",
        "mayfly.effects.registry",
        "mayfly.effects.runner",
        "mayfly.effects.models.install",
        "mayfly.effects.models.weights",
        "mayfly.media",
        "mayfly.db",
        "mayfly.settings",
    },
    "mayfly.celeryconfig": {"mayfly.tasks.messages.queues", "mayfly.settings"},
    "mayfly.settings": set(),
    "mayfly.errors": set(),
    "mayfly.folders": set(),
}

# Where a file has a reason of its own.
EXCEPTIONS = {
    # Alembic's own shell starts here, so it is an entry point.
    "db/migrations/env.py": {"mayfly.settings"},
}

# Where workers may be imported inside of functions: commands that start them, and the check of devices.
STARTS_WORKERS = {"mayfly/checks.py", *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("mayfly/cli/*.py"))}

OURS = {name.removesuffix(".py") for name in ALLOWED} | {"benchmarks", "scripts", "tests"}
HEAVY = {"torch", "torchvision", "numpy", "cv2", "mediapipe", "safetensors", "skimage"}


FILES = [
    path
    for name in ALLOWED
    for path in ([ROOT / name] if name.endswith(".py") else sorted((ROOT / name).rglob("*.py")))
]


def imports(tree, *, top_only=False):
    """The modules that a syntax tree imports; those of functions and of type checking too, unless `top_only`."""
    waiting, found = [tree], []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        if top_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if top_only and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
    return found


def is_within(module, allowed):
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_run_one_way(path):
    name = path.relative_to(ROOT).as_posix()
    package = name.split("/")[0]
    tree = ast.parse(path.read_text())
    allowed = ALLOWED[package] | EXCEPTIONS.get(name, set()) | {package.removesuffix(".py"), "errors", "folders"}
    inside = {"workers"} if name in STARTS_WORKERS else set()
    at_top = imports(tree, top_only=True)
    for module in imports(tree):
        if module.split(".")[0] not in OURS or is_within(module, allowed):
            continue
        assert is_within(module, inside), f"{name} must not import {module}"
        assert module not in at_top, f"{name} may import {module} inside of functions only"


PRODUCERS = ("db", "mayfly", "purge", "tasks", "workers")
# Of an effect's package, what is loaded with its declaration.
DECLARES = {"__init__.py", "effect.py", "parameters.py"}


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in FILES
        if path.relative_to(ROOT).as_posix().startswith(PRODUCERS)
        or (path.is_relative_to(ROOT / "effects" / "library") and path.name in DECLARES)
    ],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_what_producers_load_imports_nothing_heavy_at_once(path):
    found = imports(ast.parse(path.read_text()), top_only=True)
    assert not {module.split(".")[0] for module in found} & HEAVY
    assert all(
        module.startswith("mayfly.effects.models.weights")
        for module in found
        if module.startswith("mayfly.effects.models")
    )


def test_one_module_knows_mediapipe():
    found = {
        path.name
        for path in FILES
        if any(is_within(module, {"mediapipe"}) for module in imports(ast.parse(path.read_text())))
    }
    assert found == {"mediapipe_models.py"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_says_why_it_exists(path):
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text and len(text.splitlines()[0]) > 15


def test_every_error_has_a_code_of_its_own():
    import importlib

    from mayfly.errors import MayflyError

    for name in ("effects", "media", "db", "tasks", "mayfly.client"):
        importlib.import_module(f"mayfly.{name}.errors")
    found, waiting = {}, [MayflyError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.endswith("errors") and "code" in vars(kind):
            found.setdefault(kind.code, []).append(kind.__name__)
    assert {code: kinds for code, kinds in found.items() if len(kinds) > 1} == {}
    assert all(code.replace("_", "").isalpha() and code.islower() for code in found)


def test_an_installation_has_every_folder():
    """Also those that are no packages to Python's eyes, such as the database's migrations."""
    options = read_configuration(ROOT / "setup.cfg")["options"]
    rooms = {name.split(".")[0] for name in options["packages"]}
    for room in rooms:
        folders = {path.parent for path in (ROOT / room).rglob("*.py")}
        wanted = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
        assert wanted <= set(options["packages"])
    assert "mayfly.db.migrations.versions" in options["packages"]
    assert not any("__pycache__" in name or name.startswith("tests") for name in options["packages"])


def modules():
    """Every module of ours by its dotted name, with those that it imports, in functions and for types alone as well."""
    paths = {path.relative_to(ROOT).with_suffix("") for path in FILES}
    names = {".".join(path.parent.parts if path.name == "__init__" else path.parts): path for path in paths}
    found = {}
    for name, path in names.items():
        found[name] = set()
        for module in imports(ast.parse((ROOT / path.with_suffix(".py")).read_text())):
            while module and module not in names:
                module = module.rpartition(".")[0]
            # A package is imported before what lies in it.
            if module and module != name and not name.startswith(f"{module}."):
                found[name].add(module)
    return found


def test_there_is_no_circle():
    """Not of types either: whoever reads a module need not know what comes later."""
    left = modules()
    while done := {name for name, needed in left.items() if not needed & left.keys()}:
        left = {name: needed for name, needed in left.items() if name not in done}
    assert sorted(left) == []
