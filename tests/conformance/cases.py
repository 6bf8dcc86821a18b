"""The table: what TensorFlow Serving 2.21 answers to a request, as status code, message and response."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import Message
from tensorflow.core.framework import tensor_pb2

from tests.conformance.requests import (
    BOOL,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    STRING,
    answer,
    available,
    embeddings,
    ids,
    metadata,
    predict,
    status,
    tensor,
)
from trainer.model.tensorflow_quietly import tf

RAW_IDS = np.array([1, 2], "<i8").tobytes()
N_AND_S = {"n": tensor(INT32, [2], int_val=[3, -1]), "s": tensor(STRING, [2], string_val=["Zürich".encode(), b""])}
TEXT = tensor(STRING, [2], string_val=["Zürich3".encode(), b"-1"])
POSITIVE = tensor(BOOL, [2], bool_val=[True, False])
X = {"x": tensor(DOUBLE, [1, 2], double_val=[1.0, float("inf")])}
MISSING = (
    "input size does not match signature: 0!=1 len({}) != len({user_id}). Sent extra: {}. "
    "Missing but required: {user_id}."
)
EXTRA = (
    "input size does not match signature: 2!=1 len({extra,user_id}) != len({user_id}). Sent extra: {extra}. "
    "Missing but required: {}."
)
WRONG_NAME = (
    "Signature input alias: user_id(feed name: serving_default_user_id:0) not found in request and no default value "
    "provided. Inputs expected to be in the request {uid}, or default input alias set: "
)
UNKNOWN_OUTPUT = "output tensor alias not found in signature: zzz Outputs expected to be in the set {user_embedding}."


@dataclass(frozen=True)
class Case:
    """message: a pattern for the whole message without the names of graph nodes.  response: None for an error."""

    name: str
    request: Message
    code: str = "OK"
    message: str = ""
    response: Message | None = None


def ok(name: str, request: Message, response: Message) -> Case:
    """A request that is answered with this response."""
    return Case(name, request, response=response)


def error(name: str, request: Message, code: str, message: str) -> Case:
    """A request that fails.  message: the whole message; it is no pattern."""
    return Case(name, request, code, re.escape(message))


def bad(name: str, message: str, **arguments: Any) -> Case:
    """A Predict that gets INVALID_ARGUMENT. Its input is one known id unless the arguments say otherwise."""
    return error(name, predict(**{"inputs": ids(3), **arguments}), "INVALID_ARGUMENT", message)


def not_found(name: str, what: str, **arguments: Any) -> Case:
    """A Predict whose version does not serve.  what: the version as the message names it."""
    request = predict(ids(3), **arguments)
    return error(name, request, "NOT_FOUND", f"Servable not found for request: {what}")


def user_id(**content: Any) -> dict[str, tensor_pb2.TensorProto]:
    """The input of the model `user`.  content: fields of its TensorProto, whose dtype is int64 unless they say so."""
    return {"user_id": tensor(**{"dtype": INT64, **content})}


# A numpy dtype's name → three values of it, as fields of a TensorProto: 0, 1 and 2, or some strings.
TYPED: dict[str, dict[str, Any]] = {
    "float32": {"float_val": [0, 1, 2]},
    "float64": {"double_val": [0, 1, 2]},
    "float16": {"half_val": [0, 0x3C00, 0x4000]},
    "bfloat16": {"half_val": [0, 0x3F80, 0x4000]},
    **{name: {"int_val": [0, 1, 2]} for name in ("int8", "int16", "int32", "uint8", "uint16")},
    "int64": {"int64_val": [0, 1, 2]},
    "uint32": {"uint32_val": [0, 1, 2]},
    "uint64": {"uint64_val": [0, 1, 2]},
    "bool": {"bool_val": [False, True, True]},
    "string": {"string_val": [b"", b"\xff", b"text"]},
    "complex64": {"scomplex_val": [0, 0, 1, 0, 2, 0]},
    "complex128": {"dcomplex_val": [0, 0, 1, 0, 2, 0]},
}


def both_encodings() -> Iterator[Case]:
    """Values of every dtype, sent as typed values and as raw bytes; the response has typed values."""
    for name, values in TYPED.items():
        dtype = tf.as_dtype(name)
        raw = b"\0\1\4\xfftext" if name == "string" else np.arange(3).astype(dtype.as_numpy_dtype).tobytes()
        typed = tensor(dtype.as_datatype_enum, [1, 3], **values)
        response = answer({"same": typed}, "types", 7, f"same_{name}")
        for how, sent in (("typed", typed), ("raw", tensor(typed.dtype, [1, 3], tensor_content=raw))):
            yield ok(f"{name}, {how}", predict({"x": sent}, "types", signature=f"same_{name}"), response)


PREDICT = [
    ok("typed", predict(user_id(shape=[1], int64_val=[3])), embeddings([3])),
    ok("raw", predict(user_id(shape=[2], tensor_content=RAW_IDS)), embeddings([1, 2])),
    ok("both: raw wins", predict(user_id(shape=[2], int64_val=[9, 9], tensor_content=RAW_IDS)), embeddings([1, 2])),
    ok("too few: the last repeats", predict(user_id(shape=[3], int64_val=[4, 5])), embeddings([4, 5, 5])),
    ok("none: zeros", predict(user_id(shape=[2])), embeddings([0, 0])),
    ok("too many: cut", predict(user_id(shape=[1], int64_val=[1, 2, 3])), embeddings([1])),
    ok("scalar", predict(user_id(shape=[], int64_val=[7])), embeddings(7)),
    ok("rank 2", predict(user_id(shape=[1, 2], int64_val=[7, 8])), embeddings(np.array([[7, 8]]))),
    ok("empty", predict(user_id(shape=[0])), embeddings([])),
    ok("pinned to the newest", predict(ids(3), version=2), embeddings([3])),
    ok("pinned to another", predict(ids(3), version=1), embeddings([3], version=1)),
    ok("label stable", predict(ids(3), label="stable"), embeddings([3], version=1)),
    ok("label canary", predict(ids(3), label="canary"), embeddings([3])),
    ok("signature named", predict(ids(3), signature="serving_default"), embeddings([3])),
    ok("output filter", predict(ids(3), outputs=["user_embedding"]), embeddings([3])),
    ok("two outputs", predict(N_AND_S, "types"), answer({"text": TEXT, "positive": POSITIVE}, "types", 7)),
    ok(
        "one of two outputs",
        predict(N_AND_S, "types", outputs=["positive"]),
        answer({"positive": POSITIVE}, "types", 7),
    ),
    ok(
        "infinity",
        predict(X, "types", signature="half"),
        answer({"y": tensor(DOUBLE, [1, 2], double_val=[0.5, float("inf")])}, "types", 7, "half"),
    ),
    *both_encodings(),
]
PREDICT_ERRORS = [
    bad("no model_spec", "Missing ModelSpec", model=None),
    bad("empty name", "ModelSpec has no name specified.", model=""),
    bad("unknown label", "Unrecognized servable version label: beta", label="beta"),
    bad("unknown label of an unknown model", "Unrecognized servable version label: x", model="nobody", label="x"),
    bad("message of 1,024", f"Unrecognized servable version label: {'x' * 987}", label="x" * 987),
    bad("message cut", f"Unrecognized servable version label: {'x' * 987}...TRUNCATED", label="x" * 988),
    not_found("unknown model", "Latest(nobody)", model="nobody"),
    not_found("unknown model, version", "Specific(nobody, 1)", model="nobody", version=1),
    not_found("unknown version", "Specific(user, 99)", version=99),
    not_found("version 0", "Specific(user, 0)", version=0),
    not_found("negative version", "Specific(user, -1)", version=-1),
    not_found("unknown version and signature", "Specific(user, 99)", version=99, signature="nope"),
    error(
        "unknown signature",
        predict(ids(3), signature="nope"),
        "FAILED_PRECONDITION",
        'Serving signature key "nope" not found.',
    ),
    bad("no input", MISSING, inputs={}),
    bad("no input, unknown output", MISSING, inputs={}, outputs=["zzz"]),
    bad("extra input", EXTRA, inputs={**ids(3), "extra": tensor(INT64, [1])}),
    bad("wrong name", WRONG_NAME, inputs={"uid": tensor(INT64, [1])}),
    bad("int32", "Expects arg[0] to be int64 but int32 is provided", inputs=user_id(dtype=INT32, shape=[1])),
    bad("float", "Expects arg[0] to be int64 but float is provided", inputs=user_id(dtype=FLOAT, shape=[1])),
    bad("string", "Expects arg[0] to be int64 but string is provided", inputs=user_id(dtype=STRING, shape=[1])),
    bad("DT_INVALID", "tensor parsing error: user_id", inputs=user_id(dtype=0, shape=[1])),
    bad("negative dimension", "tensor parsing error: user_id", inputs=user_id(shape=[-1], int64_val=[1])),
    bad("raw, wrong length", "tensor parsing error: user_id", inputs=user_id(shape=[2], tensor_content=b"12345")),
    bad("id outside a Gather", "indices[1] = 5000 is not in [0, 10)", inputs=ids(1, 5000)),
    bad("negative id", "indices[0] = -1 is not in [0, 10)", inputs=ids(-1)),
    bad("unknown output", UNKNOWN_OUTPUT, outputs=["zzz"]),
    bad(
        "an output twice",
        "duplicate output tensor alias: user_embedding",
        outputs=["user_embedding", "user_embedding"],
    ),
]
STATUS = [
    ok("all versions, highest first", status("user"), available(2, 1)),
    ok("one version", status("user", 1), available(1)),
    ok("a label is ignored", status("user", label="stable"), available(2, 1)),
    error("status, no model_spec", status(None), "INVALID_ARGUMENT", "Missing ModelSpec"),
    error("status, empty name", status(""), "NOT_FOUND", "Could not find any versions of model "),
    error("status of an unknown model", status("nobody"), "NOT_FOUND", "Could not find any versions of model nobody"),
    error("status of an unknown version", status("user", 99), "NOT_FOUND", "Could not find version 99 of model user"),
]
METADATA_ERRORS = [
    error("metadata, no model_spec", metadata(None), "INVALID_ARGUMENT", "Missing ModelSpec"),
    error(
        "metadata, no field",
        metadata("user", []),
        "INVALID_ARGUMENT",
        "GetModelMetadataRequest must specify at least one metadata_field",
    ),
    error(
        "metadata, other field",
        metadata("user", ["graph"]),
        "INVALID_ARGUMENT",
        "Metadata field graph is not supported",
    ),
    error(
        "metadata of an unknown model",
        metadata("nobody"),
        "NOT_FOUND",
        "Servable not found for request: Latest(nobody)",
    ),
    error(
        "metadata of an unknown version",
        metadata("user", version=99),
        "NOT_FOUND",
        "Servable not found for request: Specific(user, 99)",
    ),
]
CASES = [*PREDICT, *PREDICT_ERRORS, *STATUS, *METADATA_ERRORS]
