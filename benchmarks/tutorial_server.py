"""A recommender as tutorials write it: `python -m benchmarks.tutorial_server RELEASE_FOLDER MODEL_SERVER_ADDRESS`.

Each call sends one Predict of its own, searches an angular Annoy index with the default effort, and builds its answer
from a table of movies. Nothing is cached or batched, and no release is ever swapped.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from annoy import AnnoyIndex

from benchmarks.support import predict_request
from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc
from protos.tfserving.v1 import predict_pb2 as pb
from recommender_service.release_loading import load_release

NUM_TREES = 10

Context = grpc.aio.ServicerContext[Any, Any]


class Tutorial(recommender_pb2_grpc.RecommenderServiceServicer):
    def __init__(self, folder: Path, model_server: str) -> None:
        self._release = load_release(folder)
        vectors = self._release.movie_embeddings.vectors
        self._index = AnnoyIndex(vectors.shape[1], "angular")
        for row, vector in enumerate(vectors):
            self._index.add_item(row, vector)
        self._index.build(NUM_TREES)
        self._predict = grpc.aio.insecure_channel(model_server).unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=pb.PredictRequest.SerializeToString,
            response_deserializer=pb.PredictResponse.FromString,
        )

    async def Recommend(self, request: api.RecommendRequest, context: Context) -> api.RecommendResponse:
        response = await self._predict(predict_request("serving_default", "user_id", np.array([request.user_id])))
        tensor = response.outputs["user_embedding"]
        embedding = np.frombuffer(tensor.tensor_content or tensor.float_val, "<f4")
        watched = self._release.watched
        seen = set(watched.rows_of(watched.find(request.user_id)))
        rows, distances = self._index.get_nns_by_vector(embedding, request.limit + len(seen), include_distances=True)
        unseen = [(row, distance) for row, distance in zip(rows, distances, strict=True) if row not in seen]
        movies = [
            api.ScoredMovie(movie=self._release.movies[row], score=1 - distance * distance / 2)
            for row, distance in unseen[: request.limit]
        ]
        return api.RecommendResponse(movies=movies, source=api.SOURCE_PERSONALIZED, release=self._release.version)


async def main(folder: str, model_server: str) -> None:
    server = grpc.aio.server()
    tutorial = Tutorial(Path(folder), model_server)  # type: ignore[abstract]  # the other RPCs are not called
    recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(tutorial, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"tutorial at 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
