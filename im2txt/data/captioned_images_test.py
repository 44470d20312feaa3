"""Tests of captioned_images."""

from pathlib import Path
import unicodedata

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.data import caption_sources
from im2txt.data import captioned_images


def _image(name, image_id=None):
  return caption_sources.SourceImage(name, [name], image_id)


class CaptionedImagesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)
    self.lines = []
    for name in ("one/a.jpg", "two/a.jpg", "two/b.jpg"):
      path = self.folder / name
      path.parent.mkdir(exist_ok=True)
      path.write_bytes(b"")
    self.dirs = [str(self.folder / name) for name in ("one", "two")]

  @parameterized.named_parameters(
      ("of_the_data", [7, -2, 9], [7, -2, 9], None),
      ("none_has_one", [None] * 3, [1, 2, 3], None),
      ("one_is_missing", [7, None, 9], [1, 2, 3], "1 of 3 have no image_id"),
      ("two_are_the_same", [7, 7, 9], [1, 2, 3], "2 of them .* image_id 7"),
  )
  def test_numbers(self, ids, expected, line):
    splits = {
        "train": [_image("a", ids[0]), _image("b", ids[1])],
        "val": [_image("c", ids[2])],
    }
    datasets = captioned_images.find(splits, self.dirs, self.lines.append)
    self.assertEqual(
        [(i.captions[0], i.image_id) for i in datasets["train"]],
        [("a", expected[0]), ("b", expected[1])],
    )
    self.assertEqual([i.image_id for i in datasets["val"]], [expected[2]])
    self.assertLen(self.lines, 1 if line else 0)
    if line:
      self.assertRegex(self.lines[0], line)

  @parameterized.named_parameters(
      ("in_the_first_folder", "a.jpg", "one/a.jpg"),
      ("in_the_second", "b.jpg", "two/b.jpg"),
      ("with_karpathys_folder", "val2014/b.jpg", "two/b.jpg"),
      ("with_one_that_is_there", "../two/a.jpg", "one/../two/a.jpg"),
      ("nowhere", "x.jpg", "one/x.jpg"),
  )
  def test_finds(self, name, path):
    datasets = captioned_images.find(
        {"train": [_image(name)]}, self.dirs, self.lines.append
    )
    self.assertEqual(datasets["train"][0].path, str(self.folder / path))

  def test_finds_accents_in_another_form(self):
    stored = unicodedata.normalize("NFD", "é.jpg")
    (self.folder / "two" / stored).write_bytes(b"")
    name = unicodedata.normalize("NFC", "é.jpg")
    datasets = captioned_images.find(
        {"train": [_image(name)]}, self.dirs, self.lines.append
    )
    self.assertTrue(Path(datasets["train"][0].path).exists())

  def test_refuses(self):
    splits = {"train": [_image("b.jpg")], "val": [_image("x/b.jpg")]}
    with self.assertRaisesRegex(ValueError, "two/b.jpg .* in train and in val"):
      captioned_images.find(splits, self.dirs, self.lines.append)

  def test_leaves_out_what_has_no_captions(self):
    lines = self.lines
    splits = {
        "train": [
            caption_sources.SourceImage("a", ["x", " \n", "y"]),
            caption_sources.SourceImage("b", [""]),
        ],
        "val": [caption_sources.SourceImage("c", [])],
        "test": [],
    }
    found = captioned_images.with_captions(
        captioned_images.find(splits, self.dirs, self.lines.append),
        lines.append,
    )
    self.assertEqual(
        found, {"train": [(1, str(self.folder / "one/a"), ["x", "y"])]}
    )
    self.assertEqual(
        lines,
        [
            "Leaving out 1 images of train without captions.",
            "Leaving out 1 images of val without captions.",
        ],
    )


if __name__ == "__main__":
  absltest.main()
