"""The repository root is the package, so the files that only serve its development are named here to stay out of the wheel."""

from setuptools import setup
from setuptools.command.build_py import build_py

OUTSIDE = ("noxfile", "conftest", "setup")


class BuildPackage(build_py):
    """Build everything but the files that serve development."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """As setuptools does, without those files."""
        found = super().find_package_modules(package, package_dir)
        if package == "adjudge.tests":  # of the tests only the conformance suite and the tutorial are for others
            return [entry for entry in found if not entry[1].startswith("test_")]
        return [entry for entry in found if package != "adjudge" or entry[1] not in OUTSIDE]


setup(cmdclass={"build_py": BuildPackage})
