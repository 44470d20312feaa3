"""Tests of tfrecords."""

import itertools
from pathlib import Path

from absl.testing import parameterized
import tensorflow as tf

from im2txt.ops import tfrecords


def _write(path, contents):
  with tf.io.TFRecordWriter(path) as writer:
    for serialized in contents:
      writer.write(serialized)
  return path


class RecordsTestCase(tf.test.TestCase, parameterized.TestCase):

  def write(self, name, contents):
    return _write(str(Path(self.create_tempdir()) / name), contents)


class ReadTest(RecordsTestCase):

  @parameterized.parameters(
      ("data/train-00003-of-00256", ("data/train", 256)),
      ("a-1-00000-of-00001", ("a-1", 1)),
      ("data/train-3-of-256", None),
      ("data/train-00003-of-00256.tmp", None),
      ("records", None),
  )
  def test_shard_name(self, file, expected):
    self.assertEqual(expected, tfrecords.shard_name(file))

  def test_records_know_where_they_are_from(self):
    file = self.write("some", [b"a", b"b"])
    self.assertSequenceEqual(
        list(tfrecords.read(file).as_numpy_iterator()),
        [(b"a", file.encode(), 0), (b"b", file.encode(), 1)],
    )


class CountRecordsTest(RecordsTestCase):

  def test_counts_all_files(self):
    files = [
        self.write("five", [b"x" * n for n in range(5)]),
        self.write("none", []),
        _write("ram://two", [b"a", b"b"]),  # Not a local file.
    ]
    self.assertEqual(tfrecords.count_records(files), 7)

  @parameterized.parameters(1, 10, 21)
  def test_a_truncated_file_is_named(self, missing_bytes):
    path = Path(self.write("cut", [b"first", b"second"]))
    path.write_bytes(path.read_bytes()[:-missing_bytes])
    with self.assertRaisesRegex(
        tfrecords.CorruptRecordError, f"Record 1 of {path} .*cut short"
    ):
      tfrecords.count_records([str(path)])

  def test_another_kind_of_file(self):
    path = Path(self.create_tempdir().full_path) / "dog.jpg"
    path.write_bytes(b"\xff\xd8 a picture, or so it says")
    with self.assertRaisesRegex(
        tfrecords.CorruptRecordError,
        "Record 0 of .* or it is not a TFRecord",
    ):
      tfrecords.count_records([str(path)])

  def test_a_truncated_remote_file_is_named(self):
    contents = Path(self.write("cut", [b"first", b"second"])).read_bytes()
    with tf.io.gfile.GFile("ram://cut", "wb") as file:
      file.write(contents[:-1])
    with self.assertRaisesRegex(
        tfrecords.CorruptRecordError, "Record 1 of ram://cut .*cut short"
    ):
      tfrecords.count_records(["ram://cut"])


class ReadEpochsTest(RecordsTestCase):

  def setUp(self):
    super().setUp()
    # Thirteen elements in files of different lengths.
    letters = iter(b"abcdefghijklm")
    self.files = [
        self.write(f"file-{n}", [bytes([next(letters)]) for _ in range(n)])
        for n in (4, 0, 6, 3)
    ]

  def elements(self, number, *, seed=1, start=0, buffer_size=5, options=None):
    dataset = tfrecords.read_epochs(
        self.files,
        read_file=tf.data.TFRecordDataset,
        seed=seed,
        start=start,
        epoch_size=13,
        buffer_size=buffer_size,
    )
    if options:
      dataset = dataset.with_options(options)
    taken = itertools.islice(dataset.as_numpy_iterator(), number)
    return b"".join(taken).decode()

  def test_each_epoch_has_every_element_once(self):
    elements = self.elements(3 * 13)
    epochs = elements[:13], elements[13:26], elements[26:]
    for epoch in epochs:
      self.assertEqual("".join(sorted(epoch)), "abcdefghijklm")
    self.assertLen(set(epochs), 3)

  def test_shuffles_within_a_file(self):
    self.files = self.files[:1]
    elements = self.elements(20 * 4)
    epochs = {elements[i : i + 4] for i in range(0, len(elements), 4)}
    self.assertGreater(len(epochs), 5)

  def test_shuffles_the_files(self):
    elements = self.elements(20 * 13, buffer_size=1)
    self.assertSetEqual(set(elements[::13]), {"a", "e", "k"})

  def test_order_depends_on_the_seed_only(self):
    expected = self.elements(30, seed=0)
    tf.random.set_seed(7)
    self.assertEqual(self.elements(30, seed=0), expected)
    self.assertNotEqual(self.elements(30, seed=1), expected)

  @parameterized.parameters(1, 2, 16)
  def test_threads_do_not_change_the_order(self, num_threads):
    options = tf.data.Options()
    options.threading.private_threadpool_size = num_threads
    self.assertEqual(self.elements(60, options=options), self.elements(60))

  @parameterized.parameters(1, 4, 12, 13, 14, 26, 32)
  def test_resumes_anywhere(self, start):
    whole = self.elements(60)
    self.assertEqual(self.elements(60 - start, start=start), whole[start:])

  def test_files_without_records_are_refused(self):
    self.files = self.files[1:2]
    with self.assertRaisesRegex(ValueError, "hold no record: .*file-0"):
      self.elements(1)


