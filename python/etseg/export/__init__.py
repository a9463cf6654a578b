"""From a segmentation network in torch to one file that etseg runs without torch.

::

    from etseg.export import export

    report = export("torchvision:lraspp_mobilenet_v3_large", "lraspp.pte")
    print(report.table())

Needs ``pip install "etseg[export]"``, on the machine that exports; never where the file runs.
"""

from dataclasses import is_dataclass
from typing import get_type_hints

from ._api import export
from ._errors import ExportError
from ._report import Comparison, Cut, ExportReport, TriedBackend

__all__ = ["Comparison", "Cut", "ExportError", "ExportReport", "TriedBackend", "export"]

# What users see in tracebacks, help() and pickles is where they import from, not where it stands.
for _name in __all__:
    _value = globals()[_name]
    if is_dataclass(_value):  # its annotations are names of the file that it stands in
        _value.__annotations__ = get_type_hints(_value)
    _value.__module__ = __name__
del _name, _value
