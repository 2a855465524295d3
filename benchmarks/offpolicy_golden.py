"""Writes the numbers that ``tests/evaluate/test_offpolicy.py`` holds Palate's estimators to, computed by ``obp``.

    python benchmarks/offpolicy_golden.py > tests/evaluate/data/obp.json

in an environment of its own with obp 0.4.1 (Saito et al., "Open Bandit Dataset and Pipeline", 2021). What obp imports
for its plots only is put aside, so that it need not be installed. The arrays are drawn from a seed and written beside
the results, rounded to nine digits first, so that the test has exactly what obp had.
"""

from __future__ import annotations

import json
import sys
from unittest.mock import MagicMock

import numpy as np

for name in ("matplotlib", "matplotlib.pyplot", "seaborn"):
    sys.modules.setdefault(name, MagicMock())

from obp.ope import (  # noqa: E402
    DirectMethod,
    DoublyRobust,
    DoublyRobustWithShrinkage,
    InverseProbabilityWeighting,
    SelfNormalizedInverseProbabilityWeighting,
    SlateRewardInteractionIPS,
    SlateStandardIPS,
)

ROUNDS, ACTIONS, PLACES = 60, 5, 3
LAMBDAS = (0.5, 3.0, 100.0)


def bandit(rng: np.random.Generator) -> dict[str, object]:
    logged = rng.dirichlet(np.ones(ACTIONS), ROUNDS).round(9)
    target = rng.dirichlet(np.ones(ACTIONS), ROUNDS)
    target = (target / target.sum(axis=1, keepdims=True)).round(9)
    model = rng.random((ROUNDS, ACTIONS)).round(9)
    action = np.array([rng.choice(ACTIONS, p=row / row.sum()) for row in logged])
    reward = rng.binomial(1, model[np.arange(ROUNDS), action]).astype(float)
    pscore = logged[np.arange(ROUNDS), action]
    shared = {
        "reward": reward,
        "action": action,
        "pscore": pscore,
        "action_dist": target[:, :, None],
        "estimated_rewards_by_reg_model": model[:, :, None],
        "position": np.zeros(ROUNDS, int),
    }
    found = {
        "ips": InverseProbabilityWeighting().estimate_policy_value(**shared),
        "snips": SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**shared),
        "dm": DirectMethod().estimate_policy_value(**shared),
        "dr": DoublyRobust().estimate_policy_value(**shared),
    }
    for value in LAMBDAS:
        found[f"dros {value}"] = DoublyRobustWithShrinkage(lambda_=value).estimate_policy_value(**shared)
    arrays = {"logged": pscore, "target": target, "model": model, "action": action, "reward": reward}
    return {name: array.tolist() for name, array in arrays.items()} | {"values": found}


def slates(rng: np.random.Generator) -> dict[str, object]:
    logged = (0.1 + 0.9 * rng.random((ROUNDS, PLACES))).round(9)
    target = rng.random((ROUNDS, PLACES)).round(9)
    reward = rng.binomial(1, 0.3, (ROUNDS, PLACES)).astype(float)
    ids, places = np.repeat(np.arange(ROUNDS), PLACES), np.tile(np.arange(PLACES), ROUNDS)
    above = [np.cumprod(each, axis=1).ravel() for each in (logged, target)]
    whole = [np.repeat(each.prod(axis=1), PLACES) for each in (logged, target)]
    shared = {"slate_id": ids, "reward": reward.ravel(), "position": places}
    found = {
        "cascade": SlateRewardInteractionIPS(len_list=PLACES).estimate_policy_value(
            **shared, pscore_cascade=above[0], evaluation_policy_pscore_cascade=above[1]
        ),
        "slate": SlateStandardIPS(len_list=PLACES).estimate_policy_value(
            **shared, pscore=whole[0], evaluation_policy_pscore=whole[1]
        ),
    }
    return {"logged": logged.tolist(), "target": target.tolist(), "reward": reward.tolist(), "values": found}


if __name__ == "__main__":
    rng = np.random.default_rng(7)
    sys.stdout.write(json.dumps({"bandit": bandit(rng), "slates": slates(rng)}) + "\n")
