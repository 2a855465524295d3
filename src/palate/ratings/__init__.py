"""Explicit ratings: what somebody would give to an item, and how sure that is.

Bayesian matrix factorisation (Salakhutdinov and Mnih 2008, doi:10.1145/1390156.1390267): instead of one R ≈ U·Vᵀ, a
chain of them is drawn from the posterior, and their predictions are averaged. How strongly to shrink is drawn along
with them, so that there is nothing to tune. ``fit`` learns, ``RatingModel`` predicts.
"""

from palate.ratings.fit import fit
from palate.ratings.model import RatingModel

__all__ = ["RatingModel", "fit"]
