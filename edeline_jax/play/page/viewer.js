// The recorded episodes: where a dream may begin.

const viewer = { episodes: [], tell: () => {} };

function lookAt(step) {
  const timeline = element("timeline");
  timeline.value = Math.max(0, Math.min(step, Number(timeline.max)));
  viewer.tell({ kind: "look", episode: Number(element("episode").value), step: Number(timeline.value) });
}

function chooseEpisode() {
  element("timeline").max = viewer.episodes[Number(element("episode").value)].steps - 1;
  lookAt(0);
}

function openViewer(hello, tell) {
  Object.assign(viewer, { episodes: hello.episodes, tell });
  element("source").textContent = hello.source;
  element("episode").replaceChildren(...hello.episodes.map((episode, i) => {
    const steps = `${episode.steps} step${episode.steps === 1 ? "" : "s"}`;
    return new Option(`episode ${i + 1}: ${steps}, reward ${Number(episode.reward.toFixed(2))}`, i);
  }));
  if (element("viewer").open) chooseEpisode();
}

function showLook(header, images, actions) {
  paint(element("look"), images.look);
  const end = header.end ? ", the end" : "";
  const name = actions[header.action]?.name ?? header.action;
  element("looked").textContent = `step ${header.step}: ${name}, reward ${Number(header.reward.toFixed(2))}${end}`;
}

element("viewer").addEventListener("toggle", () => element("viewer").open && viewer.episodes.length && chooseEpisode());
for (const summary of document.querySelectorAll("summary")) summary.addEventListener("click", () => summary.blur());
element("episode").addEventListener("change", () => {
  chooseEpisode();
  element("episode").blur();
});
element("timeline").addEventListener("input", () => lookAt(Number(element("timeline").value)));
element("timeline").addEventListener("change", () => element("timeline").blur());
for (const button of document.querySelectorAll("[data-by]")) {
  button.addEventListener("click", () => {
    lookAt(Number(element("timeline").value) + Number(button.dataset.by));
    button.blur();
  });
}
element("from-here").addEventListener("click", () => {
  element("from-here").blur();
  viewer.tell({ kind: "start", episode: Number(element("episode").value), step: Number(element("timeline").value) });
});