class FindCorruptRecordTest(RecordsTestCase):

  def setUp(self):
    super().setUp()
    self.files = [
        self.write("good", [b"1", b"2", b"3"]),
        self.write("bad", [b"1", b"2", b"3"]),
    ]

  def test_no_corrupt_record(self):
    self.assertIsNone(
        tfrecords.find_corrupt_record(self.files, tf.strings.to_number)
    )

  @parameterized.named_parameters(
      # A record of one byte takes 17 bytes: length, checksum, byte, checksum.
      ("a_changed_length", 17, 1),
      ("a_changed_byte", 17 + 12, 1),
      ("a_changed_checksum", 50, 2),
  )
  def test_bad_checksums(self, position, number):
    path = Path(self.files[1])
    contents = bytearray(path.read_bytes())
    contents[position] ^= 1
    path.write_bytes(contents)
    error = tfrecords.find_corrupt_record(self.files, tf.strings.to_number)
    self.assertEqual((error.file, error.number), (str(path), number))
    self.assertRegex(
        str(error), rf"Record {number} of .*/bad .*: its checksum is wrong"
    )

  def test_what_the_check_refuses(self):
    _write(self.files[1], [b"1", b"?"])
    error = tfrecords.find_corrupt_record(self.files, tf.strings.to_number)
    self.assertRegex(
        str(error),
        r"Record 1 of .*/bad \(the first is 0\) can't be used:"
        r" StringToNumberOp could not correctly convert string: \?\. Make",
    )

  def test_what_is_required(self):
    def check(serialized):
      tfrecords.require(serialized != b"2", "it is two")
      return serialized

    error = tfrecords.find_corrupt_record(self.files, check)
    self.assertRegex(str(error), "Record 1 of .*/good .* used: it is two. Make")

  def test_suspects_come_first(self):
    for file in self.files:
      _write(file, [b"1", b"?"])
    error = tfrecords.find_corrupt_record(
        self.files, tf.strings.to_number, suspects=tfrecords.read(self.files[1])
    )
    self.assertEqual((error.file, error.number), (self.files[1], 1))

  def test_innocent_suspects(self):
    _write(self.files[1], [b"?"])
    error = tfrecords.find_corrupt_record(
        self.files, tf.strings.to_number, suspects=tfrecords.read(self.files[0])
    )
    self.assertEqual((error.file, error.number), (self.files[1], 0))

  @parameterized.parameters((0, False), (1, False), (2, True))
  def test_captions_need_start_and_end_word(self, length, sound):
    _write(self.files[1], [str(length).encode()])

    def check(serialized):
      tfrecords.require_words(tf.strings.to_number(serialized), "ids")
      return serialized

    error = tfrecords.find_corrupt_record(self.files[1:], check)
    self.assertEqual(error is None, sound)


if __name__ == "__main__":
  tf.test.main()
