"""A repository rule that makes a Python venv and a toolchain to run it.

  python_venv(name = "im2txt_python", requirements = "//:requirements.txt")
  register_toolchains("@im2txt_python//:toolchain")

The rule finds a Python (3.11 to 3.13), makes a venv with it and installs the
requirements with pip, which reads its settings from the environment and pip's
configuration files as it does anywhere. Every py_binary and py_test then runs
with that interpreter, also from bazel-bin without Bazel. It runs again when the
requirements change. PYTHON_BIN_PATH names another Python to take; IM2TXT_GPU=1
takes the requirements for a GPU.
"""

_BUILD = """\
load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

package(default_visibility = ["//visibility:public"])

py_runtime(
    name = "runtime",
    interpreter_path = "{interpreter}",
    python_version = "PY3",
    # Not every machine has a command called `python`.
    stub_shebang = "#!/usr/bin/env python3",
)

py_runtime_pair(
    name = "runtime_pair",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtime_pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

# Prints the path if this Python is fit for a venv, else says why it is not.
_CHECK = """\
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
  sys.exit("is Python %d.%d" % sys.version_info[:2])
try:
  import ensurepip, venv
except ImportError:
  sys.exit("cannot make a venv (Debian: apt-get install python3-venv)")
print(sys.executable)
"""

_PIP_ATTEMPTS = 3

def _find_python(repository_ctx):
    """Returns the path of the Python to make the venv with."""
    chosen = repository_ctx.os.environ.get("PYTHON_BIN_PATH")
    names = ["python3", "python3.13", "python3.12", "python3.11"]
    faults = []
    for name in [chosen] if chosen else names:
        path = name if "/" in name else repository_ctx.which(name)
        if not path:
            continue
        result = repository_ctx.execute([path, "-c", _CHECK])
        if result.return_code == 0:
            return result.stdout.strip()
        faults.append("%s %s" % (path, result.stderr.strip()))
    fail(("im2txt needs Python 3.11, 3.12 or 3.13. Found: %s. Install one, or " +
          "give its path in the environment variable PYTHON_BIN_PATH.") %
         ("; ".join(faults) or "no python3 on the PATH"))

def _say(repository_ctx, message):
    """Prints a line also where Bazel does not show what is in progress."""
    repository_ctx.execute(["echo", message], quiet = False)

def _install(repository_ctx, python, requirements):
    """Installs the requirements with pip, going on after a lost connection."""
    _say(
        repository_ctx,
        "Installing the Python packages of %s in a venv of its own, once." %
        requirements.basename,
    )
    for attempt in range(_PIP_ATTEMPTS):
        repository_ctx.report_progress(
            "pip installs %s (attempt %d of %d)" %
            (requirements.basename, attempt + 1, _PIP_ATTEMPTS),
        )
        result = repository_ctx.execute(
            [python, "-m", "pip", "install", "--no-input", "--quiet"] +
            ["--disable-pip-version-check", "--retries=10"] +
            ["--progress-bar=off", "--requirement", requirements],
            # Packages of the caller's own must not count as installed.
            environment = {"PYTHONPATH": ""},
            timeout = 3600,
        )
        if result.return_code == 0:
            return
    fail("pip could not install %s:\n%s" % (requirements, result.stderr))

def _python_venv_impl(repository_ctx):
    requirements = repository_ctx.path(repository_ctx.attr.requirements)
    text = repository_ctx.read(requirements)
    gpu_requirements = repository_ctx.attr.gpu_requirements
    if gpu_requirements and repository_ctx.os.environ.get("IM2TXT_GPU") == "1":
        # Which name the others.
        requirements = repository_ctx.path(gpu_requirements)
        text += repository_ctx.read(requirements)

    # The interpreter's path is all that Bazel knows of the venv, so a venv of
    # other requirements gets another path, and no stale test result is taken.
    venv = repository_ctx.path("venv-%d" % (hash(text) + 0x80000000))

    repository_ctx.report_progress("making a Python venv")
    base_python = _find_python(repository_ctx)
    result = repository_ctx.execute([base_python, "-m", "venv", venv])
    if result.return_code != 0:
        fail("%s -m venv %s failed:\n%s%s" %
             (base_python, venv, result.stdout, result.stderr))
    python = venv.get_child("bin").get_child("python3")
    _install(repository_ctx, python, requirements)

    for label in repository_ctx.attr.startup_modules:
        module = repository_ctx.path(label)
        _install_startup_module(repository_ctx, python, module)
    repository_ctx.file("BUILD", _BUILD.format(interpreter = python))

def _install_startup_module(repository_ctx, python, module):
    """Has every start of the venv's Python import a module."""
    result = repository_ctx.execute([
        python,
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
    ])
    site_packages = repository_ctx.path(result.stdout.strip())
    name = module.basename[:-len(".py")]
    repository_ctx.file(
        site_packages.get_child(module.basename),
        repository_ctx.read(module),
    )
    repository_ctx.file(
        site_packages.get_child(name + ".pth"),
        "import %s\n" % name,
    )

python_venv = repository_rule(
    implementation = _python_venv_impl,
    doc = "A venv with pinned requirements, as a Python toolchain.",
    attrs = {
        "requirements": attr.label(
            doc = "The requirements file that pip installs.",
            mandatory = True,
            allow_single_file = True,
        ),
        "gpu_requirements": attr.label(
            doc = "What pip installs instead if IM2TXT_GPU=1 is set.",
            allow_single_file = True,
        ),
        "startup_modules": attr.label_list(
            doc = "Modules that every start of this Python imports.",
            allow_files = [".py"],
        ),
    },
    environ = ["IM2TXT_GPU", "PYTHON_BIN_PATH"],
)
