"""Whether two programs say the same about the same variants.

    python benchmarks/gwas_answers.py GEMMA.assoc.txt HENDERSON.parquet

prints as JSON how many variants each tested and the largest differences over those that both tested.
"""

import json
import sys
from typing import Any

import numpy as np
import pandas as pd

TESTS = {"p_wald": "neg_log_10_p_value", "p_lrt": "neg_log_10_p_lrt", "p_score": "neg_log_10_p_score"}
LAMBDAS = {"l_remle": "lambda_reml", "l_mle": "lambda_ml"}


def compare(theirs: pd.DataFrame, ours: pd.DataFrame) -> dict[str, Any]:
    """Differences between GEMMA's table and henderson's; variants are matched by place and name."""
    theirs = theirs.assign(chr=theirs["chr"].astype(str))
    tested = ours[ours["p_value"].notna()]
    tested = tested.assign(chromosome=tested["chromosome"].astype(str)).add_prefix("our_")
    both = theirs.merge(
        tested, left_on=["chr", "rs", "ps"], right_on=["our_chromosome", "our_rsid", "our_base_pair_location"]
    )
    out: dict[str, Any] = {"n_gemma": len(theirs), "n_henderson": len(tested), "n_both": len(both)}
    if both.empty:
        return out
    swapped = both["allele1"].astype(str) != both["our_effect_allele"].astype(str)
    out["n_swapped"] = int(swapped.sum())
    beta = both["our_beta"] * np.where(swapped, -1.0, 1.0)
    out["beta_in_se"] = largest((beta - both["beta"]) / both["se"])
    out["se"] = largest(both["our_standard_error"] / both["se"] - 1.0)
    for gemma, henderson in TESTS.items():
        # GEMMA writes 0 where a double cannot hold p.
        shown = both[both[gemma] > 0.0]
        out[gemma] = largest(shown[f"our_{henderson}"] + np.log10(shown[gemma]))
    for gemma, henderson in LAMBDAS.items():
        relative = (both[f"our_{henderson}"] / both[gemma] - 1.0).abs()
        out[gemma] = largest(relative)
        out[f"{gemma}_95"] = float(relative.quantile(0.95))
    return out


def largest(differences: pd.Series) -> float:
    """Largest absolute value; NaN if any is NaN, so that a missing answer shows."""
    return float(np.abs(differences.to_numpy(dtype=float)).max(initial=0.0))


def main() -> None:
    """Compare the two files named on the command line."""
    theirs, ours = sys.argv[1:3]
    table = pd.read_csv(theirs, sep="\t", dtype={"chr": str, "rs": str})
    read = (
        pd.read_parquet(ours)
        if ours.endswith(".parquet")
        else pd.read_csv(ours, sep="\t", na_values="#NA", dtype={"chromosome": str, "rsid": str})
    )
    print(json.dumps(compare(table, read)))


if __name__ == "__main__":
    main()
