// long: one player, whose parts share what it shows
const HUES = ["#56B4E9", "#E69F00", "#4DC9A0", "#E3A6CB", "#F0E442", "#F2A37E"];
const hue = (request) => HUES[request % HUES.length];
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const players = new WeakMap();

async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

// Each frame tells what differs from the one before: here every frame gets all of it.
function follow(drawn) {
  let blocks = new Array(drawn.paged.num_blocks).fill(["free", 0, 0, 0]);
  let tables = new Map();
  const done = new Set();
  return drawn.paged.frames.map((frame, place) => {
    blocks = [...blocks];
    tables = new Map(tables);
    for (const [id, ...block] of frame.blocks) blocks[id - 1] = block;
    for (const [request, table] of frame.tables) {
      if (table.length) tables.set(request, table);
      else tables.delete(request);
    }
    frame.events.finished.forEach((request) => done.add(request));
    const states = new Map();
    for (const state of ["running", "waiting", "preempted"]) {
      frame[state].forEach((request) => states.set(request, state));
    }
    done.forEach((request) => states.set(request, "done"));
    return { ...frame, blocks, tables, states, beside: drawn.contiguous.frames[place], done: done.size };
  });
}

class Player {
  constructor(root) {
    this.root = root;
    this.place = 0;
    this.chosen = new Set();
    const act = {
      first: () => this.go(0),
      back: () => this.go(this.place - 1),
      on: () => this.go(this.place + 1),
      play: () => (this.timer ? this.stop() : this.play()),
    };
    for (const [name, run] of Object.entries(act)) {
      this.find(`[data-do=${name}]`).onclick = () => {
        if (name !== "play") this.stop();
        run();
      };
    }
    this.find(".scrub").oninput = (event) => {
      const place = Number(event.target.value); // stopping draws, and sets it back
      this.stop();
      this.go(place);
    };
    this.find("details").ontoggle = () => this.table();
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  async show({ frames, start, texts }) {
    if (!this.texts || this.texts.label !== texts.label) this.stop();
    this.texts = texts;
    if (this.packed !== frames) {
      this.stop();
      this.packed = frames;
      const drawn = await unpack(frames);
      if (this.packed !== frames) return; // another one came meanwhile
      this.drawn = drawn;
      this.frames = follow(drawn);
      this.stays = new Map(drawn.contiguous.stays.map((stay) => [stay.request, stay]));
      this.place = start;
      this.moved = false;
      this.chosen = new Set([...this.frames[start].tables.keys()].slice(0, 1));
      this.pointed = false; // nothing is dimmed before the visitor has chosen
      this.build();
    }
    if (!this.frames) return;
    this.name();
    this.draw();
  }

  build() {
    const { paged, contiguous, setting, requests } = this.drawn;
    this.columns = paged.num_blocks > 256 ? 32 : 16;
    this.rowSlots = this.columns * setting.block_size;
    for (const pool of this.root.querySelectorAll(".pool")) pool.style.setProperty("--columns", this.columns);
    const cells = Array.from({ length: paged.num_blocks }, () => document.createElement("div"));
    this.find(".paged").replaceChildren(...cells);
    this.cells = cells;
    this.looks = [];
    const rows = Math.ceil(contiguous.num_slots / this.rowSlots);
    this.rows = Array.from({ length: rows }, (_, row) => {
      const strip = document.createElement("div");
      strip.className = "strip";
      const slots = Math.min(this.rowSlots, contiguous.num_slots - row * this.rowSlots);
      strip.style.width = `${(100 * slots) / this.rowSlots}%`;
      strip.style.aspectRatio = slots / setting.block_size;
      strip.slots = slots;
      return strip;
    });
    this.find(".reserved").replaceChildren(...this.rows);
    this.chips = requests.map(({ request }) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.textContent = request;
      chip.style.setProperty("--hue", hue(request));
      chip.onclick = () => {
        if (!this.pointed) this.chosen.clear(); // the one that was there at first
        this.pointed = true;
        if (!this.chosen.delete(request)) this.chosen.add(request);
        this.draw();
      };
      return chip;
    });
    this.find(".requests").replaceChildren(...this.chips);
    this.find(".scrub").max = this.frames.length - 1;
  }

