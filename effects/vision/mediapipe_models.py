"""MediaPipe 0.10.21 as the provider of models: the last version that carries them inside its package.

Nothing else imports mediapipe. Faces are detected by BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047), their points
come from Attention Mesh (Grishchenko et al. 2020, arXiv:2006.10962), bodies from BlazePose (2020, arXiv:2006.10204).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mayfly.effects.vision.models import Detection, Region
from mayfly.effects.vision.stderr_filter import filtered_stderr

if TYPE_CHECKING:
    from mayfly.effects.vision.models import Picture, Values

# The part of mediapipe's face mesh after the detector, so that we choose where it looks.
_POINTS_GRAPH = """
input_stream: "image"
input_stream: "region"
input_side_packet: "attention"
output_stream: "points"
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:region"
  input_side_packet: "WITH_ATTENTION:attention"
  output_stream: "LANDMARKS:points"
}
"""


class MediapipeModels:
    """Implements mayfly.effects.vision.models.Models; each model is loaded when it is first used."""

    def __init__(self) -> None:
        self._graphs: dict[str, Any] = {}

    def near_faces(self, picture: Picture) -> list[Detection]:
        return self._faces(0, picture)

    def far_faces(self, picture: Picture) -> list[Detection]:
        return self._faces(1, picture)

    def face_points(self, picture: Picture, region: Region) -> Values | None:
        height, width = picture.shape[:2]

        def rectangle() -> Any:
            from mediapipe.framework.formats import rect_pb2

            return rect_pb2.NormalizedRect(
                x_center=region.x / width,
                y_center=region.y / height,
                width=region.side / width,
                height=region.side / height,
                rotation=region.turn,
            )

        found = self._run("points", _points_graph, lambda: {"image": picture, "region": rectangle()}).points
        # Depth comes in the scale of x.
        return None if found is None else _array(found, width, height, width, "z")

    def pose(self, picture: Picture) -> Values | None:
        height, width = picture.shape[:2]
        found = self._run("pose", _pose_graph, lambda: picture).pose_landmarks
        return None if found is None else _array(found, width, height, 1, "visibility")

    def person(self, picture: Picture) -> Values:
        mask = self._run("person", _person_graph, lambda: picture).segmentation_mask
        return np.array(mask, np.float32).reshape(picture.shape[:2])

    def _faces(self, reach: int, picture: Picture) -> list[Detection]:
        height, width = picture.shape[:2]
        found = self._run(f"faces-{reach}", lambda: _faces_graph(reach), lambda: picture).detections
        return [_detection(item, height, width) for item in found or ()]

    def _run(self, name: str, make: Callable[[], Any], given: Callable[[], Any]) -> Any:
        graph = self._graphs.get(name)
        if graph is not None:
            return graph.process(given())
        # A graph talks when it is made and in its first run.
        with filtered_stderr():
            graph = make()
            result = graph.process(given())
        self._graphs[name] = graph
        return result


def _points_graph() -> Any:
    from google.protobuf import text_format
    from mediapipe.framework import calculator_pb2
    from mediapipe.python import solution_base
    from mediapipe.python.solutions import face_mesh  # noqa: F401  (registers the calculators' options)

    graph = text_format.Parse(_POINTS_GRAPH, calculator_pb2.CalculatorGraphConfig())
    return solution_base.SolutionBase(graph_config=graph, side_inputs={"attention": True})


def _faces_graph(reach: int) -> Any:
    from mediapipe.python.solutions import face_detection

    return face_detection.FaceDetection(model_selection=reach, min_detection_confidence=0.5)


def _pose_graph() -> Any:
    from mediapipe.python.solutions import pose

    # Complexity 1 is the one model that the package carries; the others would be downloaded.
    return pose.Pose(static_image_mode=True, model_complexity=1, smooth_landmarks=False)


def _person_graph() -> Any:
    from mediapipe.python.solutions import selfie_segmentation

    return selfie_segmentation.SelfieSegmentation(model_selection=0)


def _array(found: Any, width: float, height: float, depth: float, third: str) -> Values:
    values = [(point.x * width, point.y * height, getattr(point, third) * depth) for point in found.landmark]
    return np.array(values, np.float32)


def _detection(item: Any, height: int, width: int) -> Detection:
    place = item.location_data
    box = place.relative_bounding_box
    left, top = box.xmin * width, box.ymin * height
    # Its first two points are the person's right and left eye.
    right_eye, left_eye = place.relative_keypoints[:2]
    turn = math.atan2((left_eye.y - right_eye.y) * height, (left_eye.x - right_eye.x) * width)
    return Detection(
        box=(left, top, left + box.width * width, top + box.height * height), turn=turn, score=float(item.score[0])
    )
