"""Tests of values of replicas, which are halves of a processor."""

import tensorflow as tf

from im2txt.distributed import distribution


def setUpModule():
  cpus = tf.config.list_physical_devices("CPU")
  tf.config.set_logical_device_configuration(
      cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
  )


def _variables():
  """Returns a variable shared by the replicas, and a per-replica one."""
  shared = tf.Variable([1.0, 2.0])
  own = tf.Variable(
      [0.0, 0.0],
      trainable=False,
      synchronization=tf.VariableSynchronization.ON_READ,
      aggregation=tf.VariableAggregation.MEAN,
  )
  return {"shared": shared, "own": own}


class ReplicasTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with self.strategy.scope():
      self.variables = _variables()

  def _make_own_differ(self):
    def assign():
      replica = tf.distribute.get_replica_context()
      number = tf.cast(replica.replica_id_in_sync_group, tf.float32)
      self.variables["own"].assign([4.0 + number, 6.0 - 2 * number])

    self.strategy.run(tf.function(assign, autograph=False))

  def test_first_component(self):
    values = self.strategy.run(
        lambda: tf.distribute.get_replica_context().replica_id_in_sync_group
    )
    self.assertEqual(0, distribution.local(self.strategy, values))
    self.assertEqual(3, distribution.local(tf.distribute.get_strategy(), 3))

  def test_local_variables(self):
    self._make_own_differ()
    local = distribution.local_variables(self.strategy, self.variables)
    self.assertEqual(["shared", "own"], list(local))
    self.assertAllEqual([1.0, 2.0], local["shared"])
    self.assertAllEqual([4.0, 6.0], local["own"])  # And no mean.
    self.assertTrue(all(isinstance(v, tf.Variable) for v in local.values()))

  def test_averaging(self):
    self._make_own_differ()
    average = distribution.averaging(self.strategy, self.variables.values())
    average()
    for component in self.variables["own"].values:
      self.assertAllEqual([4.5, 5.0], component)
    self.assertAllEqual([1.0, 2.0], self.variables["shared"])

  def test_nothing_to_average(self):
    shared = [self.variables["shared"]]
    distribution.averaging(self.strategy, shared)()
    self.assertAllEqual([1.0, 2.0], shared[0])

  def test_one_replica(self):
    variables = _variables()
    variables["own"].assign([3.0, 4.0])
    distribution.averaging(tf.distribute.get_strategy(), variables.values())()
    self.assertAllEqual([3.0, 4.0], variables["own"])


if __name__ == "__main__":
  tf.test.main()
