"""`python -m storage` as a person and a script meet it: what it prints, what it returns, and what it leaves alone."""

from __future__ import annotations

import base64
import json
import os
import pty
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from storage.cli.record import digest_of

ROOT: Final = Path(__file__).parents[2]
SECRET: Final = "c2VjcmV0c2VjcmV0"
HOSTILE: Final = ["", " a", "a\nb", "\x1b[31mred", '"quoted"', "-x", "ü\u202eb", "x\x00y", "日本"]
PROFILE: Final = {
    "UserProfile": {"py/object": "data_models.user_profile.UserProfile", "name": "Ada", "schema_version": 1}
}

Storage = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An empty SQLite store."""
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE documents (key TEXT PRIMARY KEY, value TEXT NOT NULL, etag TEXT) WITHOUT ROWID")
    database.close()
    return path


@pytest.fixture
def store(file: Path) -> Callable[[dict[str, Any]], None]:
    """Puts documents into the store; a text is stored as it is, valid or not."""

    def put(documents: dict[str, Any]) -> None:
        rows = [(key, v if isinstance(v, str) else json.dumps(v), f"etag {key}") for key, v in documents.items()]
        with sqlite3.connect(file) as database:
            database.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", rows)
        database.close()

    return put


def environment(file: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"SQLITE_PATH": str(file), "PYTHONPATH": str(ROOT)} | more


@pytest.fixture
def storage(file: Path, tmp_path: Path) -> Storage:
    """Runs `python -m storage` on the store, or in another environment."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-m", "storage", *arguments]
        return subprocess.run(
            command,
            env=environment(file, **more),
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    return run


class TestLooking:
    def test_list_prints_a_key_a_line_and_nothing_else(self, storage: Storage, store: Any) -> None:
        store({"a/1": {}, "a/2": {}, "b": {}})

        assert storage("list").stdout == "a/1\na/2\nb\n"
        assert storage("list", "a/").stdout == "a/1\na/2\n"
        assert json.loads(storage("list", "--json").stdout) == [{"key": "a/1"}, {"key": "a/2"}, {"key": "b"}]
        assert json.loads(storage("list", "--json", "x").stdout) == []

    def test_a_key_is_taken_as_it_is_printed(self, storage: Storage, file: Path) -> None:
        put = "import asyncio, sys; from storage import *; from storage.sqlite import SqliteStorage\n" + (
            "async def put():\n  async with SqliteStorage(sys.argv[1]) as s:\n"
            f"    await s.save({{key: Write({{'key': key}}, ABSENT) for key in {HOSTILE!r}}})\nasyncio.run(put())"
        )
        subprocess.run([sys.executable, "-c", put, str(file)], env=environment(file), check=True)

        lines = storage("list").stdout.splitlines()

        assert len(lines) == len(HOSTILE)
        assert all(line.isprintable() for line in lines)
        shown = storage("show", "--json", *lines)
        assert sorted(json.loads(line)["key"] for line in shown.stdout.splitlines()) == sorted(HOSTILE)

    def test_list_long_tells_sizes_and_what_cannot_be_read(self, storage: Storage, store: Any) -> None:
        store({"good": {"name": "Ada", "$turn": {"tag": "t"}}, "bad": "{"})

        done = storage("list", "--long", "--json")

        bad, good = json.loads(done.stdout)
        assert (good["bytes"], good["properties"]) == (34, ["name"])
        assert bad["key"] == "bad"
        assert "is not JSON" in bad["error"]
        assert done.returncode == 1

    def test_show_prints_any_document_as_it_is_stored(self, storage: Storage, store: Any) -> None:
        value = {"x": {"py/object": "nobody.knows.This", "py/reduce": ["os.system"]}, "\u202e": "\x9bü"}
        store({"k": value})

        done = storage("show", "k")

        assert json.loads(done.stdout) == value
        assert "ü" in done.stdout
        assert not {"\u202e", "\x9b"} & set(done.stdout)
        assert done.returncode == 0

    def test_what_is_not_there_or_not_readable_is_said(self, storage: Storage, store: Any) -> None:
        store({"bad": "[1, 2]", "good": {"n": 1}})

        done = storage("show", "none", "bad", "good")

        assert json.loads(done.stdout) == {"n": 1}
        assert done.stderr.splitlines()[0] == "no document none"
        assert "'bad'" in done.stderr
        assert "show --raw bad" in done.stderr
        assert done.returncode == 1

    @pytest.mark.parametrize("text", [b"", b'{"name": "Ad', b'{"name": "\xff\x1b[31m"}\r\n', "ü{}".encode("utf-16")])
    def test_the_bytes_of_a_document_are_shown_as_they_are_stored(
        self, file: Path, tmp_path: Path, text: bytes
    ) -> None:
        with sqlite3.connect(file) as database:
            database.execute("INSERT INTO documents VALUES ('bad', CAST(? AS TEXT), 'e')", (text,))
        database.close()

        def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
            command = [sys.executable, "-W", "error", "-m", "storage", *arguments]
            return subprocess.run(command, env=environment(file), cwd=tmp_path, capture_output=True, check=False)

        shown = run("show", "--raw", "bad")
        [exported] = json.loads(run("export").stdout)
        told = json.loads(run("show", "--json", "bad").stdout)

        assert (shown.stdout, shown.stderr, shown.returncode) == (text, b"", 0)
        assert exported == told
        assert exported["key"] == "bad"
        assert "is not JSON" in exported["error"]
        stored = exported["text"].encode() if "text" in exported else base64.b64decode(exported["base64"])
        assert stored == text

    def test_raw_is_for_one_key_that_is_there(self, storage: Storage, store: Any) -> None:
        store({"good": {"n": 1}, "other": {}})

        assert storage("show", "--raw", "good").stdout == '{"n": 1}'
        assert storage("show", "--raw", "good", "other").returncode == 2
        assert storage("show", "--raw", "--json", "good").returncode == 2
        gone = storage("show", "--raw", "none")
        assert (gone.stdout, gone.stderr, gone.returncode) == ("", "Error: no document none\n", 1)


class TestStockReferences:
    def test_check_names_what_two_releases_of_jsonpickle_mean_differently(self, storage: Storage, store: Any) -> None:
        store({"a": {"x": [1], "y": [2], "z": {"py/id": 1}}, "b": {"x": [1], "z": {"py/id": 1}}})

        done = storage("check", "--json")

        told = json.loads(done.stdout)
        [bad] = told["unreadable"]
        assert (told["ambiguous"], told["bad"], told["current"]) == (1, 0, 1)
        assert (bad["key"], bad["where"], done.returncode) == ("a", "z", 1)
        assert "STOCK_JSONPICKLE" in bad["reason"]
        assert storage("check", STOCK_JSONPICKLE="1").returncode == 0
        assert json.loads(storage("show", "a", STOCK_JSONPICKLE="1").stdout)["z"] == [2]
        assert json.loads(storage("show", "a", STOCK_JSONPICKLE="3").stdout)["z"] == [1]


class TestExport:
    def test_everything_is_one_json_array(self, storage: Storage, store: Any) -> None:
        store({"a": {"name": "Zoë"}, "b": {}})

        done = storage("export")

        first, second = json.loads(done.stdout)
        assert first == {"key": "a", "etag": "etag a", "value": {"name": "Zoë"}}
        assert second["key"] == "b"
        assert "Zoë" in done.stdout

    def test_or_a_line_each(self, storage: Storage, store: Any) -> None:
        store({f"k{i}": {"i": i} for i in range(100)})

        lines = storage("export", "--lines", "--prefix", "k9").stdout.splitlines()

        assert [json.loads(line)["value"] for line in lines] == [{"i": 9}, *({"i": i} for i in range(90, 100))]

    def test_a_file_is_its_owners_and_never_overwritten(self, storage: Storage, store: Any, tmp_path: Path) -> None:
        store({"a": {"n": 1}})
        path = tmp_path / "out.json"

        assert storage("export", "-o", str(path)).returncode == 0
        assert json.loads(path.read_text()) == [{"key": "a", "etag": "etag a", "value": {"n": 1}}]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        again = storage("export", "-o", str(path))
        assert again.returncode == 2
        assert again.stderr.count("\n") == 1

    def test_no_other_file_is_written_and_none_is_left(self, storage: Storage, store: Any, tmp_path: Path) -> None:
        store({"a": {"n": 1}})
        victim, part, link = tmp_path / "victim", tmp_path / "out.json.part", tmp_path / "link.json"
        victim.write_text("mine")
        victim.chmod(0o644)
        part.symlink_to(victim)
        link.symlink_to(tmp_path / "nowhere")
        before = set(tmp_path.iterdir())

        assert storage("export", "-o", str(tmp_path / "out.json")).returncode == 0
        assert storage("export", "-o", str(link)).returncode == 2

        assert set(tmp_path.iterdir()) == before | {tmp_path / "out.json"}
        assert (victim.read_text(), part.is_symlink()) == ("mine", True)
        assert stat.S_IMODE((tmp_path / "out.json").stat().st_mode) == 0o600

    def test_what_cannot_be_read_is_listed_in_it(self, storage: Storage, store: Any) -> None:
        store({"a": {"n": 1}, "bad": "{"})

        done = storage("export", "a", "bad", "none")

        a, bad, none = json.loads(done.stdout)
        assert (a["value"], bad.keys(), none.keys()) == ({"n": 1}, {"key", "error", "text"}, {"key", "error"})
        assert done.returncode == 1


class TestDelete:
    def test_nothing_is_deleted_without_execute(self, storage: Storage, store: Any) -> None:
        store({"test/users/ada": PROFILE, "k": {}})

        assert "Nothing was changed" in storage("delete", "k").stdout
        assert "Nothing was changed" in storage("delete", "--user", "ada").stdout
        assert storage("list").stdout == "k\ntest/users/ada\n"

    def test_keys_are_deleted_even_where_the_document_cannot_be_read(self, storage: Storage, store: Any) -> None:
        store({"a": {}, "bad": "{", "b": {}})

        done = storage("delete", "a", "bad", "none", "--execute", "--json")

        told = json.loads(done.stdout)
        assert (told["deleted"], told["missing"]) == (["a", "bad"], ["none"])
        assert done.returncode == 1
        assert storage("list").stdout == "b\n"

    def test_a_person_is_deleted_even_where_their_document_cannot_be_read(self, storage: Storage, store: Any) -> None:
        store({"test/users/ada": "{", "test/conversations/c/users/ada/": {"$turn": 1}, "test/users/bob": {}})

        done = storage("delete", "--user", "test/users/ada", "--execute")

        assert "2 documents deleted" in done.stdout
        assert done.returncode == 0
        assert storage("list").stdout == "test/users/bob\n"

    @pytest.mark.parametrize("user", ["eve", "test/users/eve"])
    def test_a_person_that_nobody_knows_is_said(self, storage: Storage, store: Any, user: str) -> None:
        store({"test/users/ada": {}})

        done = storage("delete", "--user", user, "--execute")

        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "eve" in done.stderr

    def test_an_id_of_several_channels_has_to_be_told_apart(self, storage: Storage, store: Any) -> None:
        store({"test/users/ada": {}, "other/users/ada": {}})

        done = storage("delete", "--user", "ada", "--execute")

        assert done.returncode == 2
        assert "other/users/ada, test/users/ada" in done.stderr
        assert storage("list").stdout == "other/users/ada\ntest/users/ada\n"

    def test_conversations_that_nobody_can_read_are_told(self, storage: Storage, store: Any) -> None:
        store({"test/users/ada": {}, "test/conversations/1": "{", "test/conversations/2": {"$turn": []}})

        done = storage("delete", "--user", "ada")

        assert "'test/conversations/1'" in done.stdout
        assert "'test/conversations/2' at $turn" in done.stdout
        assert done.returncode == 1


class TestWhatNobodyKnows:
    def test_a_conversation_without_a_record_is_told_before_nothing_is_kept(self, storage: Storage, store: Any) -> None:
        store({"test/conversations/c": {"n": 1}})

        for user in "u1", "test/users/u1":
            for command in ["list"], ["export"], ["delete", "--execute"]:
                done = storage(*command, "--user", user)
                first, last = done.stderr.splitlines()
                assert first.startswith("1 conversation of the channel without a whole record of who took part")
                assert last.startswith("nothing else is known to be kept about")
                assert (done.stdout, done.returncode) == ("", 1)

    def test_not_all_is_well_while_there_is_one(self, storage: Storage, store: Any) -> None:
        store({"test/users/u1": {}, "test/conversations/c": {"n": 1}})

        for command in ["list"], ["export"], ["delete"], ["delete", "--execute"]:
            assert storage(*command, "--user", "u1").returncode == 1

    def test_a_program_is_told_as_much_of_a_person_that_nobody_knows(self, storage: Storage, store: Any) -> None:
        store({"test/conversations/c": {"n": 1}})

        for command in ["list"], ["delete"]:
            told = json.loads(storage(*command, "--user", "nobody", "--json").stdout)
            assert (told["user"], told["own"], told["unrecorded"]) == ("nobody", [], 1)

    def test_a_user_of_whom_only_a_conversation_knows_is_found_by_the_id(self, storage: Storage, store: Any) -> None:
        store({"test/conversations/c": {"$turn": {"ledger": [], "seen": {}, "members": digest_of("u9")}}})

        told = json.loads(storage("list", "--user", "u9", "--json").stdout)

        assert (told["user"], told["conversations"]) == ("test/users/u9", ["test/conversations/c"])

    def test_a_user_excludes_what_names_documents(self, storage: Storage) -> None:
        assert storage("list", "--user", "u1", "test/").returncode == 2


class TestCheckAndUpgrade:
    def test_what_is_over_is_counted_and_kept(self, storage: Storage, store: Any, file: Path) -> None:
        store({"emulator/users/u1": {"n": 1}})
        storage("list")  # from now on the file knows ages
        with sqlite3.connect(file) as database:
            database.execute("UPDATE documents SET written = 0")
        database.close()

        told = json.loads(storage("check", "--json", EXPIRE_USER_DAYS="1").stdout)
        assert (told["over"], told["current"]) == (1, 0)
        assert "1  over, by EXPIRE_*_DAYS" in storage("upgrade", "--dry-run", EXPIRE_USER_DAYS="1").stdout
        assert storage("list").stdout == "emulator/users/u1\n"

    def test_what_cannot_be_read_is_told_with_its_place(self, storage: Storage, store: Any) -> None:
        store({"good": PROFILE, "bad": {"list": [{"py/object": "no.such.Class"}]}})

        done = storage("check", "--json")

        told = json.loads(done.stdout)
        assert (told["current"], told["bad"]) == (1, 1)
        assert (told["unreadable"][0]["key"], told["unreadable"][0]["where"]) == ("bad", "list[0]")
        assert done.returncode == 1

    def test_old_documents_are_upgraded_and_others_left(self, storage: Storage, store: Any) -> None:
        old = {"UserProfile": {"py/object": "data_models.user_profile.UserProfile"}}
        store({"old": old, "bad": {"x": {"py/object": "no.such.Class"}, **old}, "new": PROFILE})

        assert "1  of an older version" in storage("upgrade", "--dry-run").stdout
        assert "old: old\n" in storage("check").stdout
        assert json.loads(storage("check", "--json").stdout)["older"] == ["old"]
        done = storage("upgrade")

        assert "1  brought up to date" in done.stdout
        assert "'bad' at x" in done.stdout
        assert done.returncode == 1
        assert json.loads(storage("show", "old").stdout)["UserProfile"]["name"] is None
        assert json.loads(storage("show", "--json", "bad").stdout)["etag"] == "etag bad"
        assert storage("upgrade", "old").stdout.split() == ["1", "up", "to", "date"]

    def test_the_classes_of_another_bot_are_named(self, storage: Storage, store: Any, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text(
            "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1\n"
            "class B:\n    class Inner: ...\nclass Bad(ValueError): ...\n"
        )
        store({"k": {"a": {"py/object": "mine.A"}, "b": {"py/object": "mine.B"}, "c": {"py/object": "mine.B.Inner"}}})

        assert storage("check").returncode == 1
        assert storage("check", "--models", "mine:A", "--models", "mine:B").returncode == 1
        assert storage("check", "--models", "mine:A", "--models", "mine:B", "--models", "mine:B.Inner").returncode == 0
        assert storage("check", "--models", "mine").returncode == 0

    @pytest.mark.parametrize("models", ["nosuch", "mine", "mine:Nosuch", "json:dumps", "broken"])
    def test_classes_that_cannot_be_had_are_said(self, storage: Storage, tmp_path: Path, models: str) -> None:
        (tmp_path / "mine.py").write_text("")
        (tmp_path / "broken.py").write_text("1 / 0")

        done = storage("check", "--models", models)

        assert done.returncode == 2
        assert models in done.stderr
        assert "Traceback" not in done.stderr


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"STATE_STORAGE": "redis"}, "STATE_STORAGE"),
            ({"STATE_STORAGE": "memory"}, "STATE_STORAGE=memory"),
            ({"STATE_STORAGE": "blob"}, "BLOB_CONNECTION_STRING"),
            ({"STATE_STORAGE": "cosmos"}, "COSMOS_ENDPOINT"),
            ({"SQLITE_PATH": "/no/such/state.db"}, "/no/such/state.db"),
            ({"STATE_STORAGE": "cosmos", "COSMOS_ENDPOINT": "https://127.0.0.1:1/", "COSMOS_KEY": SECRET}, "127.0.0.1"),
        ],
    )
    def test_those_that_do_not_work_are_one_line(self, storage: Storage, settings: dict[str, str], said: str) -> None:
        done = storage("list", **settings)

        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert said in done.stderr
        assert SECRET not in done.stderr

    def test_nothing_is_made_where_there_is_nothing(self, storage: Storage, tmp_path: Path) -> None:
        assert storage("list", SQLITE_PATH=str(tmp_path / "none.db")).returncode == 2
        assert not (tmp_path / "none.db").exists()

    @pytest.mark.parametrize(
        "wrong",
        [["delete"], ["delete", "k", "--user", "u"], ["show"], ["export", "k", "--prefix", "p"], ["show", '"x']],
    )
    def test_wrong_options_are_exit_code_2(self, storage: Storage, wrong: list[str]) -> None:
        assert storage(*wrong).returncode == 2


