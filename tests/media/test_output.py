from __future__ import annotations

import json
import subprocess
import sys

import pydantic
import pytest

from mayfly.media.output import Output


def test_it_is_plain_data():
    chosen = Output(codec="hevc", quality=24, preset="slow", chapters=True, hardware=True)
    assert Output.model_validate(json.loads(json.dumps(chosen.model_dump(mode="json")))) == chosen
    with pytest.raises(pydantic.ValidationError):
        chosen.quality = 3


@pytest.mark.parametrize(
    "bad", [{"codec": "vp9"}, {"quality": 52}, {"quality": -1}, {"preset": "fastest"}, {"crf": 20}, {"hardware": "gpu"}]
)
def test_bad_values_are_refused(bad):
    with pytest.raises(pydantic.ValidationError):
        Output(**bad)


def test_a_producer_needs_no_torch_for_it():
    imported = "import sys, mayfly.media.output, mayfly.media.video.encoders; "
    code = f"{imported} print('torch' in sys.modules, 'numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert found.stdout.split() == ["False", "False"]
