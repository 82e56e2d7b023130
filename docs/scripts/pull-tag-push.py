#!/usr/bin/env python3
"""docker pull SOURCE; docker tag SOURCE DEST; docker push DEST, by the HTTP API and nothing but Python's standard library.

    python3 pull-tag-push.py SOURCE DEST        # host/name:tag or host/name@sha256:...; DEST by tag

Credentials: SOURCE_USERNAME, SOURCE_PASSWORD, DEST_USERNAME and DEST_PASSWORD in the environment. Without them it is nobody.
Every blob is asked for by HEAD before it is sent, so what is there already costs one request and no traffic.
"""

import base64, hashlib, json, os, re, sys
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import Request, urlopen

INDEXES = ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"]
IMAGES = ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"]
MANIFEST_BYTES_MAX = 4 * 1024 * 1024
TIMEOUT_SECONDS = 60


class Repository:
    """One repository of one registry, and the token or password that it takes."""

    def __init__(self, reference, env, actions):
        self.host, self.name, self.reference = parse(reference)
        self.is_local = re.fullmatch(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", self.host)
        self.url = f"{'http' if self.is_local else 'https'}://{self.host}"
        user, password = os.environ.get(f"{env}_USERNAME"), os.environ.get(f"{env}_PASSWORD", "")
        self.basic = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if user else None
        self.scopes = [f"repository:{self.name}:{actions}"]
        self.authorization = None

    def request(self, method, path, open_body=None, headers={}):
        """Sends it, signs in when told to, and sends it again. `open_body` is called for each time it is sent."""
        url = urljoin(self.url, path if path.startswith(("/", "http")) else f"/v2/{self.name}/{path}")
        for attempt in (1, 2):
            body, length = open_body() if open_body else (None, None)
            request = Request(url, data=body, headers=headers, method=method)
            if body is not None:
                request.add_header("Content-Length", str(length))
                request.add_unredirected_header("Content-Type", headers.get("Content-Type", "application/octet-stream"))
            if self.authorization and url.startswith(self.url + "/"):
                # Not to where a download is redirected to: that is somebody else's machine.
                request.add_unredirected_header("Authorization", self.authorization)
            try:
                return urlopen(request, timeout=TIMEOUT_SECONDS)
            except HTTPError as error:
                if error.code != 401 or attempt == 2:
                    raise
                self.sign_in(error.headers.get("WWW-Authenticate", ""))

    def sign_in(self, challenge):
        """Basic: the password with each request. Bearer: a token for the scopes, from the realm (RFC 6750, Docker's token spec)."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self.basic:
            self.authorization = self.basic
        elif scheme.lower() == "bearer":
            values = dict(re.findall(r'(\w+)="([^"]*)"', rest))
            if not self.is_local and not values["realm"].startswith("https://"):
                raise SystemExit(f"error: {self.host} wants the password at {values['realm']}, which is not https")
            query = [("service", values["service"])] if "service" in values else []
            query += [("scope", scope) for scope in self.scopes]
            request = Request(f"{values['realm']}?{urlencode(query)}")
            if self.basic:
                request.add_unredirected_header("Authorization", self.basic)
            with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                token = json.load(answer)
            self.authorization = "Bearer " + (token.get("token") or token["access_token"])

    def get_manifest(self, reference):
        with self.request("GET", f"manifests/{reference}", headers={"Accept": ", ".join(INDEXES + IMAGES)}) as answer:
            raw, media_type = answer.read(MANIFEST_BYTES_MAX + 1), answer.headers.get_content_type()
        if ":" in reference and digest_of(raw, reference) != reference:
            raise SystemExit(f"error: {reference} of {self.name} has other bytes than its digest says")
        return raw, media_type

    def put_manifest(self, reference, raw, media_type):
        self.request("PUT", f"manifests/{reference}", lambda: (raw, len(raw)), {"Content-Type": media_type}).close()

    def has_blob(self, digest):
        try:
            self.request("HEAD", f"blobs/{digest}").close()
            return True
        except HTTPError as error:
            if error.code != 404:
                raise
            return False

    def put_blob(self, digest, size, source):
        """Mounts the blob, or streams it from the source to here; the registry compares the digest with the bytes."""
        query = {"mount": digest, "from": source.name} if source.host == self.host else {}
        start = self.request("POST", f"blobs/uploads/?{urlencode(query)}", lambda: (b"", 0))
        start.close()
        if start.status == 201:
            return "mounted"
        # May be relative, and may have a query of its own, which has to be kept.
        location = start.headers["Location"]
        location += ("&" if "?" in location else "?") + urlencode({"digest": digest})
        self.request("PUT", location, lambda: (Body(source.request("GET", f"blobs/{digest}"), size), size)).close()
        return "uploaded"


class Body:
    """The bytes of a download, for urlopen to send. One that ends early must not look like one that is slow."""

    def __init__(self, stream, size):
        self.stream, self.left = stream, size

    def read(self, length):
        piece = self.stream.read(min(length, self.left))
        self.left -= len(piece)
        if not piece and self.left:
            raise OSError(f"{self.stream.url} ended {self.left} bytes early")
        return piece


def copy(source, dest, reference, dest_reference):
    """Content first, what names it last: a manifest is taken only where its blobs and children are."""
    raw, media_type = source.get_manifest(reference)
    manifest = json.loads(raw)
    digest = digest_of(raw, dest_reference or reference)
    if media_type in INDEXES:
        for child in manifest["manifests"]:
            copy(source, dest, child["digest"], None)
    elif media_type in IMAGES:
        blobs = {blob["digest"]: blob for blob in [manifest["config"], *manifest["layers"]]}
        for name, blob in blobs.items():
            if "foreign" in blob["mediaType"] or "nondistributable" in blob["mediaType"]:
                continue  # Lies elsewhere, and is not to be pushed.
            outcome = "exists" if dest.has_blob(name) else dest.put_blob(name, blob["size"], source)
            print(f"{outcome:8} {name} {blob['size']}", file=sys.stderr)
    else:
        raise SystemExit(f"error: {source.name}:{reference} is {media_type}, which this script does not copy")
    dest.put_manifest(dest_reference or digest, raw, media_type)
    return digest


def digest_of(raw, like):
    algorithm = "sha512" if like.startswith("sha512:") else "sha256"
    return f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}"


def parse(text):
    """host, name and tag or digest, by the rules of docker: `alpine` is docker.io/library/alpine:latest."""
    rest, _, digest = text.partition("@")
    host, slash, name = rest.partition("/")
    if not slash or not re.search(r"[.:]|^localhost$", host):
        host, name = "docker.io", rest
    name, _, tag = name.partition(":")
    if host == "docker.io":
        host, name = "registry-1.docker.io", name if "/" in name else f"library/{name}"
    return host, name, digest or tag or "latest"


def main(arguments):
    if len(arguments) != 2:
        raise SystemExit("usage: pull-tag-push.py SOURCE DEST")
    source, dest = Repository(arguments[0], "SOURCE", "pull"), Repository(arguments[1], "DEST", "pull,push")
    if source.host == dest.host:
        dest.scopes += source.scopes  # For the mount.
    try:
        digest = copy(source, dest, source.reference, dest.reference)
    except HTTPError as error:
        raise SystemExit(f"error: {error.url}: {error.code} {error.read(1000).decode(errors='replace')}")
    except (OSError, HTTPException) as error:
        raise SystemExit(f"error: {error}")
    print(f"{dest.host}/{dest.name}@{digest}")


if __name__ == "__main__":
    main(sys.argv[1:])
