"""Tests that both programs build the same records."""

import pathlib

from absl.testing import absltest
import tensorflow as tf

from benchmarks import building_data


class BuildingDataTest(absltest.TestCase):

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
