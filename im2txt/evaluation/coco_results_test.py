"""Tests of coco_results."""

import json
import os

from absl.testing import absltest
from absl.testing import parameterized
from pycocotools import coco

from im2txt.evaluation import coco_results

_ONE = {"image_id": 1, "caption": "a dog"}
_TWO = {"image_id": 2, "caption": "ein Café"}


class CocoResultsTest(parameterized.TestCase):

  def _read(self, content, **kwargs):
    if not isinstance(content, bytes):
      content = json.dumps(content).encode()
    path = self.create_tempfile("results.json", content, mode="wb").full_path
    return coco_results.read(path, [1, 2], **kwargs)

  def test_written_file_can_be_read(self):
    path = self.create_tempdir().full_path + "/results.json"
    captions = [(2, "ein Café"), (1, "a dog"), (2, ""), (2, "日本")]
    coco_results.write(path, captions)
    self.assertEqual(
        coco_results.read(path, [1, 2], n_best=True),
        {1: ["a dog"], 2: ["ein Café", "", "日本"]},
    )

  def test_coco_tools_read_the_file(self):
    folder = self.create_tempdir().full_path
    coco_results.write(f"{folder}/results.json", [(1, "a dog"), (2, "Café")])
    references = coco.COCO()
    references.dataset = {"images": [{"id": 1}, {"id": 2}], "annotations": []}
    references.createIndex()
    results = references.loadRes(f"{folder}/results.json")
    self.assertEqual(results.imgToAnns[2][0]["caption"], "Café")

  def test_failure_leaves_no_file(self):
    def captions():
      yield 1, "a dog"
      raise RuntimeError("interrupted")

    folder = self.create_tempdir().full_path
    with self.assertRaisesRegex(RuntimeError, "interrupted"):
      coco_results.write(f"{folder}/results.json", captions())
    self.assertEmpty(os.listdir(folder))

  def test_reads_in_the_order_of_the_references(self):
    captions = self._read([{**_TWO, "id": 7}, _ONE])
    self.assertEqual(
        list(captions.items()), [(1, ["a dog"]), (2, ["ein Café"])]
    )

  def test_missing_images_may_be_allowed(self):
    self.assertEqual(self._read([_TWO], allow_missing=True), {2: ["ein Café"]})

  def test_empty_captions_are_kept(self):
    captions = self._read([_ONE, {"image_id": 2, "caption": ""}])
    self.assertEqual(captions[2], [""])

  @parameterized.named_parameters(
      ("no_json", b"[", "not valid JSON: line 1, column 2: Expecting value"),
      ("no_utf8", b'["\xff"]', "not valid JSON: line 1 is not UTF-8"),
      ("object", {"annotations": []}, "must be a list, .* Got: a dict"),
      ("nothing", [], "contains no captions"),
      ("number", [3], "Entry 1 is: 3"),
      ("id_is_text", [_ONE, {**_TWO, "image_id": "x"}], "Entry 2 is: .*'x'"),
      ("id_is_true", [{**_ONE, "image_id": True}], "Entry 1 is: .*True"),
      ("id_is_missing", [{"caption": "a"}], "Entry 1 is: {'caption': 'a'}"),
      ("caption_is_null", [{**_ONE, "caption": None}], "Entry 1 is: .*None"),
      ("caption_is_a_list", [{**_ONE, "caption": ["a"]}], "Entry 1 is: "),
      (
          "unknown_image",
          [_ONE, {**_TWO, "image_id": 3}],
          "without references, of image 3",
      ),
      (
          "unknown_images",
          [{**_ONE, "image_id": i} for i in (5, 5, 4)],
          "of 2 images, such as 4",
      ),
      ("missing_image", [_ONE], "no caption of image 2. Use --allow_missing"),
      ("duplicate", [_ONE, _TWO, _ONE], "several captions of image 1. "),
  )
  def test_invalid_file(self, content, message):
    with self.assertRaisesRegex(ValueError, f"results.json .*{message}"):
      self._read(content)

  def test_missing_file_is_named(self):
    with self.assertRaisesRegex(FileNotFoundError, "'/no/results.json'"):
      coco_results.read("/no/results.json", [1])


if __name__ == "__main__":
  absltest.main()
