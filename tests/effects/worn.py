"""Pictures of people with places, drawn by hand, that surely are garment, skin, hair or background."""

import dataclasses

import cv2
import matplotlib.cbook
import numpy as np
from PIL import Image
from skimage import data


@dataclasses.dataclass(frozen=True)
class Worn:
    """A picture, (H, W, 3) uint8, and (H, W) bool masks."""

    picture: np.ndarray
    garment: np.ndarray
    skin: np.ndarray
    hair: np.ndarray
    background: np.ndarray

    def changed(self, change):
        """The same change of place for the picture and all masks."""
        masks = (self.garment, self.skin, self.hair, self.background)
        return Worn(change(self.picture), *(change(mask.astype(np.uint8)) > 0 for mask in masks))

    def mirrored(self):
        return self.changed(lambda picture: np.ascontiguousarray(picture[:, ::-1]))

    def scaled(self, factor):
        def change(picture):
            height, width = picture.shape[:2]
            how = cv2.INTER_NEAREST if picture.ndim == 2 else cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
            return cv2.resize(picture, (round(width * factor), round(height * factor)), interpolation=how)

        return self.changed(change)

    def darkened(self, factor):
        return dataclasses.replace(self, picture=(self.picture * factor).astype(np.uint8))


def drawn(picture, *outlines):
    mask = np.zeros(picture.shape[:2], np.uint8)
    for outline in outlines:
        cv2.fillPoly(mask, [np.array(outline, np.int32)], 1)
    return mask > 0


def astronaut():
    """An orange suit; the shaded side under the helmet's ring and all badges and straps are left out."""
    picture = data.astronaut()
    return Worn(
        picture,
        garment=drawn(
            picture,
            [(105, 235), (125, 262), (160, 290), (228, 298), (228, 345), (125, 345), (60, 345), (60, 290), (75, 255)],
            [(60, 345), (125, 345), (125, 400), (60, 410)],
            [(215, 345), (228, 345), (228, 400), (215, 400)],
            [(60, 410), (215, 430), (225, 470), (150, 460), (60, 480), (40, 470), (35, 420)],
            [(305, 262), (335, 285), (345, 335), (275, 335), (265, 300), (290, 290)],
        ),
        skin=drawn(picture, [(190, 100), (262, 100), (258, 160), (238, 184), (208, 182), (192, 160)]),
        hair=drawn(picture, [(165, 60), (200, 25), (250, 22), (285, 55), (290, 105), (278, 110), (255, 72), (185, 78)]),
        background=drawn(
            picture,
            [(0, 0), (140, 0), (140, 140), (95, 150), (80, 200), (30, 230), (10, 300), (10, 511), (0, 511)],
            [(315, 0), (511, 0), (511, 340), (380, 340), (375, 250), (330, 220)],
            [(300, 400), (400, 360), (480, 420), (480, 511), (300, 511)],
        ),
    )


def hopper():
    """A navy uniform; the ribbons, the name plate and the shirt count as what surrounds it."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        picture = np.array(Image.open(file).convert("RGB"))
    return Worn(
        picture,
        garment=drawn(
            picture,
            [(70, 400), (180, 355), (205, 420), (215, 470), (70, 475)],
            [(345, 345), (470, 400), (490, 480), (300, 480), (310, 420)],
            [(50, 530), (230, 530), (240, 560), (215, 590), (40, 590)],
            [(275, 540), (480, 540), (490, 590), (280, 590)],
        ),
        skin=drawn(picture, [(200, 150), (330, 150), (340, 220), (330, 290), (300, 330), (300, 370), (260, 395)])
        | drawn(picture, [(190, 240), (220, 300), (230, 350), (215, 320), (195, 290)]),
        hair=drawn(picture, [(165, 265), (180, 265), (190, 285), (178, 285)], [(345, 270), (355, 265), (345, 295)]),
        background=drawn(
            picture,
            [(0, 0), (140, 0), (140, 320), (40, 375), (12, 440), (0, 500)],
            [(385, 0), (511, 0), (511, 370), (400, 345), (385, 300)],
            # The shirt, the name plate and the ribbons.
            [(210, 370), (225, 410), (260, 405), (312, 370), (295, 400), (245, 412), (220, 425), (205, 390)],
            [(90, 492), (160, 495), (155, 510), (90, 506)],
            [(345, 512), (445, 508), (445, 518), (340, 520)],
        ),
    )
