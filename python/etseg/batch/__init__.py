"""Data sets of any size: a callable for batches of a data engine, and jobs that can be resumed.

``pip install "etseg[batch]"`` brings what :func:`run` needs, ``"etseg[ray]"`` the engine for many
machines. :class:`Segmenter` on numpy arrays or pandas needs neither.
"""

from ._job import Estimate, Report, estimate, run
from ._segmenter import Segmenter

__all__ = ["Estimate", "Report", "Segmenter", "estimate", "run"]
