"""Build the native modules: setuptools reads `cffi_modules` from here only."""

from setuptools import setup

setup(cffi_modules=["native/build.py:search"])
