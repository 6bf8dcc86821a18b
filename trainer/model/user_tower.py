"""The user tower as a SavedModel: user id → embedding, and liked movies → embedding, for TensorFlow Serving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from protos.release.v1.layout import CURRENT, FOLD_IN, FOLD_IN_ORDER, LOOK_UP, USER_EMBEDDING, Signature
from trainer.model.fold_in import ascend, newcomer_factor
from trainer.model.newcomers import NEXT_SPAN, TASTE_SPAN
from trainer.model.parts import ORDER_LENGTH, Parts
from trainer.model.tensorflow_quietly import tf

# Warm-up requests resemble what a recommender sends: a single user, a micro-batch, and the largest batch.
LOOK_UP_BATCHES = (1, 32, LOOK_UP.max_batch)
SINGLE_FOLD_INS = (0.0, 0.25, 0.5, 0.75, 1.0)  # quantiles of the histories' lengths, one request for each
FOLD_IN_BATCH = 32
ALIKE = (math.inf, math.inf)  # spans that make all of a newcomer's likes count alike


class UserTower(tf.Module):
    """The graph that is served. It takes user ids and movie ids as in the ratings, and maps them to rows itself."""

    def __init__(
        self,
        user_ids: np.ndarray,
        users: np.ndarray,
        movie_ids: np.ndarray,
        temperature: float,
        parts: Parts,
        order_tells: bool = True,
    ) -> None:
        """Hold the tables that the signatures look rows up in.

        user_ids: int64[num_users], ascending.  users: float32[num_users, d].
        movie_ids: int64[num_trained_movies], ascending.  temperature, parts: as in `Embeddings`.
        order_tells: whether the latest of a newcomer's likes count most, where their order is known.
        """
        super().__init__()
        # Variables, because constants would be part of the GraphDef, which holds at most 2 GiB.
        self._user_ids = tf.Variable(user_ids, trainable=False)
        self._users = tf.Variable(users, trainable=False)
        self._movie_ids = tf.Variable(movie_ids, trainable=False)
        self._tastes = tf.Variable(parts.tastes, trainable=False)
        self._order = tf.Variable(parts.order, trainable=False)
        self._axes = tf.Variable(parts.axes, trainable=False)
        self._temperature = temperature
        self._popularity_component = parts.popularity_component
        self._spans = (TASTE_SPAN, NEXT_SPAN) if order_tells else ALIKE

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name=LOOK_UP.input)], autograph=False)
    def look_up(self, user_id: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the embeddings float32[B, d] of users int64[B]; zeros for an unknown id.

        An unknown id is no error, because a server that merges requests would fail the others in its batch too.
        """
        return {USER_EMBEDDING: _look_up(self._user_ids, self._users, user_id)}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int64, name=FOLD_IN.input)], autograph=False)
    def fold_in(self, movie_id: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the embedding float32[B, d] of somebody who likes these movies; zeros for a row without a known id.

        It computes what `newcomer_embeddings` does with equal weights. Unknown ids are ignored.

        movie_id: int64[B, L], rows filled up with CURRENT.fold_in_padding.
        """
        return {USER_EMBEDDING: self._folded_in(movie_id, tf.constant(ALIKE))}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int64, name=FOLD_IN_ORDER.input)], autograph=False)
    def fold_in_order(self, movie_id: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the same for movies in the order in which they were liked, the latest last.

        It computes what `newcomer_embeddings` does with the weights of `counts_in_order`.
        """
        return {USER_EMBEDDING: self._folded_in(movie_id, tf.constant(self._spans))}

    @tf.function(  # traced once for both signatures
        input_signature=[tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([2], tf.float32)], autograph=False
    )
    def _folded_in(self, movie_id: tf.Tensor, spans: tf.Tensor) -> tf.Tensor:
        """spans: a movie after which so many others were liked counts 1/e, in tastes and in what comes next."""
        # A variable is read once, because after a lookup in the variable itself TensorFlow copies all of it at every
        # later read, which takes most of the time of a call.
        movies = tf.convert_to_tensor(self._tastes)  # float32[num_movies, t]
        liked = _look_up(self._movie_ids, movies, movie_id)  # float32[B, L, t]
        known = tf.cast(tf.reduce_any(liked != 0.0, axis=2, keepdims=True), tf.float32)  # float32[B, L, 1]
        newer = tf.cumsum(known, axis=1, exclusive=True, reverse=True)  # float32[B, L, 1], how many
        of_taste, of_next = (known * tf.exp(-newer / span) for span in tf.unstack(spans))  # float32[B, L, 1]
        weight = tf.reduce_sum(of_taste, axis=1)  # float32[B, 1]
        mean = tf.math.divide_no_nan(tf.reduce_sum(of_taste * liked, axis=1), weight)  # float32[B, t]
        length = tf.math.divide_no_nan(weight**2, tf.reduce_sum(of_taste**2, axis=1))  # float32[B, 1], effective
        temperatures = self._temperature * newcomer_factor(tf.maximum(length, 1.0))  # float32[B, 1]
        no_weights = tf.zeros(tf.shape(movies)[:1])
        tastes = ascend(tf.math.l2_normalize(mean, axis=1), mean, temperatures, movies, no_weights)
        order = _look_up(self._movie_ids, tf.convert_to_tensor(self._order), movie_id)  # float32[B, L, o]
        order = tf.reduce_sum(of_next * order, axis=1)
        both = tf.concat([tastes, ORDER_LENGTH * tf.math.l2_normalize(order, axis=1)], axis=1)  # float32[B, t + o]
        user = tf.matmul(both, tf.convert_to_tensor(self._axes))
        if self._popularity_component:
            counts = tf.fill(tf.shape(weight), self._popularity_component)
            user = tf.concat([counts, tf.zeros_like(counts), user], axis=1)
        user = tf.math.l2_normalize(user, axis=1)
        return tf.where(weight > 0.0, user, tf.zeros_like(user))


def save_user_tower(
    tower: UserTower, model_name: str, folder: Path, user_ids: np.ndarray, histories: Sequence[np.ndarray]
) -> None:
    """Write the SavedModel with its warm-up requests, then load it and run every one of them.

    user_ids: int64[num_users], and histories: at least one array of ids of trained movies that a user likes. The
    warm-up requests are drawn from both.
    """
    signatures = {
        LOOK_UP.name: tower.look_up,
        FOLD_IN.name: tower.fold_in,
        FOLD_IN_ORDER.name: tower.fold_in_order,
    }
    tf.saved_model.save(tower, str(folder), signatures=signatures)
    requests = _warmup_requests(model_name, user_ids, histories)
    warmup = folder / "assets.extra" / "tf_serving_warmup_requests"
    warmup.parent.mkdir()
    with tf.io.TFRecordWriter(str(warmup)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())
    # A model server does not serve a version whose warm-up fails, so such a version must not be published.
    loaded = tf.saved_model.load(str(folder))
    for request in requests:
        run = loaded.signatures[request.model_spec.signature_name]
        run(**{name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()})


def _look_up(ids: tf.Tensor, embeddings: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Return the rows of `embeddings` of the wanted ids; zeros for an unknown id.

    ids: int64[n], ascending.  embeddings: float32[n, d].  wanted: int64 of any shape; the result has one axis more.
    """
    flat = tf.reshape(wanted, [-1])
    rows = tf.minimum(tf.searchsorted(ids, flat), tf.shape(ids)[0] - 1)
    known = tf.equal(tf.gather(ids, rows), flat)
    found = tf.where(known[:, None], tf.gather(embeddings, rows), 0.0)
    return tf.reshape(found, tf.concat([tf.shape(wanted), [tf.shape(embeddings)[1]]], axis=0))


def _warmup_requests(
    model_name: str, user_ids: np.ndarray, histories: Sequence[np.ndarray]
) -> list[predict_pb2.PredictRequest]:
    rng = np.random.default_rng(0)
    requests = [_request(model_name, LOOK_UP, rng.choice(user_ids, b)) for b in LOOK_UP_BATCHES]
    by_length = sorted(histories, key=len)
    batches = [[by_length[round(quantile * (len(by_length) - 1))]] for quantile in SINGLE_FOLD_INS]
    batches.append([histories[number] for number in rng.integers(len(histories), size=FOLD_IN_BATCH)])
    padded = [_padded(batch) for batch in batches]
    requests += [_request(model_name, FOLD_IN, movie_ids) for movie_ids in padded]
    requests.append(_request(model_name, FOLD_IN_ORDER, padded[-1]))  # one will do: the graph is that of FOLD_IN
    return requests


def _padded(histories: Sequence[np.ndarray]) -> np.ndarray:
    """Return int64[len(histories), any]: a row for each, filled up to the longest."""
    movie_ids = np.full((len(histories), max(map(len, histories))), CURRENT.fold_in_padding, np.int64)
    for row, history in zip(movie_ids, histories, strict=True):
        row[: len(history)] = history
    return movie_ids


def _request(model_name: str, signature: Signature, ids: np.ndarray) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature.name
    request.inputs[signature.input].CopyFrom(tf.make_tensor_proto(ids, tf.int64))
    return request
