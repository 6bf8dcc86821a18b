"""A client of TensorFlow Serving: it asks for user embeddings of a model version, and for the versions on offer."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import grpc
import numpy as np
from google.protobuf.message import DecodeError, Message

from protos.release.v1.layout import FOLD_IN, FOLD_IN_ORDER, LOOK_UP, USER_EMBEDDING, Signature
from protos.tfserving.v1 import predict_pb2 as pb
from recommender_service.metrics import PREDICT_BATCH_SIZES, PREDICTS
from recommender_service.model_server_channel import connect

if TYPE_CHECKING:
    from recommender_service.access.certificates import Certificates
    from recommender_service.tracing import Tracing

CLOSE_GRACE_S = 15.0  # longer than any call takes
# Servers take turns, also with Predicts and with what gRPC repeats, so that all tries of a call may meet the one that
# lacks a version. Whether any of them has it is asked so often before it counts as gone.
TIMES_ASKED = 3

Response = TypeVar("Response", bound=Message)


class ModelServerError(Exception):
    """The model server failed, or answered something else than it was asked for."""


class ModelServer:
    """A client of TensorFlow Serving: of one server, or of several that serve the same models."""

    def __init__(
        self,
        address: str,
        certificates: Certificates | None = None,
        name: str = "",
        tracing: Tracing | None = None,
    ) -> None:
        """address, certificates, name: as for `connect`.  tracing: makes spans of Predict calls, if it is not None."""
        self.address = address
        self.tracing = tracing
        self._certificates = certificates
        self._name = name
        self._closing: set[asyncio.Task[None]] = set()
        self._connect()

    def _connect(self) -> None:
        self._channel = connect(self.address, self._certificates, self._name)
        self._predict = self._channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=pb.PredictRequest.SerializeToString,
            response_deserializer=bytes,
        )
        self._get_model_status = self._channel.unary_unary(
            "/tensorflow.serving.ModelService/GetModelStatus",
            request_serializer=pb.GetModelStatusRequest.SerializeToString,
            response_deserializer=bytes,
        )

    async def user_embeddings(
        self, model_name: str, version: int, user_ids: Sequence[int], embedding_dim: int, timeout_s: float
    ) -> np.ndarray:
        """Trained embeddings from exactly that version, float32[len(user_ids), embedding_dim]; zeros for unknown ids.

        Raises ModelServerError.
        """
        ids = np.array(user_ids, np.int64)
        return await self._embeddings(model_name, version, LOOK_UP, ids, embedding_dim, timeout_s)

    async def fold_in(
        self,
        model_name: str,
        version: int,
        liked_movie_ids: Sequence[np.ndarray],
        in_order: bool,
        padding: int,
        embedding_dim: int,
        timeout_s: float,
    ) -> np.ndarray:
        """Embeddings of people who like these movies, float32[len(liked_movie_ids), embedding_dim].

        liked_movie_ids: for each person int64 ids, at least one, of movies with an embedding.
        in_order: whether each person's are in the order of liking, the latest last, and the model is to know it.
        padding: the id that fills up the shorter lists.
        Raises ModelServerError.
        """
        padded = np.full((len(liked_movie_ids), max(map(len, liked_movie_ids))), padding, np.int64)
        for padded_ids, ids in zip(padded, liked_movie_ids, strict=True):
            padded_ids[: len(ids)] = ids
        signature = FOLD_IN_ORDER if in_order else FOLD_IN
        return await self._embeddings(model_name, version, signature, padded, embedding_dim, timeout_s)

    async def _embeddings(
        self,
        model_name: str,
        version: int,
        signature: Signature,
        ids: np.ndarray,
        embedding_dim: int,
        timeout_s: float,
    ) -> np.ndarray:
        """Send one Predict and check its answer. Raises ModelServerError.

        ids: int64[B] or int64[B, any], the input of the signature.  Returns float32[B, embedding_dim].
        """
        spec = pb.ModelSpec(name=model_name, version=pb.Int64Value(value=version), signature_name=signature.name)
        shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in ids.shape])
        tensor = pb.TensorProto(dtype=pb.DATA_TYPE_INT64, tensor_shape=shape, tensor_content=ids.tobytes())
        request = pb.PredictRequest(model_spec=spec, inputs={signature.input: tensor})
        start, code = time.perf_counter(), "OK"
        try:
            metadata = self.tracing.metadata() if self.tracing is not None else None
            answer = await self._predict(request, timeout=timeout_s, metadata=metadata)
            response = _parsed(pb.PredictResponse, answer)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            raise ModelServerError(_describe(error)) from error
        finally:
            PREDICTS[signature.name].add(code, time.perf_counter() - start)
            PREDICT_BATCH_SIZES[signature.name].add(len(ids))
        answered = response.model_spec.version.value
        if answered != version:
            raise ModelServerError(
                f"expected an answer from version {version} of {model_name}, got one from {answered}"
            )
        if USER_EMBEDDING not in response.outputs:
            raise ModelServerError(f"expected an output {USER_EMBEDDING}, got {sorted(response.outputs)}")
        return _float_matrix(response.outputs[USER_EMBEDDING], (len(ids), embedding_dim))

    async def available_versions(self, model_name: str, timeout_s: float) -> set[int]:
        """The model's versions that are AVAILABLE, none if the server does not know it. Raises ModelServerError."""
        return await self._available_versions(pb.ModelSpec(name=model_name), timeout_s)

    async def is_available(self, model_name: str, version: int, timeout_s: float) -> bool:
        """Whether a server offers that version, although another may not have it. Raises ModelServerError."""
        spec = pb.ModelSpec(name=model_name, version=pb.Int64Value(value=version))
        for _ in range(TIMES_ASKED):
            if version in await self._available_versions(spec, timeout_s):
                return True
        return False

    async def _available_versions(self, spec: pb.ModelSpec, timeout_s: float) -> set[int]:
        """Those of the spec's versions that are AVAILABLE. Makes a new channel if no server can be reached."""
        request = pb.GetModelStatusRequest(model_spec=spec)
        try:
            response = _parsed(pb.GetModelStatusResponse, await self._get_model_status(request, timeout=timeout_s))
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return set()
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                self._reconnect()
            raise ModelServerError(_describe(error)) from error
        available = pb.ModelVersionStatus.STATE_AVAILABLE
        return {status.version for status in response.model_version_status if status.state == available}

    def use(self, certificates: Certificates) -> None:
        """Connect anew, with these certificates."""
        self._certificates = certificates
        self._reconnect()

    def _reconnect(self) -> None:
        """Make calls on a new channel; those in progress end on the old one.

        The old channel would wait longer and longer, up to two minutes, before it looks up again a name that was not
        known for a while.
        """
        closing = asyncio.create_task(self._channel.close(CLOSE_GRACE_S))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._connect()

    async def close(self) -> None:
        for closing in self._closing:
            closing.cancel()
        await self._channel.close()


