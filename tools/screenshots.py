"""The screenshots in docs/images, of the dashboard as it looks now, over the store that ``palate demo`` made.

    make setup-dev
    .venv/bin/palate demo --no-serve
    .venv/bin/python tools/screenshots.py demo.palate

Wants Chromium. The store is copied; a service over the copy draws its rankings (``plackett_luce``) for some of its
people, in an experiment. Clicks come from a rule, not from people: a film that is shown is clicked the likelier, the
more of its genres a person often chose, and the higher it stands. The experiment and a replay judge what came of that.
Takes a minute or two.
"""

from __future__ import annotations

import base64
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
PEOPLE, PERSON = 300, "148"
DAY = 86_400_000
BEGIN = """
import sys
from palate.serve import serve
serve(sys.argv[1], port=0, announce=lambda url: print(url, flush=True))
"""
DRAWN = {"PALATE_POLICY__RECOMMEND": "plackett_luce", "PALATE_DECISIONS__SAMPLE": "1"}
JUDGED = '[policy]\nrecommend = "plackett_luce"\ntemperature = 0.8\n'
SMALLER = """png => new Promise(done => {
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext("2d").drawImage(image, 0, 0);
    done(canvas.toDataURL("image/webp", 0.85).split(",")[1]);
  };
  image.src = "data:image/png;base64," + png;
})"""
"""Chromium's own encoder: a third of the size of a PNG, with letters as sharp."""


@contextmanager
def service(store: Path) -> Iterator[str]:
    """The address of a service over ``store``, which ends with the block."""
    kept = {name: value for name, value in os.environ.items() if name == "PALATE_CACHE_DIR" or "PALATE_" not in name}
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN, str(store)], stdout=subprocess.PIPE, text=True, env=kept | DRAWN
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip().rstrip("/")
    finally:
        process.terminate()
        process.wait(30)


def play(client: httpx.Client) -> None:
    """An experiment between two temperatures, and clicks by the rule above."""
    wanted: dict[str, Any] = {
        "name": "bold", "people": PEOPLE, "horizon_days": 0.5, "guard_days": 0.5,
        "arms": [{"name": "control"}, {"name": "bold", "policy": {"temperature": 3.0}}],
        "metrics": [{"type": "click", "of": "per_ranking"}, {"type": "click", "of": "users"}],
        "guardrails": [{"type": "hide", "of": "users", "less": True, "worst": 0.5}],
    }  # fmt: skip
    client.post("/v1/experiments", json=wanted).raise_for_status()
    people = [row["user"] for row in client.get("/v1/users", params={"limit": PEOPLE + 1}).json()["users"]]
    people = [user for user in people if user != PERSON]
    chance, genres, tastes = random.Random(1), {}, {}
    for user in people:
        tags = client.get(f"/v1/users/{user}").json()["tags"]
        most = max((one["weight"] for one in tags), default=1.0)
        tastes[user] = {one["tag"]: one["weight"] / most for one in tags}
    for _ in range(3):
        events: list[dict[str, Any]] = []
        for user in people:
            answer = client.post("/v1/recommend", json={"user": user, "k": 10}).json()
            ids = [one["id"] for one in answer["items"]]
            fresh = [name for name in ids if name not in genres]
            for card in client.post("/dashboard/items", json={"ids": fresh}).json()["items"] if fresh else ():
                genres[card["id"]] = [one["tag"] for one in card["tags"]]
            for place, name in enumerate(ids, 1):
                liking = max((tastes[user].get(tag, 0.0) for tag in genres[name]), default=0.0)
                mine = {"event": "interaction", "user": user, "item": name, "ranking": answer["ranking"]}
                draw = chance.random()
                if draw < 0.4 * max(0.0, liking) ** 2 / place**0.5:
                    events.append(mine | {"type": "click"})
                elif draw > 0.995:
                    events.append(mine | {"type": "hide"})
        client.post("/v1/events", json=events).raise_for_status()
    # A day later everybody counts.
    now = max(one["timestamp"] for one in client.get(f"/v1/users/{people[0]}").json()["history"])
    later = {"event": "interaction", "user": people[0], "item": "1", "type": "view", "timestamp": now + DAY}
    client.post("/v1/events", json=later).raise_for_status()


def picture(page: Page, name: str, part: str | None = None, height: int | None = None) -> None:
    """``docs/images/NAME.webp``: the window, or one element, at most ``height`` pixels of it."""
    page.wait_for_timeout(600)  # plots and bars grow into place
    if part is None:
        png = page.screenshot()
    else:
        box = page.locator(part).first.bounding_box()
        assert box is not None
        clip = {"x": box["x"], "y": box["y"] + page.evaluate("scrollY"), "width": box["width"], "height": box["height"]}
        png = page.screenshot(full_page=True, clip={**clip, "height": min(clip["height"], height or clip["height"])})
    made = base64.b64decode(page.evaluate(SMALLER, base64.b64encode(png).decode()))
    (IMAGES / f"{name}.webp").write_bytes(made)
    sys.stdout.write(f"docs/images/{name}.webp: {len(made) / 1024:.0f} KB\n")


def opened(browser: Browser, address: str, width: int = 1280, height: int = 900) -> Page:
    page = browser.new_page(viewport={"width": width, "height": height}, locale="en-GB", color_scheme="light")
    page.goto(address)
    return page


def take(browser: Browser, url: str) -> None:
    """Every picture that the documents show."""
    page = opened(browser, f"{url}/?user={PERSON}", height=1000)
    page.locator("#cards > li").nth(9).wait_for()
    page.locator('#cards > li [data-action="like"]').nth(4).click()
    page.locator("#outcome:not(:empty)").wait_for()
    page.evaluate("scrollTo(0, 0)")
    picture(page, "dashboard")
    page.add_style_tag(content=".top, .person { position: static !important }")  # or else they lie over long pictures
    card = page.locator("#cards > li").nth(1)
    card.locator('[data-action="why"]').click()
    card.locator('[data-action="words"]').click()
    card.locator(".worded").wait_for()
    card.locator('[data-action="changes"]').click()
    card.locator(".changes li").first.wait_for()
    picture(page, "explanation", "#cards > li:nth-child(2)")
    page = opened(browser, f"{url}/#experiments")
    page.locator("#experiments .interval").first.wait_for()
    picture(page, "experiment", "#experiments")
    page = opened(browser, f"{url}/#evaluation")
    page.locator("#replay .plot .main-svg").first.wait_for()
    picture(page, "replay", "#replay")


def main() -> None:
    """Errors: whatever a store that ``palate demo`` didn't make leads to."""
    asked = Path(sys.argv[1] if len(sys.argv) > 1 else "demo.palate")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        store, new = Path(place) / "demo.palate", Path(place) / "new.toml"
        shutil.copytree(asked, store)
        new.write_text(JUDGED, encoding="utf-8")
        program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        with service(store) as url:
            with httpx.Client(base_url=url, timeout=60) as client:
                play(client)
            judge = [sys.executable, "-m", "palate", "replay", "--dir", str(store), "--config", str(new)]
            subprocess.run(judge, check=True, stdout=subprocess.DEVNULL)
            take(browser, url)
        browser.close()


if __name__ == "__main__":
    main()
