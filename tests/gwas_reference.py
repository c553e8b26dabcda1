"""Find the reference results of genome scans and relationship matrices (see `reference.ROOT`)."""

from __future__ import annotations

import pytest

from reference import ROOT

GWAS = ROOT / "gwas"

needs_gwas_reference = pytest.mark.skipif(
    not (GWAS / "expected").is_dir(),
    reason=f"no reference results of genome scans at {GWAS} (set HENDERSON_REFERENCE to their folder)",
)
