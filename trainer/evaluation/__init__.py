"""How good the answers are: metrics, baselines, comparisons, and the search for hyperparameters."""
