from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Manifest(_message.Message):
    __slots__ = ("format_version", "model_name", "version", "embedding_dim", "num_users", "num_movies", "num_trained_movies", "num_ratings", "dataset", "hyperparameters", "index", "evaluations", "files", "probes", "forced_despite", "report", "users_have_keys", "movies_have_keys", "events", "num_content_movies", "cold_start", "model_files")
    FORMAT_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_DIM_FIELD_NUMBER: _ClassVar[int]
    NUM_USERS_FIELD_NUMBER: _ClassVar[int]
    NUM_MOVIES_FIELD_NUMBER: _ClassVar[int]
    NUM_TRAINED_MOVIES_FIELD_NUMBER: _ClassVar[int]
    NUM_RATINGS_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    HYPERPARAMETERS_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    PROBES_FIELD_NUMBER: _ClassVar[int]
    FORCED_DESPITE_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    USERS_HAVE_KEYS_FIELD_NUMBER: _ClassVar[int]
    MOVIES_HAVE_KEYS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NUM_CONTENT_MOVIES_FIELD_NUMBER: _ClassVar[int]
    COLD_START_FIELD_NUMBER: _ClassVar[int]
    MODEL_FILES_FIELD_NUMBER: _ClassVar[int]
    format_version: int
    model_name: str
    version: int
    embedding_dim: int
    num_users: int
    num_movies: int
    num_trained_movies: int
    num_ratings: int
    dataset: Dataset
    hyperparameters: Hyperparameters
    index: Index
    evaluations: _containers.RepeatedCompositeFieldContainer[Evaluation]
    files: _containers.RepeatedCompositeFieldContainer[File]
    probes: _containers.RepeatedCompositeFieldContainer[Probe]
    forced_despite: _containers.RepeatedScalarFieldContainer[str]
    report: str
    users_have_keys: bool
    movies_have_keys: bool
    events: Events
    num_content_movies: int
    cold_start: ColdStart
    model_files: _containers.RepeatedCompositeFieldContainer[File]
    def __init__(self, format_version: _Optional[int] = ..., model_name: _Optional[str] = ..., version: _Optional[int] = ..., embedding_dim: _Optional[int] = ..., num_users: _Optional[int] = ..., num_movies: _Optional[int] = ..., num_trained_movies: _Optional[int] = ..., num_ratings: _Optional[int] = ..., dataset: _Optional[_Union[Dataset, _Mapping]] = ..., hyperparameters: _Optional[_Union[Hyperparameters, _Mapping]] = ..., index: _Optional[_Union[Index, _Mapping]] = ..., evaluations: _Optional[_Iterable[_Union[Evaluation, _Mapping]]] = ..., files: _Optional[_Iterable[_Union[File, _Mapping]]] = ..., probes: _Optional[_Iterable[_Union[Probe, _Mapping]]] = ..., forced_despite: _Optional[_Iterable[str]] = ..., report: _Optional[str] = ..., users_have_keys: _Optional[bool] = ..., movies_have_keys: _Optional[bool] = ..., events: _Optional[_Union[Events, _Mapping]] = ..., num_content_movies: _Optional[int] = ..., cold_start: _Optional[_Union[ColdStart, _Mapping]] = ..., model_files: _Optional[_Iterable[_Union[File, _Mapping]]] = ...) -> None: ...

class Events(_message.Message):
    __slots__ = ("store_id", "last_event", "num_events")
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_EVENT_FIELD_NUMBER: _ClassVar[int]
    NUM_EVENTS_FIELD_NUMBER: _ClassVar[int]
    store_id: str
    last_event: int
    num_events: int
    def __init__(self, store_id: _Optional[str] = ..., last_event: _Optional[int] = ..., num_events: _Optional[int] = ...) -> None: ...

class ColdStart(_message.Message):
    __slots__ = ("k", "num_movies", "num_users", "recall", "genre_recall", "ndcg_lost", "ndcg_lost_error", "share_of_top_10", "helps")
    K_FIELD_NUMBER: _ClassVar[int]
    NUM_MOVIES_FIELD_NUMBER: _ClassVar[int]
    NUM_USERS_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    GENRE_RECALL_FIELD_NUMBER: _ClassVar[int]
    NDCG_LOST_FIELD_NUMBER: _ClassVar[int]
    NDCG_LOST_ERROR_FIELD_NUMBER: _ClassVar[int]
    SHARE_OF_TOP_10_FIELD_NUMBER: _ClassVar[int]
    HELPS_FIELD_NUMBER: _ClassVar[int]
    k: int
    num_movies: int
    num_users: int
    recall: float
    genre_recall: float
    ndcg_lost: float
    ndcg_lost_error: float
    share_of_top_10: float
    helps: bool
    def __init__(self, k: _Optional[int] = ..., num_movies: _Optional[int] = ..., num_users: _Optional[int] = ..., recall: _Optional[float] = ..., genre_recall: _Optional[float] = ..., ndcg_lost: _Optional[float] = ..., ndcg_lost_error: _Optional[float] = ..., share_of_top_10: _Optional[float] = ..., helps: _Optional[bool] = ...) -> None: ...

