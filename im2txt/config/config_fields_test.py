"""Tests of types and ranges of fields, on a configuration of its own."""

import dataclasses

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.config import config_fields


@dataclasses.dataclass(frozen=True)
class _Config:
  name: str = "a"
  count: int = 3
  rate: float = 0.5
  is_on: bool = False


class ConfigFieldsTest(parameterized.TestCase):

  def test_types_of_a_class_and_of_an_instance(self):
    expected = {"name": str, "count": int, "rate": float, "is_on": bool}
    self.assertEqual(expected, config_fields.types(_Config))
    self.assertEqual(expected, config_fields.types(_Config()))

  @parameterized.parameters(
      (str, "3", "3"),
      (str, "", ""),
      (int, "-7", -7),
      (float, "3", 3.0),
      (float, "1e-3", 0.001),
      (bool, "true", True),
      (bool, "FALSE", False),
  )
  def test_parse(self, field_type, text, expected):
    value = config_fields.parse("x", field_type, text)
    self.assertEqual(expected, value)
    self.assertIs(field_type, type(value))

  @parameterized.parameters(
      (int, "1.5"), (int, ""), (float, "many"), (bool, "1"), (bool, "yes")
  )
  def test_text_of_another_type(self, field_type, text):
    message = f"^x takes a value of type {field_type.__name__}. Got: '{text}'.$"
    with self.assertRaisesRegex(ValueError, message):
      config_fields.parse("x", field_type, text)

  def test_an_integer_is_a_float_too(self):
    config_fields.check_types(_Config())
    config_fields.check_types(_Config(rate=1))

  @parameterized.parameters(
      ({"name": 3}, "name takes a value of type str. Got: 3."),
      ({"count": 3.0}, "count takes a value of type int. Got: 3.0."),
      ({"count": True}, "count takes a value of type int. Got: True."),
      ({"rate": "1"}, "rate takes a value of type float. Got: '1'."),
      ({"rate": False}, "rate takes a value of type float. Got: False."),
      ({"is_on": 1}, "is_on takes a value of type bool. Got: 1."),
  )
  def test_value_of_another_type(self, values, message):
    with self.assertRaisesWithLiteralMatch(ValueError, message):
      config_fields.check_types(_Config(**values))

  @parameterized.parameters(0.0, -1.0, float("nan"))
  def test_positive(self, rate):
    config_fields.check_positive(_Config(rate=0.1), "rate")
    with self.assertRaisesWithLiteralMatch(
        ValueError, f"rate must be positive. Got: {rate}."
    ):
      config_fields.check_positive(_Config(rate=rate), "rate")

  @parameterized.parameters(-1.0, float("nan"))
  def test_not_negative(self, rate):
    config_fields.check_not_negative(_Config(rate=0.0), "rate")
    with self.assertRaisesWithLiteralMatch(
        ValueError, f"rate must not be negative. Got: {rate}."
    ):
      config_fields.check_not_negative(_Config(rate=rate), "rate")

  @parameterized.parameters(1.0, -0.1, float("nan"))
  def test_between(self, rate):
    config_fields.check_between(_Config(rate=0.0), "rate", 0, 1)
    with self.assertRaisesWithLiteralMatch(
        ValueError, f"rate must be in [0, 1). Got: {rate}."
    ):
      config_fields.check_between(_Config(rate=rate), "rate", 0, 1)


if __name__ == "__main__":
  absltest.main()
