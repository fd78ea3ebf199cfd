import json
import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from bonafide.decoders.codec import packed_photo, unpacked_photo
from bonafide.photo.faces import Face
from bonafide.photo.preparation import Photo
from bonafide.photo.quality import Reason

FACES = (Face(0.1, 0.2, 0.3, 0.4, 0.9), Face(0.5, 0.5, 0.1, 0.1, 0.8))
FIELDS = tuple(asdict(FACES[0]))
WRONG = (-0.1, 1.1, math.inf, math.nan)


@pytest.mark.parametrize("shape", [(4, 6, 3), (5,)])
@pytest.mark.parametrize(("reason", "faces"), [(Reason.SEVERAL_FACES, FACES), (None, ())])
def test_a_photo_comes_back_as_it_was(shape: tuple[int, ...], reason: Reason | None, faces: tuple[Face, ...]) -> None:
    photo = Photo(np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8), reason, faces)
    header, payload = packed_photo(photo)
    found = unpacked_photo(json.loads(json.dumps(header)), payload)
    assert (found.reason, found.faces) == (reason, faces)
    assert np.array_equal(found.pixels, photo.pixels)


@pytest.mark.parametrize(
    ("changed", "size"),
    [
        ({"shape": [4, 6, 3]}, 71),
        ({"shape": [4, 6, 4]}, 96),
        ({"shape": [4, 6]}, 24),
        ({"shape": [-4, -6, 3]}, 72),
        ({"shape": [0]}, 0),
        ({"reason": "ugly"}, 72),
        *(({"faces": [asdict(replace(FACES[0], **{name: number}))]}, 72) for name in FIELDS for number in WRONG),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, Any], size: int) -> None:
    header = {"shape": [4, 6, 3], "reason": None, "faces": []} | changed
    with pytest.raises(ValueError, match=r"do not fit|not a valid Reason|cannot be where"):
        unpacked_photo(header, bytes(size))
