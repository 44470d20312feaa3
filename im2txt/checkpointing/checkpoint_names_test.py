"""Tests of the names of checkpoints."""

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.checkpointing import checkpoint_names

_KERNEL = "lstm/basic_lstm_cell/kernel"
_BIAS = "lstm/basic_lstm_cell/bias"


class CheckpointNamesTest(parameterized.TestCase):

  @parameterized.parameters(
      (_KERNEL, _KERNEL),
      (_KERNEL, "lstm/basic_lstm_cell/weights"),
      (_KERNEL, "lstm/BasicLSTMCell/Linear/Matrix"),
      (_BIAS, _BIAS),
      (_BIAS, "lstm/basic_lstm_cell/biases"),
      (_BIAS, "lstm/BasicLSTMCell/Linear/Bias"),
      ("logits/biases", "logits/biases"),
      ("logits/biases/Adam_1", "OptimizeLoss/logits/biases/Adam_1"),
      (f"{_KERNEL}/Adam", f"OptimizeLoss/{_KERNEL}/Adam"),
      (f"{_KERNEL}/Adam", "OptimizeLoss/lstm/basic_lstm_cell/weights/Adam"),
      (f"{_BIAS}/Momentum", "lstm/BasicLSTMCell/Linear/Bias/Momentum"),
      ("beta1_power", "OptimizeLoss/beta1_power"),
  )
  def test_there_and_back(self, today, stored):
    names = {"global_step", "x", "x/y", stored}
    self.assertEqual(checkpoint_names.stored_name(today, names), stored)
    self.assertEqual(checkpoint_names.current_name(stored), today)

  def test_todays_name_is_preferred(self):
    names = ["lstm/basic_lstm_cell/weights", _KERNEL]
    self.assertEqual(checkpoint_names.stored_name(_KERNEL, names), _KERNEL)

  @parameterized.parameters(
      (_KERNEL, [f"{_KERNEL}/Adam", f"{_KERNEL}/ExponentialMovingAverage"]),
      ("global_step", ["OptimizeLoss/global_step"]),
      (f"{_KERNEL}/Adam", [_KERNEL, f"{_KERNEL}/Adam_1"]),
  )
  def test_what_is_not_there(self, today, names):
    self.assertIsNone(checkpoint_names.stored_name(today, names))

  @parameterized.parameters(
      (_KERNEL, _KERNEL, f"{_KERNEL}/ExponentialMovingAverage"),
      (
          _BIAS,
          _BIAS,
          "lstm/BasicLSTMCell/Linear/Bias/ExponentialMovingAverage",
      ),
      ("InceptionV3/x/weights", "InceptionV3/x/weights", None),
  )
  def test_averages(self, today, plain, average):
    names = {plain, average} - {None}
    self.assertEqual(checkpoint_names.stored_name(today, names), plain)
    self.assertEqual(
        checkpoint_names.stored_name(today, names, averaged=True),
        average or plain,
    )
    self.assertEqual(checkpoint_names.has_averages(names), bool(average))

  @parameterized.parameters(
      ("global_step", True, False),
      (_KERNEL, True, False),
      ("InceptionV3/Mixed_7c/Branch_0/Conv2d_0a_1x1/weights", True, False),
      ("InceptionV3/Conv2d_1a_3x3/BatchNorm/moving_variance", True, False),
      ("InceptionV3/Conv2d_1a_3x3/BatchNorm/moving_mean/local", False, False),
      ("InceptionV3/Logits/Conv2d_1c_1x1/weights", False, False),
      ("InceptionV3/AuxLogits/Conv2d_2a_5x5/weights", False, False),
      ("InceptionV3/Conv2d_1a_3x3/weights/Adam", False, True),
      (f"{_KERNEL}/Momentum", False, True),
      ("beta2_power", False, True),
      (f"self_critical/{_KERNEL}/Adam", False, True),
      ("self_critical/beta2_power", False, True),
      (f"{_KERNEL}/ExponentialMovingAverage", False, False),
      ("learning_rate", False, False),
  )
  def test_kinds(self, name, is_of_model, is_slot):
    self.assertEqual(checkpoint_names.is_of_model(name), is_of_model)
    self.assertEqual(checkpoint_names.is_slot(name), is_slot)

  @parameterized.parameters(
      (["InceptionV3/Conv2d_1a_3x3/weights", "global_step"], True, False),
      (["InceptionV3/Logits/Conv2d_1c_1x1/weights"], False, False),
      (["InceptionV3/a/weights", "seq_embedding/map"], True, True),
      (["lstm/BasicLSTMCell/Linear/Bias"], False, True),
  )
  def test_what_a_checkpoint_holds(self, names, encoder, decoder):
    self.assertEqual(checkpoint_names.has_encoder(names), encoder)
    self.assertEqual(checkpoint_names.has_decoder(names), decoder)

  def test_sizes(self):
    shapes = {
        "seq_embedding/map": [9, 5],
        "lstm/BasicLSTMCell/Linear/Matrix": [5 + 7, 4 * 7],
    }
    self.assertEqual(
        checkpoint_names.sizes(shapes),
        {"vocab_size": 9, "embedding_size": 5, "num_lstm_units": 7},
    )

  @parameterized.parameters(
      ({},), ({"seq_embedding/map": [9, 5]},), ({"seq_embedding/map": []},)
  )
  def test_no_sizes(self, shapes):
    self.assertEmpty(checkpoint_names.sizes(shapes))


if __name__ == "__main__":
  absltest.main()
