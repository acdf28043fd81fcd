"use strict";
(() => {
  const BLEND = 75; // per cent of the map, as on the sheets
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const text = (number) => Number(number.toPrecision(3)).toString().replace("-", "−");

  // The values of one image in a panel; `packed` holds those of all images.
  const valuesOf = (panel, packed, index) => {
    const size = panel.shape.reduce((product, side) => product * side, 1);
    const unit = (panel.high - panel.low) / 65535;
    return Array.from(packed.subarray(index * size, (index + 1) * size), (step) => panel.low + unit * step);
  };

  const paint = (canvas, values, [height, width], scale) => {
    Object.assign(canvas, { width, height });
    const picture = new ImageData(width, height);
    values.forEach((value, n) => {
      const share = Math.min(1, Math.max(0, (value - scale.low) / (scale.high - scale.low)));
      const colour = 3 * Math.round(255 * share);
      picture.data.set([...scale.colours.subarray(colour, colour + 3), 255], 4 * n);
    });
    canvas.getContext("2d").putImageData(picture, 0, 0);
  };

  const isMap = (panel) => panel.shape.length === 2;

  const stack = (data, index, found, ...layers) => {
    const image = data.images[index];
    const made = make("div", { className: "stack" }, make("img", { src: image.source, alt: `image ${image.name}` }), ...layers);
    made.style.aspectRatio = `${data.width} / ${data.height}`;
    made.classList.toggle("coarse", Math.max(data.width, data.height) <= 64);
    for (const { edges, colour } of [...image.boxes, ...found]) {
      const [left, top, right, bottom] = edges.map((share) => `${100 * share}%`);
      const [width, height] = [`calc(${right} - ${left})`, `calc(${bottom} - ${top})`];
      const box = make("span", { className: "box" });
      Object.assign(box.style, { left, top, width, height, borderColor: colour });
      made.append(box);
    }
    return made;
  };

  const mapOf = (data, run, panel, index) => {
    const scale = data.scales[panel.unit];
    const values = valuesOf(panel, panel.values, index);
    const [height, width] = panel.shape;
    const canvas = make("canvas", { title: "" });
    canvas.addEventListener("pointermove", (event) => {
      const { left, top, width: wide, height: high } = canvas.getBoundingClientRect();
      const column = Math.min(width - 1, Math.max(0, Math.floor((event.clientX - left) / wide * width)));
      const row = Math.min(height - 1, Math.max(0, Math.floor((event.clientY - top) / high * height)));
      canvas.title = text(values[row * width + column]);
    });
    paint(canvas, values, panel.shape, scale);
    return stack(data, index, run.boxes[index], canvas);
  };

  const namedBars = (panel, values) => make("ul", { className: "named" }, ...values.map((value, n) => {
    const bar = make("li", {}, make("span", { textContent: panel.labels[n] }), make("b", { textContent: value.toFixed(2) }));
    bar.style.setProperty("--share", `${100 * value / panel.highest}%`);
    return bar;
  }));

  const svg = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  const plainBars = (panel, values, compared) => {
    const low = Math.min(0, ...values);
    const y = (value) => (100 * (panel.highest - value) / (panel.highest - low || 1)).toFixed(2);
    const steps = values.map((value, n) => `L${n} ${y(value)}H${n + 1}`).join("");
    const shapes = [svg("path", { class: "bars", d: `M0 ${y(0)}${steps}V${y(0)}z` })];
    if (compared) shapes.push(svg("path", { class: "line", d: `M${compared.map((value, n) => `${n + 0.5} ${y(value)}`).join("L")}` }));
    const label = `${values.length} channels from ${text(low)} to ${text(panel.highest)}`;
    const plot = svg("svg", { viewBox: `0 0 ${values.length} 100`, preserveAspectRatio: "none", role: "img", "aria-label": label }, ...shapes);
    const ends = [["top", text(panel.highest)], ["bottom", text(low)], ["last", String(values.length)]];
    return make("div", { className: "plot" }, plot, ...ends.map(([className, textContent]) => make("small", { className, textContent })));
  };

  const barsOf = (panel, index) => {
    const values = valuesOf(panel, panel.values, index);
    const compared = panel.compared && valuesOf(panel, panel.compared, index);
    return panel.labels.length ? namedBars(panel, values) : plainBars(panel, values, compared);
  };

  const figure = (content, title, caption) => make("figure", {}, make("h4", { textContent: title }), content,
    make("figcaption", { textContent: caption }));

  const legend = ({ low, high, meaning, colours }) => {
    const stops = Array.from({ length: 16 }, (_, n) => `rgb(${colours.subarray(51 * n, 51 * n + 3).join(" ")})`);
    const bar = make("i");
    bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    return make("li", {}, make("span", { textContent: text(low) }), bar, make("span", { textContent: text(high) }),
      make("span", { className: "meaning", textContent: meaning }));
  };

  const select = (name, label, options) => {
    const box = make("select", { name }, ...options.map(([value, textContent]) => make("option", { value, textContent })));
    const line = make("label", { hidden: options.length < 3 }, `${label} `, box); // "all" and a single choice: no choice
    return [box, line];
  };

  const counted = (values) => [...new Set(values)].map((value) => [value, values.filter((other) => other === value).length]);

  // Read the content of a viewer; numbers are unpacked once.
  const read = (root) => {
    const data = JSON.parse(root.querySelector("script").textContent);
    for (const scale of Object.values(data.scales)) scale.colours = bytes(scale.colours);
    for (const panel of data.runs.flatMap((run) => run.panels)) {
      panel.values = new Uint16Array(bytes(panel.values).buffer);
      if (panel.compared) panel.compared = new Uint16Array(bytes(panel.compared).buffer);
    }
    return data;
  };

  // How all runs classify an image: "right", "wrong", "mixed", or "" where its class is not known.
  const answer = (data, index) => {
    const { label } = data.images[index];
    const right = data.runs.filter((run) => run.predicted[index] === label).length;
    return label < 0 ? "" : right === data.runs.length ? "right" : right === 0 ? "wrong" : "mixed";
  };
  const changed = (data, index) => new Set(data.runs.map((run) => run.predicted[index])).size > 1;

  const filtersOf = (data) => {
    const labels = counted(data.images.map((image) => image.label).filter((label) => label >= 0)).sort(([a], [b]) => a - b);
    const nameOf = (label) => data.images.find((image) => image.label === label).class;
    const panels = data.runs.flatMap((run) => run.panels);
    const some = (key) => [["", "all"], ...counted(panels.map((panel) => panel[key])).map(([value]) => [value, value])];
    const answers = labels.length ? [["right", "right"], ["wrong", "wrong"]] : [];
    if (data.runs.length > 1) answers.push(["changed", "runs disagree"], ...(labels.length ? [["mixed", "right and wrong"]] : []));
    return {
      label: select("class", "class", [["", "all"], ...labels.map(([label, count]) => [label, `${nameOf(label)} (${count})`])]),
      answer: select("answer", "answer", [["", "all"], ...answers]),
      method: select("method", "map", some("method")),
      place: select("place", "at", some("place")),
    };
  };

  let current = null; // the step of the viewer that was shown or used last, which arrow keys take
  let byPointer = false;

  const show = (root) => {
    const data = read(root);
    const filters = filtersOf(data);
    const chosen = Object.fromEntries(Object.entries(filters).map(([name, [box]]) => [name, box]));
    const blend = make("input", { type: "range", name: "blend", min: 0, max: 100, value: BLEND });
    const [back, forth] = [["‹", "previous image"], ["›", "next image"]].map(([textContent, title]) =>
      make("button", { type: "button", textContent, title, ariaLabel: title }));
    const position = make("output");
    const strip = make("div", { className: "strip" });
    const [input, runs] = ["input", "runs"].map((className) => make("div", { className }));
    const legends = Object.entries(data.scales).map(([unit, scale]) => [unit, legend(scale)]);
    const thumbs = data.images.map((image, index) => {
      const title = [`image ${image.name}`, image.caption, answer(data, index)].filter(Boolean).join(" · ");
      const thumb = make("button", { type: "button", title, ariaLabel: title, className: answer(data, index) }, make("img", { src: image.source, alt: "" }));
      thumb.addEventListener("click", () => go(matching().indexOf(index)));
      return thumb;
    });
    let shown = 0; // the number of the image

    const matching = () => data.images.map((_, index) => index).filter((index) =>
      (!chosen.label.value || data.images[index].label === Number(chosen.label.value))
      && (!chosen.answer.value || answer(data, index) === chosen.answer.value
        || (chosen.answer.value === "changed" && changed(data, index))));
    const wanted = (panel) => ["method", "place"].every((key) => !chosen[key].value || panel[key] === chosen[key].value);

    const runOf = (run) => {
      const figures = run.panels.filter(wanted).map((panel) => figure(
        isMap(panel) ? mapOf(data, run, panel, shown) : barsOf(panel, shown), panel.title, panel.captions[shown] ?? ""));
      const nothing = make("p", { textContent: run.panels.length ? "This run has no such map." : "This run has no maps." });
      return make("section", {}, make("h3", {}, run.name, make("span", { textContent: run.captions[shown] })),
        make("div", { className: "panels" }, ...(figures.length ? figures : [nothing])));
    };

    const blended = () => {
      root.style.setProperty("--blend", blend.value / 100);
      root.classList.toggle("blended", blend.value > 0);
    };

    const go = (place) => {
      const numbers = matching();
      strip.replaceChildren(...numbers.map((index) => thumbs[index]));
      if (!numbers.length) {
        position.textContent = "no such image";
        for (const part of [input, runs]) part.replaceChildren();
        return;
      }
      shown = numbers[(place + numbers.length) % numbers.length];
      position.textContent = `${numbers.indexOf(shown) + 1} of ${numbers.length}`;
      thumbs.forEach((thumb, index) => thumb.setAttribute("aria-current", index === shown));
      const { offsetLeft, offsetWidth } = thumbs[shown];
      strip.scrollLeft = offsetLeft - strip.offsetLeft - (strip.clientWidth - offsetWidth) / 2;
      const image = data.images[shown];
      const found = data.runs.length === 1 ? data.runs[0].boxes[shown] : []; // those of several runs are over their maps
      input.replaceChildren(figure(stack(data, shown, found), `image ${image.name}`, image.caption));
      runs.replaceChildren(...data.runs.map(runOf));
      const units = data.runs.flatMap((run) => run.panels.filter(wanted)).filter(isMap).map((panel) => panel.unit);
      for (const [unit, line] of legends) line.hidden = !units.includes(unit);
    };
    const step = (by) => go(matching().indexOf(shown) + by);

    root.append(
      make("div", { className: "controls" }, ...Object.values(filters).map(([, line]) => line),
        make("label", { className: "blend" }, "image ", blend, " map"),
        make("span", { className: "steps" }, back, position, forth)),
      strip,
      make("ul", { className: "legend" }, ...legends.map(([, line]) => line)),
      make("div", { className: "shown" }, input, runs),
    );
    back.addEventListener("click", () => step(-1));
    forth.addEventListener("click", () => step(1));
    blend.addEventListener("input", blended);
    for (const box of Object.values(chosen)) box.addEventListener("change", () => go(Math.max(0, matching().indexOf(shown))));
    // A control that was set with the mouse leaves the arrow keys to the images.
    root.addEventListener("change", (event) => { if (byPointer) event.target.blur(); });
    for (const kind of ["pointerdown", "focusin"]) root.addEventListener(kind, () => { current = step; });
    current = step;
    blended();
    go(0);
  };

  addEventListener("pointerdown", () => { byPointer = true; }, true);
  addEventListener("keydown", (event) => {
    byPointer = false;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !current || event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select")) return;
    event.preventDefault();
    current(by);
  }, true);

  const whenVisible = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      whenVisible.unobserve(target);
      show(target);
    }
  });
  for (const root of document.querySelectorAll(".viewer")) whenVisible.observe(root);
})();
