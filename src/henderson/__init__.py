"""Linear mixed models in statistical genetics."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from henderson.errors import DataError, FormulaError, HendersonError, ModelNotSupportedError

if TYPE_CHECKING:
    from henderson.association import lmer_variants
    from henderson.fit import Control, LmerResult, lmer
    from henderson.genotype import genotype_coding, standardise
    from henderson.io.examples import example_data

__version__ = "0.1.0.dev0"

__all__ = [
    "Control",
    "DataError",
    "FormulaError",
    "HendersonError",
    "LmerResult",
    "ModelNotSupportedError",
    "__version__",
    "example_data",
    "genotype_coding",
    "lmer",
    "lmer_variants",
    "standardise",
]

# Loaded when first asked for, so that `import henderson` costs next to nothing.
_HOME = {
    "Control": "henderson.fit",
    "LmerResult": "henderson.fit",
    "example_data": "henderson.io.examples",
    "genotype_coding": "henderson.genotype",
    "lmer": "henderson.fit",
    "lmer_variants": "henderson.association",
    "standardise": "henderson.genotype",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
