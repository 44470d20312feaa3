"""Tests of image_conversion, on files that Pillow writes."""

import io
import struct
from unittest import mock
import zlib

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from PIL import Image
import tensorflow as tf

from im2txt.data import image_conversion

_PIXELS = np.random.default_rng(0).integers(0, 256, [20, 30, 3], np.uint8)
# What to do with the pixels that such a file holds, by its orientation.
_UPRIGHT = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    6: lambda pixels: np.rot90(pixels, -1),
    8: np.rot90,
}


def _encode(file_format, *, mode="RGB", orientation=None, **options):
  file = io.BytesIO()
  if orientation is not None:
    options["exif"] = Image.Exif()
    options["exif"][0x0112] = orientation
  Image.fromarray(_PIXELS).convert(mode).save(file, file_format, **options)
  return file.getvalue()


def _decode(encoded_image):
  """As a model does."""
  return tf.io.decode_jpeg(encoded_image, channels=3).numpy()


class ImageConversionTest(parameterized.TestCase):

  @parameterized.parameters("JPEG", "PNG")
  def test_what_models_take_stays_as_it_is(self, file_format):
    encoded_image = _encode(file_format)
    self.assertIs(image_conversion.convert(encoded_image), encoded_image)
    self.assertIs(
        image_conversion.convert(
            encoded_image, max_pixels=600, respect_exif_orientation=True
        ),
        encoded_image,
    )

  @parameterized.parameters(
      ("WEBP", {"lossless": True}),
      ("WEBP", {"lossless": True, "mode": "RGBA"}),
      ("GIF", {"mode": "P"}),
      ("BMP", {}),
      ("BMP", {"mode": "P"}),
      ("BMP", {"mode": "1"}),
  )
  def test_other_formats(self, file_format, options):
    converted = image_conversion.convert(_encode(file_format, **options))
    mode = options.get("mode", "RGB")
    expected = Image.fromarray(_PIXELS).convert(mode).convert("RGB")
    np.testing.assert_array_equal(_decode(converted), np.array(expected))

  @parameterized.parameters("JPEG", "PNG", "WEBP", "GIF", "BMP")
  def test_num_pixels(self, file_format):
    self.assertEqual(image_conversion.num_pixels(_encode(file_format)), 600)

  @parameterized.parameters(b"", b"text", b"GIF89a")
  def test_num_pixels_of_what_is_no_image(self, content):
    self.assertEqual(image_conversion.num_pixels(content), 0)

  @parameterized.parameters("GIF", "WEBP")
  def test_of_several_frames_the_first(self, file_format):
    frames = [Image.new("RGB", (8, 6), color) for color in ("red", "blue")]
    file = io.BytesIO()
    options = {"lossless": True} if file_format == "WEBP" else {}
    frames[0].save(
        file, file_format, save_all=True, append_images=frames[1:], **options
    )
    converted = _decode(image_conversion.convert(file.getvalue()))
    self.assertEqual(converted.shape, (6, 8, 3))
    self.assertEqual(converted[0, 0].tolist(), [255, 0, 0])

  @parameterized.product(orientation=list(_UPRIGHT), form=["PNG", "WEBP"])
  def test_orientation(self, orientation, form):
    options = {"lossless": True} if form == "WEBP" else {}
    encoded_image = _encode(form, orientation=orientation, **options)
    lying = _decode(image_conversion.convert(encoded_image))
    np.testing.assert_array_equal(lying, _PIXELS)
    upright = image_conversion.convert(
        encoded_image, respect_exif_orientation=True
    )
    np.testing.assert_array_equal(
        _decode(upright), _UPRIGHT[orientation](_PIXELS)
    )

  def test_orientation_of_a_jpeg(self):
    encoded_image = _encode("JPEG", orientation=6)
    upright = image_conversion.convert(
        encoded_image, respect_exif_orientation=True
    )
    difference = _decode(upright) - np.rot90(_decode(encoded_image), -1).astype(
        int
    )
    # TensorFlow's decoder and Pillow's differ by so little.
    self.assertLessEqual(np.abs(difference).max(), 6)

  @parameterized.parameters("JPEG", "PNG", "WEBP", "GIF", "BMP")
  def test_too_many_pixels(self, file_format):
    encoded_image = _encode(file_format)
    image_conversion.convert(encoded_image, max_pixels=600)
    with self.assertRaisesRegex(
        ValueError, "has 30 x 20 pixels, more than the 599 that"
    ):
      image_conversion.convert(encoded_image, max_pixels=599)

  def test_too_many_pixels_are_not_decoded(self):
    encoded_image = _encode("PNG")
    head = b"IHDR" + struct.pack(">II", 40_000, 40_000) + encoded_image[24:29]
    bomb = b"".join(
        [
            encoded_image[:12],
            head,
            struct.pack(">I", zlib.crc32(head)),
            encoded_image[33:],
        ]
    )
    # Also such as Pillow's own limit would keep it from opening.
    with self.assertRaisesRegex(ValueError, "It has 40000 x 40000 pixels"):
      image_conversion.convert(bomb, max_pixels=10**8)

  @parameterized.product(disposal=[0, 2, 3], size=[(9000, 9000), (65535, 9)])
  def test_a_gif_that_is_larger_than_it_says(self, disposal, size):
    bomb = (
        b"".join(
            [
                struct.pack("<6sHHBBB", b"GIF89a", 8, 6, 0, 0, 0),
                struct.pack(
                    "<3sBHBB", b"!\xf9\x04", disposal << 2 | 1, 0, 0, 0
                ),
                struct.pack("<sHHHHB", b",", 0, 0, *size, 0),
            ]
        )
        + b"\2\2L\1\0;"
    )
    with (
        mock.patch.object(Image.core, "fill") as make_room,
        self.assertRaisesRegex(ValueError, f"has {size[0]} x {size[1]} pixels"),
    ):
      image_conversion.convert(bomb, max_pixels=500_000)
    make_room.assert_not_called()

  @parameterized.parameters("GIF", "WEBP")
  def test_more_pixels_than_pillow_reads(self, file_format):
    if file_format == "GIF":
      bomb = struct.pack("<6sHHBBB", b"GIF89a", 8, 6, 0, 0, 0)
      bomb += struct.pack("<sHHHHB", b",", 0, 0, 65535, 65535, 0) + b"\2\0;"
    else:
      head = bytes(4) + 2 * b"\xff\x3f\0"  # 16,384 each.
      bomb = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X\x0a\0\0\0" + head
    with self.assertRaisesRegex(ValueError, "too many pixels"):
      image_conversion.convert(bomb)

  @parameterized.parameters(
      b"text",
      b"GIF89a",
      b"BM",
      b"RIFF1234WEBP",
      b"RIFF1234WAVE",
  )
  def test_no_images(self, content):
    with self.assertRaisesRegex(ValueError, "It is no JPEG, PNG, WebP, GIF or"):
      image_conversion.convert(content)

  def test_nothing(self):
    with self.assertRaisesRegex(ValueError, "^It is empty.$"):
      image_conversion.convert(b"")

  @parameterized.parameters("WEBP", "GIF", "BMP")
  def test_damaged_images(self, file_format):
    encoded_image = _encode(file_format)
    with self.assertRaisesRegex(ValueError, "or a damaged one"):
      image_conversion.convert(encoded_image[: len(encoded_image) // 2])

  @parameterized.parameters("JPEG", "PNG")
  def test_what_has_no_head(self, file_format):
    with self.assertRaisesRegex(ValueError, "or a damaged one"):
      image_conversion.convert(_encode(file_format)[:12], max_pixels=600)

  def test_formats_that_are_not_taken(self):
    with self.assertRaisesRegex(ValueError, "It is no JPEG"):
      image_conversion.convert(_encode("TIFF"))


if __name__ == "__main__":
  absltest.main()
