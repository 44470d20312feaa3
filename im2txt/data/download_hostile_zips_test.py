"""Tests of download_and_preprocess_mscoco.sh with hostile zips."""

import os
from pathlib import Path
import shutil
import stat
import subprocess
import sys
import zipfile

from absl.testing import absltest
from absl.testing import parameterized

_SCRIPT = Path(__file__).with_name("download_and_preprocess_mscoco.sh")
_TOOLS = (
    *("awk", "bash", "curl", "df", "du", "env", "find", "mkdir", "mv"),
    *("rm", "sleep", "tr", "uname", "wc", "wget"),
)


def _link(name: str) -> zipfile.ZipInfo:
  info = zipfile.ZipInfo(name)
  info.create_system = 3  # Unix, whose modes follow.
  info.external_attr = (stat.S_IFLNK | 0o777) << 16
  return info


class HostileZipsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)
    self.outside = self.folder / "outside"
    self.outside.mkdir()
    (self.outside / "secret.jpg").write_bytes(b"secret")
    self.raw = self.folder / "mscoco" / "raw-data"
    self.raw.mkdir(parents=True)
    for name in ("val2014", "annotations"):
      self._write_zip(name, {f"{name}/0.jpg": "harmless"})

  def _write_zip(self, name, files):
    with zipfile.ZipFile(self.raw / f"{name}.zip", "w") as file:
      file.writestr(f"{name}/", "")
      for path, content in files.items():
        file.writestr(path, content)

  def _run(self, unpacker: str) -> subprocess.CompletedProcess[str]:
    """Runs the script offline, where the zips that are there must do."""
    tools = self.folder / "tools"
    tools.mkdir()
    for tool in (*_TOOLS, unpacker):
      executable = sys.executable if tool == "python3" else shutil.which(tool)
      if executable:
        (tools / tool).symlink_to(executable)
    return subprocess.run(
        [shutil.which("bash") or "bash", str(_SCRIPT), str(self.raw.parent)],
        capture_output=True,
        check=False,
        env={
            "PATH": str(tools),
            "MSCOCO_BASE_URL": "http://127.0.0.1:1",
            "BUILD_MSCOCO_DATA": shutil.which("true") or "true",
        },
        text=True,
    )

  def _entries(self) -> dict:
    """Returns entries of zips that lead out of their folder, by kind."""
    return {
        "parent": {"train2014/../../../../outside/new.jpg": "x"},
        "root": {f"{self.outside}/new.jpg": "x"},
        "link_to_file": {
            _link("train2014/0.jpg"): f"{self.outside}/secret.jpg"
        },
        "link_to_folder": {
            _link("train2014/in"): str(self.outside),
            "train2014/in/new.jpg": "x",
        },
        "link_beside": {_link("other"): str(self.outside)},
    }

  @parameterized.product(
      unpacker=["python3", "unzip"],
      kind=["parent", "root", "link_to_file", "link_to_folder", "link_beside"],
  )
  def test_nothing_leaves_the_folder(self, unpacker, kind):
    if not shutil.which(unpacker) or not shutil.which("curl"):
      self.skipTest("Its tools are not here.")
    self._write_zip("train2014", self._entries()[kind])
    ran = self._run(unpacker)
    self.assertEqual(["secret.jpg"], os.listdir(self.outside))
    paths = [*self.raw.rglob("*")]
    self.assertEmpty([path for path in paths if path.is_symlink()])
    self.assertNotIn(
        b"secret", [p.read_bytes() for p in paths if p.suffix == ".jpg"]
    )
    if ran.returncode:  # Otherwise the unpacker kept the file inside.
      self.assertRegex(
          ran.stderr, r"train2014\.zip (can't be unpacked|is not from MS)"
      )
      self.assertFalse((self.raw / "train2014").exists())

  def test_links_are_refused(self):
    if not shutil.which("unzip") or not shutil.which("curl"):
      self.skipTest("Its tools are not here.")
    self._write_zip("train2014", self._entries()["link_to_file"])
    ran = self._run("unzip")
    self.assertEqual(1, ran.returncode)
    self.assertIn("it contains links. Delete it.", ran.stderr)

  def test_harmless_zips_are_unpacked(self):
    if not shutil.which("curl"):
      self.skipTest("Its tools are not here.")
    self._write_zip("train2014", {"train2014/0.jpg": "harmless"})
    ran = self._run("python3")
    self.assertEqual(0, ran.returncode, ran.stderr)
    self.assertEqual("harmless", (self.raw / "train2014" / "0.jpg").read_text())


if __name__ == "__main__":
  absltest.main()
