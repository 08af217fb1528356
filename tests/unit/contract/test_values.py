"""The plain values of a worker and the models of the same names are one contract."""

import inspect
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from annotated_types import MaxLen, MinLen
from pydantic.fields import FieldInfo

from repack_contract import progress, source, task, values
from repack_contract.choices import Arch, Mode, SourceType, VerificationMethod
from repack_contract.edges import as_model, as_value
from repack_contract.phases import Stage, StageState
from repack_contract.task import Spec as SpecModel
from repack_contract.values import Value, checked
from repack_contract.wire import Model

KINDS = [
    kind for _, kind in inspect.getmembers(values, inspect.isclass) if issubclass(kind, Value) and kind is not Value
]
MOMENT = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
SOURCE = values.Source(type=SourceType.URL, url=values.UrlSource("https://files.test/x.difypkg", "a" * 64))
SPEC = values.Spec(SOURCE, [values.Target(Arch.ARM64)], mode=Mode.DUAL, package_index=values.PackageIndex(
    "https://mirror.test/simple", ["https://own.test/simple"]))  # fmt: skip
PLUGIN = values.PluginInfo(display_name="Tiny", author="me", name="tiny", version="0.0.1")
PLAN = values.Plan(1, 2, 0, ["look"], [values.PlanTarget(Arch.AMD64, 5, over_limit=True)])
PROOF = values.Verification(VerificationMethod.SECCOMP_FILTER, passed=True, verified_at=MOMENT, message="run")
ARTIFACT = values.Artifact(Arch.AMD64, "x.difypkg", "/api/x", "b" * 64, 7, 1, PROOF)
EXAMPLES: list[Value] = [
    SPEC,
    values.Source(type=SourceType.UPLOAD, upload=values.UploadSource("key")),
    values.Source(type=SourceType.GITHUB, github=values.GitHubSource("a/b", "v1", "x.difypkg")),
    values.Source(type=SourceType.MARKETPLACE, marketplace=values.MarketplaceSource("a", "b", "1.0")),
    values.WorkResult(ok=True, plugin=PLUGIN, plan=PLAN, artifacts=[ARTIFACT]),
    values.WorkResult(ok=False, reason="Internal", message="broke", hint="mend"),
    values.Progress(
        attempt=1, tick=3, stage=Stage.PLAN, percent=5, plugin=PLUGIN, updated_at=MOMENT, stages=[
            values.StageProgress(Stage.PLAN, StageState.RUNNING, MOMENT, None, 4, 9, "tiny 1.0")]),
    values.LogLine(n=1, ts=MOMENT, level="warning", stage=Stage.PLAN, text="hm"),
]  # fmt: skip


def model_for(kind: type[Value]) -> type[Model]:
    """Return the model of the same name as a class of values."""
    places = (place for place in (task, source, progress) if hasattr(place, kind.__name__))
    found: type[Model] = getattr(next(places), kind.__name__)
    return found


def bounds_of_model(field: FieldInfo) -> dict[str, Any]:
    """Return pattern and lengths of a field, also where they stand inside `X | None`."""
    found = {}
    inner = [part for argument in getattr(field.annotation, "__args__", ()) for part in metadata_of(argument)]
    for fact in [*field.metadata, *inner]:
        match fact:
            case FieldInfo():
                found |= bounds_of_model(fact)
            case MinLen(min_length=least):
                found["min_length"] = least
            case MaxLen(max_length=most):
                found["max_length"] = most
            case _ if pattern := getattr(fact, "pattern", None):
                found["pattern"] = pattern
    return found


def metadata_of(annotation: Any) -> tuple[Any, ...]:
    return tuple(getattr(annotation, "__metadata__", ()))


def bounds_of_value(annotation: Any) -> dict[str, Any]:
    facts = [*metadata_of(annotation), *(fact for part in getattr(annotation, "__args__", ()) for fact in
                                         metadata_of(part))]  # fmt: skip
    return {
        name: getattr(fact, name)
        for fact in facts
        for name in ("pattern", "min_length", "max_length")
        if getattr(fact, name, None) is not None
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_value_has_only_fields_of_its_model_with_the_same_names_and_defaults(kind: type[Value]):
    fields = model_for(kind).model_fields
    for field in msgspec.structs.fields(kind):
        twin = fields[field.name]
        assert field.encode_name == (twin.alias or field.name), field.name
        assert field.required == twin.is_required(), field.name
        if not field.required:
            ours = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            default = twin.get_default(call_default_factory=True)
            theirs = default.wire() if isinstance(default, Model) else default
            assert (ours.wire() if isinstance(ours, Value) else ours) == theirs, field.name


@pytest.mark.parametrize("kind", [values.Spec, values.Output, values.PackageIndex, values.UrlSource,
                                  values.GitHubSource, values.MarketplaceSource, values.UploadSource])  # fmt: skip
def test_what_a_person_writes_has_the_same_bounds(kind: type[Value]):
    for field in msgspec.structs.fields(kind):
        twin = model_for(kind).model_fields[field.name]
        assert bounds_of_value(field.type) == bounds_of_model(twin), field.name


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_value_is_written_as_its_model_is_and_comes_back_whole(value: Value):
    model = as_model(value, model_for(type(value)))
    more = {"desiredState", "priority", "retry", "activeDeadlineSeconds", "pendingDeadlineSeconds"}
    assert value.wire() == {name: part for name, part in model.wire().items() if name not in more}
    assert as_value(model, type(value)) == value


@pytest.mark.parametrize(
    ("wrong", "named"),
    [(SPEC.but(python="two"), "python"), (SPEC.but(targets=[]), "targets"),
     (SPEC.but(output=values.Output("a b")), "suffix"), (SPEC.but(package_index=values.PackageIndex("ftp://x")), "url"),
     (SPEC.but(source=SOURCE.but(url=values.UrlSource("https://x", "short"))), "sha256")],
)  # fmt: skip
def test_a_value_that_breaks_a_bound_is_named_by_both(wrong: values.Spec, named: str):
    with pytest.raises(msgspec.ValidationError, match=named):
        checked(wrong)
    with pytest.raises(ValueError, match=named):
        as_model(wrong, SpecModel)
