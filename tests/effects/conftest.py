"""Effects of tests find faces and people with one set of models, which looks at each picture once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mayfly.effects.models import weights
from mayfly.effects.models.cache import cache
from mayfly.effects.vision import mediapipe_models
from tests.effects.remembered import Remembered

# Vision's own tests and the contract's ask the models themselves.
WHERE = {"library", "models", "shared"}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other are slow on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder of installed models that is in use."""
    weights.use(tmp_path / "models")
    yield tmp_path / "models"
    weights.use(None)
    cache.release()


@pytest.fixture(scope="session")
def models() -> Remembered:
    """The one set of models."""
    return Remembered(mediapipe_models.MediapipeModels())


@pytest.fixture(scope="module", autouse=True)
def _one_set_of_models(request: pytest.FixtureRequest, models: Remembered) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.path.relative_to(Path(__file__).parent).parts[0] in WHERE:
            patch.setattr(mediapipe_models, "MediapipeModels", lambda: models)
        yield
