"""The shapes in types.py against the fields that Ollama's source declares, in both directions."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import ollama_fast
from ollama_fast import _endpoints, _procedures, types
from ollama_fast._request import Request
from ollama_fast._upload import Upload
from shapes import keys_of, required

pytestmark = pytest.mark.unsent

SURFACE: dict[str, Any] = json.loads(Path(__file__).with_name("api-surface.json").read_text("utf-8"))
ENDPOINTS: dict[str, dict[str, Any]] = {endpoint["name"]: endpoint for endpoint in SURFACE["endpoints"]}
SHAPES: dict[str, dict[str, Any]] = SURFACE["types"]

OUTPUT = {
    "Message": types.ResponseMessage,
    "ToolCall": types.ResponseToolCall,
    "ToolCallFunction": types.ResponseToolCallFunction,
    "TokenLogprob": types.TokenLogprob,
    "Logprob": types.Logprob,
    "DebugInfo": types.DebugInfo,
    "ModelDetails": types.ModelDetails,
    "ListModelResponse": types.ListModel,
    "ProcessModelResponse": types.ProcessModel,
    "Tensor": types.Tensor,
    "CloudStatus": types.CloudStatus,
    "WebSearchResult": types.WebSearchResult,
    "ModelRecommendation": types.ModelRecommendation,
    "ProgressResponse": types.ProgressResponse,
    "GenerateResponse": types.GenerateResponse,
    "ChatResponse": types.ChatResponse,
    "EmbedResponse": types.EmbedResponse,
    "EmbeddingResponse": types.EmbeddingsResponse,
    "ShowResponse": types.ShowResponse,
    "ListResponse": types.ListResponse,
    "ProcessResponse": types.ProcessResponse,
    "UserResponse": types.UserResponse,
}
"""What Ollama sends: its name for a shape, and ours."""

INPUT = {
    "Message": types.Message,
    "ToolCall": types.ToolCall,
    "ToolCallFunction": types.ToolCallFunction,
    "Tool": types.Tool,
    "ToolFunction": types.ToolFunction,
    "ToolFunctionParameters": types.ToolParameters,
    "ToolProperty": types.ToolProperty,
    "Options": types.Options,
}
"""What Ollama takes."""

NOT_OURS = {
    "Metrics": "its fields stand in generate's and chat's answers, where they are checked",
    "Error": "becomes an exception",
    "AuthorizationErrorBody": "becomes an exception",
    "RemoteStatusErrorBody": "becomes an exception",
}

OUTPUT_EXCEPTIONS = {
    ("GenerateResponse", "_debug_info"): (False, "a pointer, left out when nil"),
    ("ChatResponse", "_debug_info"): (False, "a pointer, left out when nil"),
}
"""Where a field of an answer is required or not against the table: whether it is, and why."""

INPUT_EXCEPTIONS = {
    ("ToolFunctionParameters", "type"): (True, "the server refuses a tool without it or gives the model a broken one"),
    ("ToolFunctionParameters", "properties"): (True, "the same"),
}
"""The same for what is sent."""

FUNCTIONS = {
    "blob_exists": "has_blob",
    "blob_create": "create_blob",
    "root": "is_running",
    "web_search_local": "web_search",
    "web_fetch_local": "web_fetch",
}
"""Public functions whose name is not the endpoint's."""

PARAMETERS = {"_debug_render_only": "debug_render_only", "from": "from_"}
"""Parameters whose name is not the field's."""

NO_PARAMETER = {
    "stream": "the name of the function says it",
    "name": "deprecated",
    "quantization": "deprecated",
    "username": "deprecated, and ignored",
    "password": "deprecated, and ignored",
}

NO_PARAMETER_OF = {("show", "template"): "ignored by the server"}

NOT_A_FIELD = {
    "extra": "fields of other versions",
    "modelfile": "several fields out of one text",
    "via_server": "chooses between two endpoints",
}

MINIMAL: dict[str, tuple[Any, ...]] = {
    "chat": ("m", []),
    "copy": ("m", "n"),
    "web_search": ("q",),
    "web_fetch": ("https://example.com",),
}
"""Arguments for a call, where one model's name is not right."""

DIGEST = "sha256:" + "0" * 64


# --- shapes ----------------------------------------------------------------------------------------------------------


def test_every_shape_of_the_table_has_a_type() -> None:
    assert set(OUTPUT) | set(INPUT) | set(NOT_OURS) == set(SHAPES)


@pytest.mark.parametrize("name", OUTPUT)
def test_answers_have_the_keys_that_ollama_sends(name: str) -> None:
    expected = {
        field: OUTPUT_EXCEPTIONS.get((name, field), (facts["always_present_in_output"], ""))[0]
        for field, facts in SHAPES[name].items()
    }
    assert required(OUTPUT[name]) == expected


@pytest.mark.parametrize("name", INPUT)
def test_arguments_have_the_keys_that_ollama_takes(name: str) -> None:
    expected = {
        field: INPUT_EXCEPTIONS.get((name, field), (facts["required"], ""))[0] for field, facts in SHAPES[name].items()
    }
    assert required(INPUT[name]) == expected


@pytest.mark.parametrize(
    ("shapes", "exceptions", "fact"),
    [
        (OUTPUT, OUTPUT_EXCEPTIONS, "always_present_in_output"),
        (INPUT, INPUT_EXCEPTIONS, "required"),
    ],
)
def test_no_exception_is_out_of_date(shapes: Any, exceptions: dict[tuple[str, str], Any], fact: str) -> None:
    for (shape, field), (is_required, reason) in exceptions.items():
        assert shape in shapes
        assert reason
        assert is_required != SHAPES[shape][field][fact]


