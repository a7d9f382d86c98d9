"""The player in Chromium: keys, mouse, touch and gamepad, in the dream and in the real game."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edeline_jax.play.session import HORIZON
from tests.play.serving import served
from tests.play.stages import CONFIG, library, make_action_stage
from tests.world_model.rules import level

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser-tests`")
pytest.importorskip("uvicorn", reason="needs the extra `play`")
pytest.importorskip("starlette", reason="needs the extra `play`")
pytest.importorskip("websockets", reason="needs the extra `play`")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"no browser: none of {', '.join(NAMES)} is in PATH")
PATIENCE = 20.0  # s

PIXELS = """id => {
  const canvas = document.querySelector(`#${id} canvas, canvas#${id}`);
  const copy = Object.assign(document.createElement('canvas'), {width: canvas.width, height: canvas.height});
  const pen = copy.getContext('2d', {willReadFrequently: true});
  pen.drawImage(canvas, 0, 0);
  const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  return [canvas.height, canvas.width, ...data];
}"""
MOVE = """([id, value]) => {
  const slider = document.getElementById(id);
  slider.value = value;
  slider.dispatchEvent(new Event('change'));
}"""
GAMEPAD = """navigator.getGamepads = () => [{
  index: 0, axes: [window.tilt ?? 0, 0], buttons: Array.from({length: 17}, (_, i) => ({pressed: i === window.button})),
}]"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(make_action_stage()) as address:
        yield f"http://{address}/"


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Player:
    """A page at play; whatever it says to the console is an error."""

    def __init__(self, browser: "sync_api.Browser", address: str, script: str = "", **options: object):
        self.context = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        if script:
            self.page.add_init_script(script)
        self.page.goto(address)
        self.until(lambda: self.page.evaluate("document.body.dataset.step !== undefined"))

    def close(self) -> None:
        assert self.said == []
        self.context.close()

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, "it did not come to pass"
            self.page.wait_for_timeout(20)

    def pixels(self, id: str) -> np.ndarray:
        height, width, *data = self.page.evaluate(PIXELS, id)
        return np.array(data, np.uint8).reshape(height, width, 4)[..., :3]

    def shows(self, id: str, frame: np.ndarray) -> bool:
        return np.array_equal(self.pixels(id), frame)

    def action(self) -> int | None:
        """The action that the dream shows; None for the noise of a start."""
        values = set(self.pixels("dream").ravel().tolist())
        return next((a for a in range(3) if len(values) == 1 and abs(int(level(a)) - min(values)) <= 1), None)

    def text(self, id: str) -> str:
        return self.page.inner_text(f"#{id}")

    def pressed(self, selector: str) -> bool:
        return self.page.get_attribute(selector, "aria-pressed") == "true"

    def step(self) -> int:
        return int(self.page.evaluate("document.body.dataset.step"))


@pytest.fixture
def player(browser: "sync_api.Browser", address: str) -> Iterator[Player]:
    player = Player(browser, address)
    yield player
    player.close()


def paddle(frame: np.ndarray) -> int:
    return int((frame[-1, ::4] == (60, 200, 255)).all(-1).argmax())


def test_keys_act_in_the_dream(player: Player) -> None:
    keyboard = player.page.keyboard
    player.until(lambda: player.action() == 1)  # idle
    for key, action in (("d", 2), ("a", 0), ("3", 2), ("1", 0)):
        keyboard.down(key)
        player.until(lambda action=action: player.action() == action)
        keyboard.up(key)
        player.until(lambda: player.action() == 1)
    keyboard.press("x")
    keyboard.down("ArrowRight")
    player.until(lambda: player.action() == 2)
    keyboard.up("ArrowRight")
    bars = player.page.locator("#policy button")
    assert bars.all_inner_texts()[2].split()[:2] == ["3", "RIGHT"]
    bars.nth(2).hover()
    player.page.mouse.down()
    player.until(lambda: player.action() == 2)
    player.page.mouse.up()
    player.until(lambda: player.action() == 1)


def test_keys_move_the_paddle_of_the_real_game(player: Player) -> None:
    keyboard = player.page.keyboard
    player.page.click("text=Real game")
    player.until(lambda: player.page.is_visible("#real") and not player.page.is_visible("#dream"))
    for key, column in (("a", 0), ("d", 4)):
        keyboard.down(key)
        player.until(lambda column=column: paddle(player.pixels("real")) == column)
        keyboard.up(key)


def test_side_by_side_begins_alike_and_takes_the_same_keys(player: Player) -> None:
    keyboard = player.page.keyboard
    keyboard.press(".")
    player.until(lambda: player.pressed("#pause"))
    keyboard.press("v")
    player.until(lambda: player.pressed("[data-world=real]"))
    keyboard.press("v")
    player.until(lambda: player.page.is_visible("#difference") and player.step() == 0)
    start = player.pixels("real")
    np.testing.assert_array_equal(player.pixels("dream"), start)
    np.testing.assert_array_equal(player.pixels("start"), start)
    assert not player.pixels("difference").any() and player.text("figure-difference") == "0.0"
    keyboard.down("d")
    keyboard.press("e")
    player.until(lambda: player.step() == 1)
    keyboard.up("d")
    assert player.action() == 2 and paddle(player.pixels("real")) == min(paddle(start) + 1, 4)
    gap = np.abs(player.pixels("dream").astype(int) - player.pixels("real"))
    np.testing.assert_array_equal(player.pixels("difference"), gap)
    assert player.page.is_visible("text=Side by side")


