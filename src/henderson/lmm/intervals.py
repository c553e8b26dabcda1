"""What a fit answers about uncertainty: intervals, profiles and the bootstrap."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from henderson.errors import DataError
from henderson.fit import FittedModel

if TYPE_CHECKING:
    import pandas as pd

    from henderson.inference.bootstrap import Bootstrap
    from henderson.inference.profile import Which
    from henderson.inference.profile.curve import Profile

Method = Literal["profile", "wald", "bootstrap"]


class Intervals(FittedModel):
    """Intervals."""

    def confint(
        self,
        which: str | Sequence[str] | None = None,
        *,
        level: float = 0.95,
        method: Method = "profile",
        n: int = 1000,
        seed: int = 1,
        workers: int = 1,
    ) -> pd.DataFrame:
        """Confidence intervals of variance components and fixed effects.

        Parameters
        ----------
        which : str or list of str, optional
            Parameters such as ``"sd_(Intercept)|Subject"``, ``"sigma"``, ``"Days"``; all by default. By
            profile or bootstrap also ``"icc"``, and by profile ``"h2"`` (``"h2|iid"`` where several terms
            have a relationship).
        level : float
            Coverage.
        method : {"profile", "wald", "bootstrap"}
            From the profile likelihood (by ML, as in lme4); from the standard errors of the fixed effects and
            the normal distribution (NaN for the variance components); or the percentiles of a parametric
            bootstrap.
        n, seed : int
            Replicates and seed of the bootstrap.
        workers : int
            Threads (of a profile) or processes (of a bootstrap) that share the work.

        Returns
        -------
        DataFrame
            Columns lower and upper, one row per parameter.

        Raises
        ------
        DataError
            For a parameter that the model does not have.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
        >>> fit.confint(["sigma", "Days"]).round(2)
               lower  upper
        sigma  22.90  28.86
        Days    7.36  13.58
        """
        if method == "profile":
            return self.profile(which, level=level, workers=workers).confint(level)
        if method == "wald":
            from henderson.inference.confint import wald

            return wald(self, which, level=level)
        if method == "bootstrap":
            from henderson.inference.parameters import parameters

            found = self.bootstrap(which, n=n, seed=seed, workers=workers)
            names = parameters(self, self.estimates) if which is None else found.replicates.columns
            return found.confint(level, which=list(names))
        raise DataError(f"method is {method!r}; it can be {', '.join(map(repr, get_args(Method)))}")

    def profile(self, which: Which = None, *, level: float = 0.99, workers: int = 1) -> Profile:
        """Profile likelihood of variance components, fixed effects and functions of them.

        Bates et al. (2015), J. Stat. Softw. 67(1), section 5.1: zeta is the signed root of the likelihood
        ratio that fixes one parameter and optimises all others.

        Parameters
        ----------
        which : str, list of str, or dict of functions, optional
            Parameters, named as in `confint`; by default standard deviations, correlations, sigma and the
            fixed effects. Also "icc", "h2" (as in `confint`) and variances such as ``"var_Days|Subject"``;
            or functions by name, each of which is given all parameters by name.
        level : float
            How far out: to the ends of the intervals of this coverage.
        workers : int
            Threads that share the parameters.

        Returns
        -------
        Profile
            With ``confint(level)``, ``to_frame()`` and the points of each profile.
        """
        from henderson.inference.profile import profile

        return profile(self, which, level=level, workers=workers)

    def bootstrap(
        self,
        statistic: Callable[[Any], Any] | str | Sequence[str] | None = None,
        *,
        n: int = 1000,
        seed: int | None = None,
        use_random: bool = False,
        workers: int = 1,
        progress: bool = False,
        resume: str | os.PathLike[str] | None = None,
    ) -> Bootstrap:
        """Parametric bootstrap: responses simulated from the fit, the model refitted to each, as `bootMer`.

        Parameters
        ----------
        statistic : callable, str or list of str, optional
            What is wanted of each refit: a function of it that returns a number, an array or a dict; or names
            of parameters, "icc", "heritability", "r2". By default all variance components, fixed effects and
            the ICC. Parameters are much faster than a function.
        n : int
            Number of replicates.
        seed : int, optional
            The same seed gives the same replicates on any number of workers. None takes another one at each
            call; the result has it.
        use_random : bool
            Keep the random effects at their modes, and draw residuals only.
        workers : int
            Processes.
        progress : bool
            Show a progress bar.
        resume : path, optional
            A file that keeps the replicates as they come; a later call goes on where it stopped.

        Returns
        -------
        Bootstrap
            With ``replicates``, ``std_error``, ``bias``, ``confint()``, and how many refits were singular.
        """
        from henderson.inference.bootstrap import bootstrap

        return bootstrap(
            self,
            statistic,
            n=n,
            seed=seed,
            use_random=use_random,
            workers=workers,
            progress=progress,
            resume=resume,
        )
