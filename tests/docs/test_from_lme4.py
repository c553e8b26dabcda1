"""The page for users of lme4 leaves nothing out: no argument, no function of a formula, no accessor."""

import inspect
import re
from pathlib import Path

import pytest

import henderson as hd
from henderson.fit.components import PARTS
from henderson.formula.functions import PLAIN
from henderson.formula.tags import KINDS
from henderson.formula.transforms import STATEFUL

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "from-lme4.md").read_text(encoding="utf-8")
#: Everything between backticks, in the text and in the blocks.
CODE = " ".join(re.findall(r"^```\w*\n.*?^```$|``.*?``|`[^`\n]+`", PAGE, re.DOTALL | re.MULTILINE))

#: R: names(formals(lme4::lmer)), of lme4 1.1-31.
LMER = ("formula", "data", "REML", "control", "start", "verbose", "subset", "weights", "na.action", "offset")
LMER += ("contrasts", "devFunOnly")
#: R: methods(class = "merMod"), of lme4 1.1-31, without those that say nothing about a linear model.
METHODS = (
    "anova",
    "coef",
    "confint",
    "cooks.distance",
    "deviance",
    "df.residual",
    "drop1",
    "fitted",
    "fixef",
)
METHODS += ("formula", "getME", "hatvalues", "influence", "logLik", "model.frame", "model.matrix", "ngrps")
METHODS += ("nobs", "predict", "profile", "ranef", "refit", "refitML", "rePCA", "residuals", "rstudent")
METHODS += ("sigma", "simulate", "summary", "update", "VarCorr", "vcov", "weights")


@pytest.mark.parametrize("argument", LMER)
def test_each_argument_of_lme4s_lmer(argument):
    assert re.search(rf"^\| `{re.escape(argument)}\b", PAGE, re.MULTILINE)


@pytest.mark.parametrize("argument", inspect.signature(hd.lmer).parameters)
def test_each_argument_of_lmer_here(argument):
    assert re.search(rf"`{argument}[=`]", PAGE)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_of_lme4s_fits(method):
    assert re.search(rf"(?<![\w.]){re.escape(method)}\b", CODE)


@pytest.mark.parametrize("name", [name for name in dir(hd.LmerResult) if not name.startswith("_")])
def test_each_accessor_here(name):
    assert re.search(rf"fit\.{name}\b", CODE)


def test_the_functions_of_formulas():
    table = PAGE.split("### Functions")[1].split("```")[0]
    listed = set(re.findall(r"`([\w.]+)`", table.split("\n\n")[2]))
    assert listed == {*PLAIN, *STATEFUL, "is.na"}


def test_the_covariance_tags():
    table = PAGE.split("### Covariance tags")[1].split("\n\n")[1]
    assert set(re.findall(r"^\| `(\w+)\(", table, re.MULTILINE)) == set(KINDS)


def test_the_parts_of_get_me():
    listed = re.search(r"is `getME\(m, name\)` for (.*?), in lme4's", PAGE, re.DOTALL)[1]
    assert set(re.split(r",\s+|\s+and\s+", listed)) == set(PARTS)
