"""Our few messages of TensorFlow Serving's API mean the same as `tensorflow-serving-api`'s own, in both directions."""

from __future__ import annotations

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
STATUSES = st.fixed_dictionaries(
    {
        "model_version_status": st.lists(
            st.fixed_dictionaries(
                {
                    "version": INT64,
                    "state": STATES,
                    "status": st.fixed_dictionaries({"error_code": st.integers(0, 16), "error_message": NAME}),
                }
            ),
            max_size=4,
        )
    }
)
STATUS_REQUESTS = st.fixed_dictionaries({"model_spec": SPECS})


def check_both_directions(fields: dict[str, object], mine: type[Message], theirs: type[Message]) -> None:
    """Either side reads what the other wrote, and nothing is lost or left over."""
    for writer, reader in ((mine, theirs), (theirs, mine)):
        message = writer(**fields)
        read = reader.FromString(message.SerializeToString())
        assert read == reader(**fields)
        assert writer.FromString(read.SerializeToString()) == message


@pytest.mark.parametrize(
    ("mine", "theirs", "strategy"),
    [
        (ours.PredictRequest, predict_pb2.PredictRequest, REQUESTS),
        (ours.PredictResponse, predict_pb2.PredictResponse, RESPONSES),
        (ours.GetModelStatusRequest, get_model_status_pb2.GetModelStatusRequest, STATUS_REQUESTS),
        (ours.GetModelStatusResponse, get_model_status_pb2.GetModelStatusResponse, STATUSES),
    ],
    ids=["PredictRequest", "PredictResponse", "GetModelStatusRequest", "GetModelStatusResponse"],
)
def test_messages_mean_the_same(
    mine: type[Message], theirs: type[Message], strategy: st.SearchStrategy[dict[str, object]]
) -> None:
    @given(strategy)
    def run(fields: dict[str, object]) -> None:
        check_both_directions(fields, mine, theirs)

    run()
