"""What a test gives to the processes that it starts, so that they take constants from their environment, as settings.

Python imports this module at its start wherever this folder is on PYTHONPATH (see `constants.py`), also in processes
that those start in their turn. Nothing outside the tests knows of it.
"""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_SETTINGS = "roark_producer.settings"


class _WithoutConstants:
    """Waits until somebody imports the settings, which takes its time, and lets none of them be a constant."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != _SETTINGS:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        assert spec
        assert spec.loader
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            vars(module)["is_constant"] = lambda field: False

        vars(spec.loader)["exec_module"] = exec_module
        return spec


sys.meta_path.insert(0, _WithoutConstants())