class Dataset(_message.Message):
    __slots__ = ("name", "fingerprint", "generated", "split", "notes", "implicit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    GENERATED_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    IMPLICIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    fingerprint: str
    generated: bool
    split: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    implicit: bool
    def __init__(self, name: _Optional[str] = ..., fingerprint: _Optional[str] = ..., generated: _Optional[bool] = ..., split: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ..., implicit: _Optional[bool] = ...) -> None: ...

class Hyperparameters(_message.Message):
    __slots__ = ("epochs", "batch_size", "learning_rate", "temperature", "positive_threshold", "seed", "watched_weight", "recency", "embedding_dim")
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    WATCHED_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    RECENCY_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_DIM_FIELD_NUMBER: _ClassVar[int]
    epochs: int
    batch_size: int
    learning_rate: float
    temperature: float
    positive_threshold: float
    seed: int
    watched_weight: float
    recency: float
    embedding_dim: int
    def __init__(self, epochs: _Optional[int] = ..., batch_size: _Optional[int] = ..., learning_rate: _Optional[float] = ..., temperature: _Optional[float] = ..., positive_threshold: _Optional[float] = ..., seed: _Optional[int] = ..., watched_weight: _Optional[float] = ..., recency: _Optional[float] = ..., embedding_dim: _Optional[int] = ...) -> None: ...

class Index(_message.Message):
    __slots__ = ("num_trees", "recall_k", "target_recall", "recommend", "similar_movies", "metric", "newcomers")
    NUM_TREES_FIELD_NUMBER: _ClassVar[int]
    RECALL_K_FIELD_NUMBER: _ClassVar[int]
    TARGET_RECALL_FIELD_NUMBER: _ClassVar[int]
    RECOMMEND_FIELD_NUMBER: _ClassVar[int]
    SIMILAR_MOVIES_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    NEWCOMERS_FIELD_NUMBER: _ClassVar[int]
    num_trees: int
    recall_k: int
    target_recall: float
    recommend: Calibration
    similar_movies: Calibration
    metric: str
    newcomers: Calibration
    def __init__(self, num_trees: _Optional[int] = ..., recall_k: _Optional[int] = ..., target_recall: _Optional[float] = ..., recommend: _Optional[_Union[Calibration, _Mapping]] = ..., similar_movies: _Optional[_Union[Calibration, _Mapping]] = ..., metric: _Optional[str] = ..., newcomers: _Optional[_Union[Calibration, _Mapping]] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("search_k", "recall", "curve", "engine", "scan_dims", "scan_candidates", "recall_loss", "ndcg_loss", "index_dims")
    SEARCH_K_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    CURVE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    SCAN_DIMS_FIELD_NUMBER: _ClassVar[int]
    SCAN_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    RECALL_LOSS_FIELD_NUMBER: _ClassVar[int]
    NDCG_LOSS_FIELD_NUMBER: _ClassVar[int]
    INDEX_DIMS_FIELD_NUMBER: _ClassVar[int]
    search_k: int
    recall: float
    curve: _containers.RepeatedCompositeFieldContainer[CurvePoint]
    engine: str
    scan_dims: int
    scan_candidates: int
    recall_loss: float
    ndcg_loss: float
    index_dims: int
    def __init__(self, search_k: _Optional[int] = ..., recall: _Optional[float] = ..., curve: _Optional[_Iterable[_Union[CurvePoint, _Mapping]]] = ..., engine: _Optional[str] = ..., scan_dims: _Optional[int] = ..., scan_candidates: _Optional[int] = ..., recall_loss: _Optional[float] = ..., ndcg_loss: _Optional[float] = ..., index_dims: _Optional[int] = ...) -> None: ...

class CurvePoint(_message.Message):
    __slots__ = ("search_k", "recall", "latency_us", "scan_dims", "scan_candidates")
    SEARCH_K_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    LATENCY_US_FIELD_NUMBER: _ClassVar[int]
    SCAN_DIMS_FIELD_NUMBER: _ClassVar[int]
    SCAN_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    search_k: int
    recall: float
    latency_us: float
    scan_dims: int
    scan_candidates: int
    def __init__(self, search_k: _Optional[int] = ..., recall: _Optional[float] = ..., latency_us: _Optional[float] = ..., scan_dims: _Optional[int] = ..., scan_candidates: _Optional[int] = ...) -> None: ...

class Evaluation(_message.Message):
    __slots__ = ("ranking", "metrics", "num_users", "standard_errors")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class StandardErrorsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    RANKING_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    NUM_USERS_FIELD_NUMBER: _ClassVar[int]
    STANDARD_ERRORS_FIELD_NUMBER: _ClassVar[int]
    ranking: str
    metrics: _containers.ScalarMap[str, float]
    num_users: int
    standard_errors: _containers.ScalarMap[str, float]
    def __init__(self, ranking: _Optional[str] = ..., metrics: _Optional[_Mapping[str, float]] = ..., num_users: _Optional[int] = ..., standard_errors: _Optional[_Mapping[str, float]] = ...) -> None: ...

class File(_message.Message):
    __slots__ = ("name", "sha256", "size")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    name: str
    sha256: str
    size: int
    def __init__(self, name: _Optional[str] = ..., sha256: _Optional[str] = ..., size: _Optional[int] = ...) -> None: ...

class Probe(_message.Message):
    __slots__ = ("user_id", "embedding")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    embedding: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, user_id: _Optional[int] = ..., embedding: _Optional[_Iterable[float]] = ...) -> None: ...
