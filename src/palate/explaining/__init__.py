"""Why, in full: reasons by group, counterfactuals ranked for real, LIME; what a model and a service go by."""
