"""What a producer's process loads: no torch, no Celery before it is needed, and neither where they are missing."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "numpy", "safetensors"}:
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Blocker())
"""


def python(code, *arguments):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def loaded_by(statement):
    """The modules that a statement loads."""
    return set(python(f"{statement}; import sys; print(*sys.modules)").split())


def test_the_client_loads_no_torch_and_no_migrations():
    loaded = loaded_by("from mayfly import Client; Client()")
    assert {"mayfly", "sqlalchemy"} <= loaded
    assert not {"torch", "torchvision", "numpy", "cv2", "alembic"} & loaded


def test_importing_mayfly_alone_loads_almost_nothing():
    loaded = loaded_by("import mayfly")
    assert {name for name in loaded if name.startswith("mayfly")} == {"mayfly"}
    assert not {"torch", "celery", "kombu", "sqlalchemy", "pydantic", "minio"} & loaded


def test_the_commands_load_no_database_and_no_broker_before_they_need_one():
    loaded = loaded_by("from mayfly.cli import main")
    assert "mayfly.cli.submit" in loaded
    assert not {"torch", "celery", "kombu", "sqlalchemy", "alembic", "minio", "pika", "mayfly.client.client"} & loaded


@pytest.mark.parametrize("file", ["photo", "clip"])
def test_apply_loads_neither_celery_nor_sqlalchemy(file, tmp_path, request):
    source = request.getfixturevalue(file)
    target = tmp_path / f"result{source.suffix}"
    code = "import sys; from mayfly.cli import main\ntry: main()\nexcept SystemExit: print(*sys.modules)"
    loaded = set(python(code, "apply", "pass-through", str(source), str(target)).split())
    assert target.stat().st_size
    assert "torch" in loaded
    assert not {"celery", "kombu", "sqlalchemy", "mayfly.client.client"} & loaded


def test_a_client_without_torch_checks_submits_and_cancels(embedded, photo):
    code = BLOCKED + (
        "from mayfly import Client, MayflyError\n"
        "with Client() as client:\n"
        "    for effect, params in (('nope', {}), ('enhance', {'scale': 9})):\n"
        "        try:\n"
        "            client.submit(sys.argv[1], effect, params)\n"
        "        except MayflyError as error:\n"
        "            print(error.code)\n"
        "    job = client.submit(sys.argv[1], 'enhance', {'scale': 2})\n"
        "    print(job.state, client.cancel(job).state, client.held()['input'], 'torch' in sys.modules)\n"
    )
    assert python(code, str(photo)).split() == [
        *("unknown_effect", "invalid_parameters", "queued", "cancelled", "0", "False")
    ]


def test_every_effects_declaration_loads_without_torch():
    names = python(BLOCKED + "from mayfly.effects import registry; print(*registry.load())").split()
    assert {"anime", "enhance"} <= set(names)
