"""A page in a browser without a window, as a user would meet it, by Chromium's command line alone."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--virtual-time-budget=20000", "--dump-dom"),
)
WATCH = """<script>
window.wrong = [];
const note = (event) => wrong.push(String(event.message ?? event.reason ?? event.violatedDirective));
for (const kind of ["error", "unhandledrejection", "securitypolicyviolation"]) {
  addEventListener(kind, note, true);
}
</script>"""
TELL = """<script>
function tell(value) {
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
  const found = Object.assign(document.createElement("pre"), { id: "told" });
  found.textContent = JSON.stringify({ ...value, wrong, loaded });
  document.body.append(found);
}
"""


def browse(page: Path, script: str, *, address: str = "", size: str = "1300,900") -> dict[str, Any]:
    """What a script that is put at the end of a page tells by `tell(value)`; skips where there is no browser.

    Under "wrong" is every error and every breach of the page's policy, under "loaded" what it fetched.
    """
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.html"
        text = page.read_text(encoding="utf-8")
        assert text.count("<meta name=") == 1
        assert text.count("</body>") == 1
        text = text.replace("<meta name=", WATCH + "<meta name=")
        copy.write_text(text.replace("</body>", TELL + script + "</script></body>"), encoding="utf-8")
        command = [browser, *FLAGS, f"--user-data-dir={folder}/user", f"--window-size={size}"]
        done = subprocess.run(
            [*command, copy.as_uri() + address], capture_output=True, text=True, timeout=120
        )
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))