def _parsed(kind: type[Response], content: bytes) -> Response:
    """The message in a response; gRPC itself would turn an unreadable one into None.  Raises ModelServerError."""
    try:
        return kind.FromString(content)
    except DecodeError as error:
        message = f"expected a {kind.DESCRIPTOR.name}, got bytes that are none: {content[:40]!r}"
        raise ModelServerError(message) from error


def _describe(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name}: {error.details()}"


def _float_matrix(tensor: pb.TensorProto, expected: tuple[int, int]) -> np.ndarray:
    """The tensor as a float32 array of the expected shape. Raises ModelServerError.

    TensorFlow Serving answers in `float_val` or, if a flag is set, in `tensor_content`.
    """
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.dtype != pb.DATA_TYPE_FLOAT or shape != expected:
        raise ModelServerError(f"expected float32{list(expected)}, got dtype {tensor.dtype} of shape {list(shape)}")
    if tensor.tensor_content:
        if len(tensor.tensor_content) != 4 * math.prod(shape):
            raise ModelServerError(f"expected {4 * math.prod(shape)} bytes, got {len(tensor.tensor_content)}")
        values = np.frombuffer(tensor.tensor_content, "<f4")
    else:
        values = np.frombuffer(tensor.float_val, "<f4", len(tensor.float_val) // 4)
        if 0 < len(values) < math.prod(shape):  # the last value stands for all that follow it
            values = np.pad(values, (0, math.prod(shape) - len(values)), mode="edge")
        elif not len(values):
            values = np.zeros(math.prod(shape), np.float32)
        if len(values) != math.prod(shape):
            raise ModelServerError(f"expected {math.prod(shape)} values, got {len(values)}")
    if not np.isfinite(values).all():
        raise ModelServerError("expected finite embeddings, got NaN or infinity")
    return values.reshape(shape)
