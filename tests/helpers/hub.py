"""Serves, on this machine, what huggingface_hub asks of the Hugging Face hub when a model is pushed and downloaded."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OWN, OTHERS = "token-of-owner", "token-of-somebody"
"""The tokens of the user `owner`, and of another one."""


class Hub(ThreadingHTTPServer):
    """A hub whose repositories are lists of commits, each with all files; those of `private` are seen by owner alone.

    Large files come by LFS; where `chunks` names a folder, their chunks go there by Xet, and `large` must have them.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.repositories, self.private, self.gated, self.large, self.asked = {}, set(), set(), {}, []
        self.chunks, self.broken = None, False
        self.address = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


def _hash(value):
    return hashlib.sha1(repr(value).encode()).hexdigest()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _do(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        if self.server.broken:
            return self._refuse(500, "", "Internal error")
        for method, pattern, answer in _ANSWERS:
            if self.command in method and (found := re.fullmatch(pattern, path)):
                return answer(self, body, *found.groups())
        return self._refuse(404, "", f"nobody serves {self.command} {path}")

    do_GET = do_HEAD = do_POST = do_PUT = _do  # noqa: N815 - names that the base class looks up

    def _send(self, content=b"", status=200, **headers):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": len(content)} | headers).items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _refuse(self, status, code, message):
        self._send({"error": message}, status, X_Error_Code=code, X_Error_Message=message)

    def _token(self):
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _may_write(self, owner):
        """Refuses, as the hub does, who is not logged in and who writes under another's name."""
        if not self._token():
            self._refuse(401, "", "Invalid username or password.")
        elif owner != "owner" or self._token() != OWN:
            self._refuse(403, "", f'You don\'t have the rights to create a model under the namespace "{owner}"')
        else:
            return True
        return False

    def _files(self, name, revision):
        """The files of a repository at a revision, and the commit; None, and a refusal, where they may not be seen."""
        commits = self.server.repositories.get(name)
        if commits is None or (name in self.server.private and self._token() != OWN):
            return self._refuse(404 if self._token() else 401, "RepoNotFound", "Repository not found")
        if name in self.server.gated and self._token() != OWN:
            return self._refuse(403, "GatedRepo", f"Access to model {name} is restricted")
        by_hash = {_hash((name, number)): files for number, files in enumerate(commits)}
        commit = [*by_hash][-1] if revision == "main" else revision
        if commit not in by_hash:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return by_hash[commit], commit

    def create(self, body):
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if self._may_write(asked["organization"]):
            new = name not in self.server.repositories
            if new:
                self.server.repositories[name] = [{}]
                self.server.private |= {name} if asked.get("visibility") == "private" or asked.get("private") else set()
            url = {"url": f"{self.server.address}/{name}"}
            self._send(url if new else url | {"error": "You already created this model repo"}, 200 if new else 409)

    def validate(self, body):
        self._send({"warnings": [], "errors": []})

    def preupload(self, body, name):
        if self._may_write(name.split("/")[0]):
            files = self.server.repositories[name][-1]
            self._send({"files": [self._mode(file["path"], files) for file in json.loads(body)["files"]]})

    def _mode(self, path, files):
        large = path.endswith((".safetensors", ".png"))
        return {
            "path": path,
            "uploadMode": "lfs" if large else "regular",
            "shouldIgnore": False,
            "oid": _blob(files[path]) if path in files else None,
        }

    def batch(self, body, name):
        place = {"upload": {"href": f"{self.server.address}/large"}}
        objects = [{"oid": one["oid"], "size": one["size"], "actions": place} for one in json.loads(body)["objects"]]
        self._send({"transfer": "basic", "objects": objects})

    def xet(self, body, name):
        self._send({"casUrl": f"local://{self.server.chunks}", "accessToken": "x", "exp": 4102444800})

    def put(self, body):
        self.server.large[hashlib.sha256(body).hexdigest()] = body
        self._send()

    def commit(self, body, name):
        files = dict(self.server.repositories[name][-1])
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.server.repositories[name].append(files)
        commit = _hash((name, len(self.server.repositories[name]) - 1))
        self._send({"success": True, "commitOid": commit, "commitUrl": f"{self.server.address}/{name}/commit/{commit}"})

    def about(self, body, name, revision="main"):
        if found := self._files(name, revision or "main"):
            siblings = [{"rfilename": path} for path in found[0]]
            self._send({"id": name, "sha": found[1], "private": name in self.server.private, "siblings": siblings})

    def tree(self, body, name, revision):
        if found := self._files(name, revision):
            entries = found[0].items()
            self._send([{"type": "file", "path": p, "size": len(c), "oid": _blob(c)} for p, c in entries])

    def resolve(self, body, name, revision, path):
        if found := self._files(name, revision):
            content = found[0][path]
            self._send(content, X_Repo_Commit=found[1], ETag=f'"{_blob(content)}"')


def _blob(content):
    """Git's hash of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


_NAME = "([^/]+/[^/]+)"
_ANSWERS = [
    ("POST", "/api/repos/create", _Answer.create),
    ("POST", "/api/validate-yaml", _Answer.validate),
    ("POST", f"/api/models/{_NAME}/preupload/main", _Answer.preupload),
    ("POST", f"/{_NAME}.git/info/lfs/objects/batch", _Answer.batch),
    ("GET", f"/api/models/{_NAME}/xet-write-token/main", _Answer.xet),
    ("PUT", "/large", _Answer.put),
    ("POST", f"/api/models/{_NAME}/commit/main", _Answer.commit),
    ("GET", f"/api/models/{_NAME}(?:/revision/([^/]+))?", _Answer.about),
    ("GET", f"/api/models/{_NAME}/tree/([^/]+)", _Answer.tree),
    ("GET HEAD", f"/{_NAME}/resolve/([^/]+)/(.+)", _Answer.resolve),
]
