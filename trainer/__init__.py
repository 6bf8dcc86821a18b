"""From ratings to a published release: data, split, model, fit, evaluation, index, release."""
