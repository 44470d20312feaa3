"""Tests of caption_splits."""

import json
from pathlib import Path
import unicodedata

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.data import caption_sources
from im2txt.data import caption_splits

_SPLITS = ("train", "restval", "val", "test", None)


def _images(names, splits=None):
  splits = splits or [None] * len(names)
  return [
      caption_sources.SourceImage(f"{name}.jpg", [name], None, split)
      for name, split in zip(names, splits, strict=True)
  ]


def _names(splits):
  return {
      name: "".join(image.captions[0] for image in images)
      for name, images in splits.items()
  }


class CaptionSplitsTest(parameterized.TestCase):

  @parameterized.parameters((True, "ab"), (False, "a"))
  def test_by_data(self, restval_trains, train):
    splits = caption_splits.by_data(
        _images("abcde", _SPLITS), restval_trains=restval_trains
    )
    self.assertEqual(_names(splits), {"train": train, "val": "c", "test": "d"})

  def _list(self, text):
    return self.create_tempfile(content=text).full_path

  def test_by_lists(self):
    lists = {"train": self._list("c.jpg\r\n\nb\n"), "test": self._list("a.jpg")}
    self.assertEqual(
        _names(caption_splits.by_lists(_images("abcd"), lists)),
        {"train": "bc", "val": "", "test": "a"},
    )

  def test_refuses_lists(self):
    images = _images("ab")
    a, b = self._list("a.jpg"), self._list("a\nb")
    with self.assertRaisesRegex(ValueError, "a is in train and in val"):
      caption_splits.by_lists(images, {"train": a, "val": b})
    with self.assertRaisesRegex(
        ValueError, "contains x.jpg, which has no caption"
    ):
      caption_splits.by_lists(images, {"train": self._list("x.jpg")})
    png = images[0]._replace(file_name="a.png")
    with self.assertRaisesRegex(
        ValueError, "contains a, which may be a.jpg or a.png"
    ):
      caption_splits.by_lists([*images, png], {"val": b})
    with self.assertRaisesRegex(FileNotFoundError, "list of images '/no'"):
      caption_splits.by_lists(images, {"train": "/no"})

  @parameterized.parameters(
      (0.1, 0.1, [8, 1, 1]),
      (0.25, 0.0, [8, 2, 0]),  # Python rounds 2.5 to 2.
      (0.0, 1.0, [0, 0, 10]),
      (0.5, 0.5, [0, 5, 5]),
  )
  def test_by_fractions(self, val, test, sizes):
    splits = caption_splits.by_fractions(
        _images("abcdefghij"), {"val": val, "test": test}, seed=1
    )
    names = _names(splits)
    self.assertEqual([len(names[name]) for name in names], sizes)
    self.assertCountEqual("".join(names.values()), "abcdefghij")
    for part in names.values():
      self.assertEqual(part, "".join(sorted(part)))

  def test_the_draw_depends_on_seed_and_names_alone(self):
    def draw(names, seed):
      return {
          name: set(part)
          for name, part in _names(
              caption_splits.by_fractions(
                  _images(names), {"val": 0.3, "test": 0.3}, seed=seed
              )
          ).items()
      }

    first = draw("abcdefghij", 1)
    self.assertEqual(draw("jihgfedcba", 1), first)
    self.assertNotEqual(draw("abcdefghij", 2), first)

  def test_refuses_fractions_of_more_than_all(self):
    with self.assertRaisesRegex(ValueError, r"greater than 1: 0.6 \+ 0.5"):
      caption_splits.by_fractions(
          _images("ab"), {"val": 0.6, "test": 0.5}, seed=1
      )

  def _load(self, splits, lists=(), fractions=()):
    rows = [
        {"image": f"{i}.jpg", "caption": str(i), "split": split}
        for i, split in enumerate(splits)
    ]
    path = self.create_tempfile("rows.json", json.dumps(rows)).full_path
    self.lines = []
    return _names(
        caption_splits.load(
            path,
            "auto",
            lists=dict(lists),
            fractions=dict(fractions),
            seed=0,
            restval_trains=True,
            say=self.lines.append,
        )
    )

  def test_what_comes_first(self):
    known = ["val", "train", *["test"] * 8]
    val = self._list("7")
    self.assertEqual(self._load(known)["val"], "0")
    self.assertEqual(self._load(known, {"val": val})["val"], "7")
    self.assertLen(self._load(known, (), {"val": 0.4})["val"], 4)
    self.assertLen(self._load(known, (), {"val": 0.4})["test"], 1)
    self.assertLen(self._load([None] * 10)["train"], 8)

  def test_says_what_is_in_no_split(self):
    self.assertEqual(
        self._load(["val", None, "restval", None]),
        {"train": "2", "val": "0", "test": ""},
    )
    line = "Leaving out {} images that are in no split."
    self.assertEqual(self.lines, [line.format(2)])
    self._load(["val"] * 4, {"train": self._list("3")})
    self.assertEqual(self.lines, [line.format(3)])
    self._load([None] * 4)
    self.assertEmpty(self.lines)

  def test_a_file_for_each_split(self):
    one, two = (
        self.create_tempfile(content=f"image,caption\n{i},{i}").full_path
        for i in (1, 2)
    )
    splits = caption_splits.load(
        {"train": one, "test": two},
        "csv",
        lists={},
        fractions={},
        seed=0,
        restval_trains=True,
        say=self.fail,
    )
    self.assertEqual(_names(splits), {"train": "1", "test": "2"})


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
    datasets = caption_splits.find_images(splits, self.dirs, self.lines.append)
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
    datasets = caption_splits.find_images(
        {"train": [_image(name)]}, self.dirs, self.lines.append
    )
    self.assertEqual(datasets["train"][0].path, str(self.folder / path))

  def test_finds_accents_in_another_form(self):
    stored = unicodedata.normalize("NFD", "é.jpg")
    (self.folder / "two" / stored).write_bytes(b"")
    name = unicodedata.normalize("NFC", "é.jpg")
    datasets = caption_splits.find_images(
        {"train": [_image(name)]}, self.dirs, self.lines.append
    )
    self.assertTrue(Path(datasets["train"][0].path).exists())

  def test_refuses(self):
    splits = {"train": [_image("b.jpg")], "val": [_image("x/b.jpg")]}
    with self.assertRaisesRegex(ValueError, "two/b.jpg .* in train and in val"):
      caption_splits.find_images(splits, self.dirs, self.lines.append)

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
    remaining = caption_splits.images_with_captions(
        caption_splits.find_images(splits, self.dirs, self.lines.append),
        lines.append,
    )
    self.assertEqual(
        remaining, {"train": [(1, str(self.folder / "one/a"), ["x", "y"])]}
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
