// The socket, and what the page's controls say through it.

const HORIZONS = [5, 10, 15, 25, 50, 100, 200, 500, 1000, null];
let socket = null, hello = null, settings = null, waiting = null, unseen = 0;
const drawn = []; // times of the last pictures, ms

function tell(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(message instanceof Blob ? message : JSON.stringify(message));
}

function note(text, isAlarm = false) {
  element("note").textContent = text;
  element("note").classList.toggle("alarm", isAlarm);
}

function connect() {
  note("connecting …");
  [settings, waiting, unseen, keys.sent] = [null, null, 0, null];
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/play${location.search}`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => receive(decode(event.data));
  socket.onclose = (event) => {
    note(event.reason || "the server is gone", true);
    const again = document.createElement("button");
    again.textContent = "Connect again";
    again.onclick = connect;
    element("note").append(again);
  };
}

function receive({ header, images, file }) {
  const kinds = {
    hello: () => open(header),
    picture: () => {
      unseen += 1;
      if (!waiting) requestAnimationFrame(draw);
      waiting = { header, images };
      keepMemory(header.dream);
    },
    start: () => {
      paint(element("start").querySelector("canvas"), images.start);
      element("start").querySelector("span").textContent = header.label;
    },
    look: () => showLook(header, images, hello.actions),
    note: () => note(header.text),
    file: () => save(header.name, file),
  };
  kinds[header.kind]();
}

function open(header) {
  hello = header;
  note("");
  document.title = `${hello.title}: play`;
  element("title").textContent = hello.title.replaceAll("_", " ");
  for (const button of element("worlds").children) button.hidden = !hello.worlds.includes(button.dataset.world);
  for (const button of element("pad").querySelectorAll("button")) {
    const name = button.dataset.button;
    button.hidden = !hello.actions.some((action) => action.buttons.includes(name));
  }
  Object.assign(keys, { actions: hello.actions, tell });
  makeBars(hello.actions, holdWithPointer);
  element("steps").max = hello.most_steps;
  element("churn").replaceChildren(...hello.churns.map((churn) => new Option(churn || "none", churn)));
  element("horizon").replaceChildren(...HORIZONS.map((steps) => new Option(steps ? `${steps} steps` : "none: dream on", steps ?? "")));
  element("files").replaceChildren(...hello.files.map((kind) => {
    const button = document.createElement("button");
    button.textContent = { gif: "GIF", mp4: "MP4", dataset: "Episodes" }[kind];
    button.title = "download what was recorded";
    button.onclick = () => tell({ kind: "download", file: kind });
    return button;
  }));
  openViewer(hello, tell);
}

function draw() {
  if (!waiting) return;
  const { header, images } = waiting;
  waiting = null;
  for (; unseen > 0; unseen--) tell({ kind: "seen" });
  const isDouble = Boolean(images.dream && images.real);
  const shown = isDouble ? { ...images, difference: subtract(images.dream, images.real) } : images;
  element("screens").classList.toggle("two", isDouble);
  for (const name of ["dream", "real", "difference"]) {
    const figure = element(name);
    figure.hidden = !shown[name];
    if (!shown[name]) continue;
    paint(figure.querySelector("canvas"), shown[name]);
    const moment = header[name];
    const over = moment?.end ? "the end" : moment?.cut ? (name === "dream" ? "the horizon" : "the time limit") : "";
    figure.classList.toggle("over", Boolean(over));
    figure.querySelector("span").textContent = over;
  }
  drawStrip(images);
  drawFigures(header);
  drawMemory();
  showSettings(header.settings);
  drawn.push(performance.now());
  while (drawn.length && drawn[0] < drawn.at(-1) - 1000) drawn.shift();
  element("figure-pace").textContent = drawn.length;
  document.body.dataset.step = (header.dream ?? header.real).step;
}

function showSettings(now) {
  const isNew = JSON.stringify(now) !== JSON.stringify(settings);
  if (!isNew) return;
  if (now.note || settings?.note) note(now.note);
  settings = now;
  for (const [group, name] of [["worlds", "world"], ["drivers", "driver"]]) {
    for (const button of element(group).children) button.setAttribute("aria-pressed", button.dataset[name] === now[name]);
  }
  element("pause").textContent = now.paused ? "Go on" : "Pause";
  element("pause").setAttribute("aria-pressed", now.paused);
  element("record").textContent = now.recording ? `Stop (${now.recorded})` : "Record";
  element("record").setAttribute("aria-pressed", now.recording);
  for (const button of element("files").children) button.disabled = !now.recorded;
  const values = { ...now.sampler, ...now.temperature, horizon: now.horizon ?? "", pace: now.pace };
  for (const [id, value] of Object.entries(values)) {
    const control = element(id);
    if (control !== document.activeElement) control.value = value;
    if (control.type === "range") control.nextElementSibling.textContent = id === "reward" || id === "end" ? value.toFixed(1) : value;
  }
  element("shown").checked = now.strip;
}

function save(name, file) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([file]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function changeHorizon(by) {
  const place = HORIZONS.findIndex((steps) => steps === null || steps >= (settings.horizon ?? Infinity));
  const horizon = HORIZONS[Math.max(0, Math.min(place + by, HORIZONS.length - 1))];
  tell({ kind: "horizon", horizon });
  note(horizon ? `horizon: ${horizon} steps` : "no horizon: the dream goes on");
}

const commands = {
  m: () => tell({ kind: "driver", driver: settings.driver === "you" ? "policy" : "you" }),
  v: () => tell({ kind: "world", world: hello.worlds[(hello.worlds.indexOf(settings.world) + 1) % hello.worlds.length] }),
  Enter: () => tell({ kind: "reset" }),
  ".": () => tell({ kind: "pause", paused: !settings.paused }),
  e: () => tell({ kind: "step" }),
  r: () => tell({ kind: "record", on: !settings.recording }),
  "?": () => element("keys").showModal(),
  x: () => {
    keys.arrowsPlay = !keys.arrowsPlay;
    note(keys.arrowsPlay ? "the arrows play" : "the arrows choose start and horizon");
  },
  ArrowUp: () => changeHorizon(1),
  ArrowDown: () => changeHorizon(-1),
  ArrowRight: () => tell({ kind: "next", by: 1 }),
  ArrowLeft: () => tell({ kind: "next", by: -1 }),
};

const whenReady = (command) => () => settings && command();
listenToKeys(Object.fromEntries(Object.entries(commands).map(([key, command]) => [key, whenReady(command)])));
for (const [id, key] of Object.entries({ reset: "Enter", previous: "ArrowLeft", next: "ArrowRight", pause: ".", step: "e", record: "r", help: "?" })) {
  element(id).addEventListener("click", (event) => {
    whenReady(commands[key])();
    event.currentTarget.blur(); // the keys are the game's
  });
}
for (const button of document.querySelectorAll("[data-world], [data-driver]")) {
  button.addEventListener("click", () => {
    const [[kind, value]] = Object.entries(button.dataset);
    tell({ kind, [kind]: value });
    button.blur();
  });
}
for (const button of document.querySelectorAll("[data-button]")) holdWithPointer(button, button.dataset.button);
const tellSampler = () => tell({ kind: "sampler", steps: Number(element("steps").value), order: Number(element("order").value), churn: Number(element("churn").value) });
const tellTemperature = () => tell({ kind: "temperature", reward: Number(element("reward").value), end: Number(element("end").value) });
const changes = {
  steps: tellSampler,
  order: tellSampler,
  churn: tellSampler,
  reward: tellTemperature,
  end: tellTemperature,
  horizon: () => tell({ kind: "horizon", horizon: element("horizon").value ? Number(element("horizon").value) : null }),
  pace: () => tell({ kind: "pace", pace: Number(element("pace").value) }),
  shown: () => tell({ kind: "strip", shown: element("shown").checked }),
};
for (const [id, change] of Object.entries(changes)) {
  element(id).addEventListener("change", () => {
    change();
    element(id).blur();
  });
}
element("upload").addEventListener("change", () => {
  if (element("upload").files.length) tell(element("upload").files[0]);
  element("upload").value = "";
});
(function poll() {
  if (hello) readGamepads();
  requestAnimationFrame(poll);
})();
connect();
