"""The simplest model server for a SavedModel: `python -m benchmarks.plain_servicer FOLDER`.

It decodes with `tf.make_ndarray` and encodes with `tf.make_tensor_proto`, as tutorials do.
"""

from __future__ import annotations

import sys
from concurrent import futures

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class Plain(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, folder: str) -> None:
        self._run = tf.saved_model.load(folder).signatures["serving_default"]

    def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, value in self._run(**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


def main(folder: str) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(8))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Plain(folder), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"plain servicer at 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1])
