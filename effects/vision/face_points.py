"""Names for the 478 points of a face; left and right are the person's own, so left is on the right of a picture.

The indices are those of MediaPipe's face mesh: 468 points of the canonical face model, then ten of the irises. Contours
are FACEMESH_… of mediapipe/python/solutions/face_mesh_connections.py; rings around the eyes and single points are those
of MESH_ANNOTATIONS in tensorflow/tfjs-models' facemesh (keypoints.ts). Both Apache License 2.0.

Closed outlines list each point once, in order around. LEFT_X[i] is the mirror image of RIGHT_X[i].
"""

from __future__ import annotations

COUNT = 478

# From the person's right corner along the lower edge to the left corner and back along the upper edge.
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
# From the right corner to the left one.
UPPER_LIP_TOP = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
UPPER_LIP_BOTTOM = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_LIP_TOP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LOWER_LIP_BOTTOM = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
RIGHT_MOUTH_CORNER, LEFT_MOUTH_CORNER = 61, 291

# The edge of the opening: from the outer corner along the lower lid to the inner corner and back along the upper lid.
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_EYE_OUTER, RIGHT_EYE_INNER = 33, 133
LEFT_EYE_OUTER, LEFT_EYE_INNER = 263, 362

# The lids' edges from the outer corner to the inner one, corners included.
RIGHT_UPPER_LID = (33, 246, 161, 160, 159, 158, 157, 173, 133)
LEFT_UPPER_LID = (263, 466, 388, 387, 386, 385, 384, 398, 362)
RIGHT_LOWER_LID = (33, 7, 163, 144, 145, 153, 154, 155, 133)
LEFT_LOWER_LID = (263, 249, 390, 373, 374, 380, 381, 382, 362)
# Rings further out, from the outer side to the inner one: the fold of the upper lid, then under the brow.
RIGHT_UPPER_FOLD = (130, 247, 30, 29, 27, 28, 56, 190, 243)
LEFT_UPPER_FOLD = (359, 467, 260, 259, 257, 258, 286, 414, 463)
RIGHT_UNDER_BROW = (113, 225, 224, 223, 222, 221, 189)
LEFT_UNDER_BROW = (342, 445, 444, 443, 442, 441, 413)
# Below the eye: the lid's skin, where bags end, and the top of the cheek.
RIGHT_LOWER_FOLD = (130, 25, 110, 24, 23, 22, 26, 112, 243)
LEFT_LOWER_FOLD = (359, 255, 339, 254, 253, 252, 256, 341, 463)
RIGHT_BAG = (226, 31, 228, 229, 230, 231, 232, 233, 244)
LEFT_BAG = (446, 261, 448, 449, 450, 451, 452, 453, 464)
RIGHT_CHEEK_TOP = (143, 111, 117, 118, 119, 120, 121, 128, 245)
LEFT_CHEEK_TOP = (372, 340, 346, 347, 348, 349, 350, 357, 465)
# Closed outlines of the skin where bags and dark circles are: the lower fold and, back, the top of the cheek.
RIGHT_UNDER_EYE = (*RIGHT_LOWER_FOLD, *reversed(RIGHT_CHEEK_TOP[1:-1]))
LEFT_UNDER_EYE = (*LEFT_LOWER_FOLD, *reversed(LEFT_CHEEK_TOP[1:-1]))

# The centre, then the rim: towards the person's left, top, the person's right, bottom.
RIGHT_IRIS = (468, 469, 470, 471, 472)
LEFT_IRIS = (473, 474, 475, 476, 477)
RIGHT_PUPIL, LEFT_PUPIL = 468, 473

# From the outer end to the inner one.
RIGHT_BROW_TOP = (70, 63, 105, 66, 107)
LEFT_BROW_TOP = (300, 293, 334, 296, 336)
RIGHT_BROW_BOTTOM = (46, 53, 52, 65, 55)
LEFT_BROW_BOTTOM = (276, 283, 282, 295, 285)
# Closed outlines.
RIGHT_BROW = (*RIGHT_BROW_TOP, *reversed(RIGHT_BROW_BOTTOM))
LEFT_BROW = (*LEFT_BROW_TOP, *reversed(LEFT_BROW_BOTTOM))

# From the top of the forehead by the person's left ear to the chin and back.
FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
FOREHEAD_TOP, CHIN = 10, 152
# From the ear to the chin, both ends included.
RIGHT_JAW = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
LEFT_JAW = (454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152)
RIGHT_CHEEK, LEFT_CHEEK = 205, 425

# From between the eyes down to the tip; the base from the right wing to the left one.
NOSE_BRIDGE = (168, 6, 197, 195, 5, 4, 1)
NOSE_BASE = (64, 98, 97, 2, 326, 327, 294)
NOSE_TIP = 1
BETWEEN_EYES = 168
RIGHT_NOSE_WING, LEFT_NOSE_WING = 64, 294
# A closed outline of the whole nose.
NOSE = (168, 193, 245, 188, 174, 217, 209, 49, 64, 98, 97, 2, 326, 327, 294, 279, 429, 437, 399, 412, 465, 417)
