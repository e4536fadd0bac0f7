"""Import the code of all pages, which each worker builds when it starts, before processes are forked."""

from importlib import import_module
from pkgutil import walk_packages

import skymailing

for _module in walk_packages(skymailing.__path__, "skymailing."):
    if _module.name.endswith(".views"):
        import_module(_module.name)
