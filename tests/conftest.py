"""What all tests share: names of cases that stay the same, and every lme4 reference model, fitted once."""

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


def pytest_make_parametrize_id(val, argname):
    """Bytes do not name a test: gzip writes the time into them, and test processes must agree on names."""
    return argname if isinstance(val, bytes) else None
