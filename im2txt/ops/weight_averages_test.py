"""Tests of the averages of weights, against values worked out by hand."""

from absl.testing import parameterized
import tensorflow as tf

from im2txt.ops import weight_averages

_NAME = "bias/ExponentialMovingAverage"


class WeightAveragesTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.bias = tf.Variable([1.0, 2.0])

  def _averages(self, decay):
    return weight_averages.WeightAverages({"bias": self.bias}, decay=decay)

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
