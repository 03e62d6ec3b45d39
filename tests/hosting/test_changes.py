"""Changes of the file of accounts, while the service runs."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta

import pytest

from include.hosting.service import Service
from include.hosting.settings import read_settings
from tests.hosting.conftest import TWO
from tests.hosting.hosted import ALONE, CUT, wait_for

pytestmark = ALONE
ONE = 'accounts:\n  mercy: {{keys: ["{mercy}"], retention_days: 30}}\n'


def mercy(fields: str, keys: str = '"{mercy}"') -> str:
    return f"accounts:\n  mercy: {{{{keys: [{keys}], retention_days: 30, {fields}}}}}\n"


def is_over(sftp) -> bool:
    """Whether the server has ended a session."""
    try:
        sftp.stat(".")
    except CUT:
        return True
    return False


def test_an_account_is_added_without_a_restart(service):
    service.write_accounts(ONE)
    service.start()
    assert not service.may_sign_in("stluke")
    with service.session("mercy") as sftp:
        service.change(TWO)
        assert service.may_sign_in("stluke")
        assert not is_over(sftp)


def test_a_removed_account_is_signed_out_and_its_files_stay(service):
    service.start()
    with service.session("mercy") as other, service.session("stluke") as sftp:
        sftp.open("outbound/kept.csv", "w").close()
        number = (service.root / "stluke" / "outbound").stat().st_uid
        service.change(ONE)
        wait_for(lambda: is_over(sftp), "the session to end")
        assert not is_over(other)
    assert not service.may_sign_in("stluke")
    assert (service.root / "stluke/outbound/kept.csv").exists()
    assert "Removed: stluke." in service.log
    service.change(TWO.replace("mercy", "another"))
    service.change(TWO)
    with service.session("stluke") as sftp:
        assert sftp.listdir("outbound") == ["kept.csv"]
    assert (service.root / "stluke" / "outbound").stat().st_uid == number
    assert (service.root / "another" / "outbound").stat().st_uid not in (
        number,
        (service.root / "mercy" / "outbound").stat().st_uid,
    )


def test_keys_are_rotated_without_a_gap(service):
    service.write_accounts(mercy("", '"{old}"'))
    service.start()
    old, new = service.key("old"), service.key("new", "rsa")
    with service.session("mercy", old) as sftp:
        service.change(mercy("", '"{old}", "{new}"'))
        assert service.may_sign_in("mercy", old)
        assert service.may_sign_in("mercy", new)
        assert not is_over(sftp), "a new key is no reason to end a session"
        service.change(mercy("", '"{new}"'))
        wait_for(lambda: is_over(sftp), "the end of the session of the key that no longer counts")
    assert not service.may_sign_in("mercy", old)
    wait_for(lambda: service.sftp("mercy", "pwd", key=new).returncode == 0, "the other key to go on")


def test_a_disabled_account_is_shut_for_everybody(service):
    service.write_accounts(ONE)
    service.start()
    with service.session("mercy") as sftp:
        service.change(mercy("disabled: true"))
        wait_for(lambda: is_over(sftp), "the session to end")
    assert not service.may_sign_in("mercy")
    assert not service.may_sign_in("mercy", service.callboard)
    service.change(mercy("disabled: false"))
    assert service.may_sign_in("mercy")


def test_an_account_ends_at_its_day(service):
    today = datetime.now(UTC).date()
    service.write_accounts(mercy(f"expires: {today + timedelta(days=2)}"))
    service.start()
    with service.session("mercy") as sftp:
        service.change(mercy(f"expires: {today + timedelta(days=3)}"))
        assert not is_over(sftp), "a later end is no reason to end a session"
        service.change(mercy(f"expires: {today}"))
        wait_for(lambda: is_over(sftp), "the session to end")
    assert not service.may_sign_in("mercy")
    assert not service.may_sign_in("mercy", service.callboard)


def test_sshd_itself_knows_the_last_day(service):
    """The service signs out once a second; who may come in is sshd's to say, at once."""
    service.write_accounts(mercy(f"expires: {datetime.now(UTC).date()}"))
    service.start()
    assert not service.may_sign_in("mercy")
    assert "Accepted publickey" not in service.log


def test_a_customers_keys_count_only_from_its_own_networks(service):
    service.write_accounts(mercy('allowed_from: ["192.0.2.0/24", "2001:db8::/32"]'))
    service.start()
    assert not service.may_sign_in("mercy")
    assert service.may_sign_in("mercy", service.callboard), "Callboard comes from elsewhere"
    service.change(mercy('allowed_from: ["192.0.2.0/24", "127.0.0.0/8"]'))
    with service.session("mercy") as sftp:
        service.change(mercy('allowed_from: ["127.0.0.0/8"]'))
        wait_for(lambda: is_over(sftp), "the session to end, which might have come from there")


