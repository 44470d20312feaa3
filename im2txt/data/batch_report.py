"""Says how far the writing of a data set is, in the released program's words.

There a thread wrote a batch of shards; here any process writes any shard, and
"thread 0" stands for the first batch.
"""

from collections.abc import Callable
from collections.abc import Sequence
import datetime

from im2txt.data import caption_dataset

# A batch is said to be processed so far whenever this many pairs are.
_PAIRS_A_LINE = 1000


class BatchReport:
  """Counts what is written of each batch."""

  def __init__(
      self,
      shard_sizes: Sequence[int],
      shards_a_batch: int,
      say: Callable[[str], None],
  ):
    """Sets up the report.

    Args:
      shard_sizes: The number of pairs of each shard.
      shards_a_batch: The number of shards of each batch.
      say: Called with each line.
    """
    starts = range(0, len(shard_sizes), shards_a_batch)
    self._sizes = [sum(shard_sizes[i : i + shards_a_batch]) for i in starts]
    self._shards_a_batch = shards_a_batch
    self._say = say
    self._num_pairs = [0] * len(starts)
    self._num_shards = [0] * len(starts)

  def add(self, shard: caption_dataset.WrittenShard) -> None:
    """Says that a shard is written, and what that makes of its batch."""
    batch = shard.number // self._shards_a_batch
    before = self._num_pairs[batch]
    after = before + shard.num_pairs
    self._num_pairs[batch] = after
    self._num_shards[batch] += 1
    lines = [f"Wrote {shard.num_pairs} image-caption pairs to {shard.path}"]
    if after // _PAIRS_A_LINE > before // _PAIRS_A_LINE:
      lines.insert(
          0,
          f"Processed {after} of {self._sizes[batch]} items in thread batch.",
      )
    if self._num_shards[batch] == self._shards_a_batch:
      lines.append(
          f"Wrote {after} image-caption pairs to {self._shards_a_batch} shards."
      )
    for line in lines:
      self._say(f"{datetime.datetime.now()} [thread {batch}]: {line}")
