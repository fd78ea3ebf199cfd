"""Cost of each step of judging a photo: milliseconds of processor time on one core, a markdown table on stdout.

The photo is the sample portrait, enlarged. Its face is near: the first network finds it; `far` photos need the second.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image

from benchmarks.tables import machine, markdown_table
from bonafide.photo.face_detector import FaceDetector
from bonafide.photo.faces import Face
from bonafide.photo.image import read_image
from bonafide.photo.preparation import prepared
from bonafide.photo.reduced import ReducedPhoto
from bonafide.photo.rules import PhotoRules
from bonafide.settings import Settings
from models.configured import load_options, settings_for
from models.face_model import FaceSpoofModel
from models.info import ImageGeometry

SAMPLE = Path(__file__).resolve().parent.parent / "samples" / "face.jpg"
SCALES = (1.0, 2.0, 4.0, 9.0, 9.6)


def milliseconds(run: Callable[[], object], rounds: int) -> str:
    """Median of processor time, which other load affects little."""
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        run()
        spent.append(1000 * (time.process_time() - began))
    return f"{statistics.median(spent):.1f}"


def jpeg(scale: float, wall: bool = False) -> bytes:
    """The portrait, so many times as large; `wall`: at a third of that, in the middle of a grey wall."""
    with Image.open(SAMPLE) as image:
        width, height = (round(edge * scale) for edge in image.size)
        photo = image.convert("RGB").resize((width, height))
    if wall:
        small = photo.resize((width // 3, height // 3))
        photo = Image.new("RGB", photo.size, (128, 128, 128))
        photo.paste(small, (width // 3, height // 3))
    out = BytesIO()
    photo.save(out, "JPEG", quality=90)
    return out.getvalue()


def decoded(data: bytes, rules: PhotoRules, geometry: ImageGeometry, faces: Sequence[Face]) -> Image.Image:
    """As the service does it: a second time where its face is small."""
    photo = ReducedPhoto(data, rules, [geometry])
    photo.enlarge_for(faces)
    return photo.image


def row(name: str, data: bytes, finder: FaceDetector, detector: FaceSpoofModel, rounds: int) -> list[str]:
    """One photo: its pixels, and the cost of each step."""
    rules = replace(PhotoRules.from_settings(Settings()), crop_margin=None)
    geometry = detector.info.geometry
    assert geometry is not None
    full = read_image(data, rules.limits)
    faces = finder.find(full)
    assert len(faces) == 1
    photo = decoded(data, rules, geometry, faces)
    pixels, _ = prepared(photo, faces, geometry, rules.quality, None)
    steps: list[Callable[[], object]] = [
        lambda: read_image(data, rules.limits),
        lambda: decoded(data, rules, geometry, faces),
        lambda: finder.find(photo),
        lambda: prepared(photo, faces, geometry, rules.quality, None),
        lambda: detector.score([pixels]),
    ]
    return [f"{full.width} x {full.height}{name}", *(milliseconds(step, rounds) for step in steps)]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="of each step; the median counts")
    rounds: int = parser.parse_args().rounds
    torch.set_num_threads(1)
    settings = settings_for("face", engine_threads=1)
    detector = FaceSpoofModel.load("bundled", load_options("face", settings))
    finder = FaceDetector()
    rows = [row("", jpeg(scale), finder, detector, rounds) for scale in SCALES]
    rows.append(row(", far", jpeg(SCALES[1], wall=True), finder, detector, rounds))
    print(f"{machine()}; model in {detector.info.engine}, {detector.info.precision}")
    print(markdown_table(["photo", "decoding all", "decoding", "faces", "preparing", "bundled model"], rows))


if __name__ == "__main__":
    main()
