from repack_contract.errors import RepackError
from repack_contract.reasons import REASONS, FailureClass, Reason, Retry, reason_of_exit_code


def test_every_reason_stands_in_the_table():
    assert set(REASONS) == set(Reason)


def test_no_two_reasons_share_an_exit_code():
    codes = [facts.exit_code for facts in REASONS.values() if facts.exit_code is not None]
    assert len(codes) == len(set(codes))


def test_the_range_of_an_exit_code_tells_the_class():
    ranges = {
        FailureClass.USER: range(10, 20),
        FailureClass.ARTIFACT: range(10, 20),
        FailureClass.NETWORK: range(20, 30),
        FailureClass.RESOURCE: range(30, 40),
        FailureClass.INTERNAL: range(1, 2),
    }
    for reason, facts in REASONS.items():
        if facts.exit_code is not None and facts.failure_class is not FailureClass.INFRA:
            assert facts.exit_code in ranges[facts.failure_class], reason


def test_what_the_user_must_mend_is_never_tried_again():
    for reason, facts in REASONS.items():
        if facts.failure_class in {FailureClass.USER, FailureClass.ARTIFACT}:
            assert facts.retry is Retry.NO, reason


def test_an_unknown_exit_code_is_a_fault_of_ours():
    assert reason_of_exit_code(99) is Reason.INTERNAL
    assert reason_of_exit_code(19) is Reason.VERIFICATION_FAILED


def test_every_meaning_and_hint_is_a_sentence():
    for reason, facts in REASONS.items():
        assert facts.meaning.endswith("."), reason
        assert facts.hint.endswith("."), reason


def test_an_error_carries_the_hint_of_its_reason_and_ends_with_it():
    error = RepackError(Reason.DISK_FULL, "Only 3 MB are left.")
    assert error.with_hint == f"Only 3 MB are left. Hint: {REASONS[Reason.DISK_FULL].hint}"
    assert error.exit_code == 30


def test_an_error_shows_no_credentials_and_no_query_of_a_url():
    error = RepackError(Reason.INDEX_UNREACHABLE, "http://me:secret@index.test/simple/?token=abc did not answer.")
    assert error.message == "http://index.test/simple/ did not answer."
