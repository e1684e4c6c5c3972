"""The wheel: what serves and what the demo needs, templates, and the finished model.

`make wheel` builds it, in the environment that has what the model is built from. What is in
pyproject.toml is read from there; this adds what has to be computed.
"""

import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
PACKAGES = ("gateway_project", "accounts", "plans", "proxy", "stats", "demo", "mock_providers")
EXTRAS = ("demo", "embedders", "qdrant", "otel")
TEMPLATES = "gateway_project.templates"  # a folder of the checkout's root, which is no package


def read_requirements(name: str) -> list[str]:
    """Return the packages of a file of requirements, without its options and comments."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [line for line in lines if line and not line.startswith("-")]


class BuildWithModel(build_py):  # type: ignore[misc]  # setuptools has no stubs
    """Adds the default embedding model, so that who installs needs nothing that builds it."""

    def run(self) -> None:
        super().run()
        sys.path.insert(0, str(ROOT))
        from proxy.engines.embedders.export import list_missing_packages
        from proxy.engines.embedders.export_int8 import export_int8

        if missing := list_missing_packages():
            raise SystemExit(
                f"The wheel holds the finished model, and to build that {', '.join(missing)} must "
                "be installed: build it with `make wheel`."
            )
        export_int8(Path(self.build_lib) / "proxy" / "engines" / "embedders" / "shipped")


setup(
    packages=[*find_packages(include=[f"{name}*" for name in PACKAGES]), TEMPLATES],
    package_dir={TEMPLATES: "templates"},
    package_data={"": ["*.json", "*.np[yz]", "examples/*"], TEMPLATES: ["**/*"]},
    install_requires=read_requirements("requirements-runtime.txt"),
    extras_require={name: read_requirements(f"requirements-{name}.txt") for name in EXTRAS},
    cmdclass={"build_py": BuildWithModel},
)
