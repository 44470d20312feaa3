"""Tests of inputs."""

import functools
import itertools
import os
from pathlib import Path
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.ops import example_order
from im2txt.ops import image_processing
from im2txt.ops import inputs
from im2txt.ops import tfrecords
from im2txt.testing import tiny

_PREPROCESS = functools.partial(
    image_processing.process_image,
    height=5,
    width=5,
    resize_height=6,
    resize_width=6,
)


def _serialized(
    image,
    caption,
    *,
    image_feature="image/data",
    caption_feature="image/caption_ids",
):
  """Serializes a SequenceExample, without image or caption if it is None."""
  example = tf.train.SequenceExample()
  if image is not None:
    feature = example.context.feature[image_feature]
    feature.bytes_list.value.append(image)
  if caption is not None:
    feature_list = example.feature_lists.feature_list[caption_feature]
    for word_id in caption:
      feature_list.feature.add().int64_list.value.append(word_id)
  return example.SerializeToString()


def _jpeg(brightness):
  return tf.io.encode_jpeg(np.full([8, 9, 3], brightness, np.uint8)).numpy()


def _fake_preprocess(
    encoded_image, *, is_training, thread_id=-1, seed=(-1, -1)
):
  """Returns an "image" that consists of the arguments."""
  return tf.stack(
      [
          tf.strings.to_number(encoded_image),
          tf.cast(is_training, tf.float32),
          tf.cast(thread_id, tf.float32),
          tf.cast(seed[0], tf.float32),
          tf.cast(seed[1], tf.float32),
      ]
  )


class InputsTestCase(tf.test.TestCase, parameterized.TestCase):

  def write(self, *contents):
    """Writes the records of files "records-0", "records-1" and so on."""
    folder = Path(self.create_tempdir())
    files = []
    for number, serialized_records in enumerate(contents):
      files.append(str(folder / f"records-{number}"))
      with tf.io.TFRecordWriter(files[-1]) as writer:
        for serialized in serialized_records:
          writer.write(serialized)
    return files

  def write_numbers(self, *sizes):
    """Writes files with images "0", "1", ... and captions of three lengths."""
    numbers = itertools.count()
    return self.write(
        *[
            [
                _serialized(str(n).encode(), [1, *[n] * (n % 3), 2])
                for n in itertools.islice(numbers, size)
            ]
            for size in sizes
        ]
    )


class InputFilesTest(InputsTestCase):

  def test_patterns(self):
    folder = self.create_tempdir()
    for name in ("b-1", "a-2", "a-1", "c"):
      folder.create_file(name)
    files = inputs.input_files(f"{folder.full_path}/b*, {folder.full_path}/?-*")
    self.assertSequenceEqual(
        [Path(file).name for file in files], ["a-1", "a-2", "b-1"]
    )

  @parameterized.named_parameters(
      ("whole", ("a-00000-of-00002", "a-00001-of-00002"), "a-*"),
      ("two_data_sets", ("a-00000-of-00001", "b-00000-of-00001"), "*"),
      ("narrower", ("a-00000-of-00012",), "a-0000?-of-00012,a-00000-*"),
      ("one_file", ("a-00001-of-00003",), "a-00001-of-00003"),
      ("other_names", ("a-0-of-2", "b", "a-00000-of-00002.tmp"), "*"),
      (
          "older_build_not_matched",
          ("a-00000-of-00001", "a-00000-of-00004"),
          "a-*-of-00001",
      ),
  )
  def test_shards_that_are_all_there(self, names, patterns):
    folder = self.create_tempdir()
    for name in names:
      folder.create_file(name)
    if patterns.startswith("a-0000?"):
      for i in range(1, 10):
        folder.create_file(f"a-{i:05d}-of-00012")
    pattern = ",".join(f"{folder.full_path}/{p}" for p in patterns.split(","))
    self.assertNotEmpty(inputs.input_files(pattern))

  @parameterized.parameters("a-*", "a-?????-of-00003", "./a-*", "a-[0-9]*")
  def test_missing_shards(self, pattern):
    folder = self.create_tempdir()
    folder.create_file("a-00001-of-00003")
    pattern = f"{folder.full_path}/{pattern}"
    with self.assertRaisesRegex(
        FileNotFoundError,
        r"incomplete.*a-00000-of-00003, .*a-00002-of-00003\..*"
        r"--allow_missing_shards, or a narrower --input_feature_pattern",
    ):
      inputs.input_files("", pattern)
    with self.assertLogs("absl", "WARNING") as logs:
      files = inputs.input_files("", pattern, allow_missing_shards=True)
    self.assertLen(files, 1)
    self.assertRegex(logs.output[0], "Missing: .*a-00002-of-00003")

  def test_many_missing_shards(self):
    folder = self.create_tempdir()
    folder.create_file("a-00001-of-00256")
    with self.assertRaisesRegex(
        FileNotFoundError, "00003-of-00256 and 252 mor"
    ):
      inputs.input_files(f"{folder.full_path}/a-*")

  @parameterized.parameters(True, False)
  def test_shards_of_two_builds(self, allow_missing_shards):
    folder = self.create_tempdir()
    for name in ("a-00000-of-00001", "a-00000-of-00002", "a-00001-of-00002"):
      folder.create_file(name)
    with self.assertRaisesRegex(
        ValueError, "a-00000-of-00001 and .*a-00000-of-00002 are .*different"
    ):
      inputs.input_files(
          f"{folder.full_path}/a-*", allow_missing_shards=allow_missing_shards
      )

  @parameterized.parameters("", "/nowhere/at-all-?")
  def test_no_match(self, pattern):
    with self.assertRaisesWithLiteralMatch(
        FileNotFoundError,
        f"No TFRecord matches --input_file_pattern. Got: {pattern!r}.",
    ):
      inputs.input_files(pattern)


