"""Imports run one way; the syntax trees are walked to keep it so."""

import ast
import re
from pathlib import Path

import pytest
from setuptools.config.setupcfg import read_configuration

ROOT = Path(__file__).parents[1]

# What lies beside mayfly/ and is linked into it: its modules are imported as `mayfly.…` alone.
LINKED = ("celeryconfig.py", "db", "effects", "media", "purge", "tasks", "workers")
NOT_INSTALLED = ("benchmarks", "scripts", "tests")

# What each part may import of ours, besides itself, `mayfly.errors` and `mayfly.folders`; a longer name allows that
# module alone. `mayfly` is what is in no other part: the client and the command line.
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

HEAVY = {"torch", "torchvision", "numpy", "cv2", "mediapipe", "safetensors", "skimage"}


def python_files(name):
    """Those of a folder or file of the repository; links are not followed, so that each comes once."""
    path = ROOT / name
    return [path] if path.is_file() else sorted(one for one in path.rglob("*.py") if not one.is_symlink())


def module_of(path):
    """The name by which a file, or a folder, is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "mayfly" else ("mayfly", *parts)).removesuffix(".__init__")


def part_of(module):
    """The part that a module belongs to; None for what is not ours."""
    return max((part for part in ALLOWED if is_within(module, {part})), key=len, default=None)


FILES = [path for name in (*LINKED, "mayfly") for path in python_files(name)]


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
    part = part_of(module_of(path))
    tree = ast.parse(path.read_text())
    allowed = ALLOWED[part] | EXCEPTIONS.get(name, set()) | {"mayfly.errors", "mayfly.folders"}
    inside = {"mayfly.workers"} if name in STARTS_WORKERS else set()
    at_top = imports(tree, top_only=True)
    for module in imports(tree):
        assert not is_within(module, NOT_INSTALLED), f"{name} must not import {module}, which is not installed"
        if part_of(module) in (part, None) or is_within(module, allowed):
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

    for path in FILES:
        if path.stem.endswith("errors"):
            importlib.import_module(module_of(path))
    found, waiting = {}, [MayflyError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.endswith("errors") and "code" in vars(kind):
            found.setdefault(kind.code, []).append(kind.__name__)
    assert {code: kinds for code, kinds in found.items() if len(kinds) > 1} == {}
    assert all(code.replace("_", "").isalpha() and code.islower() for code in found)


def test_an_installation_has_every_folder():
    """Also those that are no packages to Python's eyes, such as the database's migrations; and has one name."""
    options = read_configuration(ROOT / "setup.cfg")["options"]
    wanted = {module_of(path.parent) for path in FILES if path.parent != ROOT}
    assert "mayfly.db.migrations.versions" in wanted
    assert set(options["packages"]) == wanted
    assert "py_modules" not in options


def test_nothing_new_lies_at_the_top():
    """Whatever Python could import from the root of the repository is either installed within mayfly or not at all."""
    places = [path for path in ROOT.iterdir() if not path.name.startswith(".") and path.name not in ("build", "dist")]
    found = {path.name for path in places if path.suffix == ".py" or any(path.rglob("*.py"))}
    assert found == {*LINKED, "mayfly", *NOT_INSTALLED}
    links = {path.name: path.readlink().as_posix() for path in (ROOT / "mayfly").iterdir() if path.is_symlink()}
    assert links == {name: f"../{name}" for name in LINKED}


SHORT = "|".join(name.removesuffix(".py") for name in (*LINKED, "errors", "folders", "settings"))
IN_STRINGS = re.compile(rf"\bfrom ({SHORT})(\.\w+)* import\b|\bimport ([\w.]+, )*({SHORT})\.\w")


def test_nothing_is_imported_by_a_folders_name():
    """From the root of the repository that would work, and give each class a second time; installed, it would not."""
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and b"python" in path.read_bytes()[:30]]
    wrong = {}
    for path in [*FILES, *(path for name in NOT_INSTALLED for path in python_files(name)), *scripts]:
        tree = ast.parse(path.read_text())
        found = [module for module in imports(tree) if re.fullmatch(SHORT, module.split(".")[0])]
        texts = [one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        found += [text for text in texts if names_module(text) or IN_STRINGS.search(text)]
        if found:
            wrong[path.relative_to(ROOT).as_posix()] = found
    assert wrong == {}


def names_module(text):
    """Whether a string is the short name of a module; that of a task, such as "purge.sweep", is not."""
    match = re.fullmatch(rf"({SHORT})\.(\w+)([.:][\w.:]+)?", text)
    return bool(match) and any((ROOT / match[1] / name).exists() for name in (match[2], f"{match[2]}.py"))


def modules():
    """Every module of ours by its dotted name, with those that it imports, in functions and for types alone as well."""
    names = {module_of(path): path for path in FILES}
    found = {}
    for name, path in names.items():
        found[name] = set()
        for module in imports(ast.parse(path.read_text())):
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
