from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from hybrid.errors import ConfigurationError
from hybrid.ops.env_file import planned_env, planned_text, read_env, write_env

FILE = """\
# The stores
REDIS_URL=redis://localhost:6379   # here
export UPSTASH_REDIS_URL="rediss://default:s3cret@host:6379"

  REDIS_READ_PREFERENCE = 'local'  # who answers
REDIS_WRITE_ACK=both
OTHER="two
lines"
"""


@pytest.mark.parametrize(
    ("name", "value", "before", "after"),
    [
        ("REDIS_READ_PREFERENCE", "cloud", "  REDIS_READ_PREFERENCE = 'local'", "  REDIS_READ_PREFERENCE = 'cloud'"),
        ("REDIS_WRITE_ACK", "local", "REDIS_WRITE_ACK=both", "REDIS_WRITE_ACK=local"),
        ("REDIS_URL", "redis://db:1", "=redis://localhost:6379   #", "=redis://db:1   #"),
        ("UPSTASH_REDIS_URL", "rediss://x:1", '"rediss://default:s3cret@host:6379"', '"rediss://x:1"'),
        ("OTHER", "one", '"two\nlines"', '"one"'),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_only_the_value_changes(name: str, value: str, before: str, after: str, ending: str) -> None:
    text = FILE.replace("\n", ending)
    planned = planned_text(text, {name: value})
    assert planned == text.replace(before.replace("\n", ending), after)
    assert planned != text
    assert dotenv_values(stream=StringIO(planned))[name] == value


def test_a_variable_that_is_not_there_is_added_at_the_end() -> None:
    assert planned_text("A=1", {"B": "2", "C": ""}) == "A=1\nB=2\n"
    assert planned_text("A=1\r\n", {"B": "2"}) == "A=1\r\nB=2\r\n"
    assert planned_text("", {"B": "2"}) == "B=2\n"
    assert planned_text("# B=1\n", {"B": "2"}) == "# B=1\nB=2\n", "a comment is not a setting"


def test_of_several_lines_the_one_that_counts_is_changed() -> None:
    assert planned_text("A=1\nA=2\n", {"A": "3"}) == "A=1\nA=3\n"
    assert planned_text("A\nB=\n", {"A": "3", "B": "4"}) == "A=3\nB=4\n"


def test_a_byte_order_mark_stays() -> None:
    plan = planned_env(Path(".env"), "\ufeffA=1\nB=2\n", {"A": "3"}, secret={"A"})
    assert plan.after == "\ufeffA=3\nB=2\n"
    assert plan.diff.splitlines()[3:] == ["-\ufeffA=***", "+\ufeffA=***"]


def test_a_value_that_is_so_already_keeps_its_line() -> None:
    assert planned_text("A = '1' # x\n", {"A": "1"}) == "A = '1' # x\n"


@given(value=st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="$\u2028\u2029\x85")))
@pytest.mark.parametrize("line", ["A=1", "A='1'", 'A="1" # why', "export A = 1 #why"])
def test_any_value_is_read_back(line: str, value: str) -> None:
    planned = planned_text(f"Z=0\n{line}\nB=2\n", {"A": value})
    assert dotenv_values(stream=StringIO(planned)) == {"Z": "0", "A": value, "B": "2"}


def test_a_value_of_several_lines_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="several lines"):
        planned_text("A=1\n", {"A": "1\nB=2"})


def test_the_diff_shows_the_changed_lines_and_no_secret(tmp_path: Path) -> None:
    plan = planned_env(
        tmp_path / ".env", FILE, {"REDIS_WRITE_ACK": "local", "UPSTASH_REDIS_URL": "rediss://:n3w@host:1"},
        secret={"UPSTASH_REDIS_URL"},
    )  # fmt: skip
    assert plan.variables == ("REDIS_WRITE_ACK", "UPSTASH_REDIS_URL")
    assert [line for line in plan.diff.splitlines() if not line.startswith("@")] == [
        "--- .env",
        "+++ .env (new)",
        "-export UPSTASH_REDIS_URL=***",
        "+export UPSTASH_REDIS_URL=***",
        "-REDIS_WRITE_ACK=both",
        "+REDIS_WRITE_ACK=local",
    ]
    assert "n3w" not in repr(plan)
    assert planned_env(tmp_path / ".env", FILE, {"REDIS_WRITE_ACK": "both"}).diff == ""


def test_the_file_is_replaced_with_its_mode_and_through_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.env", tmp_path / ".env"
    real.write_bytes(b"A=1\r\n")
    real.chmod(0o640)
    link.symlink_to(real)
    write_env(planned_env(link, read_env(link), {"A": "2"}))
    assert real.read_bytes() == b"A=2\r\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == [".env", "real.env"]


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    write_env(planned_env(tmp_path / ".env", read_env(tmp_path / ".env"), {"A": "2"}))
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_the_owner_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, given = tmp_path / ".env", list[tuple[int, int]]()
    path.write_text("A=1\n")
    monkeypatch.setattr(os, "chown", lambda _, uid, gid: given.append((uid, gid)))
    write_env(planned_env(path, read_env(path), {"A": "2"}))
    assert given == [(path.stat().st_uid, path.stat().st_gid)]


def test_a_read_only_file_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)  # as it is for anybody but root
    with pytest.raises(ConfigurationError, match=r"\.env cannot be written: it is read-only"):
        write_env(planned_env(path, read_env(path), {"A": "2"}))
    assert os.listdir(tmp_path) == [".env"] and path.read_text() == "A=1\n"


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    plan = planned_env(path, read_env(path), {"A": "2"})
    path.write_text("A=1\nB=1\n")
    with pytest.raises(ConfigurationError, match="meanwhile"):
        write_env(plan)
    assert path.read_text() == "A=1\nB=1\n"
