"""Tests of how the flags of `train` become a run and its phases."""

import json
import os
import signal
from unittest import mock

from absl import logging
from absl.testing import parameterized
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config
from im2txt.distributed import distribution
from im2txt.runtime import folder_lock
from im2txt.runtime import stop_signals
from im2txt.testing import shallow_inception
from im2txt.testing import tiny
from im2txt.training import training_loop
from im2txt.training import training_run


def _run(**fields):
  """Returns a run with the defaults of most flags."""
  return training_run.Run(
      **{
          "input_file_pattern": "",
          "input_feature_pattern": "",
          "inception_checkpoint_file": "inception",
          "train_inception": False,
          "train_inception_after_steps": None,
          "number_of_steps": 20,
          "log_every_n_steps": 3,
          "objective": "likelihood",
          "vocab_file": "",
          "preset": None,
          "config_overrides": "",
          "scheduled_sampling": None,
          "mixed_precision": "float32",
          "jit_compile": "auto",
          "distribution": "off",
          "shard_by_record": False,
          "cluster_timeout_secs": 9.0,
          "slurm_port": 1,
          **fields,
      }
  )


class FakeLoop:
  """A training loop that only counts steps.

  Attributes:
    made: The loops made so far; each class has its own.
    arguments: The arguments of the loop.
    phase: The data, the number of steps and the log interval of its run.
    stop_signal: Signal that ends a run.
    stops_at: Global step at which a run ends early.
  """

  made: list["FakeLoop"] = []
  stop_signal: signal.Signals | None = None
  stops_at: int | None = None

  def __init__(self, **arguments):
    self.arguments = arguments
    self.checkpoint = arguments["checkpoint"]
    self.trainer = self
    self.global_step = 0
    self.made.append(self)

  def run(self, data, *, number_of_steps, log_every_n_steps):
    """See `TrainingLoop.run`."""
    self.phase = data, number_of_steps, log_every_n_steps
    self.global_step = self.stops_at or number_of_steps
    self.checkpoint = f"model.ckpt-{self.global_step}"
    request = stop_signals.StopRequest()
    request.signal = self.stop_signal
    return request


