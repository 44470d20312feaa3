"""Tests of dataset_facts."""

import json
import os

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.data import dataset_facts

_RECORDS = {
    "vocab_size": 9,
    "splits": {
        "train": {"captions": 30, "largest_word_id": 8},
        "val": {"captions": 5, "largest_word_id": 7},
    },
}
_FEATURES = {
    "sets": {
        "train": {"captions": 30, "largest_word_id": 8, "vocab_size": 9},
        "val": {"captions": 5, "largest_word_id": 7},
    }
}


class DatasetFactsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self._write("dataset.json", _RECORDS)
    self._write("features.json", _FEATURES)

  def _write(self, name, content, folder=""):
    os.makedirs(os.path.join(self.dir, folder), exist_ok=True)
    path = os.path.join(self.dir, folder, name)
    with open(path, "w", encoding="utf-8") as file:
      json.dump(content, file)

  def _files(self, *names):
    return [os.path.join(self.dir, name) for name in names]

  @parameterized.parameters(True, False)
  def test_of_all_shards_of_a_split(self, are_features):
    files = self._files("train-00000-of-00002", "train-00001-of-00002")
    self.assertEqual(
        {"vocab_size": 9, "num_examples_per_epoch": 30},
        dataset_facts.config_fields(files, are_features=are_features),
    )
    self.assertEqual(
        8, dataset_facts.largest_word_id(files, are_features=are_features)
    )

  def test_of_two_splits(self):
    files = self._files("train-00000-of-00001", "val-00000-of-00001")
    self.assertEqual(
        {"vocab_size": 9, "num_examples_per_epoch": 35},
        dataset_facts.config_fields(files),
    )
    self.assertEqual(8, dataset_facts.largest_word_id(files))

  def test_of_two_data_sets(self):
    more = {"splits": {"train": {"captions": 4, "largest_word_id": 11}}}
    self._write("dataset.json", {"vocab_size": 12, **more}, "more")
    files = self._files("train-00000-of-00001", "more/train-00000-of-00001")
    self.assertEqual(
        {"vocab_size": 12, "num_examples_per_epoch": 34},
        dataset_facts.config_fields(files),
    )
    self.assertEqual(11, dataset_facts.largest_word_id(files))

  def test_features_of_records_that_do_not_say(self):
    files = self._files("val-00000-of-00001")
    self.assertEmpty(dataset_facts.config_fields(files, are_features=True))
    self.assertEqual(7, dataset_facts.largest_word_id(files, are_features=True))

  @parameterized.parameters(
      "test-00000-of-00001", "other/train-00000-of-00001", "train"
  )
  def test_nothing_is_known(self, name):
    files = self._files("train-00000-of-00001", name)
    self.assertEmpty(dataset_facts.config_fields(files))
    self.assertIsNone(dataset_facts.largest_word_id(files))

  @parameterized.parameters("", "no json", "[]", '{"splits": 3}')
  def test_another_file(self, text):
    with open(self._files("dataset.json")[0], "w", encoding="utf-8") as file:
      file.write(text)
    files = self._files("train-00000-of-00001")
    self.assertEmpty(dataset_facts.config_fields(files))
    self.assertIsNone(dataset_facts.largest_word_id(files))


if __name__ == "__main__":
  absltest.main()
