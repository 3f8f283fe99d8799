import subprocess

from aejax.runs import provenance


def test_the_commit_has_a_plus_where_modules_were_changed_and_not_where_results_were_written(tmp_path, monkeypatch):
    package = tmp_path / "package"
    (package / "runs").mkdir(parents=True)
    (package / "module.py").write_text("A = 1\n")
    (tmp_path / "result.json").write_text("{}")
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "."), (*author, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(provenance, "__file__", str(package / "runs" / "provenance.py"))
    commit = provenance.commit.__wrapped__  # it is asked once in a process otherwise
    clean = commit()
    assert len(clean) == 12
    (tmp_path / "result.json").write_text('{"more": 1}')
    (package / "ledger.json").write_text("{}")
    assert commit() == clean
    (package / "module.py").write_text("A = 2\n")
    assert commit() == f"{clean}+"
    monkeypatch.setattr(provenance, "__file__", "/nowhere/package/runs/provenance.py")
    assert commit() is None
