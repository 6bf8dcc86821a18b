"""Turns ratings into a published release. The rooms, in the order of their imports: data, model, index, evaluation,
release, report, and the command line in cli."""
