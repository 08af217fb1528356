from hypothesis import given
from hypothesis import strategies as st

from repack_contract.naming import MAX_TASK_NAME, job_name, next_free_name, rerun_name, task_name_from


def test_a_rerun_takes_the_next_free_number():
    assert rerun_name("openai", taken={"openai"}, is_rerun=False) == "openai-2"
    assert rerun_name("openai", taken={"openai", "openai-2"}, is_rerun=False) == "openai-3"


def test_a_rerun_of_a_rerun_counts_from_the_first_name():
    assert rerun_name("openai-2", taken={"openai", "openai-2"}, is_rerun=True) == "openai-3"


def test_a_number_that_belongs_to_the_name_is_kept():
    assert rerun_name("gpt-4", taken={"gpt-4"}, is_rerun=False) == "gpt-4-2"


@given(st.text(max_size=200))
def test_any_text_gives_a_name_that_kubernetes_takes(text: str):
    name = task_name_from(text)
    assert 1 <= len(name) <= MAX_TASK_NAME
    assert name[0].isalnum()
    assert name[-1].isalnum()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_a_long_name_is_cut_so_that_its_jobs_name_is_a_label_value():
    name = next_free_name("a" * MAX_TASK_NAME, taken={"a" * MAX_TASK_NAME})
    assert name.endswith("-2")
    assert len(job_name(name, attempt=11)) <= 63
