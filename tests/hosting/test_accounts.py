"""The file of accounts: what it may say, and how faults are told."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from include.errors import ConfigurationError
from include.hosting.accounts import read_accounts
from include.hosting.authorized import authorized_keys
from include.hosting.settings import read_settings
from tests.support.sftp_servers import write_key


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {kind: write_key(folder / kind, kind) for kind in ("ed25519", "rsa", "ecdsa")} | {
        "other": write_key(folder / "other", "ed25519"),
        "private": (folder / "ed25519").read_text(),
    }


def read(text: str, own: str):
    return read_accounts("accounts.yaml", text.encode(), own.encode())


def fault_of(text: str, own: str) -> str:
    with pytest.raises(ConfigurationError) as wrong:
        read(text, own)
    assert wrong.value.next_step
    return str(wrong.value)


def test_what_is_left_out_has_its_default(keys):
    found = read(f"accounts:\n  mercy: {{keys: ['{keys['rsa']} it@mercy.example'], retention_days: 7}}", keys["other"])
    account = found.by_name["mercy"]
    assert account.folders == ("outbound", "inbound")
    assert (account.retention_days, account.allowed_from, account.expires, account.disabled) == (7, None, None, False)
    assert account.keys == (" ".join(keys["rsa"].split()[:2]),)
    assert found.callboard_keys == (" ".join(keys["other"].split()[:2]),)


def test_everything_can_be_said(keys):
    text = f"""accounts:
  mercy-north:
    keys: ["{keys["ed25519"]}", "{keys["ecdsa"]}"]
    folders: [outbound, inbound, archive]
    retention_days: 30
    allowed_from: ["192.0.2.7", "2001:db8::/32"]
    expires: 2027-01-01