class TrainingRunTestCase(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.train_dir = os.path.join(self.dir, "train")
    os.mkdir(self.train_dir)
    self.training = configuration.TrainingConfig()
    saved_config.save(self.train_dir, tiny.CONFIG, self.training)
    self.pairs = tiny.write_pairs(self.dir, "pairs-0", 4)
    self.features = tiny.write_features(self.dir, "features-0", 4)
    self.loop_class = type("Loop", (FakeLoop,), {"made": []})
    self.enter_context(
        mock.patch.object(training_loop, "TrainingLoop", self.loop_class)
    )

  def _run(self, **fields):
    return _run(train_dir=self.train_dir, **fields)

  def _train(self, **fields):
    """Trains with fake loops, which are then in `loops`; returns the status."""
    self.loop_class.made.clear()
    status = training_run.train(self._run(**fields))
    self.loops = list(self.loop_class.made)
    return status


class TrainingRunTest(TrainingRunTestCase):

  def _described(self):
    """Returns last step, encoder trained, features and files of each phase."""
    described = []
    for loop in self.loops:
      data, number_of_steps, log_every_n_steps = loop.phase
      self.assertEqual(3, log_every_n_steps)
      self.assertEqual(self.train_dir, loop.arguments["train_dir"])
      train_inception = loop.arguments["options"].train_inception
      described.append(
          (number_of_steps, train_inception, data.are_features, data.files)
      )
    return described

  def test_one_phase(self):
    self._train(input_feature_pattern=self.features)
    self.assertEqual([(20, False, True, [self.features])], self._described())
    self._train(input_file_pattern=self.pairs, train_inception=True)
    self.assertEqual([(20, True, False, [self.pairs])], self._described())
    self.assertEqual(tiny.CONFIG, self.loops[0].phase[0].config)

  def test_two_phases(self):
    patterns = {
        "input_feature_pattern": self.features,
        "input_file_pattern": self.pairs,
    }
    self._train(train_inception_after_steps=5, **patterns)
    self.assertEqual(
        [(5, False, True, [self.features]), (20, True, False, [self.pairs])],
        self._described(),
    )
    # Without features both are on images.
    self._train(train_inception_after_steps=5, input_file_pattern=self.pairs)
    self.assertEqual([False, False], [d[2] for d in self._described()])
    # The second would begin after the last step.
    self._train(train_inception_after_steps=20, **patterns)
    self.assertEqual([(20, False, True, [self.features])], self._described())

  def test_loops(self):
    self._train(
        input_file_pattern=self.pairs,
        train_inception=True,
        mixed_precision="float16",
        jit_compile="true",
    )
    (loop,) = self.loops
    arguments = loop.arguments
    self.assertEqual(tiny.CONFIG, arguments["model_config"])
    self.assertEqual(self.training, arguments["training_config"])
    self.assertEqual("inception", arguments["inception_checkpoint_file"])
    self.assertEqual("off", arguments["distribution"].kind)
    options = arguments["options"]
    self.assertTrue(options.train_inception)
    # There is no GPU here.
    self.assertEqual(tf.float32, options.compute_dtype)
    self.assertTrue(options.jit_compile)
    self.assertTrue(options.must_compile)
    self.assertIsNone(options.objective)

  @parameterized.parameters(
      (None, "", "off"),
      (None, "scheduled_sampling=linear", "linear"),
      ("linear", "seed=3", "linear"),
      ("linear", "scheduled_sampling=linear", "linear"),
  )
  def test_scheduled_sampling(self, flag, overrides, expected):
    self._train(
        input_file_pattern=self.pairs,
        scheduled_sampling=flag,
        config_overrides=overrides,
    )
    training = self.loops[0].arguments["training_config"]
    self.assertEqual(expected, training.scheduled_sampling)

  def test_flag_that_contradicts_an_override(self):
    with self.assertRaisesWithLiteralMatch(
        ValueError,
        "--scheduled_sampling=linear contradicts scheduled_sampling=off in"
        " --config_overrides.",
    ):
      self._train(
          input_file_pattern=self.pairs,
          scheduled_sampling="linear",
          config_overrides="scheduled_sampling=off",
      )

  @parameterized.parameters(
      ("auto", 1, {}, True),
      ("auto", 0, {}, False),
      ("auto", 1, {"mixed_precision": "bfloat16"}, True),
      ("auto", 1, {"distribution": "mirrored"}, False),
      ("auto", 1, {"objective": "self_critical"}, True),
      ("true", 0, {}, True),
      ("false", 1, {}, False),
  )
  def test_xla(self, flag, num_gpus, fields, expected):
    with mock.patch.object(
        tf.config, "list_physical_devices", return_value=["gpu"] * num_gpus
    ):
      run = self._run(jit_compile=flag, **fields)
      self.assertEqual(expected, training_run._uses_xla(run))

  @parameterized.parameters((None, 0), (signal.SIGTERM, 143))
  def test_exit_status(self, number, status):
    self.loop_class.stop_signal = number
    self.assertEqual(status, self._train(input_file_pattern=self.pairs))

  def test_no_file(self):
    for flag in ("input_file_pattern", "input_feature_pattern"):
      with self.assertRaisesRegex(
          FileNotFoundError, f"No TFRecord matches --{flag}. Got: '/nowhere/at"
      ):
        self._train(**{flag: "/nowhere/at-all"})

  def test_self_critical_needs_a_checkpoint(self):
    with self.assertRaisesRegex(OSError, self.train_dir):
      self._train(input_file_pattern=self.pairs, objective="self_critical")

  def test_self_critical_is_the_only_phase(self):
    path = os.path.join(self.train_dir, "model.ckpt-0")
    with mock.patch.object(checkpoint_paths, "find", return_value=path):
      self._train(
          input_feature_pattern=self.features,
          objective="self_critical",
          vocab_file=tiny.write_vocabulary(self.dir),
      )
    (loop,) = self.loops
    self.assertLen(loop.phase[0].split.image_ids, 4)
    objective = loop.arguments["options"].objective
    self.assertEqual("self_critical", objective.name)

  @parameterized.parameters(("SGD", 1), ("momentum", 1), ("Adam", 0))
  def test_self_critical_wants_adam(self, optimizer, num_warnings):
    path = os.path.join(self.train_dir, "model.ckpt-0")
    with (
        mock.patch.object(checkpoint_paths, "find", return_value=path),
        mock.patch.object(logging, "warning") as warning,
    ):
      self._train(
          input_feature_pattern=self.features,
          objective="self_critical",
          vocab_file=tiny.write_vocabulary(self.dir),
          config_overrides=f"optimizer={optimizer}",
      )
    texts = [call.args[0] % call.args[1:] for call in warning.mock_calls]
    found = [text for text in texts if text.startswith("The optimizer is ")]
    self.assertLen(found, num_warnings)
    for text in found:
      self.assertIn(optimizer, text)
      self.assertIn("--config_overrides=optimizer=adam", text)


class ClusterTest(TrainingRunTestCase):
  """Tests of one process of a cluster, without the others."""

  def _train_as(self, task_type, kind):
    """Trains as a task of a cluster; returns the exit status."""
    addresses = {"chief": ["a:1"], "worker": ["b:1"], "ps": ["c:1"]}
    task = {"type": task_type, "index": 0}
    config = json.dumps({"cluster": addresses, "task": task})
    with mock.patch.dict(os.environ, TF_CONFIG=config):
      return self._train(
          distribution=kind,
          **{"input_feature_pattern": self.features} | self.fields,
      )

  def setUp(self):
    super().setUp()
    self.fields = {}
    self.connect = self.enter_context(
        mock.patch.object(
            distribution, "connect", return_value=distribution.Distribution()
        )
    )

  def _settings(self, **fields):
    self.fields = fields
    self._train_as("worker", "multi_worker")
    return self.connect.call_args.kwargs["settings"]

  def test_settings_that_must_be_equal(self):
    other_features = tiny.write_features(self.dir, "features-1", 4)
    settings = self._settings()
    self.assertEqual(4, settings["batch_size"])
    self.assertEqual(12345, settings["seed"])
    self.assertIsNone(settings["newest checkpoint"])
    json.dumps(settings)  # As it is sent.
    # The same files, found by another way.
    self.assertEqual(
        settings, self._settings(inception_checkpoint_file="/x/inception")
    )
    for name, change in (
        ("inception_checkpoint_file", {"inception_checkpoint_file": "other"}),
        ("mixed_precision", {"mixed_precision": "bfloat16"}),
        ("phases", {"number_of_steps": 21}),
        ("phases", {"input_feature_pattern": other_features}),
        ("shard_by_record", {"shard_by_record": True}),
    ):
      changed = self._settings(**change)
      different = [n for n in settings if settings[n] != changed[n]]
      self.assertEqual([name], different)

  def test_connects(self):
    self._train_as("worker", "multi_worker")
    kind, cluster = self.connect.call_args.args
    self.assertEqual("multi_worker", kind)
    self.assertEqual("worker 0", cluster.task)
    self.assertEqual(9.0, self.connect.call_args.kwargs["timeout_secs"])

  def test_only_the_chief_holds_the_folder(self):
    with folder_lock.hold(self.train_dir):
      self._train_as("worker", "multi_worker")
      with self.assertRaises(folder_lock.FolderInUseError):
        self._train_as("chief", "multi_worker")

  @parameterized.parameters("worker", "ps")
  def test_servers_serve(self, task_type):
    with mock.patch.object(distribution, "run_server") as serve:
      status = self._train_as(task_type, "parameter_server")
    self.assertEqual(f"{task_type} 0", serve.call_args.args[0].task)
    self.assertEqual({"timeout_secs": 9.0}, serve.call_args.kwargs)
    self.assertEqual(0, status)
    self.connect.assert_not_called()


_KERNEL = f"{shallow_inception.LAYER}/weights"
_TRAINING = configuration.TrainingConfig(
    optimizer="momentum",
    initial_learning_rate=0.1,
    train_inception_learning_rate=0.2,
    max_checkpoints_to_keep=10,
    save_summaries_secs=1e9,
)


class PhasesTest(TrainingRunTestCase):
  """Tests of the order of phases and their checkpoints."""

  def _phases(self, **fields):
    """Trains two phases; returns their last steps and the exit status."""
    status = self._train(
        input_feature_pattern=self.features,
        input_file_pattern=self.pairs,
        train_inception_after_steps=10,
        **fields,
    )
    return [loop.phase[1] for loop in self.loops], status

  def test_second_starts_from_the_last_checkpoint_of_the_first(self):
    self.assertEqual(([10, 20], 0), self._phases())
    self.assertEqual(
        [None, "model.ckpt-10"],
        [loop.arguments["checkpoint"] for loop in self.loops],
    )

  def test_checkpoint_is_verified_once(self):
    with (
        mock.patch.object(
            checkpoints, "find_readable", return_value="model.ckpt-12"
        ) as find,
        mock.patch.object(checkpoints, "global_step", return_value=12),
    ):
      self.assertEqual(([20], 0), self._phases())
    find.assert_called_once_with(self.train_dir)
    self.assertEqual("model.ckpt-12", self.loops[0].arguments["checkpoint"])

  def test_evaluation_stops_the_first(self):
    self.loop_class.stops_at = 7
    self.assertEqual(([10], 0), self._phases())

  def test_signal_in_the_last_step_of_the_first(self):
    self.loop_class.stop_signal = signal.SIGTERM
    self.assertEqual(([10], 143), self._phases())


class TrainingPhasesTest(tf.test.TestCase):
  """Tests that train a tiny model in both phases."""

  def setUp(self):
    super().setUp()
    shallow_inception.set_up(self)
    self.dir = self.create_tempdir().full_path
    self.pairs = tiny.write_pairs(self.dir, "train-00000-of-00001", 5)

  def _run(self, train_dir, first, last):
    """Trains; returns whether each phase trained the encoder."""
    if not os.path.exists(train_dir):
      os.mkdir(train_dir)
      saved_config.save(train_dir, tiny.CONFIG, _TRAINING)
    run = _run(
        train_dir=train_dir,
        input_file_pattern=self.pairs,
        train_inception_after_steps=first,
        number_of_steps=last,
        inception_checkpoint_file="",
    )
    with mock.patch.object(
        training_loop, "TrainingLoop", wraps=training_loop.TrainingLoop
    ) as make_loop:
      self.assertEqual(0, training_run.train(run))
    options = [call.kwargs["options"] for call in make_loop.mock_calls]
    return [o.train_inception for o in options]

  def _values(self, train_dir, step):
    path = os.path.join(train_dir, f"model.ckpt-{step}")
    reader = tf.train.load_checkpoint(path)
    names = reader.get_variable_to_shape_map()
    return {name: reader.get_tensor(name) for name in names}

  def test_whole_equals_resumed_in_either_phase(self):
    whole = os.path.join(self.dir, "whole")
    self.assertEqual([False, True], self._run(whole, 2, 4))
    start, first, last = (self._values(whole, step) for step in (0, 2, 4))
    # The first phase leaves the encoder alone, and has no slots for it.
    self.assertAllEqual(start[_KERNEL], first[_KERNEL])
    self.assertNotIn(f"{_KERNEL}/Momentum", first)
    self.assertNotAllClose(first[_KERNEL], last[_KERNEL])
    self.assertEqual(4, last["global_step"])

    parts = os.path.join(self.dir, "parts")
    self.assertEqual([False], self._run(parts, 2, 1))
    self.assertEqual([False, True], self._run(parts, 2, 3))
    self.assertEqual([True], self._run(parts, 2, 4))
    actual = self._values(parts, 4)
    self.assertEqual(last.keys(), actual.keys())
    for name, value in last.items():
      self.assertAllClose(value, actual[name], 1e-5, 1e-6, msg=name)


class LoadConfigurationTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = os.path.join(self.create_tempdir().full_path, "train")

  def _load(self, preset=None, data_fields=(), **overrides):
    return training_run.load_configuration(
        self.dir,
        preset=preset,
        overrides=overrides,
        data_fields=dict(data_fields),
    )

  def _start(self, *args, **overrides):
    configs = self._load(*args, **overrides)
    os.makedirs(self.dir, exist_ok=True)
    saved_config.save(self.dir, *configs)
    return configs

  def test_defaults(self):
    self.assertEqual(
        (configuration.ModelConfig(), configuration.TrainingConfig()),
        self._load(),
    )

  @parameterized.named_parameters(
      ("defaults", None, {}, (9, 30)),
      ("other_overrides", None, {"batch_size": 7}, (9, 30)),
      ("overridden_size", None, {"vocab_size": 11}, (11, 30)),
      ("overridden_number", None, {"num_examples_per_epoch": 5}, (9, 5)),
      ("preset", "cpu_small", {}, (9, 30)),
      ("preset_with_a_size", "quickstart", {}, (32, 30)),
  )
  def test_new_run_has_values_of_the_data_set(self, preset, given, expected):
    fields = {"vocab_size": 9, "num_examples_per_epoch": 30}
    with self.assertLogs("absl", "INFO") as logs:
      model, training = self._start(preset, fields, **given)
    self.assertIn("Configuration from the data set:", logs.output[0])
    self.assertEqual(
        expected, (model.vocab_size, training.num_examples_per_epoch)
    )
    # A resumed run keeps its own values.
    fields = {"vocab_size": 8, "num_examples_per_epoch": 3}
    self.assertEqual((model, training), self._load(preset, fields, **given))

  def test_overrides_take_precedence_over_the_preset(self):
    model, training = self._start("cpu_small", batch_size=7, seed=3)
    self.assertEqual((7, 256), (model.batch_size, model.num_lstm_units))
    self.assertEqual(("adam", 3), (training.optimizer, training.seed))

  @parameterized.named_parameters(
      ("same_command", "cpu_small", {"batch_size": 7}),
      ("without_preset", None, {}),
      ("with_another_override", "cpu_small", {"batch_size": 7, "seed": 4}),
  )
  def test_resumes(self, preset, overrides):
    self._start("cpu_small", batch_size=7)
    model, training = self._load(preset, **overrides)
    self.assertEqual((7, 256), (model.batch_size, model.num_lstm_units))
    self.assertEqual("adam", training.optimizer)
    self.assertEqual(overrides.get("seed", 12345), training.seed)

  @parameterized.named_parameters(
      ("other_preset", "quickstart", "vocab_size is 12000, not 32; "),
      ("overridden", "cpu_small", "cpu_small: batch_size is 7, not 64. Omit"),
  )
  def test_preset_that_contradicts(self, preset, message):
    self._start("cpu_small", batch_size=7)
    with self.assertRaisesRegex(ValueError, message):
      self._load(preset)

  def test_folder_with_a_checkpoint_only_is_not_new(self):
    os.makedirs(self.dir)
    tf.raw_ops.SaveV2(
        prefix=os.path.join(self.dir, "model.ckpt-5"),
        tensor_names=["global_step"],
        shape_and_slices=[""],
        tensors=[tf.constant(5)],
    )
    with self.assertRaisesRegex(ValueError, "contradicts --preset=cpu_small"):
      self._load("cpu_small")


if __name__ == "__main__":
  tf.test.main()
