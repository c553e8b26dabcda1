"""Every lme4 reference model, fitted once for all tests that look at real fits."""

import pytest

import henderson as hd
from reference import design_arguments, lmer_models, load_dataset, load_model


@pytest.fixture(scope="session", params=lmer_models())
def reference_fit(request):
    """What R found, the data, and the fit."""
    stored = load_model(request.param)
    data = load_dataset(stored["dataset"])
    arguments = design_arguments(stored["arguments"])
    return stored, data, hd.lmer(stored["formula"], data, REML=stored["REML"], **arguments)
