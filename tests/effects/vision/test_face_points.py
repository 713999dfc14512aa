"""The named points are the mesh's own."""

import pytest

from mayfly.effects.vision import face_points as names

OUTLINES = {
    "FACEMESH_LIPS": ["OUTER_LIPS", "INNER_LIPS"],
    "FACEMESH_LEFT_EYE": ["LEFT_EYE"],
    "FACEMESH_RIGHT_EYE": ["RIGHT_EYE"],
    "FACEMESH_FACE_OVAL": ["FACE_OVAL"],
}


def closed(points):
    return {frozenset(pair) for pair in zip(points, (*points[1:], points[0]), strict=True)}


@pytest.mark.parametrize("theirs", OUTLINES)
def test_outlines_are_those_of_the_mesh(theirs):
    from mediapipe.python.solutions import face_mesh_connections

    ours = set().union(*(closed(getattr(names, name)) for name in OUTLINES[theirs]))
    assert ours == {frozenset(pair) for pair in getattr(face_mesh_connections, theirs)}


def test_every_name_has_points_of_the_face_once_and_its_mirror_image():
    for name in [name for name in dir(names) if name.isupper() and name != "COUNT"]:
        value = getattr(names, name)
        points = value if isinstance(value, tuple) else (value,)
        assert len(set(points)) == len(points) and all(0 <= point < names.COUNT for point in points), name
        if name.startswith("RIGHT_"):
            other = getattr(names, name.replace("RIGHT", "LEFT"))
            other = other if isinstance(other, tuple) else (other,)
            assert len(other) == len(points) and not set(other) & set(points) - {names.CHIN}, name
