"""Linear mixed models in statistical genetics."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from henderson.errors import DataError, FormulaError, HendersonError, ModelNotSupportedError

if TYPE_CHECKING:
    from henderson.association import lmer_variants
    from henderson.association.clump import clump
    from henderson.association.conditional import fit_variants
    from henderson.association.grm import grm
    from henderson.association.pca import PcaResult, pca
    from henderson.association.relatedness import loco
    from henderson.association.result import ScanResult
    from henderson.association.rules import ScanRules
    from henderson.association.scan import scan
    from henderson.association.scan_traits import scan_traits
    from henderson.association.sources import open_genotypes
    from henderson.covariance import RelationshipMatrix
    from henderson.fit import Control, Heritability
    from henderson.fit.refit import Refits
    from henderson.genotype import ArraySource, Samples, genotype_coding, standardise
    from henderson.inference.bootstrap import Bootstrap
    from henderson.inference.influence import Influence
    from henderson.inference.means import MarginalMeans
    from henderson.inference.profile import Profile
    from henderson.inference.scaled_residuals import ScaledResiduals
    from henderson.io.examples import example_data
    from henderson.io.phenotypes import read_phenotypes
    from henderson.io.plink1 import open_plink1
    from henderson.io.relationship_files import read_grm, write_grm
    from henderson.io.sumstats import read_sumstats
    from henderson.io.sumstats_write import write_sumstats
    from henderson.lmm import LmerResult
    from henderson.lmm.anova import anova
    from henderson.lmm.lmer import lmer
    from henderson.lmm.load import load
    from henderson.plots.relationship import relationship_histogram, relationship_map

__version__ = "0.1.0.dev0"

__all__ = [
    "ArraySource",
    "Bootstrap",
    "Control",
    "DataError",
    "FormulaError",
    "HendersonError",
    "Heritability",
    "Influence",
    "LmerResult",
    "MarginalMeans",
    "ModelNotSupportedError",
    "PcaResult",
    "Profile",
    "Refits",
    "RelationshipMatrix",
    "Samples",
    "ScaledResiduals",
    "ScanResult",
    "ScanRules",
    "__version__",
    "anova",
    "clump",
    "example_data",
    "fit_variants",
    "genotype_coding",
    "grm",
    "lmer",
    "lmer_variants",
    "load",
    "loco",
    "open_genotypes",
    "open_plink1",
    "pca",
    "read_grm",
    "read_phenotypes",
    "read_sumstats",
    "relationship_histogram",
    "relationship_map",
    "scan",
    "scan_traits",
    "standardise",
    "write_grm",
    "write_sumstats",
]

# Loaded when first asked for, so that `import henderson` costs next to nothing.
_HOME = {
    "ArraySource": "henderson.genotype",
    "Bootstrap": "henderson.inference.bootstrap",
    "Control": "henderson.fit",
    "Heritability": "henderson.fit",
    "Influence": "henderson.inference.influence",
    "LmerResult": "henderson.lmm",
    "MarginalMeans": "henderson.inference.means",
    "PcaResult": "henderson.association.pca",
    "Profile": "henderson.inference.profile",
    "Refits": "henderson.fit.refit",
    "RelationshipMatrix": "henderson.covariance",
    "Samples": "henderson.genotype",
    "ScaledResiduals": "henderson.inference.scaled_residuals",
    "ScanResult": "henderson.association.result",
    "ScanRules": "henderson.association.rules",
    "anova": "henderson.lmm.anova",
    "clump": "henderson.association.clump",
    "example_data": "henderson.io.examples",
    "fit_variants": "henderson.association.conditional",
    "genotype_coding": "henderson.genotype",
    "grm": "henderson.association.grm",
    "lmer": "henderson.lmm",
    "lmer_variants": "henderson.association",
    "load": "henderson.lmm.load",
    "loco": "henderson.association.relatedness",
    "open_genotypes": "henderson.association.sources",
    "open_plink1": "henderson.io.plink1",
    "pca": "henderson.association.pca",
    "read_grm": "henderson.io.relationship_files",
    "read_phenotypes": "henderson.io.phenotypes",
    "read_sumstats": "henderson.io.sumstats",
    "relationship_histogram": "henderson.plots.relationship",
    "relationship_map": "henderson.plots.relationship",
    "scan": "henderson.association.scan",
    "scan_traits": "henderson.association.scan_traits",
    "standardise": "henderson.genotype",
    "write_grm": "henderson.io.relationship_files",
    "write_sumstats": "henderson.io.sumstats_write",
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
