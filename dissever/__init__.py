"""
dissever breaks a replicated database on purpose and judges what it answered.

The rooms stand at the top level of the repository and are linked here, so that their one import
name is `dissever.<room>`; see ARCHITECTURE.md.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
