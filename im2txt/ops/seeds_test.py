"""Tests of seeds."""

import tensorflow as tf

from im2txt.ops import seeds


class SeedsTest(tf.test.TestCase):

  def test_seed_depends_on_seed_and_name(self):
    # 0x352441C2 is the CRC-32 of b"abc", a well-known check value.
    self.assertEqual((7, 0x352441C2), seeds.named_seed(7, "abc"))

  def test_stateless_ops_take_it(self):
    draw = lambda name: tf.random.stateless_uniform(
        [4], seed=seeds.named_seed(1, name)
    )
    self.assertAllEqual(draw("kernel"), draw("kernel"))
    self.assertNotAllClose(draw("kernel"), draw("bias"))


if __name__ == "__main__":
  tf.test.main()
