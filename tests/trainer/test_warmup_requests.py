"""The warm-up requests of a release resemble the requests of real users."""

from __future__ import annotations

from pathlib import Path

from tensorflow_serving.apis import prediction_log_pb2

from tests.support.releases import EVEN_USER, ODD_USER, USER_WITHOUT_LIKES, publish_checkerboard
from trainer.model.tensorflow_quietly import tf

LIKED = {(2, 8), (1,), (2, 4, 6, 8, 10, 12), (1, 3, 5, 7, 9, 11)}  # by the checkerboard's users


def test_warmup_asks_for_users_and_for_what_they_like(tmp_path: Path) -> None:
    """Look-ups ask for users of the release, in three batch sizes; fold-ins ask for what such users like."""
    version = publish_checkerboard(tmp_path)
    path = tmp_path / "models" / "user_embedding" / str(version) / "assets.extra" / "tf_serving_warmup_requests"
    asked: dict[str, list[list[list[int]]]] = {"serving_default": [], "fold_in": [], "fold_in_order": []}
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        assert request.model_spec.name == "user_embedding"
        ((_, ids),) = request.inputs.items()
        ids = tf.make_ndarray(ids)
        asked[request.model_spec.signature_name].append(ids.reshape(len(ids), -1).tolist())
    look_ups = [[user for (user,) in batch] for batch in asked["serving_default"]]
    assert [len(batch) for batch in look_ups] == [1, 32, 256]
    assert {user for batch in look_ups for user in batch} == {EVEN_USER, ODD_USER, 20, 21, USER_WITHOUT_LIKES}
    fold_ins = [[tuple(movie for movie in row if movie >= 0) for row in batch] for batch in asked["fold_in"]]
    assert [len(batch) for batch in fold_ins] == [1] * 5 + [32]
    assert {history for batch in fold_ins for history in batch} == LIKED
    lengths = [len(history) for (history,) in fold_ins[:5]]
    assert (lengths[0], lengths[-1], lengths) == (1, 6, sorted(lengths))
    assert asked["fold_in_order"] == asked["fold_in"][-1:]