  name() {
    const t = this.texts;
    this.find(".player").setAttribute("aria-label", t.label);
    for (const name of ["first", "back", "on"]) this.find(`[data-do=${name}]`).textContent = t[name];
    this.find(".speed-name").textContent = `${t.speed} `;
    this.find(".scrub").setAttribute("aria-label", t.scrub);
    this.find(".paged-name").textContent = t.paged;
    this.find(".reserved-name").textContent = `${t.reserved} (${this.drawn.reservation})`;
    this.find(".requests-name").textContent = t.requests;
    this.find("summary").textContent = t.table;
    const key = (looks) =>
      looks.map(([look, name, sign]) => {
        const item = document.createElement("li");
        const sample = document.createElement("i");
        sample.className = look;
        sample.textContent = sign ?? "";
        item.append(sample, t[`key_${name}`]);
        return item;
      });
    this.find(".paged-key").replaceChildren(
      ...key([["held", "held", "3"], ["shared", "shared", "×5"], ["cached", "cached"], ["free", "free"], ["free lost", "lost"]]),
    );
    this.find(".reserved-key").replaceChildren(
      ...key([["used", "used"], ["later", "later"], ["never", "never"], ["rounding", "rounding"], ["free", "free"]]),
    );
    const columns = ["request", "state", "tokens", "blocks", "slots"].map((name) => {
      const head = document.createElement("th");
      head.scope = "col";
      head.textContent = t[`column_${name}`];
      return head;
    });
    const line = document.createElement("tr");
    line.append(...columns);
    this.find("thead").replaceChildren(line);
  }

  go(place) {
    this.place = Math.min(Math.max(place, 0), this.frames.length - 1);
    this.moved = true;
    this.draw();
  }

