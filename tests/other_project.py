"""Another project in whose folder, and beside whose modules, Mayfly must run."""

from __future__ import annotations

from pathlib import Path

PACKAGES = ("db", "effects", "media", "purge", "tasks", "workers")
MODULES = ("celeryconfig", "errors", "folders", "settings")
LIBRARIES = ("PIL", "celery", "ffmpeg", "kombu", "mayfly", "numpy", "platformdirs", "pydantic", "sqlalchemy", "torch")


def with_our_names(folder: Path) -> Path:
    """A folder for the path, of modules that are named as folders of Mayfly's repository and hold nothing of ours."""
    for name in PACKAGES:
        (folder / name).mkdir(parents=True)
    for path in (*(folder / name / "__init__.py" for name in PACKAGES), *(folder / f"{name}.py" for name in MODULES)):
        path.write_text('WHOSE = "the other project\'s"\n')
    return folder


def with_names_of_libraries(folder: Path) -> Path:
    """A folder to start processes in, which must import nothing from there."""
    folder.mkdir(parents=True)
    for name in LIBRARIES:
        (folder / f"{name}.py").write_text('raise ImportError("this belongs to another project")\n')
    return folder
