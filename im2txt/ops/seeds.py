"""Seeds for stateless random numbers.

Random numbers depend only on the seed of the run and on a name, not on a global
generator, the order of creation or the number of threads. So a resumed run
draws the same numbers as an uninterrupted one.
"""

import zlib


def named_seed(seed: int, name: str) -> tuple[int, int]:
  """Returns a seed for a `tf.random.stateless_*` op.

  Args:
    seed: Seed of the run.
    name: Purpose of the random numbers, such as the name of a variable.

  Returns:
    The seed.
  """
  return seed, zlib.crc32(name.encode())
