import json

from repack_contract.progress import MAX_TERMINATION_BYTES, WorkResult
from repack_contract.task import Artifact, Plan, Verification


def artifact(target: str, *, text: str) -> Artifact:
    return Artifact(
        target=target,
        name=f"author-plugin_1.0.0-linux-{target}-offline.difypkg",
        uri="/api/v1/artifacts/0b6f4f7e-6f2b-4a0e-9f0e-3f1a2b3c4d5e/author-plugin.difypkg",
        sha256="a" * 64,
        size_bytes=10**7,
        wheels=37,
        verification=Verification(method="SeccompFilter", passed=True, message=text),
    )


def test_a_result_with_three_artifacts_and_long_texts_still_fits_what_the_kubelet_keeps():
    text = "证" * 1000
    result = WorkResult(
        ok=False,
        reason="VerificationFailed",
        message=text,
        hint=text,
        plan=Plan(warnings=["w" * 256] * 16),
        artifacts=[artifact(target, text=text) for target in ("amd64", "arm64", "universal")],
    )
    data = result.termination_message()
    assert len(data) <= MAX_TERMINATION_BYTES
    kept = WorkResult.model_validate(json.loads(data))
    assert kept.reason == "VerificationFailed"
    assert [entry.sha256 for entry in kept.artifacts] == ["a" * 64] * 3


def test_a_short_result_is_kept_whole():
    result = WorkResult(ok=True, artifacts=[artifact("amd64", text="installed 37 packages")])
    assert WorkResult.model_validate_json(result.termination_message()) == result
