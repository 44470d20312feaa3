"""Tests of the optimizers against hand-worked updates."""

import math

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.ops import optimizers


class OptimizersTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.variables = {
        "map": tf.Variable([[1.0], [2.0], [3.0]]),
        "bias": tf.Variable([1.0]),
    }
    # Row 0 occurs twice, like a word that occurs twice in a batch.
    rows = tf.IndexedSlices([[1.0], [2.0], [4.0]], [0, 0, 2], [3, 1])
    self.gradients = [rows, tf.constant([0.5])]

  def _apply_twice(self, optimizer, wrap):
    # In a function, as in training, where each step must read the values that
    # the previous one wrote.
    step = wrap(lambda: optimizer.apply(self.gradients, tf.constant(0.1)))
    step()
    step()

  @parameterized.product(
      wrap=(lambda f: f, lambda f: tf.function(f, autograph=False)),
      name_and_expected=(
          # w - 0.1 * 2 * g, g = [3, 0, 4] and 0.5.
          ("SGD", [[0.4], [2.0], [2.2]], [0.9]),
          # Velocities g and then 1.5 * g: w - 0.1 * 2.5 * g.
          ("momentum", [[0.25], [2.0], [2.0]], [0.875]),
          # With constant gradients, each step is the rate, except for epsilon.
          ("Adam", [[0.8], [2.0], [2.8]], [0.8]),
      ),
  )
  def test_two_steps(self, wrap, name_and_expected):
    name, rows, bias = name_and_expected
    optimizer = optimizers.make_optimizer(name, self.variables, momentum=0.5)
    self._apply_twice(optimizer, wrap)
    self.assertAllClose(rows, self.variables["map"])
    self.assertAllClose(bias, self.variables["bias"])

  @parameterized.parameters(
      # w - 0.1 * 0.5 * 2 * g.
      ("SGD", [[0.7], [2.0], [2.6]]),
      # Each step is the rate, 0.05.
      ("adam", [[0.9], [2.0], [2.9]]),
  )
  def test_rate_of_a_variables_own(self, name, rows):
    optimizer = optimizers.make_optimizer(
        name, self.variables, rate_factors={"map": 0.5}
    )
    self._apply_twice(optimizer, lambda f: f)
    self.assertAllClose(rows, self.variables["map"])
    rate = 0.1 if name == "adam" else 0.05
    self.assertAllClose([1.0 - 2 * rate], self.variables["bias"])

  @parameterized.parameters(
      # (1 - 0.1 * 2) * w - 0.1 * g, twice: 0.64 w - 0.18 g.
      ("SGD", 1.0, [[0.1], [1.28], [1.2]]),
      # At half the rate: 0.81 w - 0.095 g.
      ("SGD", 0.5, [[0.525], [1.62], [2.05]]),
      # Not part of the gradient, so Adam's steps are 0.1: 0.64 w - 0.18, and
      # no step where there is no gradient.
      ("adam", 1.0, [[0.46], [1.28], [1.74]]),
  )
  def test_decoupled_weight_decay(self, name, factor, rows):
    optimizer = optimizers.make_optimizer(
        name,
        self.variables,
        rate_factors={"map": factor},
        weight_decays={"map": 2.0},
    )
    self._apply_twice(optimizer, lambda f: tf.function(f, autograph=False))
    self.assertAllClose(rows, self.variables["map"])

  @parameterized.parameters(
      ("sgd", []),
      ("momentum", ["bias/Momentum", "map/Momentum"]),
      (
          "adam",
          [
              "beta1_power",
              "beta2_power",
              "bias/Adam",
              "bias/Adam_1",
              "map/Adam",
              "map/Adam_1",
          ],
      ),
  )
  def test_slots_have_tensorflow_1_names(self, name, expected):
    optimizer = optimizers.make_optimizer(name, self.variables)
    self.assertEqual(expected, sorted(optimizer.slots))

  @parameterized.parameters("sgd", "momentum", "adam")
  def test_equals_tensorflow_1(self, name):
    reference = {
        "sgd": tf.compat.v1.train.GradientDescentOptimizer(0.01),
        "momentum": tf.compat.v1.train.MomentumOptimizer(0.01, 0.9),
        "adam": tf.compat.v1.train.AdamOptimizer(0.01),
    }[name]
    copies = [tf.Variable(v) for v in self.variables.values()]
    optimizer = optimizers.make_optimizer(name, self.variables)
    for step in range(1, 5):
      gradients = [tf.ones([3, 1]) * step, tf.constant([-1.0]) / step]
      reference.apply_gradients(zip(gradients, copies, strict=True))
      optimizer.apply(gradients, tf.constant(0.01))
    for copy, variable in zip(copies, self.variables.values(), strict=True):
      self.assertAllClose(copy, variable)

  def test_adam_powers_are_those_of_the_next_step(self):
    optimizer = optimizers.make_optimizer("adam", self.variables)
    self._apply_twice(optimizer, lambda f: f)
    self.assertAllClose(0.9**3, optimizer.slots["beta1_power"])
    self.assertAllClose(0.999**3, optimizer.slots["beta2_power"])

  def test_adam_with_new_moments_of_one_variable(self):
    optimizer = optimizers.make_optimizer("adam", self.variables)
    gradients = [tf.ones([3, 1]), tf.constant([1.0])]
    for _ in range(200):
      optimizer.apply(gradients, tf.constant(0.1))
    for kind in ("Adam", "Adam_1"):
      optimizer.slots[f"bias/{kind}"].assign([0.0])
    optimizer.restart_bias_correction()
    before = {name: v.numpy() for name, v in self.variables.items()}
    optimizer.apply(gradients, tf.constant(0.1))
    self.assertAllClose(before["bias"] - 0.1, self.variables["bias"])
    # Moments of 200 steps are 1 and 0.18 before, sqrt(0.001) / 0.1 is 0.316.
    step = 0.1 * 0.316 / np.sqrt(1 - 0.999**201)
    self.assertAllClose(before["map"] - step, self.variables["map"], atol=1e-4)

  def test_unknown_name(self):
    with self.assertRaisesRegex(ValueError, "Got: 'lion'"):
      optimizers.make_optimizer("lion", self.variables)

  @parameterized.parameters("SGD", "momentum", "adam")
  def test_gradient_factor(self, name):
    other = {
        key: tf.Variable(variable) for key, variable in self.variables.items()
    }
    halves = [
        tf.IndexedSlices(tf.constant(g.values) / 2, g.indices, g.dense_shape)
        if isinstance(g, tf.IndexedSlices)
        else g / 2
        for g in self.gradients
    ]
    optimizers.make_optimizer(name, self.variables).apply(
        self.gradients, tf.constant(0.1), tf.constant(0.5)
    )
    optimizers.make_optimizer(name, other).apply(halves, tf.constant(0.1))
    for key, variable in other.items():
      self.assertAllClose(variable, self.variables[key])