class ParseSequenceExampleTest(InputsTestCase):

  def test_reads_the_named_features(self):
    serialized = _serialized(
        b"JPEG", [1, 5, 2], image_feature="i", caption_feature="c"
    )
    parse = functools.partial(
        inputs.parse_sequence_example, image_feature="i", caption_feature="c"
    )
    dataset = tf.data.Dataset.from_tensors(serialized).map(parse)
    for image, caption in (parse(serialized), next(iter(dataset))):
      self.assertEqual(image, b"JPEG")
      self.assertEqual(caption.dtype, tf.int64)
      self.assertAllEqual(caption, [1, 5, 2])


class MakeBatchTest(InputsTestCase):

  def test_shifts_and_masks(self):
    batch = inputs.make_batch(
        tf.zeros([3, 7]),
        # One column more than the longest caption needs.
        tf.constant(
            [[1, 4, 2, 0, 0], [1, 5, 6, 2, 0], [1, 2, 0, 0, 0]], tf.int64
        ),
        tf.constant([3, 4, 2]),
    )
    self.assertAllEqual(batch.input_seqs, [[1, 4, 0], [1, 5, 6], [1, 0, 0]])
    self.assertAllEqual(batch.target_seqs, [[4, 2, 0], [5, 6, 2], [2, 0, 0]])
    self.assertAllEqual(batch.input_mask, [[1, 1, 0], [1, 1, 1], [1, 0, 0]])
    self.assertEqual(batch.input_seqs.dtype, tf.int64)
    self.assertEqual(batch.target_seqs.dtype, tf.int64)
    self.assertEqual(batch.input_mask.dtype, tf.int32)


