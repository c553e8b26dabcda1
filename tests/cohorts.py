"""People with genotypes, traits and covariates: made up, or read from the reference data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from gwas_reference import GWAS
from henderson.genotype import ArraySource
from henderson.genotype.source import GenotypeSource
from henderson.io.plink1 import open_plink1
from plink_files import random_genotypes

#: The fileset of each reference data set, and what its tables are called.
FILESETS = {
    "mouse_hs1940": ("mouse_hs1940", "mouse_hs1940"),
    "maize_mdp": ("maize_mdp", "maize_mdp"),
    "hapmap3": ("hapmap3", "hapmap3"),
    "salmon": ("salmon", "salmon"),
    "saige_example": ("plinkforGRM_1000samples_10kMarkers", "saige"),
}


@dataclass(frozen=True)
class Cohort:
    """Genotypes, a table with columns FID, IID, traits and covariates, and the names of both."""

    genotypes: GenotypeSource
    table: pd.DataFrame
    traits: list[str]
    covariates: list[str]

    def formula(self, trait: str, *, covariates: bool) -> str:
        return f"{trait} ~ {' + '.join(self.covariates) if covariates else '1'}"

    def with_trait(self, trait: str) -> np.ndarray:
        """Positions in the genotypes of the people whose trait is known."""
        known = self.table.loc[self.table[trait].notna(), ["FID", "IID"]]
        wanted = set(known.itertuples(index=False, name=None))
        samples = self.genotypes.samples
        pairs = zip(samples.fid.tolist(), samples.iid.tolist(), strict=True)
        return np.array([row for row, pair in enumerate(pairs) if pair in wanted])


@lru_cache(maxsize=8)
def reference_cohort(name: str, bed: str | None = None) -> Cohort:
    """A reference data set; do not modify its table."""
    folder = GWAS / "data" / name
    fileset, prefix = FILESETS[name]
    table = _read(folder / f"{prefix}.pheno.txt")
    traits = table.columns[2:].tolist()
    covariates: list[str] = []
    if (folder / f"{prefix}.covar.txt").exists():
        columns = _read(folder / f"{prefix}.covar.txt")
        covariates = columns.columns[2:].tolist()
        table = table.merge(columns, on=["FID", "IID"], how="left", validate="one_to_one")
    return Cohort(open_plink1(folder / (bed or fileset)), table, traits, covariates)


def _read(path):
    return pd.read_csv(path, sep=r"\s+", dtype={"FID": str, "IID": str}, na_values=["NA"])


def families(
    n_families: int, size: int, m: int, *, seed: int, missing: float = 0.0, frequency=(0.1, 0.9)
) -> tuple[np.ndarray, np.ndarray]:
    """Unlinked genotypes (m, n) int8 of full sibs, and the family (n,) of each person."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(*frequency, (m, 1, 1))
    haplotypes = rng.random((m, n_families, 4)) < p  # two of the mother, two of the father
    family = np.repeat(np.arange(n_families), size)
    pick = rng.integers(0, 2, (2, m, family.size))
    rows = np.arange(m)[:, None]
    calls = (
        haplotypes[rows, family, pick[0]].astype(np.int8) + haplotypes[rows, family, 2 + pick[1]]
    ).astype(np.int8)
    calls[rng.random(calls.shape) < missing] = -1
    return calls, family


def cohort(
    n: int = 80, m: int = 40, *, seed: int = 1, missing: float = 0.0, h2: float = 0.5
) -> tuple[ArraySource, pd.DataFrame]:
    """Unlinked genotypes, and a table with IID, a polygenic trait y, a second one z, age, sex and family."""
    rng = np.random.default_rng([seed, 7])
    complete = random_genotypes(m, n, seed=seed, low=0.1, high=0.9)
    calls = complete.copy()
    calls[rng.random((m, n)) < missing] = -1
    score = complete - complete.mean(axis=1, keepdims=True)
    genetic = np.einsum("mn,m->n", score, rng.normal(size=m))
    genetic *= np.sqrt(h2) / genetic.std()
    source = ArraySource.of(calls)
    age = rng.uniform(20, 60, n)
    family = np.sort(rng.integers(0, max(2, n // 6), n))
    shared = rng.normal(size=family.max() + 1)[family]
    table = pd.DataFrame(
        {
            "IID": source.samples.iid,
            "y": 3.0 + 0.02 * age + genetic + rng.normal(size=n) * np.sqrt(1 - h2),
            "z": shared + genetic + rng.normal(size=n),
            "age": age,
            "sex": np.where(rng.random(n) < 0.5, "f", "m"),
            "family": [f"f{k}" for k in family],
            "site": [f"s{k}" for k in rng.integers(0, 7, n)],
        }
    )
    return source, table
