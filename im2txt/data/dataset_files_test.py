"""Tests of dataset_files."""

import json
from pathlib import Path

from absl.testing import absltest

from im2txt.data import caption_sources
from im2txt.data import dataset_files
from im2txt.data import dataset_writer
from im2txt.data import word_counts


class DatasetFilesTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)

  def _write(self, image_dirs):
    image = caption_sources.CaptionedImage
    dataset_files.write_captions(
        str(self.folder),
        {
            "train": [
                image(7, "/images/a.jpg", ["一只"]),
                image(8, "/images/b.jpg", ["x"]),
            ],
            "val": [image(9, "/more/c.jpg", ["yz"])],
        },
        image_dirs=image_dirs,
        skipped={"/images/b.jpg"},
        spoken=" ".join,
    )

  def test_captions_and_ids(self):
    self._write(["/images"])
    text = (self.folder / "captions_train.json").read_text(encoding="utf-8")
    self.assertEqual(
        json.loads(text),
        {
            "images": [{"id": 7, "file_name": "a.jpg"}],
            "annotations": [{"id": 0, "image_id": 7, "caption": "一 只"}],
        },
    )
    self.assertIn("一 只", text)
    images = caption_sources.load_captions(
        str(self.folder / "captions_val.json"), "/images"
    )
    self.assertEqual(images, [(9, "/more/c.jpg", ["y z"])])
    self.assertEqual(
        (self.folder / "image_ids.txt").read_text(),
        "7\ta.jpg\n9\t/more/c.jpg\n",
    )

  def test_images_of_several_folders_have_whole_paths(self):
    self._write(["/images", "/more"])
    self.assertEqual(
        (self.folder / "image_ids.txt").read_text(),
        "7\t/images/a.jpg\n9\t/more/c.jpg\n",
    )

  def test_description(self):
    vocab_file = str(self.folder / "word_counts.txt")
    self.assertIsNone(dataset_files.tokenizer_of(vocab_file))
    image = dataset_writer.TokenizedImage(1, "a", [["b", "c"], ["d"]])
    written = dataset_files.write_description(
        str(self.folder),
        {"train": [image]},
        "characters",
        word_counts.WordIds({"c": 0, "b": 1}),
    )
    self.assertEqual(dataset_files.tokenizer_of(vocab_file), "characters")
    path = self.folder / "dataset.json"
    self.assertEqual(
        json.loads(path.read_text()),
        {
            "tokenizer": "characters",
            "unicode_form": "NFC",
            "vocab_size": 3,
            "splits": {
                "train": {"images": 1, "captions": 2, "largest_word_id": 2}
            },
        },
    )
    self.assertEqual(json.loads(path.read_text()), written)
    for text in ("{}", "[]", "no json"):
      path.write_text(text)
      with self.assertRaisesRegex(
          ValueError, "dataset.json does not name a token"
      ):
        dataset_files.tokenizer_of(vocab_file)

  def test_refuses_to_leave_old_records(self):
    (self.folder / "val-00000-of-00004").touch()
    dataset_files.check_no_other_shards(
        str(self.folder), {"train": 8, "val": 4}
    )
    with self.assertRaisesRegex(ValueError, "00004 .* which --val_shards=8 "):
      dataset_files.check_no_other_shards(str(self.folder), {"val": 8})


if __name__ == "__main__":
  absltest.main()
