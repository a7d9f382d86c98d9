// What is held on keyboard, screen and gamepad, as an action of the game.

const WASD = { KeyW: "up", KeyA: "left", KeyS: "down", KeyD: "right", Space: "fire" };
const ARROWS = { ArrowUp: "up", ArrowLeft: "left", ArrowDown: "down", ArrowRight: "right" };
const PAD_BUTTONS = { 0: "fire", 1: "fire", 2: "fire", 3: "fire", 12: "up", 13: "down", 14: "left", 15: "right" };
const TILT = 0.5; // of a stick

const keys = {
  actions: [],
  held: new Map(), // what holds it -> a button's name, or an action's number
  sent: null,
  arrowsPlay: false,
  tell: () => {},
};

// The action with the most of the held buttons, and no other; null if none is held.
function chooseAction() {
  const held = [...keys.held.values()];
  const direct = held.filter(Number.isInteger);
  if (direct.length) return direct.at(-1);
  let best = null, most = 0;
  keys.actions.forEach((action, i) => {
    const all = action.buttons.every((button) => held.includes(button));
    if (all && action.buttons.length > most) [best, most] = [i, action.buttons.length];
  });
  return best;
}

function hold(by, what) {
  if (what === undefined) keys.held.delete(by);
  else keys.held.set(by, what);
  const action = chooseAction();
  if (action === keys.sent) return;
  keys.sent = action;
  keys.tell({ kind: "act", action });
}

function holdWithPointer(target, what) {
  const up = (event) => {
    target.classList.remove("down");
    hold(`pointer${event.pointerId}`);
  };
  target.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    target.setPointerCapture(event.pointerId);
    target.classList.add("down");
    hold(`pointer${event.pointerId}`, what);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) target.addEventListener(name, up);
  target.addEventListener("contextmenu", (event) => event.preventDefault());
}

function whatKeyHolds(event) {
  const digit = /^Digit(\d)$/.exec(event.code);
  if (digit) {
    const action = (Number(digit[1]) + 9) % 10;
    return action < keys.actions.length ? action : undefined;
  }
  return WASD[event.code] ?? (keys.arrowsPlay ? ARROWS[event.code] : undefined);
}

function listenToKeys(commands) {
  const isForPage = (event) => {
    const presses = event.key === "Enter" || event.key === " ";
    const target = event.target.closest?.(presses ? "select, input, dialog, button, summary" : "select, input, dialog");
    return target || event.ctrlKey || event.metaKey || event.altKey;
  };
  window.addEventListener("keydown", (event) => {
    if (isForPage(event)) return;
    const what = whatKeyHolds(event);
    const command = commands[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (what === undefined && !command) return;
    event.preventDefault();
    if (what !== undefined) hold(event.code, what);
    else if (!event.repeat || event.key === "e") command();
  });
  window.addEventListener("keyup", (event) => hold(event.code));
  const release = () => {
    for (const by of [...keys.held.keys()]) hold(by);
  };
  window.addEventListener("blur", release);
}

function readGamepads() {
  for (const pad of navigator.getGamepads?.() ?? []) {
    if (!pad) continue;
    const [x, y] = pad.axes;
    const now = { left: x < -TILT, right: x > TILT, up: y < -TILT, down: y > TILT };
    pad.buttons.forEach((button, i) => {
      if (PAD_BUTTONS[i]) now[PAD_BUTTONS[i]] = now[PAD_BUTTONS[i]] || button.pressed;
    });
    for (const [name, down] of Object.entries(now)) {
      const by = `gamepad${pad.index}${name}`;
      if (Boolean(down) !== keys.held.has(by)) hold(by, down ? name : undefined);
    }
  }
}
