"""Tests of the tags and values written for TensorBoard."""

import os
import types

from absl.testing import parameterized
import tensorflow as tf

from im2txt import show_and_tell_model
from im2txt.data import caption_data
from im2txt.testing import tiny
from im2txt.training import trainers
from im2txt.training import training_summaries


def _events(folder):
  """The values by tag of all event files, as they are stored."""
  values = {}
  for file in tf.io.gfile.glob(os.path.join(folder, "events*")):
    for record in tf.data.TFRecordDataset(file):
      event = tf.compat.v1.Event.FromString(record.numpy())
      for value in event.summary.value:
        values[value.tag] = (event.step, value)
  return values


class SummaryWriterTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(tf.float32, tf.bfloat16)
  def test_tags_of_the_original(self, compute_dtype):
    folder = self.create_tempdir().full_path
    model = show_and_tell_model.ShowAndTellModel(
        tiny.CONFIG, "eval", compute_dtype=compute_dtype
    )
    data = caption_data.CaptionData(
        files=[tiny.write_pairs(folder, "records", 4)], config=tiny.CONFIG
    )
    batch = next(iter(data.evaluation_batches(feature_size=108)))
    metrics = trainers.StepMetrics(
        *map(tf.constant, (1.5, 2.5, 0.25, 8.0, 5.0)),
        measures={"self_critical/reward": tf.constant(0.5)},
    )
    writer = training_summaries.SummaryWriter(folder, model)
    writer.write_metrics(metrics, steps_per_second=3.0, step=9)
    writer.write_batch(batch, step=9)
    writer.write_parameters(step=9)
    writer.write_first_image(data, step=9)
    writer.close()

    events = _events(folder)
    self.assertEqual({9}, {step for step, _ in events.values()})
    scalars = {
        tag: float(tf.make_ndarray(value.tensor))
        for tag, (_, value) in events.items()
        if value.tensor.tensor_shape.ByteSize() == 0 and value.tensor.dtype == 1
    }
    lengths = [len(caption) - 1 for caption in tiny.captions(4)]
    expected = {
        "losses/batch_loss": 1.5,
        "losses/total_loss": 2.5,
        "OptimizeLoss/loss": 2.5,
        "OptimizeLoss/learning_rate": 0.25,
        "OptimizeLoss/global_norm/gradient_norm": 8.0,
        "OptimizeLoss/global_norm/clipped_gradient_norm": 5.0,
        "self_critical/reward": 0.5,
        "global_step/sec": 3.0,
        "examples/sec": 12.0,
        "caption_length/batch_mean": sum(lengths) / 4,
    }
    self.assertAllClose(expected, {tag: scalars[tag] for tag in expected})
    self.assertEqual(5, sum(tag.endswith("/Relu/zeros") for tag in scalars))

    self.assertEqual(18, sum(tag.endswith("/activation") for tag in events))
    self.assertContainsSubset(
        [
            "InceptionV3/InceptionV3/Mixed_7c/activation",
            "caption_length/batch_max",
            "caption_length/batch_min",
            "final_image/image/0",
            "original_image/image/0",
            "parameters/logits/biases",
            "resized_image/image/0",
        ],
        events,
    )
    original = events["original_image/image/0"][1].tensor.string_val
    self.assertEqual([b"80", b"90"], original[:2])  # Width and height.

  def test_histogram_counts_every_value(self):
    folder = self.create_tempdir().full_path
    writer = training_summaries.SummaryWriter(
        folder, show_and_tell_model.ShowAndTellModel(tiny.CONFIG, "eval")
    )
    writer.write_parameters(step=0)
    writer.close()
    _, value = _events(folder)["parameters/seq_embedding/map"]
    buckets = tf.make_ndarray(value.tensor)
    self.assertEqual(12 * 8, buckets[:, 2].sum())
    self.assertAllInRange(buckets[:, :2], -0.08, 0.08)

  def test_first_image_where_a_file_is_empty(self):
    folder = self.create_tempdir().full_path
    files = [
        tiny.write_pairs(folder, f"records-{count}", count) for count in (0, 1)
    ]
    model = types.SimpleNamespace(config=tiny.CONFIG)
    for read, expected in ((files, 1), (files[:1], 0)):
      logs = self.create_tempdir().full_path
      writer = training_summaries.SummaryWriter(logs, model)
      data = caption_data.CaptionData(files=read, config=tiny.CONFIG)
      writer.write_first_image(data, step=0)
      writer.close()
      images = [tag for tag in _events(logs) if tag.startswith("original_")]
      self.assertLen(images, expected)

  def test_first_image_that_is_corrupt(self):
    folder = self.create_tempdir().full_path
    path = tiny.write_pairs(folder, "records", 2)
    with open(path, "rb") as file:
      sound = file.read()
    record = next(tf.data.TFRecordDataset(path).as_numpy_iterator())
    start = record.index(b"\xff\xd8\xff")
    writer = training_summaries.SummaryWriter(
        folder, types.SimpleNamespace(config=tiny.CONFIG)
    )
    data = caption_data.CaptionData(files=[path], config=tiny.CONFIG)

    with open(path, "wb") as file:
      file.write(sound[:40] + b"?" + sound[41:])
    with self.assertRaisesRegex(ValueError, f"Record 0 of {path} .*checksum"):
      writer.write_first_image(data, step=0)

    with tf.io.TFRecordWriter(path) as file:
      file.write(record[:start] + b"no" + record[start + 2 :])
    with self.assertRaisesRegex(ValueError, f"Record 0 of {path} .* image"):
      writer.write_first_image(data, step=0)
    writer.close()


if __name__ == "__main__":
  tf.test.main()
