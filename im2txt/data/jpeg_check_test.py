"""Tests of jpeg_check."""

import io
from pathlib import Path
import random

from absl.testing import absltest
from absl.testing import parameterized
from PIL import Image

from im2txt.data import jpeg_check


def _encoded(mode: str = "RGB", image_format: str = "JPEG", **options) -> bytes:
  """Noise, of which nothing can be left out unnoticed."""
  noise = random.Random(0).randbytes(160 * 120)
  image = Image.frombytes("L", (160, 120), noise).convert(mode)
  content = io.BytesIO()
  image.save(content, image_format, **options)
  return content.getvalue()


class JpegCheckTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("colour", "RGB", {}),
      ("grey", "L", {}),
      ("cmyk", "CMYK", {}),
      ("progressive", "RGB", {"progressive": True}),
      ("without_subsampling", "RGB", {"subsampling": 0}),
      ("optimized", "RGB", {"optimize": True, "quality": 30}),
  )
  def test_takes_all_kinds_of_jpeg(self, mode, options):
    self.assertIsNone(jpeg_check.problem_of(_encoded(mode, **options)))

  def test_takes_what_cameras_append(self):
    self.assertIsNone(jpeg_check.problem_of(_encoded() + b"\x00" * 100))

  def test_takes_a_tiny_image(self):
    content = io.BytesIO()
    Image.new("RGB", (1, 1)).save(content, "JPEG")
    self.assertIsNone(jpeg_check.problem_of(content.getvalue()))

  @parameterized.product(
      options=[{}, {"progressive": True}],
      missing=[1, 2, 3, 10, 100, 0.25, 0.5, 0.75, 0.9, 0.99],
  )
  def test_refuses_a_truncated_file(self, options, missing):
    data = _encoded(**options)
    if missing < 1:
      missing = int(missing * len(data))
    self.assertRegex(
        jpeg_check.problem_of(data[:-missing]), "truncated|no JPEG"
    )

  @parameterized.parameters(b"\x00\x00", b"\x12\xd9", b"\xff\x01", b"\xff\xda")
  def test_refuses_another_end_than_the_marker(self, end):
    self.assertIn("truncated", jpeg_check.problem_of(_encoded()[:-2] + end))

  def test_refuses_a_thumbnail_without_its_image(self):
    whole = _encoded(exif=b"Exif\x00\x00" + _encoded("L", quality=10))
    self.assertIsNone(jpeg_check.problem_of(whole))
    self.assertIsNotNone(jpeg_check.problem_of(whole[:-2]))

  def test_refuses_zeros_in_the_data(self):
    data = _encoded()
    half = len(data) // 2
    self.assertIsNotNone(jpeg_check.problem_of(data[:half] + bytes(half)))

  @parameterized.named_parameters(
      ("empty", b"", "empty"),
      ("png", _encoded(image_format="PNG"), "no JPEG: not a JPEG"),
      ("gif", _encoded("P", "GIF"), "no JPEG: not a JPEG"),
      ("html", b"<!DOCTYPE html><title>404</title>", "no JPEG: not a JPEG"),
      ("only_a_marker", b"\xff\xd8", "no JPEG|truncated"),
      ("start_of_a_header", _encoded()[:20], "no JPEG|truncated"),
  )
  def test_refuses_other_files(self, data, reason):
    self.assertRegex(jpeg_check.problem_of(data), reason)

  def test_checks_files(self):
    folder = Path(self.create_tempdir().full_path)
    (folder / "good.jpg").write_bytes(_encoded())
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "folder.jpg").mkdir()
    names = ["good.jpg", "empty.jpg", "missing.jpg", "folder.jpg"]
    paths = [str(folder / name) for name in names]
    self.assertEqual(
        jpeg_check.check_files(paths, jpeg_check.problem_of),
        (
            4,
            [
                (paths[1], "empty"),
                (paths[2], jpeg_check.MISSING),
                (paths[3], "can't be read: Is a directory"),
            ],
        ),
    )


if __name__ == "__main__":
  absltest.main()
