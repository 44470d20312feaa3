"""Tests that what code for the original imports is still there."""

import importlib
import inspect

from absl.testing import absltest
from absl.testing import parameterized

# (module, name, arguments that may be given by position, as in the original).
_NAMES = (
    ("configuration", "ModelConfig", ()),
    ("configuration", "TrainingConfig", ()),
    (
        "show_and_tell_model",
        "ShowAndTellModel",
        ("config", "mode", "train_inception"),
    ),
    ("inference_wrapper", "InferenceWrapper", ()),
    (
        "inference_wrapper",
        "InferenceWrapper.build_graph_from_config",
        ("self", "model_config", "checkpoint_path"),
    ),
    (
        "inference_wrapper",
        "InferenceWrapper.build_graph_from_proto",
        ("self", "graph_def_file", "saver_def_file", "checkpoint_path"),
    ),
    (
        "inference_wrapper",
        "InferenceWrapper.feed_image",
        ("self", "sess", "encoded_image"),
    ),
    (
        "inference_wrapper",
        "InferenceWrapper.inference_step",
        ("self", "sess", "input_feed", "state_feed"),
    ),
    ("inference_utils.inference_wrapper_base", "InferenceWrapperBase", ()),
    (
        "inference_utils.inference_wrapper_base",
        "InferenceWrapperBase.build_model",
        ("self", "model_config"),
    ),
    (
        "inference_utils.caption_generator",
        "CaptionGenerator",
        (
            "model",
            "vocab",
            "beam_size",
            "max_caption_length",
            "length_normalization_factor",
        ),
    ),
    (
        "inference_utils.caption_generator",
        "CaptionGenerator.beam_search",
        ("self", "sess", "encoded_image"),
    ),
    (
        "inference_utils.caption_generator",
        "Caption",
        ("sentence", "state", "logprob", "score", "metadata"),
    ),
    ("inference_utils.caption_generator", "TopN", ("n",)),
    ("inference_utils.caption_generator", "TopN.extract", ("self", "sort")),
    (
        "inference_utils.vocabulary",
        "Vocabulary",
        ("vocab_file", "start_word", "end_word", "unk_word"),
    ),
    (
        "inference_utils.vocabulary",
        "Vocabulary.id_to_word",
        ("self", "word_id"),
    ),
    ("inference_utils.vocabulary", "Vocabulary.word_to_id", ("self", "word")),
    # Their other arguments are given by name.
    ("ops.inputs", "parse_sequence_example", ("serialized",)),
    ("ops.image_processing", "process_image", ("encoded_image",)),
    ("data.build_mscoco_data", "main", ("argv",)),
)


class OriginalApiTest(parameterized.TestCase):

  @parameterized.parameters(*_NAMES)
  def test_name_takes_the_arguments_of_the_original(self, module, name, args):
    found = importlib.import_module(f"im2txt.{module}")
    for part in name.split("."):
      found = getattr(found, part)

    parameters = inspect.signature(found).parameters.values()
    by_position = [p.name for p in parameters if p.kind != p.KEYWORD_ONLY]

    self.assertEqual(tuple(by_position[: len(args)]), args)

  def test_image_embedding_can_be_imported(self):
    # TF-Slim's `inception_v3` has become `ImageEncoder` there.
    self.assertIsNotNone(importlib.import_module("im2txt.ops.image_embedding"))


if __name__ == "__main__":
  absltest.main()
