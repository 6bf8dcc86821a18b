"""Our copies of some of TensorFlow Serving's messages against the originals in `tensorflow-serving-api`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

from protos.tfserving.v1 import predict_pb2 as ours

INT64 = st.integers(-(2**63), 2**63 - 1)
NAME = st.text(max_size=20)
SPECS = st.builds(
    lambda name, version, signature: {
        "name": name,
        "signature_name": signature,
        **({} if version is None else {"version": {"value": version}}),
    },
    NAME,
    st.none() | INT64,
    NAME,
)
TENSORS = st.fixed_dictionaries(
    {
        "tensor_shape": st.lists(INT64, max_size=3).map(lambda sizes: {"dim": [{"size": size} for size in sizes]}),
        "tensor_content": st.binary(max_size=20),
        "float_val": st.lists(st.floats(width=32, allow_nan=False), max_size=5),
        "int64_val": st.lists(INT64, max_size=5),
        "dtype": st.sampled_from([0, 1, 9]),
    }
)
REQUESTS = st.fixed_dictionaries({"model_spec": SPECS, "inputs": st.dictionaries(NAME, TENSORS, max_size=3)})
RESPONSES = st.fixed_dictionaries({"model_spec": SPECS, "outputs": st.dictionaries(NAME, TENSORS, max_size=3)})
STATES = st.sampled_from([0, 10, 20, 30, 40, 50])
STATUS_REQUESTS = st.fixed_dictionaries({"model_spec": SPECS})


def in_our_message(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, where our message has the bytes of the floats that the original has."""
    changed: dict[str, Any] = {
        name: {key: {**tensor, "float_val": _bytes_of(tensor["float_val"])} for key, tensor in fields[name].items()}
        for name in ("inputs", "outputs")
        if name in fields
    }
    return {**fields, **changed}


def _bytes_of(floats: list[float]) -> bytes:
    return np.array(floats, "<f4").tobytes()


def check_both_directions(mine: Message, theirs: Message) -> None:
    """Each message's class reads the other's bytes as this message, and nothing is lost or left over."""
    for one, other in ((mine, theirs), (theirs, mine)):
        read = type(one).FromString(other.SerializeToString())
        assert read == one
        assert type(other).FromString(read.SerializeToString()) == other


@pytest.mark.parametrize(
    ("mine", "theirs", "strategy"),
    [
        (ours.PredictRequest, predict_pb2.PredictRequest, REQUESTS),
        (ours.PredictResponse, predict_pb2.PredictResponse, RESPONSES),
        (ours.GetModelStatusRequest, get_model_status_pb2.GetModelStatusRequest, STATUS_REQUESTS),
    ],
    ids=["PredictRequest", "PredictResponse", "GetModelStatusRequest"],
)
def test_messages_mean_the_same(
    mine: type[Message], theirs: type[Message], strategy: st.SearchStrategy[dict[str, object]]
) -> None:
    """Our class and the original read each other's bytes."""

    @given(strategy)
    def run(fields: dict[str, object]) -> None:
        check_both_directions(mine(**in_our_message(fields)), theirs(**fields))

    run()


@given(st.lists(st.tuples(INT64, STATES, st.integers(0, 16), NAME), max_size=4))
def test_model_statuses_mean_the_same(versions: list[tuple[int, int, int, str]]) -> None:
    """The original has a string for the error text where our message has bytes."""
    mine, theirs = ours.GetModelStatusResponse(), get_model_status_pb2.GetModelStatusResponse()
    for version, state, code, text in versions:
        for response, error_message in ((mine, text.encode()), (theirs, text)):
            status = {"error_code": code, "error_message": error_message}
            response.model_version_status.add(version=version, state=state, status=status)
    check_both_directions(mine, theirs)


def test_an_error_text_need_not_be_utf8() -> None:
    """The real server puts bytes of damaged files there; all versions of such a response are read."""
    content = bytes.fromhex("0a0c080110321a0608031202ffff0a040802101e")
    response = ours.GetModelStatusResponse.FromString(content)
    versions = [(status.version, status.state) for status in response.model_version_status]
    assert versions == [(1, ours.ModelVersionStatus.STATE_END), (2, ours.ModelVersionStatus.STATE_AVAILABLE)]
    assert response.model_version_status[0].status.error_message == b"\xff\xff"
