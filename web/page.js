/** Begins the page: the two panels, the tabs between them, and which models answer. */

import { FacePanel } from "./face.js";
import { element } from "./elements.js";
import { modelStatus, useKey } from "./service.js";
import { VoicePanel } from "./voice.js";

const ASK_AGAIN_MS = 5_000;

const panels = { voice: new VoicePanel(), face: new FacePanel() };
/** @type {("voice" | "face")[]} */
const NAMES = ["voice", "face"];

/** @param {"voice" | "face"} chosen */
function show(chosen) {
  for (const name of NAMES) {
    const tab = element(`${name}-tab`);
    tab.setAttribute("aria-selected", String(name === chosen));
    tab.tabIndex = name === chosen ? 0 : -1;
    element(name).hidden = name !== chosen;
    if (name !== chosen) panels[name].leave();
  }
  history.replaceState(null, "", chosen === "voice" ? location.pathname : `#${chosen}`);
}

for (const [index, name] of NAMES.entries()) {
  const tab = element(`${name}-tab`);
  tab.addEventListener("click", () => show(name));
  tab.addEventListener("keydown", ({ key }) => {
    if (key !== "ArrowLeft" && key !== "ArrowRight") return;
    const other = NAMES[1 - index];
    show(other);
    element(`${other}-tab`).focus();
  });
}
show(location.hash === "#face" ? "face" : "voice");

/** Says who answers, and asks again while nobody does. */
async function introduce() {
  const state = element("state");
  try {
    const { voice, face } = await modelStatus();
    element("voice-model").textContent = `${voice.model?.name ?? "?"} ${voice.model?.version ?? ""}`;
    element("face-model").textContent = `${face.model_name} ${face.model_version}`;
    const notices = [voice.notice && `Voice: ${voice.notice}`, face.notice && `Face: ${face.notice}`].filter(Boolean);
    element("notice").textContent = notices.join(" ");
    element("notice").hidden = notices.length === 0;
    panels.voice.threshold = voice.threshold;
    const ready = voice.is_loaded && face.is_loaded;
    state.dataset.state = ready ? "ready" : "away";
    state.textContent = ready ? "ready" : "the models are not loaded";
    element("key-form").hidden = true;
    if (ready) return;
  } catch (error) {
    state.dataset.state = "away";
    const locked = /** @type {any} */ (error).code === "unauthenticated";
    state.textContent = locked ? "asks for a key" : "the service does not answer";
    element("key-form").hidden = !locked;
    if (locked) return;
  }
  setTimeout(introduce, ASK_AGAIN_MS);
}

// Over http to another machine whoever listens could read the key: that is not done without a word.
element("key-clear").hidden = isSecureContext;
/** @type {HTMLInputElement} */ (element("key-agreed")).required = !isSecureContext;
element("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(/** @type {HTMLInputElement} */ (element("key")).value.trim());
  introduce();
});

introduce();
