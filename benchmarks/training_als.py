"""NDCG@20 of implicit's ALS on the split and users of a training run: `python -m benchmarks.training_als FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from trainer.data.dataset import read_folder
from trainer.data.ratings import default_positive_threshold
from trainer.data.split import split
from trainer.evaluation.baselines import implicit_als
from trainer.evaluation.task import MAX_SCORED_USERS, task_of
from trainer.stages import stage

K = 20


def main(folder: Path) -> None:
    ratings = read_folder(folder).ratings
    threshold = default_positive_threshold(ratings)
    task = task_of(*split(ratings), threshold, MAX_SCORED_USERS)
    with stage("fitting and ranking"):
        ranked = implicit_als(task, K)
    print(f"ndcg@{K} {task.scores(ranked, K).means[f'ndcg@{K}']:.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
