"""Tests of caption_dataset."""

import io
from pathlib import Path

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.data import caption_dataset
from im2txt.data import sequence_example
from im2txt.data import tfrecord
from im2txt.data import word_counts
from im2txt.data import worker_pool


class CaptionDatasetTest(parameterized.TestCase):

  def test_shuffles_as_the_released_code_does_under_python_3(self):
    images = [
        caption_dataset.TokenizedImage(
            i, f"{i}.jpg", [[f"{2 * i}"], [f"{2 * i + 1}"]]
        )
        for i in range(5)
    ]
    pairs = caption_dataset.shuffled_pairs(images)
    self.assertEqual(
        [int(pair.words[0]) for pair in pairs], [8, 7, 3, 5, 1, 2, 9, 4, 0, 6]
    )
    self.assertEqual(pairs[1], (3, "3.jpg", ["7"]))
    self.assertEqual(caption_dataset.shuffled_pairs([]), [])

  @parameterized.named_parameters(
      ("even", 0, 8, 4, [0, 2, 4, 6, 8]),
      ("uneven", 0, 10, 4, [0, 2, 5, 7, 10]),
      ("from_another_start", 5, 10, 2, [5, 7, 10]),
      ("fewer_than_parts", 0, 2, 4, [0, 0, 1, 1, 2]),
      ("nothing", 3, 3, 2, [3, 3, 3]),
      ("one_part", 0, 7, 1, [0, 7]),
  )
  def test_spaces_evenly(self, start, end, num_parts, bounds):
    self.assertEqual(
        caption_dataset.evenly_spaced(start, end, num_parts), bounds
    )

  def test_rounds_as_numpy_linspace_does(self):
    # 23 * (26 / 46) is a little less than 13.
    self.assertEqual(caption_dataset.evenly_spaced(0, 26, 46)[23], 12)

  def test_writes_shards(self):
    folder = Path(self.create_tempdir().full_path)
    (folder / "one").write_bytes(b"first image")
    (folder / "two").write_bytes(b"second image")
    one, two = str(folder / "one"), str(folder / "two")
    shards = [
        [
            caption_dataset.Pair(1, one, ["a", "dog"]),
            caption_dataset.Pair(2, two, ["a", "zebra"]),
        ],
        [],
        [caption_dataset.Pair(1, one, ["dog"])],
    ]
    with worker_pool.WorkerPool(2) as pool:
      written = list(
          caption_dataset.write_shards(
              "val",
              shards,
              word_ids=word_counts.WordIds({"a": 0, "dog": 1}),
              output_dir=str(folder),
              pool=pool,
          )
      )
    paths = [folder / f"val-0000{i}-of-00003" for i in range(3)]
    self.assertCountEqual(
        written, zip(range(3), map(str, paths), (2, 0, 1), strict=True)
    )
    self.assertEqual(
        paths[0].read_bytes(),
        _records(
            (1, b"first image", ["a", "dog"], [0, 1]),
            (2, b"second image", ["a", "zebra"], [0, 2]),
        ),
    )
    self.assertEqual(paths[1].read_bytes(), b"")
    self.assertEqual(
        paths[2].read_bytes(), _records((1, b"first image", ["dog"], [1]))
    )
    self.assertLen(list(folder.iterdir()), 5)

  def test_an_image_that_has_gone_fails_and_leaves_no_shard(self):
    folder = Path(self.create_tempdir().full_path)
    pair = caption_dataset.Pair(1, "/no/image.jpg", ["a"])
    with (
        self.assertRaisesRegex(FileNotFoundError, "/no/image.jpg"),
        worker_pool.WorkerPool(1) as pool,
    ):
      list(
          caption_dataset.write_shards(
              "val",
              [[pair]],
              word_ids=word_counts.WordIds({}),
              output_dir=str(folder),
              pool=pool,
          )
      )
    self.assertEmpty(list(folder.iterdir()))


def _records(*examples: tuple[int, bytes, list[str], list[int]]) -> bytes:
  file = io.BytesIO()
  writer = tfrecord.RecordWriter(file)
  for example in examples:
    writer.write(*sequence_example.encode(*example))
  return file.getvalue()


if __name__ == "__main__":
  absltest.main()