  play() {
    const last = this.frames.length - 1;
    if (!this.moved || this.place === last) this.go(0);
    const next = () => {
      if (!this.root.isConnected && !this.root.host?.isConnected) return this.stop();
      if (this.place >= last) return this.stop();
      this.timer = setTimeout(next, Number(this.find(".speed").value));
      this.go(this.place + 1);
    };
    this.timer = setTimeout(next, Number(this.find(".speed").value));
    this.draw();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.frames) this.draw();
  }

  draw() {
    const t = this.texts;
    const frame = this.frames[this.place];
    const { beside, num_blocks: counts } = frame;
    this.find("[data-do=play]").textContent = this.timer ? t.pause : t.play;
    this.find("[data-do=back]").disabled = this.place === 0;
    this.find("[data-do=on]").disabled = this.place === this.frames.length - 1;
    this.find(".scrub").value = this.place;
    const clock = fill(t.clock, { step: frame.step, steps: this.drawn.paged.num_steps });
    this.find(".clock").textContent = clock;
    this.find(".scrub").setAttribute("aria-valuetext", clock);
    const sentence = fill(t.sentence, {
      step: frame.step,
      running: frame.running.length,
      waiting: frame.waiting.length,
      preempted: frame.preempted.length,
      done: frame.done,
      used: frame.num_used,
      blocks: this.drawn.paged.num_blocks,
      shared: counts.shared,
      saved: frame.num_saved,
      cached: counts.cached,
      held: beside.held.length,
      queue: beside.waiting.length,
      finished: beside.num_finished,
      tokens: beside.used,
      slots: this.drawn.contiguous.num_slots,
    });
    const spoken = this.find(".sentence");
    spoken.setAttribute("aria-live", this.timer ? "off" : "polite");
    spoken.textContent = sentence;
    this.find(".paged").setAttribute("aria-label", sentence);
    this.find(".reserved").setAttribute("aria-label", sentence);
    this.events(frame);
    this.blocks(frame);
    this.stretches(beside);
    this.requests(frame);
    this.table();
  }

  events(frame) {
    const t = this.texts;
    const e = frame.events;
    const said = [
      [e.preempted.length, t.preempted, { list: e.preempted.join(", ") }, "alarm"],
      [e.admitted.length, t.admitted, { list: e.admitted.join(", ") }],
      [e.finished.length, t.finished, { list: e.finished.join(", ") }],
      [e.num_hit_tokens, t.hit, { count: e.num_hit_tokens }],
      [e.num_allocated, t.allocated, { count: e.num_allocated }],
      [e.num_evicted, t.evicted, { count: e.num_evicted }],
    ]
      .filter(([happened]) => happened)
      .map(([, text, values, look]) => {
        const event = document.createElement("span");
        event.textContent = fill(text, values);
        event.className = look ?? "";
        return event;
      });
    this.find(".events").replaceChildren(...(said.length ? said : [t.quiet]));
  }

  blocks(frame) {
    const owners = new Map();
    for (const [request, table] of frame.tables) {
      for (const id of table) owners.set(id, [...(owners.get(id) ?? []), request]);
    }
    const before = this.frames[this.place - 1];
    const lost = new Set(frame.events.preempted.flatMap((request) => before?.tables.get(request) ?? []));
    this.cells.forEach((cell, i) => {
      const [state, tokens, slots, references] = frame.blocks[i];
      const owner = owners.get(i + 1) ?? [];
      const dim = this.dims() && owner.length && !owner.some((request) => this.chosen.has(request));
      const look = `cell ${state}${dim ? " dim" : ""}${lost.has(i + 1) ? " lost" : ""}`;
      const sign = state === "held" ? owner[0] : state === "shared" ? `×${references}` : "";
      const title = `${i + 1}: ${owner.join(", ")} ${tokens}/${slots}`;
      const all = `${look}|${sign}|${title}`;
      if (this.looks[i] === all) return;
      this.looks[i] = all;
      cell.className = look;
      cell.textContent = sign;
      cell.title = title;
      if (state === "held") {
        cell.style.setProperty("--hue", hue(owner[0]));
        cell.style.setProperty("--fill", `${(100 * tokens) / slots}%`);
      }
    });
  }

  stretches(beside) {
    const parts = this.rows.map(() => []);
    const paint = (request, look, first, end) => {
      for (let slot = first; slot < end; ) {
        const row = Math.floor(slot / this.rowSlots);
        const strip = this.rows[row];
        const stop = Math.min(end, (row + 1) * this.rowSlots);
        const part = document.createElement("div");
        const dim = this.dims() && !this.chosen.has(request);
        part.className = `part ${look}${dim ? " dim" : ""}`;
        part.style.left = `${(100 * (slot - row * this.rowSlots)) / strip.slots}%`;
        part.style.width = `${(100 * (stop - slot)) / strip.slots}%`;
        part.style.setProperty("--hue", hue(request));
        part.title = `${request}: ${slot}-${stop - 1}`;
        if (look === "used" && slot === first) part.textContent = request;
        parts[row].push(part);
        slot = stop;
      }
    };
    for (const [request, used] of beside.held) {
      const { start, num_slots, reserved_slots, num_tokens } = this.stays.get(request);
      paint(request, "used", start, start + used);
      paint(request, "later", start + used, start + num_tokens);
      paint(request, "never", start + num_tokens, start + reserved_slots);
      paint(request, "rounding", start + reserved_slots, start + num_slots);
    }
    this.rows.forEach((strip, row) => strip.replaceChildren(...parts[row]));
  }

  dims() {
    return this.pointed && this.chosen.size > 0;
  }

  told(frame, request) {
    const table = frame.tables.get(request) ?? [];
    const stay = this.stays.get(request);
    const held = frame.beside.held.find(([other]) => other === request);
    const state = frame.states.get(request) ?? "later";
    return {
      request,
      table,
      state,
      state_name: this.texts[`state_${state}`],
      tokens: table.reduce((sum, id) => sum + frame.blocks[id - 1][1], 0),
      blocks: table.length,
      stay: held && { first: stay.start, last: stay.start + stay.num_slots - 1, tokens: held[1] },
    };
  }

  requests(frame) {
    const t = this.texts;
    this.chips.forEach((chip, i) => {
      const { request, state, state_name } = this.told(frame, this.drawn.requests[i].request);
      chip.className = state;
      chip.setAttribute("aria-pressed", this.chosen.has(request));
      chip.setAttribute("aria-label", fill(t.request, { request, state: state_name }));
    });
    const lines = [...this.chosen].sort((a, b) => a - b).map((request) => {
      const { table, state_name, tokens, blocks, stay } = this.told(frame, request);
      const line = document.createElement("p");
      line.append(`${fill(t.chosen, { request, state: state_name, tokens, blocks })} `);
      for (const id of table) {
        const tag = document.createElement("b");
        const shared = frame.blocks[id - 1][0] === "shared";
        tag.className = shared ? "shared" : "";
        tag.style.setProperty("--hue", hue(request));
        tag.textContent = shared ? `${id} ×${frame.blocks[id - 1][3]}` : id;
        line.append(tag);
      }
      line.append(` · ${stay ? fill(t.stay, stay) : t.nothing}`);
      return line;
    });
    this.find(".chosen").replaceChildren(...lines);
  }

  table() {
    if (!this.frames || !this.find("details").open) return;
    const frame = this.frames[this.place];
    const rows = [...frame.states.keys()]
      .filter((request) => frame.states.get(request) !== "done" || frame.beside.held.some(([r]) => r === request))
      .sort((a, b) => a - b)
      .map((request) => {
        const { state_name, tokens, table, stay } = this.told(frame, request);
        const line = document.createElement("tr");
        const slots = stay ? `${stay.first}-${stay.last}` : "";
        for (const value of [request, state_name, tokens, table.join(" "), slots]) {
          const cell = document.createElement("td");
          cell.textContent = value;
          line.append(cell);
        }
        return line;
      });
    this.find("tbody").replaceChildren(...rows);
  }
}

export default function ({ data, parentElement }) {
  let player = players.get(parentElement);
  if (!player) {
    player = new Player(parentElement);
    players.set(parentElement, player);
  }
  player.show(data);
  return () => player.stop();
}
