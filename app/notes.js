const PAUSE_MS = 900;
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const walks = new WeakMap();

function element(tag, look, text) {
  const made = document.createElement(tag);
  made.className = look;
  made.textContent = text ?? "";
  return made;
}

class Walk {
  constructor(root) {
    this.root = root;
    const act = {
      first: () => this.go(1),
      back: () => this.go(this.step - 1),
      on: () => this.go(this.step + 1),
    };
    for (const [name, run] of Object.entries(act)) {
      this.find(`[data-do=${name}]`).onclick = () => {
        clearTimeout(this.timer);
        this.timer = undefined;
        run();
        this.tell();
      };
    }
    this.find("[data-do=play]").onclick = () => (this.timer ? this.stop() : this.play());
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  show({ step, words, steps, texts }, told) {
    this.told = told;
    this.texts = texts;
    this.steps = steps;
    if (this.asked !== step) this.step = step; // the link or a reset says so, not this walk
    this.asked = step;
    if (String(this.words) !== String(words)) {
      this.words = words;
      this.buttons = words.map((word, place) => {
        const button = element("button", "", word);
        button.type = "button";
        button.onclick = () => {
          clearTimeout(this.timer);
          this.timer = undefined;
          this.go(place + 1);
          this.tell();
        };
        return button;
      });
      this.find(".words").replaceChildren(...this.buttons);
    }
    this.name();
    this.draw();
  }

  name() {
    const t = this.texts;
    this.find(".notes").setAttribute("aria-label", t.label);
    for (const name of ["first", "back", "on"]) this.find(`[data-do=${name}]`).textContent = t[name];
    this.find(".choose").textContent = t.choose;
    this.find(".rows").textContent = t.rows;
    this.find(".with-name").textContent = t.with;
    this.find(".without-name").textContent = t.without;
    this.find(".key").replaceChildren(
      ...["new", "kept", "again", "dropped"].map((look) => {
        const item = document.createElement("li");
        item.append(element("i", look), t[`key_${look}`]);
        return item;
      }),
    );
  }

  go(step) {
    this.step = Math.min(Math.max(step, 1), this.words.length);
    this.draw();
  }

  // The server hears where the walk stands, so that the link has it.
  tell() {
    if (this.asked === this.step) return;
    this.asked = this.step;
    this.told(this.step);
  }

  play() {
    if (this.step === this.words.length) this.go(1);
    const next = () => {
      this.timer = undefined;
      if (this.step < this.words.length) this.go(this.step + 1);
      if (this.step < this.words.length) this.timer = setTimeout(next, PAUSE_MS);
      else this.stop();
    };
    this.timer = setTimeout(next, PAUSE_MS);
    this.draw();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.draw();
    this.tell();
  }

  draw() {
    const t = this.texts;
    const now = this.steps[this.step - 1];
    const values = { ...now, step: this.step, steps: this.words.length, word: this.words[this.step - 1].trim() };
    this.find("[data-do=play]").textContent = this.timer ? t.pause : t.play;
    this.find("[data-do=back]").disabled = this.step === 1;
    this.find("[data-do=on]").disabled = this.step === this.words.length;
    this.find(".clock").textContent = fill(t.clock, values);
    const spoken = this.find(".sentence");
    spoken.setAttribute("aria-live", this.timer ? "off" : "polite");
    spoken.textContent = fill(t.sentence, values);
    this.buttons.forEach((button, place) => {
      button.className = place < this.step ? "there" : "later";
      button.setAttribute("aria-pressed", place === this.step - 1);
    });
    this.side("with", "kept", fill(t.with_sum, values));
    this.side("without", "again", fill(t.without_sum, values));
  }

  side(name, old, sum) {
    const cards = this.words.slice(0, this.step).map((word, place) => {
      const card = element("div", "card");
      const newest = place === this.step - 1;
      card.append(element("span", "", word));
      for (const letter of "QKV") {
        const forgotten = letter === "Q" && old === "kept";
        card.append(element("i", newest ? "new" : forgotten ? "dropped" : old, letter));
      }
      return card;
    });
    this.find(`.cards.${name}`).replaceChildren(...cards);
    const triangle = this.find(`.triangle.${name}`);
    triangle.style.setProperty("--columns", this.words.length);
    triangle.setAttribute("aria-label", sum);
    triangle.replaceChildren(
      ...this.words.flatMap((_, row) =>
        this.words.map((__, column) => {
          const done = row < this.step && column <= row;
          const look = done ? (column === row ? "new" : old) : "none";
          return element("div", `${look}${row === this.step - 1 && column <= row ? " now" : ""}`);
        }),
      ),
    );
    this.find(`.${name}-sum`).textContent = sum;
  }
}

export default function ({ data, parentElement, setStateValue }) {
  let walk = walks.get(parentElement);
  if (!walk) {
    walk = new Walk(parentElement);
    walks.set(parentElement, walk);
  }
  walk.show(data, (step) => setStateValue("step", step));
  return () => clearTimeout(walk.timer);
}
