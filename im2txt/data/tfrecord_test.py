"""Tests of tfrecord, with TensorFlow's reader."""

from pathlib import Path

from absl.testing import parameterized
import tensorflow as tf

from im2txt.data import tfrecord


class RecordWriterTest(parameterized.TestCase, tf.test.TestCase):

  def _written(self, *records: tuple[bytes, ...]) -> str:
    path = self.create_tempfile("records").full_path
    with Path(path).open("wb") as file:
      writer = tfrecord.RecordWriter(file)
      for parts in records:
        writer.write(*parts)
    return path

  @parameterized.named_parameters(
      ("none", [], []),
      ("empty", [(b"",), ()], [b"", b""]),
      ("parts", [(b"ab", b"", b"c"), (b"d",)], [b"abc", b"d"]),
      (
          "large",
          [(b"\x00\xff" * 200_000, b"x")],
          [b"\x00\xff" * 200_000 + b"x"],
      ),
  )
  def test_tensorflow_reads_the_records(self, records, expected):
    dataset = tf.data.TFRecordDataset(self._written(*records))
    self.assertEqual(list(dataset.as_numpy_iterator()), expected)

  def test_writes_the_bytes_that_tensorflow_writes(self):
    records = [b"", b"a", bytes(range(256)) * 50]
    path = self.create_tempfile("expected").full_path
    with tf.io.TFRecordWriter(path) as writer:
      for record in records:
        writer.write(record)
    written = self._written(*((record,) for record in records))
    self.assertEqual(Path(written).read_bytes(), Path(path).read_bytes())


if __name__ == "__main__":
  tf.test.main()
