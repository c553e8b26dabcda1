"""Linear mixed models in statistical genetics."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from henderson.errors import DataError, FormulaError, HendersonError, ModelNotSupportedError

if TYPE_CHECKING:
    from henderson.association import lmer_variants
    from henderson.association.clump import clump
    from henderson.association.conditional import fit_variants
    from henderson.association.effects_table import SnpEffects, read_snp_effects
    from henderson.association.grm import grm
    from henderson.association.grm_dominance import dominance_grm
    from henderson.association.pca import PcaResult, pca
    from henderson.association.relatedness import loco
    from henderson.association.result import ScanResult
    from henderson.association.rules import ScanRules
    from henderson.association.scan import scan
    from henderson.association.scan_traits import scan_traits
    from henderson.association.snp_effects import snp_effects
    from henderson.association.sources import open_genotypes
    from henderson.covariance import NamedBlocks, NamedFactor, NamedPrecision, RelationshipMatrix
    from henderson.covariance.epistasis import epistatic
    from henderson.covariance.kernels import SpatialKernel
    from henderson.covariance.pedigree import Pedigree, single_step
    from henderson.fit import Control, Heritability
    from henderson.fit.bending import bend
    from henderson.fit.correlations import Correlation
    from henderson.fit.cutoffs import make_sparse, unrelated
    from henderson.fit.refit import Refits
    from henderson.fit.shares import Repeatability
    from henderson.genotype import ArraySource, Samples, genotype_coding, standardise
    from henderson.inference.bootstrap import Bootstrap
    from henderson.inference.cross_validation import CrossValidation, cross_validate
    from henderson.inference.influence import Influence
    from henderson.inference.means import MarginalMeans
    from henderson.inference.profile import Profile
    from henderson.inference.scaled_residuals import ScaledResiduals
    from henderson.io.examples import example_data
    from henderson.io.pedigree_files import read_pedigree
    from henderson.io.phenotypes import read_phenotypes
    from henderson.io.plink1 import open_plink1
    from henderson.io.relationship_files import read_grm, write_grm
    from henderson.io.sparse_grm_files import read_sparse_grm, write_sparse_grm
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
    "Correlation",
    "CrossValidation",
    "DataError",
    "FormulaError",
    "HendersonError",
    "Heritability",
    "Influence",
    "LmerResult",
    "MarginalMeans",
    "ModelNotSupportedError",
    "NamedBlocks",
    "NamedFactor",
    "NamedPrecision",
    "PcaResult",
    "Pedigree",
    "Profile",
    "Refits",
    "RelationshipMatrix",
    "Repeatability",
    "Samples",
    "ScaledResiduals",
    "ScanResult",
    "ScanRules",
    "SnpEffects",
    "SpatialKernel",
    "__version__",
    "anova",
    "bend",
    "clump",
    "cross_validate",
    "dominance_grm",
    "epistatic",
    "example_data",
    "fit_variants",
    "genotype_coding",
    "grm",
    "lmer",
    "lmer_variants",
    "load",
    "loco",
    "make_sparse",
    "open_genotypes",
    "open_plink1",
    "pca",
    "read_grm",
    "read_pedigree",
    "read_phenotypes",
    "read_snp_effects",
    "read_sparse_grm",
    "read_sumstats",
    "relationship_histogram",
    "relationship_map",
    "scan",
    "scan_traits",
    "single_step",
    "snp_effects",
    "standardise",
    "unrelated",
    "write_grm",
    "write_sparse_grm",
    "write_sumstats",
]

# Loaded when first asked for, so that `import henderson` costs next to nothing.
_HOME = {
    "ArraySource": "henderson.genotype",
    "Bootstrap": "henderson.inference.bootstrap",
    "Control": "henderson.fit",
    "Correlation": "henderson.fit.correlations",
    "CrossValidation": "henderson.inference.cross_validation",
    "Heritability": "henderson.fit",
    "Influence": "henderson.inference.influence",
    "LmerResult": "henderson.lmm",
    "MarginalMeans": "henderson.inference.means",
    "NamedBlocks": "henderson.covariance",
    "NamedFactor": "henderson.covariance",
    "NamedPrecision": "henderson.covariance",
    "PcaResult": "henderson.association.pca",
    "Pedigree": "henderson.covariance.pedigree",
    "Profile": "henderson.inference.profile",
    "Refits": "henderson.fit.refit",
    "RelationshipMatrix": "henderson.covariance",
    "Repeatability": "henderson.fit.shares",
    "Samples": "henderson.genotype",
    "ScaledResiduals": "henderson.inference.scaled_residuals",
    "ScanResult": "henderson.association.result",
    "ScanRules": "henderson.association.rules",
    "SnpEffects": "henderson.association.effects_table",
    "SpatialKernel": "henderson.covariance",
    "anova": "henderson.lmm.anova",
    "bend": "henderson.fit.bending",
    "clump": "henderson.association.clump",
    "cross_validate": "henderson.inference.cross_validation",
    "dominance_grm": "henderson.association.grm_dominance",
    "epistatic": "henderson.covariance.epistasis",
    "example_data": "henderson.io.examples",
    "fit_variants": "henderson.association.conditional",
    "genotype_coding": "henderson.genotype",
    "grm": "henderson.association.grm",
    "lmer": "henderson.lmm",
    "lmer_variants": "henderson.association",
    "load": "henderson.lmm.load",
    "loco": "henderson.association.relatedness",
    "make_sparse": "henderson.fit.cutoffs",
    "open_genotypes": "henderson.association.sources",
    "open_plink1": "henderson.io.plink1",
    "pca": "henderson.association.pca",
    "read_grm": "henderson.io.relationship_files",
    "read_pedigree": "henderson.io.pedigree_files",
    "read_phenotypes": "henderson.io.phenotypes",
    "read_snp_effects": "henderson.association.effects_table",
    "read_sparse_grm": "henderson.io.sparse_grm_files",
    "read_sumstats": "henderson.io.sumstats",
    "relationship_histogram": "henderson.plots.relationship",
    "relationship_map": "henderson.plots.relationship",
    "scan": "henderson.association.scan",
    "scan_traits": "henderson.association.scan_traits",
    "single_step": "henderson.covariance.pedigree",
    "snp_effects": "henderson.association.snp_effects",
    "standardise": "henderson.genotype",
    "unrelated": "henderson.fit.cutoffs",
    "write_grm": "henderson.io.relationship_files",
    "write_sparse_grm": "henderson.io.sparse_grm_files",
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
