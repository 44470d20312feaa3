"""What Debian's own Bazel needs in order to work without a download.

Debian's bazel-bootstrap is Bazel 4.2.3 built without a version number. Even to
build a Python program it wants three repositories that it would fetch from
GitHub, in versions which it no longer finds on a machine without that access.
Nothing in this workspace uses more of them than their names, so empty ones
stand in for them. Every other Bazel gets the real ones.
"""

def _stub_repository_impl(repository_ctx):
    for path, content in repository_ctx.attr.files.items():
        repository_ctx.file(path, content)

_stub_repository = repository_rule(
    implementation = _stub_repository_impl,
    doc = "Makes a repository of the given small files.",
    attrs = {
        "files": attr.string_dict(
            doc = "The text of each file, by its path in the repository.",
            mandatory = True,
        ),
    },
)

def _forward_to_native(rules):
    """Returns a .bzl file whose functions call the native rules they name."""
    return "\n".join([
        "def {rule}(**kwargs):\n    native.{rule}(**kwargs)\n".format(rule = rule)
        for rule in rules
    ])

def debian_bazel_repositories():
    """Declares the stand-ins, if this Bazel is one without a version."""
    if native.bazel_version:
        return
    _stub_repository(
        name = "rules_cc",
        files = {
            "BUILD": "",
            "cc/BUILD": "",
            "cc/defs.bzl": _forward_to_native([
                "cc_binary",
                "cc_import",
                "cc_library",
                "cc_test",
                "cc_toolchain",
                "cc_toolchain_suite",
            ]),
        },
    )
    _stub_repository(
        name = "rules_java",
        files = {
            "BUILD": "",
            "java/BUILD": "",
            "java/defs.bzl": _forward_to_native([
                "java_binary",
                "java_import",
                "java_library",
                "java_package_configuration",
                "java_runtime",
                "java_test",
                "java_toolchain",
            ]),
        },
    )
    _stub_repository(
        name = "remote_coverage_tools",
        files = {
            "BUILD": """filegroup(
    name = "coverage_report_generator",
    visibility = ["//visibility:public"],
)
""",
        },
    )