@pytest.mark.parametrize("name", [name for name, endpoint in ENDPOINTS.items() if endpoint["response"]])
def test_an_endpoint_answers_with_its_keys(name: str) -> None:
    gives = str(inspect.signature(builder_of(name)).return_annotation)  # such as "Request[ChatResponse]"
    shape = getattr(types, gives.partition("[")[2].removesuffix("]").rpartition(", ")[2])
    facts = ENDPOINTS[name]
    expected = {
        field: OUTPUT_EXCEPTIONS.get((facts.get("response_type", ""), field), (fact["always_present"], ""))[0]
        for field, fact in facts["response"].items()
    }
    assert required(shape) == expected
    if facts["streaming"]:
        assert facts["stream_item"] == facts["response"]


@pytest.mark.parametrize("name", [name for name in types.__all__ if hasattr(getattr(types, name), "__required_keys__")])
def test_validators_see_at_run_time_what_type_checkers_see(name: str) -> None:
    shape = getattr(types, name)
    assert shape.__required_keys__ == {key for key, is_required in required(shape).items() if is_required}


def test_done_reasons_and_roles_are_those_of_ollama() -> None:
    hint = get_type_hints(types.ChatResponse)["done_reason"]
    assert list(get_args(hint)) == SURFACE["done_reasons"]
    assert set(get_args(types.Role)) == {"system", "user", "assistant", "tool"}


JSON_TYPES = {"integer": int, "number": float, "boolean": bool, "string": str, "integer(ns)": int, "timestamp": str}


@pytest.mark.parametrize("name", sorted(OUTPUT.keys() | INPUT.keys()))
def test_simple_values_have_the_type_of_ollama(name: str) -> None:
    for shape in (OUTPUT.get(name), INPUT.get(name)):
        for field, (_, value) in () if shape is None else keys_of(shape).items():
            simple = JSON_TYPES.get(SHAPES[name][field]["type"])
            if simple is not None and get_origin(value) is not Literal:
                assert (field, value) == (field, simple)


# --- functions -------------------------------------------------------------------------------------------------------

CALLED = [name for name in ENDPOINTS if name != "signout_legacy"]


def function_of(name: str) -> Any:
    return getattr(ollama_fast, FUNCTIONS.get(name, name))


def builder_of(name: str) -> Any:
    if name in ("create", "blob_create"):
        return getattr(_procedures, FUNCTIONS.get(name, name))
    return _endpoints.list_models if name == "list" else getattr(_endpoints, FUNCTIONS.get(name, name))


def parameter_of(field: str) -> str:
    return PARAMETERS.get(field, field)


def request_of(name: str) -> Request[Any]:
    match name:
        case "root":
            return _endpoints.root()
        case "create":
            return _endpoints.create_from("m", {}, None)
        case "blob_exists":
            return _endpoints.has_blob(DIGEST)
        case "blob_create":
            return _endpoints.upload_blob(DIGEST, Upload(Path("x"), 0))
        case "web_search_local" | "web_fetch_local":
            return builder_of(name)(*MINIMAL[FUNCTIONS[name]], via_server=True)  # type: ignore[no-any-return]
        case _:
            wants_model = "model" in ENDPOINTS[name]["request"]
            return builder_of(name)(*MINIMAL.get(name, ("m",) if wants_model else ()))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", CALLED)
def test_every_field_of_a_request_is_a_parameter_and_the_other_way_round(name: str) -> None:
    fields = {
        parameter_of(field)
        for field in ENDPOINTS[name]["request"]
        if field not in NO_PARAMETER and (name, field) not in NO_PARAMETER_OF
    }
    path_parameters = set(ENDPOINTS[name].get("path_params", ()))
    if name == "blob_create":
        fields.add("path")
    given = set(inspect.signature(function_of(name)).parameters) - {"host"} - set(NOT_A_FIELD)
    assert given == fields | path_parameters


@pytest.mark.parametrize("name", [name for name in CALLED if ENDPOINTS[name]["request"]])
def test_fields_that_ollama_requires_have_no_default(name: str) -> None:
    parameters = inspect.signature(function_of(name)).parameters
    for field, facts in ENDPOINTS[name]["request"].items():
        if parameter_of(field) in parameters:
            needed = parameters[parameter_of(field)].default is inspect.Parameter.empty
            assert (field, needed) == (field, facts["required"])
    assert "extra" in parameters


@pytest.mark.parametrize("name", [name for name, facts in ENDPOINTS.items() if facts["request"]])
def test_only_deprecated_fields_have_no_parameter(name: str) -> None:
    for field, facts in ENDPOINTS[name]["request"].items():
        if field in NO_PARAMETER and field != "stream":
            assert facts["deprecated"]


@pytest.mark.parametrize("name", CALLED)
def test_a_request_goes_where_the_table_says(name: str) -> None:
    request = request_of(name)
    assert request.method == ENDPOINTS[name]["method"]
    assert (request.origin or "") + request.path.replace(DIGEST, ":digest") == ENDPOINTS[name]["path"]
    assert (request.memory is not None) == ENDPOINTS[name]["streaming"]
    assert hasattr(ollama_fast, f"{FUNCTIONS.get(name, name)}_stream") == ENDPOINTS[name]["streaming"]


@pytest.mark.parametrize("name", [name for name in CALLED if ENDPOINTS[name]["response"]])
def test_an_answer_is_known_by_a_key_that_it_always_has(name: str) -> None:
    always = {key for key, facts in ENDPOINTS[name]["response"].items() if facts["always_present"]}
    assert request_of(name).key in always