def test_the_policy_takes_over(player: Player) -> None:
    player.page.keyboard.press("m")
    player.until(lambda: player.pressed("[data-driver=policy]"))
    seen: set = set()
    player.until(lambda: seen.add(player.action()) or len(seen - {None}) > 1)
    player.page.click("text=You")
    player.until(lambda: player.action() == 1)


def test_pause_step_again_and_another_start(player: Player) -> None:
    page = player.page
    page.keyboard.press(".")
    player.until(lambda: player.pressed("#pause"))
    stood = player.step()
    page.wait_for_timeout(300)
    assert player.step() == stood
    page.keyboard.press("Enter")
    player.until(lambda: player.step() == 0)
    page.keyboard.press("e")
    page.keyboard.press("e")
    player.until(lambda: player.step() == 2)
    page.wait_for_timeout(200)
    assert player.step() == 2
    starts = [library().start(*library().place(number)) for number in range(-1, 12)]
    here = next(n for n, start in enumerate(starts) if player.text("start").endswith(start.label))
    for press, by in (("Enter", 0), ("ArrowRight", 1), ("ArrowLeft", 0), ("#next", 1), ("#previous", 0), ("#reset", 0)):
        page.click(press) if press[0] == "#" else page.keyboard.press(press)
        start = starts[here + by]
        player.until(lambda start=start: player.text("start").endswith(start.label) and player.step() == 0)
        player.until(lambda start=start: player.shows("dream", start.frames[-1]))
        assert player.shows("start", start.frames[-1])
    page.keyboard.press("ArrowUp")
    player.until(lambda: page.input_value("#horizon") == "100")


def test_a_dream_begins_at_a_recorded_frame(player: Player) -> None:
    page, episode = player.page, library().episodes[1]
    page.keyboard.press(".")
    page.click("#viewer summary")
    page.select_option("#episode", "1")
    for button, step in (("+10", 10), ("−1", 9), ("+1", 10), ("−10", 0), ("+10", 10)):
        page.click(f".viewer button:text-is('{button}')")
        player.until(lambda step=step: player.text("looked").startswith(f"step {step}:"))
    assert player.shows("look", episode.frames[10])
    page.click("#from-here")
    player.until(lambda: player.text("start").endswith("episode 2, step 10"))
    player.until(lambda: player.shows("dream", episode.frames[10]))


def test_a_picture_becomes_a_start(player: Player, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "mine.png")
    player.page.keyboard.press(".")
    player.page.click("#viewer summary")
    player.page.set_input_files("#upload", tmp_path / "mine.png")
    player.until(lambda: player.text("start").endswith("your picture"))
    player.until(lambda: player.shows("dream", picture))


def test_the_model_is_changed_while_it_dreams(player: Player) -> None:
    page = player.page
    page.check("#shown")
    player.until(lambda: page.locator("#strip canvas").count() == 2)
    page.evaluate(MOVE, ["steps", 3])
    page.select_option("#order", "2")
    player.until(lambda: page.locator("#strip canvas").count() == 4)
    page.select_option("#horizon", "")
    page.keyboard.press("Enter")
    player.until(lambda: player.step() > HORIZON + 5)
    assert int(player.text("figure-total")) > HORIZON  # every reward is 1


def test_what_is_recorded_is_downloaded(player: Player) -> None:
    page = player.page
    page.keyboard.press("r")
    player.until(lambda: page.is_enabled("#files button:text-is('GIF')"))
    player.until(lambda: int(player.text("record").split("(")[-1].rstrip(")")) > 5)
    page.keyboard.press("r")
    with page.expect_download() as waiting:
        page.click("#files button:text-is('GIF')")
    with Image.open(waiting.value.path()) as film:
        assert waiting.value.suggested_filename == "play.gif" and film.n_frames >= 1


def test_touch_on_a_phone(browser: "sync_api.Browser", address: str) -> None:
    player = Player(browser, address, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = player.page
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.is_visible("[data-button=right]") and not page.is_visible("[data-button=fire]")  # which Catch has not
    touch = player.context.new_cdp_session(page)
    box = page.locator("[data-button=right]").bounding_box()
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    player.until(lambda: player.action() == 2)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    player.until(lambda: player.action() == 1)
    page.tap("text=Side by side")
    player.until(lambda: page.is_visible("#difference"))
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    player.close()


def test_a_gamepad_plays(browser: "sync_api.Browser", address: str) -> None:
    player = Player(browser, address, script=GAMEPAD)
    for script, action in (("window.tilt = 0.9", 2), ("window.tilt = -0.9", 0), ("window.tilt = 0", 1)):
        player.page.evaluate(script)
        player.until(lambda action=action: player.action() == action)
    player.page.evaluate("window.button = 15")
    player.until(lambda: player.action() == 2)
    player.close()


def test_help_and_colours(browser: "sync_api.Browser", address: str) -> None:
    for scheme in ("light", "dark"):
        player = Player(browser, address, color_scheme=scheme)
        player.page.keyboard.press("?")
        assert player.page.is_visible("dialog >> text=the same start again")
        player.page.click("dialog button")
        dark = player.page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (scheme == "dark")
        player.close()


def test_who_is_sent_away_learns_why_and_may_come_back(player: Player) -> None:
    player.page.evaluate("socket.send('nonsense')")
    player.until(lambda: "a message that is no JSON" in player.text("note"))
    player.page.click("#note button")
    player.until(lambda: player.text("note") == "")
    assert CONFIG.env.id == player.text("title")