"""
    account = read(text, f"# ours\n\n{keys['other']}\n").by_name["mercy-north"]
    first, _, own = authorized_keys(account, [keys["other"]]).splitlines()
    bounds = 'restrict,expiry-time="202701010000Z"'
    assert first == f'{bounds},from="192.0.2.7/32,2001:db8::/32" {" ".join(keys["ed25519"].split()[:2])} customer'
    assert own == f"{bounds} {keys['other']} callboard"
    assert account.expires == date(2027, 1, 1)
    assert account.is_open(datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    assert not account.is_open(datetime(2027, 1, 1, tzinfo=UTC))


def test_no_accounts_are_accounts_too(keys):
    assert read("accounts: {}", keys["other"]).by_name == {}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("keys: []", "accounts.yaml:3: 'accounts.mercy.keys' must not be empty"),
        ("keys: ['ssh-ed25519 AAAA']", "accounts.yaml:3: 'accounts.mercy.keys' is damaged"),
        ("keys: ['ssh-dss AAAAB3NzaC1kc3M=']", "must begin with the key's type, one of ssh-ed25519"),
        ("keys: ['command=\"x\" {ed25519}']", "must begin with the key's type"),
        ('keys: ["{ed25519}\\ncommand=x {other}"]', "must be one line of a .pub file"),
        (
            "keys: ['{ed25519}']\n    folder: [outbound]",
            "accounts.yaml:4: unknown key 'accounts.mercy.folder': did you",
        ),
        (
            "keys: ['{ed25519}']\n    folders: ['../x']",
            "accounts.yaml:4: 'accounts.mercy.folders' must be a plain name",
        ),
        (
            "keys: ['{ed25519}']\n    folders: [dev]",
            "must be a plain name in lower case, like 'outbound', and not 'dev'",
        ),
        ("keys: ['{ed25519}']\n    allowed_from: [mercy.example]", "must be an address or a network"),
        ("keys: ['{ed25519}']\n    allowed_from: [192.0.2.7/24]", "must be an address or a network"),
        (
            "keys: ['{ed25519}']\n    allowed_from: []",
            "accounts.yaml:4: 'accounts.mercy.allowed_from' must not be empty",
        ),
        ("keys: ['{ed25519}']\n    expires: 1.1.2027", "'accounts.mercy.expires' must be a date like 2026-01-31"),
        ("keys: ['{ed25519}']\n    disabled: 1", "'accounts.mercy.disabled' must be true or false"),
    ],
)
def test_faults_are_told_with_their_line(keys, line, told):
    text = "accounts:\n  mercy:\n    " + line.format(**keys) + "\n    retention_days: 30\n"
    assert told in fault_of(text, keys["other"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("accounts: {{Mercy: {{keys: ['{rsa}'], retention_days: 3}}}}", "the account 'Mercy' must be called by a word"),
        ("accounts: {{mercy: {{keys: ['{rsa}']}}}}", "required key 'accounts.mercy.retention_days' is missing"),
        ("accounts: {{mercy: {{keys: ['{rsa}'], retention_days: 0}}}}", "must be at least 1"),
        ("accounts: {{mercy: nothing}}", "accounts.yaml:1: 'accounts.mercy'"),
        ("account: {{}}", "unknown key 'account': did you mean 'accounts'?"),
        ("accounts: [1]", "'accounts' must be a group of keys"),
        ("", "is empty"),
        ("accounts:\n  a: {{}}\n  a: {{}}", "accounts.yaml:3: the key 'a' stands twice, first on line 2"),
        (
            "accounts:\n  a: {{keys: ['{rsa}'], retention_days: 3}}\n  b: {{keys: ['{rsa}'], retention_days: 3}}",
            "accounts.yaml:3: 'accounts.b.keys' has a key of the account 'a'",
        ),
    ],
)
def test_faults_of_the_whole_are_told_too(keys, text, told):
    assert told in fault_of(text.format(**keys), keys["other"])


def test_every_fault_is_told_at_once(keys):
    said = fault_of("accounts:\n  a: {keys: [x]}\n  b: {keys: [y], retention_days: 3}\n", "z")
    assert "accounts.yaml:2:" in said
    assert "accounts.yaml:3:" in said
    assert "the file of Callboard's own keys:1:" in said


def test_a_private_key_is_refused_and_not_quoted(keys):
    secret = keys["private"].splitlines()[1]
    text = "accounts:\n  a:\n    retention_days: 3\n    keys:\n    - |\n      " + keys["private"].replace(
        "\n", "\n      "
    )
    said = fault_of(text, keys["other"])
    assert "holds a private key" in said
    assert secret not in said


def test_a_short_rsa_key_is_refused(keys):
    import asyncssh

    short = asyncssh.generate_private_key("ssh-rsa", key_size=1024).export_public_key().decode()
    said = fault_of(f"accounts: {{a: {{keys: ['{short.strip()}'], retention_days: 3}}}}", keys["other"])
    assert "is an RSA key of 1024 bits; 2048 are the least" in said


def test_without_a_key_of_callboard_nothing_could_be_delivered():
    assert "the file of Callboard's own keys: holds no key" in fault_of("accounts: {}", "# none yet\n")


WORDS = ["--accounts", "a.yaml", "--root", "r", "--keys", "k", "--callboard-key", "c.pub"]


def test_settings_come_from_the_command_line_or_the_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, value in (("ACCOUNTS", "a.yaml"), ("ROOT", "r"), ("KEYS", "k"), ("CALLBOARD_KEY", "c.pub")):
        monkeypatch.setenv(f"CALLBOARD_HOSTING_{name}", value)
    monkeypatch.setenv("CALLBOARD_HOSTING_PORT", "22022")
    monkeypatch.setenv("CALLBOARD_HOSTING_ADDRESS", "0.0.0.0")  # noqa: S104
    settings, check = read_settings([])
    assert (settings.accounts, settings.port, settings.address) == (tmp_path / "a.yaml", 22022, "0.0.0.0")  # noqa: S104
    assert settings.passwd.as_posix() == "/etc/passwd"
    assert not check
    assert read_settings(["--port", "2200", "--check"])[0].port == 2200


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (WORDS[2:], "CALLBOARD_HOSTING_ACCOUNTS is not set"),
        ([*WORDS, "--port", "0"], "CALLBOARD_HOSTING_PORT is not a whole number from 1 to 65535"),
        ([*WORDS, "--idle-seconds", "1.5"], "CALLBOARD_HOSTING_IDLE_SECONDS is not a whole number"),
        ([*WORDS, "--root", "/a b"], "CALLBOARD_HOSTING_ROOT holds a space"),
    ],
)
def test_wrong_settings_are_told(words, told):
    with pytest.raises(ConfigurationError, match=told):
        read_settings(words)