class ClippingTest(parameterized.TestCase, tf.test.TestCase):

  def test_global_norm(self):
    gradients = [
        tf.constant([[1.0, 2.0], [2.0, 0.0]]),
        # A row that occurs twice counts twice: 2^2 + 6^2.
        tf.IndexedSlices(
            tf.constant([[2.0], [6.0]]),
            tf.constant([1, 1]),
            tf.constant([3, 1]),
        ),
    ]
    for norm in (optimizers.global_norm, tf.function(optimizers.global_norm)):
      self.assertAllClose(7.0, norm(gradients))  # sqrt(1 + 4 + 4 + 4 + 36)
    self.assertAllClose(tf.linalg.global_norm(gradients), norm(gradients))

  def test_l2_loss_of_small_and_large_tensors(self):
    large = tf.fill([300, 300], 0.1)  # The sum of its squares is 900.
    small = [tf.constant([3.0, 4.0]), tf.constant([[5.0]]), tf.constant(0.0)]
    self.assertAllClose(
        475.0, optimizers.l2_loss([small[0], large, *small[1:]])
    )
    self.assertAllClose(450.0, optimizers.l2_loss([large]))
    self.assertAllClose(25.0, optimizers.l2_loss(small))

  @parameterized.parameters(
      (10.0, 0.5), (5.0, 1.0), (0.1, 1.0), (0.0, 1.0), (math.inf, math.nan)
  )
  def test_clip_factor(self, norm, expected):
    factor = optimizers.clip_factor(tf.constant(norm), 5.0)
    np.testing.assert_allclose(factor, expected)


_NAME = "bias/ExponentialMovingAverage"


class WeightAveragesTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.bias = tf.Variable([1.0, 2.0])

  def _averages(self, decay):
    return optimizers.WeightAverages({"bias": self.bias}, decay=decay)

  @parameterized.named_parameters(
      ("eager", lambda function: function),
      ("graph", lambda function: tf.function(function, autograph=False)),
  )
  def test_average(self, wrap):
    averages = self._averages(0.75)
    update = wrap(averages.update)
    average = averages.variables_by_name[_NAME]
    self.assertAllEqual([1.0, 2.0], average)
    self.bias.assign([5.0, 2.0])
    update(tf.constant(1000))
    self.assertAllClose([2.0, 2.0], average)  # 0.75 * 1 + 0.25 * 5.
    self.bias.assign([2.0, 10.0])
    update(tf.constant(1001))
    self.assertAllClose([2.0, 4.0], average)

  def test_first_steps_keep_less(self):
    averages = self._averages(0.75)
    decays = [
        averages.decay_of_step(tf.constant(step)) for step in (0, 2, 26, 27)
    ]
    self.assertAllClose([0.1, 0.25, 0.75, 0.75], decays)

  def test_equals_tensorflow_1(self):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
      value = tf.compat.v1.get_variable("bias", initializer=[1.0, 2.0])
      step = tf.compat.v1.placeholder(tf.int32, [])
      reference = tf.train.ExponentialMovingAverage(0.3, step)
      grow = value.assign_add([1.0, -2.0])
      with tf.control_dependencies([grow]):
        update = reference.apply([value])
      session.run(tf.compat.v1.global_variables_initializer())
      for number in range(6):
        session.run(update, {step: number})
      expected = session.run(reference.average(value))
      self.assertEqual(_NAME, reference.average_name(value))
    averages = self._averages(0.3)
    for number in range(6):
      self.bias.assign_add([1.0, -2.0])
      averages.update(tf.constant(number))
    self.assertAllClose(expected, averages.variables_by_name[_NAME])

  def test_restart_of_those_that_a_checkpoint_lacked(self):
    averages = self._averages(0.75)
    self.bias.assign([7.0, 8.0])
    averages.restart(["bias/Adam"])
    self.assertAllEqual([1.0, 2.0], averages.variables_by_name[_NAME])
    averages.restart(["bias/Adam", _NAME])
    self.assertAllEqual([7.0, 8.0], averages.variables_by_name[_NAME])

  def test_off(self):
    averages = self._averages(0.0)
    self.assertEmpty(averages.variables_by_name)
    averages.update(tf.constant(0))


if __name__ == "__main__":
  tf.test.main()
