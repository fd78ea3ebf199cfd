"""Photos that have, and photos that lack, what a verdict needs: all made of the sample portrait, 320 x 400 pixels."""

from PIL import Image, ImageFilter

from scripts.local_service import ROOT

FACE = (104, 77, 207, 180)
"""Where the face is in `portrait`: left, top, right, bottom, found by eye."""
_GREY = (128, 128, 128)


def portrait() -> Image.Image:
    """One face, well lit and sharp."""
    with Image.open(ROOT / "samples" / "face.jpg") as image:
        return image.convert("RGB")


def two_faces(other: float = 1.0) -> Image.Image:
    """Side by side, the right one `other` times as large."""
    one = portrait()
    second = one.resize((round(one.width * other), round(one.height * other)))
    both = Image.new("RGB", (2 * one.width, one.height), _GREY)
    both.paste(one, (0, 0))
    both.paste(second, (one.width, 0))
    return both


def small_face(scale: float = 0.4) -> Image.Image:
    """The portrait, so much smaller, in the middle of a grey wall as large as it was."""
    one = portrait()
    wall = Image.new("RGB", one.size, _GREY)
    width, height = round(one.width * scale), round(one.height * scale)
    wall.paste(one.resize((width, height)), ((one.width - width) // 2, (one.height - height) // 2))
    return wall


def dark_face(light: float = 0.15) -> Image.Image:
    """So much of the light."""
    return portrait().point(lambda level: round(level * light))


def blurred_face(radius: float = 4.0) -> Image.Image:
    """Blurred by so many pixels."""
    return portrait().filter(ImageFilter.GaussianBlur(radius))


def no_face() -> Image.Image:
    """The portrait's lower third: a jacket and a flag."""
    one = portrait()
    return one.crop((0, 270, one.width, one.height))


def black() -> Image.Image:
    """Nothing at all."""
    return Image.new("RGB", (320, 400))
