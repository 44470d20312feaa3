"""Tests of dataset_builder."""

import io
import json
from pathlib import Path
import re

from absl.testing import parameterized
from PIL import Image
import tensorflow as tf

from im2txt.data import dataset_builder
from im2txt.data import dataset_writer
from im2txt.data import word_counts
from im2txt.data import worker_pool


def _jpeg() -> bytes:
  content = io.BytesIO()
  Image.new("RGB", (8, 8)).save(content, "JPEG")
  return content.getvalue()


class DatasetBuilderTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)
    self.lines = []

  def _builder(self, num_threads=2) -> dataset_builder.DatasetBuilder:
    pool = self.enter_context(worker_pool.WorkerPool(2))
    return dataset_builder.DatasetBuilder(
        str(self.folder), num_threads=num_threads, pool=pool, say=self._say
    )

  def _say(self, line: str) -> None:
    line = line.replace(str(self.folder), "DIR")
    self.lines.append(re.sub(r"^\d{4}-\S* \d\d:\d\d:\d\d\.\d+", "NOW", line))

  def _captions_file(self, name: str, captions: dict[str, list[str]]) -> str:
    """Writes a captions JSON with the given captions of each file."""
    content = {
        "images": [
            {"id": i, "file_name": file_name}
            for i, file_name in enumerate(captions)
        ],
        "annotations": [
            {"id": 0, "image_id": i, "caption": caption}
            for i, texts in enumerate(captions.values())
            for caption in texts
        ],
    }
    path = self.folder / name
    path.write_text(json.dumps(content))
    return str(path)

  def test_loads_images(self):
    (self.folder / "a.jpg").write_bytes(_jpeg())
    captions_file = self._captions_file(
        "c.json", {"a.jpg": ["A dog.", "Dogs"], "b.jpg": []}
    )
    images = self._builder().load_images(
        captions_file, str(self.folder), start_word="begin", end_word="end"
    )
    self.assertEqual(
        images,
        [
            (
                0,
                str(self.folder / "a.jpg"),
                [["begin", "a", "dog", ".", "end"], ["begin", "dogs", "end"]],
            ),
            (1, str(self.folder / "b.jpg"), []),
        ],
    )
    self.assertEqual(
        self.lines,
        [
            "Loaded caption metadata for 2 images from DIR/c.json",
            "Processing captions.",
            "Finished processing 2 captions for 2 images in DIR/c.json",
        ],
    )

  def test_creates_a_vocabulary(self):
    image = dataset_writer.TokenizedImage(
        0, "", [["<S>", "a", "a", "b", "</S>"], ["<S>", "a", "c", "</S>"]]
    )
    path = self.folder / "words.txt"
    word_ids = self._builder().create_vocabulary(
        [image], str(path), min_word_count=2
    )
    self.assertEqual(path.read_text(), "a 3\n<S> 2\n</S> 2")
    self.assertEqual(word_ids.ids, {"a": 0, "<S>": 1, "</S>": 2})
    self.assertEqual(
        self.lines,
        [
            "Creating vocabulary.",
            "Total words: 5",
            "Words in vocabulary: 3",
            "Wrote vocabulary file: DIR/words.txt",
        ],
    )

  def test_refuses_fewer_captions_than_a_word_must_have(self):
    image = dataset_writer.TokenizedImage(0, "", [["<S>", "a", "a", "</S>"]])
    path = self.folder / "words.txt"
    with self.assertRaisesRegex(ValueError, "1 captions .*min_word_count=2"):
      self._builder().create_vocabulary([image], str(path), min_word_count=2)
    self.assertFalse(path.exists())

  def test_checks_each_image_once_and_lists_the_bad_ones(self):
    (self.folder / "good.jpg").write_bytes(_jpeg())
    (self.folder / "bad.jpg").write_bytes(b"GIF89a")
    builder = self._builder()
    for name in ("1.json", "2.json"):
      captions_file = self._captions_file(
          name, {"good.jpg": ["a"] * 5, "bad.jpg": ["b"] * 5, "missing.jpg": []}
      )
      builder.load_images(captions_file, str(self.folder))
    self.lines.clear()
    builder.wait_for_checks()
    bad = str(self.folder / "bad.jpg")
    missing = str(self.folder / "missing.jpg")
    self.assertEqual(builder.skipped, {bad, missing})
    self.assertEqual(
        (self.folder / "skipped_images.txt").read_text(),
        f"{bad}\tnot a JPEG: not a JPEG file\n{missing}\tmissing\n",
    )
    self.assertEqual(
        self.lines,
        [
            "Skipping file with invalid JPEG data: DIR/bad.jpg",
            "Skipping missing file: DIR/missing.jpg",
            "Skipping 2 of 3 images, listed in DIR/skipped_images.txt",
        ],
    )

  def test_no_skipped_images_replace_those_of_an_earlier_run(self):
    (self.folder / "skipped_images.txt").write_text("old.jpg\tmissing\n")
    self._builder().wait_for_checks()
    self.assertEqual((self.folder / "skipped_images.txt").read_text(), "")
    self.assertEqual(self.lines, [])

  def test_refuses_a_folder_without_any_of_the_images(self):
    captions_file = self._captions_file("c.json", {"a.jpg": ["a"]})
    builder = self._builder()
    builder.load_images(captions_file, str(self.folder / "other"))
    with self.assertRaisesRegex(
        ValueError, "None of the 1 images .*other/a.jpg, is missing"
    ):
      builder.wait_for_checks()

  def test_writes_a_dataset_without_the_skipped_images(self):
    (self.folder / "good.jpg").write_bytes(_jpeg())
    good, bad = (str(self.folder / name) for name in ("good.jpg", "bad.jpg"))
    images = [
        dataset_writer.TokenizedImage(0, good, [["a"]] * 6),
        dataset_writer.TokenizedImage(1, bad, [["b"]] * 2),
    ]
    builder = self._builder(num_threads=2)
    builder.skipped = {bad}
    word_ids = builder.create_vocabulary(
        images, str(self.folder / "words.txt"), min_word_count=1
    )
    # Words of skipped images are not in the vocabulary.
    self.assertEqual(word_ids.ids, {"a": 0})
    self.assertEqual(builder.kept(images), images[:1])
    self.lines.clear()
    self.assertEqual(builder.write_dataset("val", images, 4, word_ids), 6)
    self.assertLen(list(self.folder.glob("val-?????-of-00004")), 4)
    self.assertEqual(
        self.lines[0], "Launching 2 threads for spacings: [[0, 4], [4, 8]]"
    )
    # The order is 3 1 7 4 2 0 5 6; 6 and 7 are of the bad image.
    self.assertCountEqual(
        self.lines[1:-1],
        [
            "NOW [thread 0]: Wrote 2 image-caption pairs to"
            " DIR/val-00000-of-00004",
            "NOW [thread 0]: Wrote 1 image-caption pairs to"
            " DIR/val-00001-of-00004",
            "NOW [thread 0]: Wrote 3 image-caption pairs to 2 shards.",
            "NOW [thread 1]: Wrote 2 image-caption pairs to"
            " DIR/val-00002-of-00004",
            "NOW [thread 1]: Wrote 1 image-caption pairs to"
            " DIR/val-00003-of-00004",
            "NOW [thread 1]: Wrote 3 image-caption pairs to 2 shards.",
        ],
    )
    self.assertEqual(
        self.lines[-1],
        "NOW: Finished processing all 6 image-caption pairs in data set 'val'.",
    )

  def test_an_empty_dataset_has_empty_shards(self):
    builder = self._builder(num_threads=8)
    word_ids = word_counts.WordIds({})
    self.assertEqual(builder.write_dataset("test", [], 2, word_ids), 0)
    self.assertEqual(
        [path.read_bytes() for path in self.folder.glob("test-*")], [b"", b""]
    )

  @parameterized.parameters((1, 8), (7, 8), (8, 8), (256, 8), (3, 1))
  def test_takes_shards_for_equal_batches(self, num_shards, num_threads):
    dataset_builder.check_num_shards("val", num_shards, num_threads)

  @parameterized.parameters((9, 8), (4, 3))
  def test_refuses_shards_for_unequal_batches(self, num_shards, num_threads):
    with self.assertRaisesRegex(
        ValueError, "FLAGS.num_threads commensurate with FLAGS.val_shards"
    ):
      dataset_builder.check_num_shards("val", num_shards, num_threads)


class BatchReportTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.lines = []

  def _say(self, line: str) -> None:
    self.lines.append(re.sub(r"^\d{4}-\S* \d\d:\d\d:\d\d\.\d+", "NOW", line))

  def test_says_what_is_written_of_each_batch(self):
    report = dataset_builder.BatchReport([900, 2300, 5, 0], 2, self._say)
    for number, num_pairs in ((1, 2300), (2, 5), (0, 900), (3, 0)):
      report.add(
          dataset_writer.WrittenShard(number, f"shard-{number}", num_pairs)
      )
    self.assertEqual(
        self.lines,
        [
            "NOW [thread 0]: Processed 2300 of 3200 items in thread batch.",
            "NOW [thread 0]: Wrote 2300 image-caption pairs to shard-1",
            "NOW [thread 1]: Wrote 5 image-caption pairs to shard-2",
            "NOW [thread 0]: Processed 3200 of 3200 items in thread batch.",
            "NOW [thread 0]: Wrote 900 image-caption pairs to shard-0",
            "NOW [thread 0]: Wrote 3200 image-caption pairs to 2 shards.",
            "NOW [thread 1]: Wrote 0 image-caption pairs to shard-3",
            "NOW [thread 1]: Wrote 5 image-caption pairs to 2 shards.",
        ],
    )


if __name__ == "__main__":
  tf.test.main()
