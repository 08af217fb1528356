"""Says whether the cases ran against a real API server too."""

import pytest

from requirements import kubeconfig


def test_the_same_cases_run_against_a_real_api_server() -> None:
    if kubeconfig() is None:
        pytest.skip("no cluster was given: set KUBECONFIG to run the conformance cases against a real API server too")
