"""Server-side batching: which requests run together, and how an error in one of them fails the whole batch."""

from __future__ import annotations

import re
from typing import Any

import pytest
from google.protobuf.message import Message
from tensorflow_serving.apis import predict_pb2

from tests.conformance.requests import DOUBLE, INT32, INT64, answer, embeddings, ids, predict, tensor
from tests.conformance.target import Target, outcome
from tests.conformance.tries import tried
from tools.processes import wait_for

pytestmark = pytest.mark.slow

Outcomes = list[tuple[str, str, str]]


def all_alike(outcomes: Outcomes) -> bool:
    return len(set(outcomes)) == 1


def together(target: Target, *requests: Message) -> Outcomes:
    """The outcomes of these requests, sent at the same moment."""
    calls = [target.method(request).future(request, timeout=60) for request in requests]
    return [outcome(call) for call in calls]


def size_request(rows: int) -> predict_pb2.PredictRequest:
    """A request that is answered with the size of its batch."""
    return predict({"x": tensor(INT64, [rows], int64_val=[0])}, "types", signature="batch_size")


def size_answer(rows: int, together: int) -> str:
    sizes = tensor(INT64, [rows], int64_val=[together] * rows)
    return str(answer({"size": sizes}, "types", 7, "batch_size"))


def wait_request(seconds: float) -> predict_pb2.PredictRequest:
    return predict({"seconds": tensor(DOUBLE, [8], double_val=[seconds])}, "wait")


def test_requests_made_together_run_in_one_batch(batching: Target) -> None:
    """Each request gets its own rows of the batch's answer."""
    expected = [("OK", "", size_answer(1, together=8))] * 8
    requests = [size_request(1) for _ in range(8)]
    assert tried(lambda: together(batching, *requests), lambda outcomes: outcomes == expected) == expected
    groups = [[1, 2, 3], [3, 4, 5], [5, 6]]
    outcomes = together(batching, *(predict(ids(*users)) for users in groups))
    assert outcomes == [("OK", "", str(embeddings(users))) for users in groups]


@pytest.mark.parametrize(("rows", "padded"), [(1, 2), (2, 2), (3, 8), (8, 8)])
def test_a_batch_is_padded_to_the_next_allowed_size(batching: Target, rows: int, padded: int) -> None:
    """The model sees the padded number of rows; the caller gets as many rows as it sent."""
    assert batching.outcome(size_request(rows)) == ("OK", "", size_answer(rows, padded))


def test_other_outputs_or_versions_are_other_batches(batching: Target) -> None:
    """Requests for different outputs or versions run apart, and all succeed."""
    n_and_s: Any = {"n": tensor(INT32, [1], int_val=[1]), "s": tensor(7, [1], string_val=[b"a"])}
    both, text = predict(n_and_s, "types"), predict(n_and_s, "types", outputs=["text"])
    outcomes = together(batching, both, text, predict(ids(1), version=1), predict(ids(1), version=2))
    assert [code for code, _, _ in outcomes] == ["OK"] * 4
    assert outcomes[2:] == [("OK", "", str(embeddings([1], version=version))) for version in (1, 2)]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            predict({"user_id": tensor(INT64, [], int64_val=[1])}),
            "Batching Run() input tensors must have at least one dimension",
        ),
        (predict(ids(*range(9))), "Task size 9 is larger than maximum input batch size 8"),
        (
            predict({"n": tensor(INT32, [1], int_val=[1]), "s": tensor(7, [2], string_val=[b"a"])}, "types"),
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
        (predict({"user_id": tensor(INT32, [1])}), "Expects arg[0] to be int64 but int32 is provided"),
    ],
    ids=["scalar", "larger than a batch", "inputs of different sizes", "wrong dtype"],
)
def test_a_request_that_cannot_be_batched_is_invalid(batching: Target, request_: Message, message: str) -> None:
    """Such a request gets INVALID_ARGUMENT."""
    code, said, _ = batching.outcome(request_)
    assert code == "INVALID_ARGUMENT"
    assert said.startswith(message)


def test_one_bad_id_fails_its_whole_batch(batching: Target) -> None:
    """An id that the model refuses makes all requests of its batch fail with the same message."""
    requests = [predict(ids(1)), predict(ids(5000)), predict(ids(2, 3, 4, 5, 6, 7))]
    outcomes = tried(lambda: together(batching, *requests), all_alike)
    assert all_alike(outcomes)
    code, message, _ = outcomes[0]
    assert code == "INVALID_ARGUMENT"
    assert re.fullmatch(r"indices\[\d\] = 5000 is not in \[0, 10\)", message)


def test_mixed_dtypes_fail_together(batching: Target) -> None:
    """Requests with different dtypes in one batch all get INTERNAL."""
    requests = [predict(ids(1, 2, 3, 4)), predict({"user_id": tensor(INT32, [4])})]
    outcomes = tried(lambda: together(batching, *requests), all_alike)
    assert [code for code, _, _ in outcomes] == ["INTERNAL"] * 2
    pattern = (
        r"Tensor concat operation failed: INVALID_ARGUMENT: Cannot concatenate tensors that have different data "
        r"types. Got int(64|32) and int(64|32)\."
    )
    assert all(re.fullmatch(pattern, message) for _, message, _ in outcomes)


def test_mixed_shapes_fail_together(batching: Target) -> None:
    """Requests of different shapes in one batch all get FAILED_PRECONDITION."""
    requests = [predict(ids(1, 2, 3, 4)), predict({"user_id": tensor(INT64, [4, 1])})]
    outcomes = tried(lambda: together(batching, *requests), all_alike)
    message = (
        "Tensors with name 'serving_default_user_id:0' from different tasks have different shapes and padding is "
        "turned off. Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
        "dimensions starting with the first dim."
    )
    assert outcomes == [("FAILED_PRECONDITION", message, "")] * 2


def test_an_empty_request_runs_into_its_deadline(batching: Target) -> None:
    """A request without rows waits in vain, and does not delay the next request."""
    assert batching.outcome(predict(ids()), timeout=0.8)[0] == "DEADLINE_EXCEEDED"
    assert batching.outcome(predict(ids(1))) == ("OK", "", str(embeddings([1])))


def fill_the_queue(batching: Target) -> list[tuple[str, str]]:
    """(code, message) of a request that takes 10 s, and of three that come meanwhile; the queue can hold two."""
    method = batching.method(wait_request(0))
    slow = method.future(wait_request(10.0), timeout=60)
    a_batch = predict(ids(*range(8)))  # a full batch, which runs at once if the only thread is free
    wait_for(
        lambda: slow.done() or batching.outcome(a_batch, timeout=2)[0] == "DEADLINE_EXCEEDED", "the only thread is busy"
    )
    calls = [method.future(wait_request(0.0), timeout=60) for _ in range(3)]
    return [outcome(slow)[:2], *sorted(outcome(call)[:2] for call in calls)]


def test_requests_beyond_the_queue_are_refused_at_once(batching: Target) -> None:
    """If the queue is full, a request gets UNAVAILABLE; those in the queue are answered."""
    full = (
        "UNAVAILABLE",
        "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and "
        "max_enqueued_batches is 2",
    )
    expected = [("OK", ""), ("OK", ""), ("OK", ""), full]
    assert tried(lambda: fill_the_queue(batching), lambda outcomes: outcomes == expected) == expected
