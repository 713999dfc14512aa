"""Only the noise is held back."""

import os

import pytest

from mayfly.effects.vision.stderr_filter import filtered_stderr


def test_noise_is_dropped_and_the_rest_passed_on(capfd):
    with filtered_stderr():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"W0000 00:00:1.2  3 inference_feedback_manager.cc:114] Feedback manager\n")
        os.write(2, b"E0000 00:00:1.2  3 graph.cc:1] it broke\n")
        os.write(2, b"somebody else\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "E0000 00:00:1.2  3 graph.cc:1] it broke\nsomebody else\nafter\n"


def test_standard_error_comes_back_after_an_error(capfd):
    with pytest.raises(ValueError, match="broken"), filtered_stderr():
        raise ValueError("broken")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
