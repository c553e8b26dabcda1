"""Every lmer fit of the reference: the same columns, names and random structure as R made."""

from __future__ import annotations

import numpy as np
import pytest

from henderson.formula import build_design
from reference import design_arguments, lmer_models, load_dataset, load_model, needs_lmer_reference

pytestmark = needs_lmer_reference


@pytest.mark.parametrize("model", lmer_models())
def test_design_is_that_of_lme4(model):
    stored = load_model(model)
    design = build_design(
        stored["formula"], load_dataset(stored["dataset"]), **design_arguments(stored["arguments"])
    )

    dropped = set(stored["X"]["dropped_columns"])
    kept = [j for j, name in enumerate(design.x_names) if name not in dropped]
    assert [design.x_names[j] for j in kept] == stored["X"]["columns"]
    assert dropped <= set(design.x_names)
    assert [design.x_assign[j] for j in kept] == stored["X"]["assign"]
    np.testing.assert_allclose(design.X[:5][:, kept], stored["X"]["head"], rtol=1e-9, atol=1e-13)
    assert len(design.y) == len(design.X) == stored["n"]["nobs"]
    assert design.n_rows - len(design.excluded) == stored["n"]["nobs"]

    structure = stored["re_structure"]
    assert [(term.group, list(term.names)) for term in design.random] == [
        (term["group"], term["names"]) for term in structure["cnms"]
    ]
    assert list(dict.fromkeys(term.group for term in design.random)) == structure["flist"]
    sizes = [len(term.levels) * len(term.names) for term in design.random]
    assert [0, *np.cumsum(sizes).tolist()] == structure["Gp"]
    for term in design.random:
        assert len(term.levels) == stored["n"]["ngrps"][term.group]
        stored_levels = stored["ranef"][term.group]["levels"]
        assert list(term.levels[: len(stored_levels)]) == stored_levels
        assert term.z.shape == (len(design.y), len(term.names))
        assert np.array_equal(np.unique(term.codes), np.arange(len(term.levels)))
