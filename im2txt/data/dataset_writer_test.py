"""Tests of dataset_writer."""

from pathlib import Path

from absl.testing import parameterized
import tensorflow as tf

from im2txt.data import dataset_writer
from im2txt.data import word_counts
from im2txt.data import worker_pool


def _bytes(value: bytes) -> tf.train.Feature:
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _int64(value: int) -> tf.train.Feature:
  return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _example(image_id, image, words, word_ids) -> tf.train.SequenceExample:
  return tf.train.SequenceExample(
      context=tf.train.Features(
          feature={
              "image/image_id": _int64(image_id),
              "image/data": _bytes(image),
          }
      ),
      feature_lists=tf.train.FeatureLists(
          feature_list={
              "image/caption": tf.train.FeatureList(
                  feature=[_bytes(word.encode()) for word in words]
              ),
              "image/caption_ids": tf.train.FeatureList(
                  feature=[_int64(word_id) for word_id in word_ids]
              ),
          }
      ),
  )


class DatasetWriterTest(parameterized.TestCase, tf.test.TestCase):

  def _records(self, *examples: tf.train.SequenceExample) -> bytes:
    # Not read by tf.data, whose threads a forked worker would not have.
    path = self.create_tempfile().full_path
    with tf.io.TFRecordWriter(path) as writer:
      for example in examples:
        writer.write(example.SerializeToString(deterministic=True))
    return Path(path).read_bytes()

  def test_shuffles_as_the_released_code_does_under_python_3(self):
    images = [
        dataset_writer.TokenizedImage(
            i, f"{i}.jpg", [[f"{2 * i}"], [f"{2 * i + 1}"]]
        )
        for i in range(5)
    ]
    pairs = dataset_writer.shuffled_pairs(images)
    self.assertEqual(
        [int(pair.words[0]) for pair in pairs], [8, 7, 3, 5, 1, 2, 9, 4, 0, 6]
    )
    self.assertEqual(pairs[1], (3, "3.jpg", ["7"]))
    self.assertEqual(dataset_writer.shuffled_pairs([]), [])

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
        dataset_writer.evenly_spaced(start, end, num_parts), bounds
    )

  def test_rounds_as_numpy_linspace_does(self):
    # 23 * (26 / 46) is a little less than 13.
    self.assertEqual(dataset_writer.evenly_spaced(0, 26, 46)[23], 12)

  def test_writes_shards(self):
    folder = Path(self.create_tempdir().full_path)
    (folder / "one").write_bytes(b"first image")
    (folder / "two").write_bytes(b"second image")
    one, two = str(folder / "one"), str(folder / "two")
    shards = [
        [
            dataset_writer.Pair(1, one, ["a", "dog"]),
            dataset_writer.Pair(2, two, ["a", "zebra"]),
        ],
        [],
        [dataset_writer.Pair(1, one, ["dog"])],
    ]
    with worker_pool.WorkerPool(2) as pool:
      written = list(
          dataset_writer.write_shards(
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
        self._records(
            _example(1, b"first image", ["a", "dog"], [0, 1]),
            _example(2, b"second image", ["a", "zebra"], [0, 2]),
        ),
    )
    self.assertEqual(paths[1].read_bytes(), b"")
    self.assertEqual(
        paths[2].read_bytes(),
        self._records(_example(1, b"first image", ["dog"], [1])),
    )
    self.assertLen(list(folder.iterdir()), 5)

  def test_an_image_that_has_gone_fails_and_leaves_no_shard(self):
    folder = Path(self.create_tempdir().full_path)
    pair = dataset_writer.Pair(1, "/no/image.jpg", ["a"])
    with (
        self.assertRaisesRegex(FileNotFoundError, "/no/image.jpg"),
        worker_pool.WorkerPool(1) as pool,
    ):
      list(
          dataset_writer.write_shards(
              "val",
              [[pair]],
              word_ids=word_counts.WordIds({}),
              output_dir=str(folder),
              pool=pool,
          )
      )
    self.assertEmpty(list(folder.iterdir()))

  @parameterized.named_parameters(
      (
          "usual",
          139,
          b"\xff\xd8 jpeg",
          ["<S>", "a", "dog", "</S>"],
          [1, 0, 9, 2],
      ),
      ("no_words", 0, b"", [], []),
      ("ids_of_one_and_more_bytes", 127, b"x", ["a"] * 3, [127, 128, 16384]),
      ("largest_image_id", 2**63 - 1, b"x", ["a"], [0]),
      ("smallest_image_id", -(2**63), b"x", ["a"], [0]),
      ("any_script", 5, b"\x00\x80" * 9, ["犬", "é", "🐕"], [3, 4, 5]),
  )
  def test_serializes_an_example(self, *fields):
    serialized = dataset_writer.serialize_example(*fields)
    self.assertEqual(
        tf.train.SequenceExample.FromString(serialized), _example(*fields)
    )

  def test_equal_examples_have_equal_bytes(self):
    # Python's and protobuf's hashes of the features' names are random.
    fields = (1, b"jpeg", ["a"], [0])
    self.assertLen(
        {dataset_writer.serialize_example(*fields) for _ in range(20)}, 1
    )


if __name__ == "__main__":
  tf.test.main()