def test_a_folder_is_added(service):
    service.write_accounts(ONE)
    service.start()
    service.change(mercy("folders: [outbound, archive]"))
    with service.session("mercy") as sftp:
        sftp.open("archive/x", "w").close()
        assert sorted(sftp.listdir("/")) == ["archive", "dev", "inbound", "outbound"]


def test_a_wrong_file_is_told_and_the_last_right_one_stays_in_force(service):
    service.start()
    service.write_accounts(TWO.replace("retention_days: 30}}\n  stluke", "retention: 30}}\n  stluke"))
    wait_for(lambda: "accounts.yaml:2: unknown key 'accounts.mercy.retention'" in service.log, "the fault to be told")
    assert "not in force" in service.troubles()[0]
    assert service.may_sign_in("mercy")
    assert service.may_sign_in("stluke")
    assert service.log.count("The hosted accounts are wrong") == 1, "it is told once"

    service.stop()
    service.start()
    assert "The accounts that were last in force are used." in service.log
    assert service.may_sign_in("stluke")
    assert service.troubles()

    service.change(ONE)
    assert not service.may_sign_in("stluke")


def test_a_missing_file_is_told_and_the_last_right_one_stays_in_force(service):
    service.start()
    (service.folder / "accounts.yaml").unlink()
    wait_for(lambda: "accounts.yaml cannot be read" in service.log, "it to be told")
    assert service.may_sign_in("mercy")
    assert service.troubles()
    service.change(ONE)
    assert not service.may_sign_in("stluke")


def test_callboards_own_key_is_rotated(service):
    service.start()
    old, new = service.callboard, service.key("next")
    own = service.folder / "callboard.pub"
    own.write_text(f"{old.public}\n{new.public}\n")
    wait_for(lambda: not service.troubles(), "both keys to be in force")
    assert service.may_sign_in("mercy", old)
    assert service.may_sign_in("stluke", new)
    own.write_text(f"{new.public}\n")
    wait_for(lambda: not service.troubles(), "the new key to be in force")
    assert not service.may_sign_in("mercy", old)
    wait_for(lambda: service.may_sign_in("mercy", new), "the new key to go on")


def test_a_customer_that_has_callboards_key_keeps_its_own_bounds(service):
    public = service.callboard.public
    service.write_accounts(mercy('allowed_from: ["192.0.2.0/24"]', f'"{public}"'))
    service.start()
    assert not service.may_sign_in("mercy", service.callboard)


def test_names_of_the_system_cannot_be_taken(service):
    service.write_accounts(ONE.replace("  mercy", "  games"))
    service.start(wait=False)
    assert service.process.wait(timeout=60) == 1
    assert "The system has users of its own called games." in service.log


def test_folders_of_somebody_else_are_not_given_away(service):
    service.start()
    service.stop()
    (service.folder / "keys/uids.json").write_text('{"mercy": 20001, "stluke": 20000}')
    service.start(wait=False)
    assert service.process.wait(timeout=60) == 1
    assert "is no folder of user 20001" in service.log


@pytest.mark.parametrize("text", ["{", '{"mercy": 0}', '{"mercy": 20000, "stluke": 20000}', "[]"])
def test_damaged_numbers_are_not_guessed(service, text):
    (service.folder / "keys/uids.json").write_text(text)
    service.start(wait=False)
    assert service.process.wait(timeout=60) == 1
    assert "uids.json is damaged" in service.log


def test_a_hangup_asks_to_look_now(service):
    service.start()
    said = service.log.count("account(s) are in force")
    service.process.send_signal(signal.SIGHUP)
    wait_for(lambda: service.log.count("account(s) are in force") == said + 1, "the accounts to be put in force anew")
    assert service.may_sign_in("mercy")


def test_a_file_that_is_being_saved_is_not_taken(service, tmp_path):
    """Half of a file can be a right file with half of the accounts: it must be seen twice."""
    applied = []

    class Recorder:
        def apply(self, inputs):
            applied.append(inputs.accounts)

    def look():
        one._look_for_changes(Recorder())

    one = Service(read_settings(service.options_outside)[0])
    file = service.folder / "accounts.yaml"
    file.write_bytes(b"first")
    look()
    look()
    look()
    assert applied == [b"first"]
    for content in (b"", b"sec", b"second"):
        file.write_bytes(content)
        look()
    assert applied == [b"first"]
    look()
    assert applied == [b"first", b"second"]
