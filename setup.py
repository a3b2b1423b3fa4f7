"""
Build what is native: setuptools reads `cffi_modules` from here only, and knows no programs.

The library uses the stable ABI, as cffi does by default. So one wheel serves CPython 3.11 and all
later ones.
"""

import runpy
import sysconfig
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HAS_STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")


class BuildPy(build_py):
    """Builds `faultfs` too, where libfuse3 is; in a checkout `make native` does so."""

    def run(self) -> None:
        """Copy the packages, then compile."""
        super().run()
        if not self.editable_mode:
            build = runpy.run_path(str(Path(__file__).with_name("native") / "build.py"))
            build["build_faultfs"](Path(self.build_lib, "dissever/native/faultfs/faultfs"))


setup(
    cffi_modules=["native/build.py:search"],
    cmdclass={"build_py": BuildPy},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if HAS_STABLE_ABI else {},
)
