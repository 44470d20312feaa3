"""Tests of json_values."""

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.data import json_values


class JsonValuesTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("text", '{"a": [1, 2.5, "é"]}'),
      ("utf_8", '{"a": [1, 2.5, "é"]}'.encode()),
      ("utf_16", '{"a": [1, 2.5, "é"]}'.encode("utf-16")),
  )
  def test_parse(self, content):
    self.assertEqual({"a": [1, 2.5, "é"]}, json_values.parse(content))

  @parameterized.named_parameters(
      ("syntax", '{\n "a": }', "line 2, column 7: Expecting value"),
      ("latin_1", b'["a",\n"\xe9"]', "line 2 is not UTF-8"),
      ("depth", "[" * 100_000, "nested too deeply"),
      ("digits", "1" * 5000, "a number of 5000 digits is too large"),
  )
  def test_parse_refuses(self, content, message):
    with self.assertRaisesRegex(ValueError, message):
      json_values.parse(content)

  @parameterized.parameters(
      (101, 101),
      (101.0, 101),
      ("101", 101),
      (" 101.0 ", 101),
      ("1.01e2", 101),
      ("-7", -7),
      ("9223372036854775807", 2**63 - 1),
      (None, None),
      (float("nan"), None),
      ("", None),
      ("NaN", None),
      ("None", None),
  )
  def test_image_id(self, value, expected):
    self.assertEqual(expected, json_values.image_id(value))

  @parameterized.parameters(
      1.5,
      "1.5",
      "x",
      "1_000",
      "٣x",
      True,
      ([],),
      2**63,
      "9223372036854775808",
      "1e300",
      float("inf"),
      "inf",
      2.0**60,
  )
  def test_image_id_refuses(self, value):
    with self.assertRaisesRegex(ValueError, "must be a 64-bit integer. Got:"):
      json_values.image_id(value)

  def test_required_image_id(self):
    self.assertEqual(5, json_values.required_image_id("5"))
    with self.assertRaisesRegex(ValueError, "Got: None"):
      json_values.required_image_id(None)

  def test_text(self):
    self.assertEqual("a", json_values.text("a", "it"))
    with self.assertRaisesRegex(ValueError, "it must be a string. Got: 5"):
      json_values.text(5, "it")
    with self.assertRaisesRegex(ValueError, "it contains half of a surrogate"):
      json_values.text("\ud83d", "it")


if __name__ == "__main__":
  absltest.main()