class TestTerminals:
    def test_a_reader_that_leaves_early_is_no_error_to_talk_about(self, store: Any, file: Path) -> None:
        store({f"{i:05}{'x' * 100}": {} for i in range(5_000)})

        with subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "storage", "list"],
            env=environment(file),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 1

    def test_ctrl_c_says_that_it_goes_on_next_time(self, store: Any, file: Path) -> None:
        store({f"{i:06}": PROFILE for i in range(20_000)})

        with subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "storage", "export", "--lines"],
            env=environment(file),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()  # it has begun, and waits for its reader
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)[1]
        assert said.decode().strip().count("\n") == 0
        assert b"interrupted" in said
        assert process.returncode == 130

    def test_progress_is_for_terminals(self, store: Any, storage: Storage, file: Path) -> None:
        store({f"{i:03}": PROFILE for i in range(200)})
        assert storage("check").stderr == ""

        ours, theirs = pty.openpty()
        try:
            done = subprocess.run(
                [sys.executable, "-W", "error", "-m", "storage", "check"],
                env=environment(file, TERM="xterm"),
                stdout=subprocess.PIPE,
                stderr=theirs,
                check=True,
            )
            shown = os.read(ours, 65536).decode()
        finally:
            os.close(theirs)
            os.close(ours)
        assert "checked" in shown
        assert done.stdout.split() == [b"200", b"up", b"to", b"date"]


