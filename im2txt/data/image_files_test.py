"""Tests of image_files, on files that Pillow writes."""

import io
from pathlib import Path
import random
import struct
from unittest import mock
import zlib

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from PIL import Image
from PIL import PngImagePlugin
import tensorflow as tf

from im2txt.data import image_files

_PIXELS = np.random.default_rng(0).integers(0, 256, [20, 30, 3], np.uint8)
_RED, _WHITE, _BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)
_GREY = (128, 128, 128)
_LOSSLESS = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}}
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF")
# The operation that each EXIF orientation stands for.
_UPRIGHT = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    6: lambda pixels: np.rot90(pixels, -1),
    8: np.rot90,
}


def _encoded(image, file_format, *, orientation=None, **options):
  file = io.BytesIO()
  if orientation is not None:
    options["exif"] = Image.Exif()
    options["exif"][0x0112] = orientation
  image.save(file, file_format, **_LOSSLESS.get(file_format, {}), **options)
  return file.getvalue()


def _noise(file_format, **options):
  return _encoded(Image.fromarray(_PIXELS), file_format, **options)


def _jpeg(mode="RGB", **options):
  """Returns a JPEG of noise, in which any missing byte is noticed."""
  noise = random.Random(0).randbytes(160 * 120)
  image = Image.frombytes("L", (160, 120), noise).convert(mode)
  return _encoded(image, "JPEG", **options)


def _plain(mode, colour):
  return Image.new(mode, (16, 8), colour)


def _decoded(encoded_image):
  """Returns the pixels that a model sees."""
  return tf.io.decode_jpeg(encoded_image, channels=3).numpy()


def _with_chunk(png, kind, content, *, checksum=None):
  """Returns a PNG with an additional chunk after its header."""
  if checksum is None:
    checksum = zlib.crc32(kind + content)
  chunk = struct.pack(">I", len(content)) + kind + content
  return png[:33] + chunk + struct.pack(">I", checksum) + png[33:]


