"""Make docs/api.md from the comments of recommender.proto."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.api.field_behavior_pb2 import REQUIRED, field_behavior
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodOptions,
)

# Field numbers of descriptor.proto. The path of a comment is a sequence of these and of positions.
MESSAGE, ENUM, SERVICE, FIELD, NESTED, VALUE, METHOD = 4, 5, 6, 2, 3, 2, 2

REPEATABLE = {
    MethodOptions.NO_SIDE_EFFECTS: "It only reads.",
    MethodOptions.IDEMPOTENT: "Repeating it changes nothing more.",
}

Path = tuple[int, ...]


def api_reference(file: FileDescriptorProto) -> str:
    """The page in Markdown.  file: must have source_code_info; every message, field, enum, value and RPC a comment."""
    comments = {tuple(location.path): _plain(location.leading_comments) for location in file.source_code_info.location}
    lines = [f"# {file.package}", "", f"Generated from [{file.name}](../{file.name}) by `make protos`.", ""]
    for number, service in enumerate(file.service):
        lines += [f"## {service.name}", "", comments[SERVICE, number], ""]
        for position, method in enumerate(service.method):
            request, response = _linked(method.input_type), _linked(method.output_type)
            repeatable = REPEATABLE[method.options.idempotency_level]
            lines += [f"### {method.name}", "", f"{request} → {response}. {repeatable}", ""]
            lines += [comments[SERVICE, number, METHOD, position], ""]
    lines += ["## Messages", ""]
    for number, message in enumerate(file.message_type):
        lines += _message(message, message.name, (MESSAGE, number), comments)
    lines += ["## Enums", ""]
    for number, enum in enumerate(file.enum_type):
        lines += _enum(enum, (ENUM, number), comments)
    return "\n".join(lines).rstrip() + "\n"


def _message(message: DescriptorProto, name: str, path: Path, comments: dict[Path, str]) -> Iterator[str]:
    yield from (f"### {name}", "", comments[path], "")
    if message.field:
        yield from ("| # | field | type | |", "|---|---|---|---|")
        for position, field in enumerate(message.field):
            text = comments[*path, FIELD, position].replace("\n\n", "<br>").replace("\n", " ").replace("|", "\\|")
            yield f"| {field.number} | `{field.name}` | {_type(field, message.nested_type)} | {text} |"
        yield ""
    for position, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from _message(nested, f"{name}.{nested.name}", (*path, NESTED, position), comments)


def _enum(enum: EnumDescriptorProto, path: Path, comments: dict[Path, str]) -> Iterator[str]:
    yield from (f"### {enum.name}", "", comments[path], "", "| # | value | |", "|---|---|---|")
    for position, value in enumerate(enum.value):
        yield f"| {value.number} | `{value.name}` | {comments[*path, VALUE, position]} |"
    yield ""


def _type(field: FieldDescriptorProto, nested: Iterable[DescriptorProto]) -> str:
    """The type as a .proto writes it.  nested: messages within the field's message, of which one may be a map entry."""
    for entry in nested:
        if entry.options.map_entry and field.type_name.endswith(f".{entry.name}"):
            return f"map<{', '.join(_type(part, ()) for part in entry.field)}>"
    scalar = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    name = _linked(field.type_name) if field.type_name else scalar
    name = f"repeated {name}" if field.label == FieldDescriptorProto.LABEL_REPEATED else name
    if field.options.deprecated:
        return f"{name}, deprecated"
    return f"{name}, required" if REQUIRED in field.options.Extensions[field_behavior] else name


def _linked(type_name: str) -> str:
    """A link within the page for a type of the API, such as `.recommender.v1.Movie`; the name of any other type."""
    name = type_name.removeprefix(".")
    if not name.startswith("recommender.v1."):
        return name
    name = name.removeprefix("recommender.v1.")
    return f"[{name}](#{name.lower().replace('.', '')})"


def _plain(comment: str) -> str:
    """The comment without the space at the start of each line."""
    return "\n".join(line.removeprefix(" ") for line in comment.rstrip("\n").split("\n"))
