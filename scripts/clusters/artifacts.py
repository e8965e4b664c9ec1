"""The server's jars, by Maven: fetched once into a folder, and Java 17 to run them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from scripts.clusters.faults import ClusterFailed, ClusterImpossible

CASSANDRA_VERSION: Final = "5.0.9"
"""Pinned: the newest on Maven Central is an alpha."""
JAVA_VERSION: Final = 17

FOLDER: Final = Path(__file__).parents[2] / ".cassandra"
"""Of this checkout: the jars, and the cluster unless another folder is named."""

_PLUGIN: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_FETCH_S_MAX: Final = 600
"""Seconds: 67 MB, usually 11 s."""
_POM: Final = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>meshbox</groupId>
  <artifactId>cassandra</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.cassandra</groupId>
      <artifactId>cassandra-all</artifactId>
      <version>{CASSANDRA_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


def check_machine() -> None:
    """`ClusterImpossible` when this machine cannot run the server."""
    for command, package in (("java", "openjdk-17-jre-headless"), ("setpriv", "util-linux")):
        if shutil.which(command) is None:
            raise ClusterImpossible(f"needs {command} (Debian, Ubuntu: {package})")
    told = subprocess.run(
        ["java", "-version"],  # noqa: S607 - the user's own
        capture_output=True,
        text=True,
        check=False,
    ).stderr
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found[1]) != JAVA_VERSION:
        shown = found[1] if found else "none"
        raise ClusterImpossible(f"needs Java {JAVA_VERSION}, and this machine's is {shown}")


def fetch() -> Path:
    """The folder of the jars, filled by Maven the first time.

    `ClusterImpossible` without Maven, `ClusterFailed` when it fails.
    """
    jars = FOLDER / f"lib-{CASSANDRA_VERSION}"
    if jars.is_dir():
        return jars
    if shutil.which("mvn") is None:
        raise ClusterImpossible("needs mvn (Debian, Ubuntu: maven), to fetch the server once")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=FOLDER) as draft:
        _fetch_into(Path(draft))
        try:
            Path(draft, "lib").rename(jars)
        except OSError:
            assert jars.is_dir(), "another command fetched them at the same time"
    return jars


def _fetch_into(draft: Path) -> None:
    pom = draft / "pom.xml"
    pom.write_text(_POM, encoding="utf-8")
    command = ["mvn", "-q", "-B", "-f", str(pom), _PLUGIN]
    command += [f"-DoutputDirectory={draft / 'lib'}", "-DincludeScope=runtime"]
    try:
        ended = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, text=True, timeout=_FETCH_S_MAX, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterFailed(f"Maven did not end within {_FETCH_S_MAX} s") from error
    if ended.returncode != 0:
        raise ClusterFailed(f"Maven could not fetch the server: {ended.stdout[-1_000:].strip()}")
