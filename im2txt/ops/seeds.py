"""Seeds of the stateless random numbers.

Nothing here draws from a global generator: what is drawn depends on the run's
seed and on what it is for, never on the order in which things are made or on
the number of threads, and so a resumed run draws what it would have drawn.
"""

import zlib


def named_seed(seed: int, name: str) -> tuple[int, int]:
  """Returns the seed of `name` for a `tf.random.stateless_*` op."""
  return seed, zlib.crc32(name.encode())