class TrainingBatchesTest(InputsTestCase):

  def batches(
      self, files, number, preprocess=_fake_preprocess, threads=4, **kwargs
  ):
    fields = {"batch_size": 2, "seed": 3, "shuffle_buffer_size": 4, **kwargs}
    dataset = inputs.training_batches(
        files,
        example_order.TrainingOrder(**fields),
        preprocess=preprocess,
        num_preprocess_threads=threads,
    )
    return list(itertools.islice(dataset.as_numpy_iterator(), number))

  def test_batches_span_epochs(self):
    batches = self.batches(self.write_numbers(2, 3), 5)
    numbers = np.concatenate([batch.images[:, 0] for batch in batches])
    self.assertCountEqual(numbers[:5], range(5))
    self.assertCountEqual(numbers[5:], range(5))

  def test_captions_stay_with_their_images(self):
    for batch in self.batches(self.write_numbers(2, 3), 5):
      for (number, *_), words, mask in zip(
          batch.images, batch.input_seqs, batch.input_mask, strict=True
      ):
        caption = [1, *[number] * int(number % 3)]
        self.assertAllEqual(words[: len(caption)], caption)
        self.assertEqual(sum(mask), len(caption))

  def test_buckets_hold_every_caption_with_less_padding(self):
    files = self.write_numbers(6, 6)
    batches = self.batches(files, 12, bucket_batches=6)
    numbers = np.concatenate([batch.images[:, 0] for batch in batches])
    self.assertCountEqual(numbers[:12], range(12))
    self.assertCountEqual(numbers[12:], range(12))
    # There are two examples of each of three lengths: no batch needs padding.
    self.assertTrue(all(batch.input_mask.all() for batch in batches))
    for batch in batches:
      self.assertAllEqual(
          batch.images[:, 0] % 3, batch.input_mask.sum(axis=1) - 1
      )

  def test_seeds_and_threads_follow_the_index(self):
    files = self.write_numbers(5)
    batches = self.batches(files, 3, start_example=4)
    images = np.concatenate([batch.images for batch in batches])
    self.assertAllEqual(images[:, 1], [1] * 6)  # All in training.
    self.assertAllEqual(images[:, 2], [0, 1, 2, 3, 0, 1])
    self.assertAllEqual(images[:, 3], [3] * 6)
    self.assertAllEqual(images[:, 4], [4, 5, 6, 7, 8, 9])

  @parameterized.product(start_example=(2, 4, 6, 14), bucket_batches=(1, 3))
  def test_resumes_with_the_same_batches(self, start_example, bucket_batches):
    files = self.write_numbers(2, 3)
    whole = self.batches(files, 10, bucket_batches=bucket_batches)
    resumed = self.batches(
        files,
        10 - start_example // 2,
        start_example=start_example,
        bucket_batches=bucket_batches,
    )
    for batch, expected in zip(
        resumed, whole[start_example // 2 :], strict=True
    ):
      self.assertAllEqual(batch.images, expected.images)
      self.assertAllEqual(batch.input_seqs, expected.input_seqs)
      self.assertAllEqual(batch.target_seqs, expected.target_seqs)
      self.assertAllEqual(batch.input_mask, expected.input_mask)

  def test_the_same_images_with_any_number_of_threads(self):
    files = self.write([_serialized(_jpeg(30 * n), [1, 2]) for n in range(5)])
    kwargs = {"preprocess": _PREPROCESS, "batch_size": 6}
    few = self.batches(files, 2, threads=2, **kwargs)
    many = self.batches(files, 2, threads=8, **kwargs)
    self.assertEqual(few[0].images.shape, (6, 5, 5, 3))
    self.assertAllEqual(few[1].images, many[1].images)

  def test_shapes_are_known(self):
    files = self.write([_serialized(_jpeg(0), [1, 2])])
    order = example_order.TrainingOrder(batch_size=2, seed=1)
    dataset = inputs.training_batches(files, order, preprocess=_PREPROCESS)
    spec = dataset.element_spec
    self.assertEqual(spec.images, tf.TensorSpec([2, 5, 5, 3], tf.float32))
    self.assertEqual(spec.input_seqs, tf.TensorSpec([2, None], tf.int64))
    self.assertEqual(spec.target_seqs, tf.TensorSpec([2, None], tf.int64))
    self.assertEqual(spec.input_mask, tf.TensorSpec([2, None], tf.int32))


class EvaluationBatchesTest(InputsTestCase):

  def test_every_record_once_in_order(self):
    dataset = inputs.evaluation_batches(
        self.write_numbers(3, 2), batch_size=2, preprocess=_fake_preprocess
    )
    batches = list(dataset.as_numpy_iterator())
    self.assertSequenceEqual(
        [batch.images[:, 0].tolist() for batch in batches],
        [[0, 1], [2, 3], [4]],
    )
    self.assertSequenceEqual(
        [batch.target_seqs.tolist() for batch in batches],
        [[[2, 0], [1, 2]], [[2, 2, 2], [2, 0, 0]], [[4, 2]]],
    )
    self.assertAllEqual(batches[0].images[:, 1], [0, 0])  # None in training.


class FindCorruptRecordTest(InputsTestCase):

  def assert_found(self, files, number, reason):
    """Checks that reading fails and that the corrupt record is found."""
    with self.assertRaises(
        (tf.errors.DataLossError, tf.errors.InvalidArgumentError)
    ):
      for _ in inputs.evaluation_batches(
          files, batch_size=2, preprocess=_PREPROCESS
      ):
        pass
    suspects = inputs.training_records(
        files, example_order.TrainingOrder(batch_size=1, seed=1)
    ).take(len(files) * 3)
    for some in (None, suspects):
      error = inputs.find_corrupt_record(
          files, preprocess=_PREPROCESS, suspects=some
      )
      self.assertRegex(
          str(error), f"Record {number} of .*/records-1 .*: {reason}"
      )

  def good(self):
    return [_serialized(_jpeg(n), [1, 5, 2]) for n in range(3)]

  def test_sound_files(self):
    files = self.write(self.good(), self.good())
    self.assertIsNone(inputs.find_corrupt_record(files, preprocess=_PREPROCESS))

  def test_a_flipped_bit(self):
    files = self.write(self.good(), self.good())
    path = Path(files[1])
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 4
    path.write_bytes(contents)
    self.assert_found(files, 1, "its checksum is wrong")

  def test_a_truncated_file(self):
    files = self.write(self.good(), self.good())
    Path(files[1]).write_bytes(Path(files[1]).read_bytes()[:-10])
    self.assert_found(files, 2, ".* the file is cut short")

  @parameterized.named_parameters(
      ("rubbish_for_an_image", _serialized(b"?" * 99, [1, 2]), "Unknown image"),
      ("half_an_image", _serialized(_jpeg(9)[:300], [1, 2]), ".*Invalid JPEG"),
      ("no_image", _serialized(None, [1, 2]), "it has no image, image/data"),
      ("no_caption", _serialized(_jpeg(9), None), "a caption, image/caption"),
      ("a_short_caption", _serialized(_jpeg(9), [1]), "a caption, image/capt"),
      ("no_example", b"\xff\xff", "Invalid protocol"),
  )
  def test_records_of(self, serialized, reason):
    first, _, last = self.good()
    files = self.write(self.good(), [first, serialized, last])
    self.assert_found(files, 1, reason)


def _write(path, lengths, feature):
  """Writes a file of records with captions of the given lengths."""
  with tf.io.TFRecordWriter(path) as writer:
    for length in lengths:
      example = tf.train.SequenceExample()
      feature_list = example.feature_lists.feature_list[feature]
      for word_id in range(length):
        feature_list.feature.add().int64_list.value.append(word_id)
      writer.write(example.SerializeToString())


class TrainingRecordsTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path

  def _take(self, number, files, caption_feature="image/caption_ids", **fields):
    dataset = inputs.training_records(
        files,
        example_order.TrainingOrder(**{"batch_size": 2, "seed": 4, **fields}),
        caption_feature=caption_feature,
    )
    return list(dataset.take(number).as_numpy_iterator())

  def test_records_say_where_they_come_from(self):
    files = [tiny.write_pairs(self.dir, f"pairs-{i}", 2 + i) for i in (0, 1)]
    contents = {
        file.encode(): list(tf.data.TFRecordDataset(file).as_numpy_iterator())
        for file in files
    }
    for bucket_batches in (1, 3):
      taken = self._take(12, files, bucket_batches=bucket_batches)
      for record in taken:
        self.assertEqual(
            contents[record.file][record.number], record.serialized
        )
    first_epoch = self._take(5, files)
    self.assertCountEqual(
        [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)],
        [(files.index(r.file.decode()), int(r.number)) for r in first_epoch],
    )

  @mock.patch.object(tfrecords, "count_records", side_effect=AssertionError)
  def test_counts_records_only_to_resume(self, unused_count):
    files = [tiny.write_pairs(self.dir, "pairs", 3)]
    self.assertLen(self._take(4, files), 4)
    with self.assertRaises(AssertionError):
      self._take(4, files, start_example=2)

  def test_sorts_by_the_named_captions(self):
    path = os.path.join(self.dir, "lengths")
    _write(path, [4, 2, 5, 3], "words")
    taken = self._take(4, [path], "words", bucket_batches=2)
    numbers = [int(record.number) for record in taken]
    # The lengths 4, 2, 5 and 3 make the batches (2, 3) and (4, 5).
    self.assertIn(numbers, ([1, 3, 0, 2], [0, 2, 1, 3]))

  def test_a_process_reads_its_own_files_from_its_own_start(self):
    files = [tiny.write_pairs(self.dir, f"pairs-{i}", 3) for i in (0, 1)]
    shard = example_order.Shard(index=1, count=2)
    whole = self._take(6, files, shard=shard)
    self.assertEqual({files[1].encode()}, {record.file for record in whole})
    # Of the first four rows of the run, two are its own.
    rest = self._take(4, files, shard=shard, start_example=4)
    self.assertEqual(whole[2:], rest)


if __name__ == "__main__":
  tf.test.main()
