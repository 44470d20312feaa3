"""Tests of shapes_world."""

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.data import build_mscoco_data
from im2txt.shapes import shapes_world

_SCENE = shapes_world.Scene(
    7,
    shapes_world.Thing("red", "circle"),
    shapes_world.Thing("blue", "square"),
)


def _pair(scene):
  return frozenset((scene.upper, scene.lower))


class SceneTest(absltest.TestCase):

  def test_captions(self):
    self.assertEqual(
        _SCENE.captions,
        (
            "a red circle above a blue square .",
            "a red circle is over a blue square .",
            "there is a red circle above a blue square .",
            "above a blue square is a red circle .",
            "below a red circle is a blue square .",
        ),
    )

  def test_labels(self):
    self.assertEqual(
        _SCENE.labels,
        (
            "upper red",
            "upper circle",
            "lower blue",
            "lower square",
        ),
    )
    weights = shapes_world.label_weights()
    self.assertLen(weights, 2 * (5 + 3))
    self.assertEqual([weights[label] for label in _SCENE.labels], [1, 3, 1, 3])


class MakeSplitTest(parameterized.TestCase):

  @parameterized.parameters(120, 500)
  def test_held_out_pairs_are_never_in_training(self, num_scenes):
    split = shapes_world.make_split(num_scenes, seed=1)
    scenes = (*split.train, *split.val)
    self.assertSequenceEqual(
        [scene.image_id for scene in scenes], range(num_scenes)
    )
    self.assertEqual((*split.training, *split.held_out), scenes)
    self.assertEmpty(
        {_pair(s) for s in split.training} & {_pair(s) for s in split.held_out}
    )
    objects = set().union(*(_pair(scene) for scene in split.training))
    self.assertLen(objects, 5 * 3)

  def test_held_out_scenes_are_the_builders_val_and_test(self):
    split = shapes_world.make_split(300, seed=1)
    self.assertLen(split.train, 100)
    self.assertLen(split.val, 200)
    self.assertEqual(split.held_out, split.val[170:])
    splits = build_mscoco_data.split(split.train, split.val)
    self.assertEqual(tuple(splits["train"]), split.training)

  def test_objects_of_a_scene_differ(self):
    split = shapes_world.make_split(500, seed=3)
    for scene in (*split.train, *split.val):
      self.assertLen(_pair(scene), 2)

  def test_depends_on_the_seed_only(self):
    splits = [shapes_world.make_split(120, seed=seed) for seed in (1, 1, 2)]
    self.assertEqual(splits[0], splits[1])
    self.assertNotEqual(splits[0], splits[2])

  def test_too_few_scenes(self):
    with self.assertRaisesRegex(ValueError, "At least 120 scenes"):
      shapes_world.make_split(119, seed=1)


if __name__ == "__main__":
  absltest.main()
