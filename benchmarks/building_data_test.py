"""Compares what the two programs build."""

import pathlib

from absl.testing import absltest
import tensorflow as tf

from benchmarks import building_data
from benchmarks import measure


class BuildingDataTest(absltest.TestCase):

  def test_plot(self):
    results = [
        measure.Result(name, [measure.Round(0.5, 1.0)], 100.0)
        for name in ("plain, 2", "plain, 4", "ours, 2", "ours, 4")
    ]
    plot = pathlib.Path(self.create_tempdir().full_path, "plot.png")
    building_data._plot(results, [2, 4], str(plot))
    self.assertTrue(plot.read_bytes().startswith(b"\x89PNG"))

  def test_both_write_the_same_records(self):
    folder = pathlib.Path(self.create_tempdir().full_path)
    building_data.make_images(folder, 20)
    records = []
    for name, pattern in (
        ("plain_builder", "plain-*"),
        ("build_mscoco_data", "train-*"),
    ):
      variant = building_data._variant(name, folder, 20)
      self.assertEqual(variant.make_run()(), 20)
      files = tf.io.gfile.glob(str(folder / f"{name}-20" / pattern))
      records.append(
          sorted(
              tf.train.SequenceExample.FromString(r.numpy())
              .context.feature["image/data"]
              .bytes_list.value[0]
              for r in tf.data.TFRecordDataset(files)
          )
      )
    self.assertLen(records[0], 100)
    self.assertEqual(records[0], records[1])


if __name__ == "__main__":
  absltest.main()
