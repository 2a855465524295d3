// The conversation: what is said becomes wishes, and the list beside it obeys.

import { api } from "./api.js";
import { $, fill, h } from "./dom.js";
import { language, t } from "./i18n.js";

const K = 5;
const state = { turns: [], wishes: [], busy: false, now: 0 };
let given = null;

async function say(text) {
  const subject = given.subject();
  if (!text || !subject || state.busy) return;
  const mine = state.now;
  state.busy = true;
  const asked = { who: "you", text };
  state.turns.push(asked);
  render();
  try {
    const answer = await api.chat({ ...subject, text, k: K });
    if (mine !== state.now) return;
    state.turns.push({ who: "palate", text: answer.reply, choices: answer.question?.choices ?? [] });
    state.wishes = answer.wishes.map((wish) => wish.text);
    if (answer.ranking) given.heard();
  } catch (error) {
    if (mine !== state.now) return;
    state.turns = state.turns.filter((one) => one !== asked); // nobody heard it; saying it again adds it again
    given.alerts.show(error, () => say(text));
  } finally {
    if (mine === state.now) state.busy = false;
    render();
  }
}

function turn({ who, text, choices }) {
  const options = (choices ?? []).map((choice) => h("button", { type: "button", class: "chip", on: { click: () => say(choice) } }, choice));
  return h("li", { class: `turn ${who}` }, h("span", { class: "sr" }, t(`talk.${who}`)), h("p", {}, text), options.length > 0 && h("div", { class: "chips" }, options));
}

function render() {
  if (!$("turns")) return;
  fill($("turns"), state.turns.slice(-6).map(turn));
  fill($("wishes"), state.wishes.map((wish) => h("span", { class: "chip" }, wish)));
  $("wishes").hidden = state.wishes.length === 0;
  $("words").setAttribute("lang", language());
}

export const talk = {
  start(given_) {
    given = given_;
    $("say").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = $("words").value.trim();
      if (state.busy || !given.subject()) return; // the words stay until they can be said
      $("words").value = "";
      say(text);
    });
  },
  /** Another person: what was said belongs to the one before. */
  forget() {
    Object.assign(state, { turns: [], wishes: [], busy: false, now: state.now + 1 });
    render();
  },
  render,
};
