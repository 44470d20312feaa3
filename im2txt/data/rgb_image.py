"""Pillow's images of any mode in RGB, as people see them."""

from PIL import Image


def convert(image: Image.Image) -> Image.Image:
  """An image in RGB; what is transparent has the colour that it hides."""
  return _of_8_bits(image).convert("RGB")


def on_white(image: Image.Image) -> Image.Image:
  """An image in RGB, on white where it is transparent."""
  image = _of_8_bits(image)
  if image.has_transparency_data:
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(white, image)
  return image.convert("RGB")


def _of_8_bits(image: Image.Image) -> Image.Image:
  """The image; if it is grey of 16 bits, which Pillow would cut off at 255."""
  if not image.mode.startswith("I"):
    return image
  return image.convert("I").point(lambda value: value / 256).convert("L")
