"""What a reason is worth: photos made smaller, darker or blurred, how often each reason is given, and the error.

The same photos go through the service's own reader and engine in every condition: a markdown table on stdout.
`--values` shows instead how the measures that have a limit are distributed on photos as they are.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.tables import markdown_table
from bonafide.photo.face_detector import FaceDetector
from bonafide.photo.quality import Reason, brightness, luminance, seen_pixels, sharpness
from bonafide.photo.reader import PhotoReader
from bonafide.photo.rules import PhotoRules
from lab.evaluation.datasets import read_dataset, sample
from lab.evaluation.trials import Trial, chosen_split
from lab.metrics import Ranking, equal_error_rate
from lab.training.data.packages import data_dir
from models.configured import load_options, settings_for
from models.face_model import FaceSpoofModel

Change = Callable[[Image.Image], Image.Image]
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


def _smaller(scale: float) -> Change:
    return lambda photo: photo.resize([max(1, round(edge * scale)) for edge in photo.size], Image.Resampling.BOX)


def _darker(light: float) -> Change:
    return lambda photo: photo.point(lambda level: level * light)


def _blurred(share: float) -> Change:
    return lambda photo: photo.filter(ImageFilter.GaussianBlur(share * min(photo.size)))


CONDITIONS: Mapping[str, Change] = {
    "as it is": lambda photo: photo,
    **{f"{scale:.0%} of its size": _smaller(scale) for scale in (0.5, 0.35, 0.25)},
    **{f"{light:.0%} of its light": _darker(light) for light in (0.5, 0.3, 0.2, 0.1)},
    **{f"blurred by {share:.1%} of its shorter side": _blurred(share) for share in (0.003, 0.005, 0.01, 0.02)},
}


def judged(detector: FaceSpoofModel, reader: PhotoReader, trials: Sequence[Trial], change: Change) -> list[str]:
    """A table's row: equal error rate, then the shares of live photos, and of attacks, by reason."""
    geometry = detector.info.geometry
    assert geometry is not None
    photos = [reader.read(_changed(trial.path, change), geometry) for trial in trials]
    scores = detector.score([photo.pixels for photo in photos])
    spoof = np.array([trial.spoof for trial in trials])
    found = {
        flag: Counter(p.reason for p, fake in zip(photos, spoof, strict=True) if fake == flag) for flag in (False, True)
    }
    shares = [
        " / ".join(f"{found[flag][reason] / found[flag].total():.1%}" for flag in found) for reason in (None, *Reason)
    ]
    return [f"{equal_error_rate(Ranking(scores, spoof).curve()):.1%}", *shares]


def values(detector: FaceSpoofModel, trials: Sequence[Trial]) -> list[list[str]]:
    """Rows: percentiles of what has a limit, over the photos in which a face is found."""
    finder, geometry = FaceDetector.of_process(), detector.info.geometry
    assert geometry is not None
    measured = []
    for trial in trials:
        with Image.open(trial.path) as image:
            photo = image.convert("RGB")
        if faces := finder.find(photo):
            box = faces[0].box(photo.size)
            light = luminance(photo, box)
            seen = seen_pixels(box, (0, 0, *photo.size), geometry)
            measured.append((seen, brightness(light), sharpness(light)))
    cuts = np.percentile(np.array(measured), PERCENTILES, axis=0).T
    names = ("pixels seen", "brightness", "sharpness")
    return [[name, *(f"{cut:.3g}" for cut in row)] for name, row in zip(names, cuts, strict=True)]


def _changed(path: Path, change: Change) -> bytes:
    out = BytesIO()
    with Image.open(path) as image:
        change(image.convert("RGB")).save(out, "JPEG", quality=90)
    return out.getvalue()


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled", help="a face model")
    parser.add_argument("--data", type=Path, help="default: the bundled model's own data")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--limit", type=int, help="so many photos, the same every time")
    parser.add_argument("--values", action="store_true", help="percentiles instead")
    arguments = parser.parse_args()
    data = arguments.data or data_dir() / "faces" / "manifest.jsonl"
    trials = sample(chosen_split(read_dataset(data), arguments.split), arguments.limit).trials
    settings = settings_for("face")
    detector = FaceSpoofModel.load(arguments.model, load_options("face", settings))
    if arguments.values:
        for name, flag in (("live", False), ("attack", True)):
            rows = values(detector, [trial for trial in trials if trial.spoof == flag])
            print(markdown_table([name, *(f"{share} %" for share in PERCENTILES)], rows))
        return
    reader = PhotoReader(PhotoRules.from_settings(settings))
    rows = [[name, *judged(detector, reader, trials, change)] for name, change in CONDITIONS.items()]
    print(f"live / attack photos, {len(trials)} in all; EER of {detector.info.name}, crop: {settings.face_crop}")
    print(markdown_table(["photo", "EER", "no reason", *Reason], rows))


if __name__ == "__main__":
    main()
