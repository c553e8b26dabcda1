"""The likelihood with a sparse relationship matrix against GCTA's fastGWA."""

import numpy as np
import pytest

import henderson as hd
from cohorts import reference_cohort
from gwas_reference import GWAS, needs_gwas_reference
from henderson.io.sparse_grm_files import read_sparse_grm

CONSTANT = 0.5 * np.log(2 * np.pi)


@needs_gwas_reference
@pytest.mark.parametrize(
    ("name", "trait", "vg", "ve", "loglik"),
    [
        ("saige_example", "y_quantitative", 0.486345, 0.196538, -223.536),
        ("hapmap3", "q1", 1.57126, 2.3241, -1075.95),
        ("hapmap3", "q2", 0.274227, 0.733571, -434.386),
    ],
)
def test_fastgwa(name, trait, vg, ve, loglik):
    """FastGWA takes covariates out first, and searches vg alone: vg + ve is the variance of what is left."""
    cohort = reference_cohort(name)
    G = read_sparse_grm(GWAS / "expected" / name / "gcta" / "sparse05", samples=cohort.genotypes.samples)
    table = cohort.table[["IID", trait, *cohort.covariates]].dropna().reset_index(drop=True)
    X = np.column_stack([np.ones(len(table)), table[cohort.covariates].to_numpy(float)])
    y = table[trait].to_numpy(float)
    left = table.assign(left=y - X @ np.linalg.lstsq(X, y, rcond=None)[0])
    fit = hd.lmer("left ~ 1 + (1 | IID)", left, relationship={"IID": G})
    variance = left["left"].var()
    assert vg + ve == pytest.approx(variance, rel=1e-5)

    def by_vg(value):
        rest = variance - value
        criterion = fit.engine.criterion(np.sqrt([value / rest]))
        return -0.5 * criterion.unprofiled(rest, True) + (len(left) - 1) * CONSTANT

    assert by_vg(vg) == pytest.approx(loglik, rel=2e-6)
    assert by_vg(vg) > max(by_vg(vg - 1e-3), by_vg(vg + 1e-3))
    assert fit.loglik + (len(left) - 1) * CONSTANT >= by_vg(vg)