class ConvertTest(parameterized.TestCase):

  def test_a_jpeg_stays_as_it_is(self):
    encoded_image = _noise("JPEG")
    self.assertIs(image_files.to_jpeg(encoded_image), encoded_image)
    self.assertIs(
        image_files.to_jpeg(
            encoded_image, max_pixels=600, respect_exif_orientation=True
        ),
        encoded_image,
    )

  @parameterized.named_parameters(
      ("webp", _plain("RGB", "red"), "WEBP", _RED),
      ("grey", _plain("L", 128), "BMP", _GREY),
      ("black_and_white", _plain("1", 1), "TIFF", _WHITE),
      ("palette", _plain("RGB", "red").convert("P"), "GIF", _RED),
      ("cmyk", _plain("CMYK", (0, 255, 255, 0)), "TIFF", _RED),
      ("jpeg_2000", _plain("RGB", "red"), "JPEG2000", _RED),
      ("avif", _plain("RGB", "red"), "AVIF", _RED),
      ("16_bits", _plain("I;16", 32768), "PNG", _GREY),
      ("16_bits_of_a_tiff", _plain("I;16", 32768), "TIFF", _GREY),
      ("transparent", _plain("RGBA", (0, 0, 0, 0)), "PNG", _WHITE),
      ("transparent_webp", _plain("RGBA", (255, 0, 0, 0)), "WEBP", _WHITE),
      ("transparent_grey", _plain("LA", (0, 255)), "PNG", _BLACK),
      (
          "half_transparent",
          _plain("RGBA", (255, 0, 0, 51)),
          "PNG",
          (255, 204, 204),
      ),
  )
  def test_as_people_see_it(self, image, form, colour):
    data = _encoded(image, form)
    self.assertIsNone(image_files.problem_of(data))
    converted = image_files.to_jpeg(data)
    self.assertEqual(converted, image_files.to_jpeg(data, max_pixels=128))
    pixels = _decoded(converted)
    self.assertEqual((8, 16, 3), pixels.shape)
    np.testing.assert_allclose(pixels[4, 8], colour, atol=3)

  @parameterized.parameters("PNG", "WEBP", "TIFF", "BMP")
  def test_the_format_makes_no_difference(self, file_format):
    expected = _noise("JPEG", quality=95)
    self.assertEqual(image_files.to_jpeg(_noise(file_format)), expected)

  @parameterized.parameters(*_FORMATS)
  def test_num_pixels(self, file_format):
    self.assertEqual(image_files.num_pixels(_noise(file_format)), 600)

  @parameterized.parameters(b"", b"text", b"GIF89a", b"\x89PNG\r\n\x1a\n")
  def test_num_pixels_of_what_is_not_an_image(self, content):
    self.assertEqual(image_files.num_pixels(content), 0)

  @parameterized.parameters("GIF", "WEBP", "TIFF", "AVIF", "PNG")
  def test_first_of_several_frames(self, file_format):
    frames = [Image.new("RGB", (16, 8), color) for color in ("red", "blue")]
    data = _encoded(
        frames[0], file_format, save_all=True, append_images=frames[1:]
    )
    pixels = _decoded(image_files.to_jpeg(data))
    np.testing.assert_allclose(pixels[4, 8], _RED, atol=3)

  @parameterized.product(
      orientation=list(_UPRIGHT), form=["PNG", "WEBP", "TIFF"]
  )
  def test_other_formats_are_turned_upright(self, orientation, form):
    data = _noise(form, orientation=orientation)
    expected = Image.fromarray(_UPRIGHT[orientation](_PIXELS).copy())
    converted = image_files.to_jpeg(data)
    self.assertEqual(converted, _encoded(expected, "JPEG", quality=95))

  def test_a_jpeg_is_turned_upright_if_asked_for(self):
    convert = image_files.to_jpeg
    lying = _noise("JPEG", orientation=6)
    self.assertIs(convert(lying), lying)
    upright = convert(lying, respect_exif_orientation=True)
    difference = _decoded(upright) - np.rot90(_decoded(lying), -1).astype(int)
    # It is decoded and encoded once more.
    self.assertLessEqual(np.abs(difference).mean(), 10)
    not_turned = _noise("JPEG", orientation=1)
    self.assertIs(
        convert(not_turned, respect_exif_orientation=True), not_turned
    )

  @parameterized.parameters(b"x", b"II*\0", b"Exif\0\0II*\0\xff\xff\xff\xff")
  def test_damaged_exif_is_ignored(self, exif):
    for form in ("PNG", "JPEG"):
      data = _encoded(_plain("RGB", "red"), form, exif=exif)
      self.assertIsNone(image_files.problem_of(data))
      converted = image_files.to_jpeg(data, respect_exif_orientation=True)
      np.testing.assert_allclose(_decoded(converted)[4, 8], _RED, atol=3)

  @parameterized.named_parameters(
      ("text", b"tEXt", b"a\0" + b"b" * 2_000_000),
      ("packed_text", b"zTXt", b"a\0\0" + zlib.compress(bytes(2_000_000))),
      ("profile", b"iCCP", b"a\0\0" + zlib.compress(bytes(2_000_000))),
      ("time", b"tIME", b"1234567"),
  )
  def test_metadata_of_a_png(self, kind, content):
    for checksum in (None, 5):
      for mode in ("RGB", "RGBA"):
        png = _encoded(_plain(mode, "red"), "PNG")
        data = _with_chunk(png, kind, content, checksum=checksum)
        self.assertIsNone(image_files.problem_of(data))
        self.assertEqual(image_files.to_jpeg(data), image_files.to_jpeg(png))
        self.assertEqual(image_files.num_pixels(data), 128)
        for options in (
            {},
            {"max_pixels": 128, "respect_exif_orientation": True},
        ):
          pixels = _decoded(image_files.to_jpeg(data, **options))
          np.testing.assert_allclose(pixels[4, 8], _RED, atol=3)

  def test_exif_of_a_png_with_a_wrong_checksum_is_ignored(self):
    png = _encoded(_plain("RGB", "red"), "PNG")
    exif = Image.Exif()
    exif[0x0112] = 6
    content = exif.tobytes().removeprefix(b"Exif\0\0")
    turned = image_files.to_jpeg(_with_chunk(png, b"eXIf", content))
    self.assertEqual(_decoded(turned).shape, (16, 8, 3))
    kept = image_files.to_jpeg(_with_chunk(png, b"eXIf", content, checksum=5))
    self.assertEqual(_decoded(kept).shape, (8, 16, 3))

  def test_text_of_pillow(self):
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a" * 3_000_000)
    data = _encoded(_plain("RGB", "red"), "PNG", pnginfo=info)
    self.assertEqual(
        image_files.to_jpeg(data, max_pixels=128),
        _encoded(_plain("RGB", "red"), "JPEG", quality=95),
    )

  @parameterized.parameters(*_FORMATS)
  def test_too_many_pixels(self, file_format):
    data = _noise(file_format)
    image_files.to_jpeg(data, max_pixels=600)
    with self.assertRaisesRegex(
        ValueError, "has 30 x 20 pixels, more than the 599 that"
    ):
      image_files.to_jpeg(data, max_pixels=599)

  def test_too_many_pixels_are_not_decoded(self):
    data = _noise("PNG")
    head = b"IHDR" + struct.pack(">II", 40_000, 40_000) + data[24:29]
    checksum = struct.pack(">I", zlib.crc32(head))
    bomb = b"".join([data[:12], head, checksum, data[33:]])
    # Also more than the limit of Pillow's own `open`.
    with self.assertRaisesRegex(ValueError, "It has 40000 x 40000 pixels"):
      image_files.to_jpeg(bomb, max_pixels=10**8)
    self.assertRegex(image_files.problem_of(bomb), "too large: 40000 x 40000")

  @parameterized.product(disposal=[0, 2, 3], size=[(9000, 9000), (65535, 9)])
  def test_a_gif_that_is_larger_than_it_says(self, disposal, size):
    head = struct.pack("<6sHHBBB", b"GIF89a", 8, 6, 0, 0, 0)
    control = struct.pack("<3sBHBB", b"!\xf9\x04", disposal << 2 | 1, 0, 0, 0)
    frame = struct.pack("<sHHHHB", b",", 0, 0, *size, 0)
    with (
        mock.patch.object(Image.core, "fill") as make_room,
        self.assertRaisesRegex(ValueError, f"has {size[0]} x {size[1]} pixels"),
    ):
      image_files.to_jpeg(
          head + control + frame + b"\2\2L\1\0;", max_pixels=500_000
      )
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
      image_files.to_jpeg(bomb)

  @parameterized.parameters(
      b"text",
      b"GIF89a",
      b"BM",
      b"RIFF1234WEBP",
      b"RIFF1234WAVE",
      b"II*\0",
      b"\0\0\0\x18ftypavif",
      b"\0\0\0\x18ftypheic",
      b"%!PS-Adobe-3.0",
      b"P6 1 1 255 abc",
  )
  def test_not_an_image(self, content):
    with self.assertRaisesRegex(
        ValueError, "^Not a valid JPEG, PNG, WebP, GIF"
    ):
      image_files.to_jpeg(content)
    self.assertIsNotNone(image_files.problem_of(content))

  def test_nothing(self):
    with self.assertRaisesRegex(ValueError, "^It is empty.$"):
      image_files.to_jpeg(b"")

  @parameterized.parameters("WEBP", "GIF", "BMP", "TIFF", "AVIF")
  def test_damaged_images(self, file_format):
    data = _noise(file_format)
    data = data[: len(data) // 2]
    with self.assertRaisesRegex(ValueError, "Not a valid"):
      image_files.to_jpeg(data)
    self.assertRegex(image_files.problem_of(data), "corrupt or truncated")

  @parameterized.parameters(0.1, 0.3, 0.5, 0.9, 0.99)
  def test_truncated_pngs(self, part):
    for data in (_noise("PNG"), _noise("PNG", orientation=6)):
      data = data[: int(part * len(data))]
      with self.assertRaisesRegex(ValueError, "Not a valid"):
        image_files.to_jpeg(data)
      self.assertRegex(image_files.problem_of(data), "corrupt or truncated")

  @parameterized.parameters("JPEG", "PNG")
  def test_what_has_no_head(self, file_format):
    with self.assertRaisesRegex(ValueError, "Not a valid"):
      image_files.to_jpeg(_noise(file_format)[:12], max_pixels=600)


class ProblemsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("colour", "RGB", {}),
      ("grey", "L", {}),
      ("cmyk", "CMYK", {}),
      ("progressive", "RGB", {"progressive": True}),
      ("without_subsampling", "RGB", {"subsampling": 0}),
      ("optimized", "RGB", {"optimize": True, "quality": 30}),
  )
  def test_takes_all_kinds_of_jpeg(self, mode, options):
    data = _jpeg(mode, **options) + bytes(100)  # As cameras append.
    self.assertIsNone(image_files.jpeg_problem_of(data))
    self.assertIsNone(image_files.problem_of(data))
    self.assertIs(image_files.to_jpeg(data), data)

  def test_takes_a_tiny_image(self):
    data = _encoded(Image.new("RGB", (1, 1)), "JPEG")
    self.assertIsNone(image_files.jpeg_problem_of(data))

  @parameterized.product(
      options=[{}, {"progressive": True}],
      missing=[1, 2, 3, 10, 100, 0.25, 0.5, 0.75, 0.9, 0.99],
  )
  def test_refuses_a_truncated_file(self, options, missing):
    data = _jpeg(**options)
    if missing < 1:
      missing = int(missing * len(data))
    self.assertRegex(
        image_files.jpeg_problem_of(data[:-missing]), "truncated|not a JPEG"
    )

  @parameterized.parameters(b"\x00\x00", b"\x12\xd9", b"\xff\x01", b"\xff\xda")
  def test_refuses_another_end_than_the_marker(self, end):
    self.assertIn("truncated", image_files.jpeg_problem_of(_jpeg()[:-2] + end))

  def test_refuses_a_thumbnail_without_its_image(self):
    whole = _jpeg(exif=b"Exif\x00\x00" + _jpeg("L", quality=10))
    self.assertIsNone(image_files.jpeg_problem_of(whole))
    self.assertIsNotNone(image_files.jpeg_problem_of(whole[:-2]))

  def test_refuses_zeros_in_the_data(self):
    data = _jpeg()
    half = len(data) // 2
    self.assertIsNotNone(image_files.jpeg_problem_of(data[:half] + bytes(half)))

  @parameterized.named_parameters(
      ("empty", b"", "empty"),
      ("png", _noise("PNG"), "not a JPEG: "),
      ("gif", _noise("GIF"), "not a JPEG: "),
      ("html", b"<!DOCTYPE html><title>404</title>", "not a JPEG: "),
      ("only_a_marker", b"\xff\xd8", "not a JPEG|truncated"),
      ("start_of_a_header", _jpeg()[:20], "not a JPEG|truncated"),
  )
  def test_refuses_other_files_than_jpegs(self, data, reason):
    self.assertRegex(image_files.jpeg_problem_of(data), reason)

  @parameterized.named_parameters(
      ("nothing", b"", "empty"),
      ("text", b"<!DOCTYPE html>", "Not a valid JPEG, PNG"),
      ("jpeg", _jpeg()[:-9], "truncated"),
      ("png", _noise("PNG")[:-30], "corrupt or truncated"),
  )
  def test_finds_problems(self, data, problem):
    self.assertRegex(image_files.problem_of(data), problem)

  def test_checks_files(self):
    folder = Path(self.create_tempdir().full_path)
    (folder / "good.jpg").write_bytes(_jpeg())
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "folder.jpg").mkdir()
    names = ["good.jpg", "empty.jpg", "missing.jpg", "folder.jpg"]
    paths = [str(folder / name) for name in names]
    self.assertEqual(
        image_files.check_files(paths, image_files.jpeg_problem_of),
        (
            4,
            [
                (paths[1], "empty"),
                (paths[2], image_files.MISSING),
                (paths[3], "can't be read: Is a directory"),
            ],
        ),
    )


if __name__ == "__main__":
  absltest.main()
