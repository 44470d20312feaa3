"""Tests of nltk_modules, each in a process that has no NLTK yet."""

import os
import subprocess
import sys

from absl.testing import absltest

from im2txt.data import nltk_modules

_ALONE = """
import sys
from im2txt.data import nltk_modules
with nltk_modules.imported_alone("nltk", "nltk.tokenize"):
  from nltk.tokenize import destructive
"""


class NltkModulesTest(absltest.TestCase):

  def _run(self, code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    ).stdout

  def test_imports_a_module_without_its_packages(self):
    loaded = self._run(
        _ALONE + "print(destructive.NLTKWordTokenizer().tokenize('A dog.'))\n"
        "print([name for name in ('nltk', 'numpy') if name in sys.modules])"
    )
    self.assertEqual(loaded, "['A', 'dog', '.']\n[]\n")

  def test_the_packages_can_be_imported_whole_afterwards(self):
    tokenize = "print(nltk.tokenize.wordpunct_tokenize('A dog.'))"
    self.assertEqual(
        self._run(f"{_ALONE}import nltk\n{tokenize}"), "['A', 'dog', '.']\n"
    )

  def test_leaves_what_is_imported_already(self):
    same = "print(sys.modules['nltk'] is nltk, nltk.word_tokenize.__name__)"
    self.assertEqual(
        self._run(f"import nltk\n{_ALONE}{same}"), "True word_tokenize\n"
    )

  def test_names_a_missing_package(self):
    with (
        self.assertRaisesRegex(ModuleNotFoundError, "no_such_package"),
        nltk_modules.imported_alone("no_such_package"),
    ):
      self.fail()


if __name__ == "__main__":
  absltest.main()
