"""Tests of batch_report."""

import re

from absl.testing import absltest

from im2txt.data import batch_report
from im2txt.data import caption_dataset


class BatchReportTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.lines = []

  def _say(self, line: str) -> None:
    self.lines.append(re.sub(r"^\d{4}-\S* \d\d:\d\d:\d\d\.\d+", "NOW", line))

  def test_says_what_is_written_of_each_batch(self):
    report = batch_report.BatchReport([900, 2300, 5, 0], 2, self._say)
    for number, num_pairs in ((1, 2300), (2, 5), (0, 900), (3, 0)):
      report.add(
          caption_dataset.WrittenShard(number, f"shard-{number}", num_pairs)
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
  absltest.main()