def test_what_dialogs_keep_is_known_to_check(storage: Storage, store: Any) -> None:
    frame = {"py/object": "botbuilder.dialogs.dialog_instance.DialogInstance", "id": "main", "state": {}}
    state = {"py/object": "botbuilder.dialogs.dialog_state.DialogState", "_dialog_stack": [frame]}
    store({"test/conversations/c": {"DialogState": state}})

    done = storage("check", "--json")

    assert json.loads(done.stdout)["unreadable"] == []
    assert done.returncode == 0


class TestTranscripts:
    @pytest.fixture(autouse=True)
    def said(self, store: Any) -> None:
        conversations = {
            f"test/conversations/{name}": {
                "$turn": {"ledger": [], "seen": {}, "last": [], "members": "".join(map(digest_of, users))}
            }
            for name, users in (("alone", ["ada"]), ("group", ["ada", "bob"]))
        }
        entries = {f"test/transcripts/{name}/1": {"text": f"said in {name}"} for name in ("alone", "group", "bobs")}
        store({"test/users/ada": {}, **conversations, **entries})

    def test_they_are_shown_and_those_of_shared_conversations_are_listed(self, storage: Storage) -> None:
        lines = storage("delete", "--user", "test/users/ada").stdout.splitlines()

        assert ["said", "test/transcripts/alone/1"] in [line.split() for line in lines]
        assert ["shared", "test/transcripts/group/1", "with", "1", "other"] in [line.split() for line in lines]
        assert any("Would be deleted: 3 documents" in line for line in lines)

    def test_they_are_exported_and_those_of_shared_conversations_are_named(self, storage: Storage) -> None:
        items = {item["key"]: item for item in json.loads(storage("export", "--user", "test/users/ada").stdout)}

        assert items["test/transcripts/alone/1"]["value"] == {"text": "said in alone"}
        assert items["test/transcripts/group/1"] == {"key": "test/transcripts/group/1", "shared_with": 1}
        assert "test/transcripts/bobs/1" not in items


@pytest.mark.parametrize("what", [["test/users/ada"], ["--user", "test/users/ada"]])
def test_what_is_deleted_is_in_no_file_any_more(storage: Storage, store: Any, file: Path, what: list[str]) -> None:
    store({"test/users/ada": {"name": "Ada Lovelace"}, "test/users/bob": {"name": "Bob"}})

    assert storage("delete", *what, "--execute").returncode == 0

    assert not [path for path in file.parent.glob("state.db*") if b"Ada Lovelace" in path.read_bytes()]


def test_export_takes_the_option_of_the_other_commands(storage: Storage, store: Any) -> None:
    store({"a": {"n": 1}})
    assert json.loads(storage("export", "--json").stdout)[0]["value"] == {"n": 1}
