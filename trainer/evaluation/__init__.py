"""How good the answers are: splits, metrics, baselines, comparisons, and the search for settings."""
