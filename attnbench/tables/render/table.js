"use strict";
(() => {
  const table = document.getElementById("table");
  const headings = [...table.querySelectorAll("thead th[aria-sort]")];
  const bodies = [...table.tBodies];
  const rows = bodies.map((body) => [...body.querySelectorAll("tr[data-key]")]);
  const opened = new Map(); // the row with the details of each row that has some
  for (const row of rows.flat()) if (row.nextElementSibling?.className === "opened") opened.set(row, row.nextElementSibling);
  const names = bodies.map((body) => body.querySelector("tr.section"));
  const keep = document.getElementById("keep-sections");
  const detail = document.getElementById("show-details");
  const next = { none: "ascending", ascending: "descending", descending: "none" };
  let sorted = null; // the heading that rows are sorted by

  for (const row of rows.flat().filter((row) => row.dataset.section)) {
    const section = document.createElement("span");
    section.className = "of-section";
    section.textContent = row.dataset.section;
    row.cells[0].append(section);
  }

  const number = (row, column) => {
    const value = row.cells[column].dataset.sort;
    return value === undefined || !Number.isFinite(Number(value)) ? null : Number(value);
  };
  const text = (row, column) => {
    const value = row.cells[column].querySelector(".value").textContent.trim();
    return value === "" || value === "–" ? null : value;
  };

  const inOrder = (some, column, sign) => {
    const numeric = rows.flat().some((row) => number(row, column) !== null);
    const value = numeric ? number : text;
    const compare = (a, b) => (numeric ? a - b : a.localeCompare(b, "en", { numeric: true }));
    return [...some].sort((one, other) => {
      const [a, b] = [value(one, column), value(other, column)];
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * compare(a, b);
    });
  };

  const show = () => {
    const order = sorted ? sorted.getAttribute("aria-sort") : "none";
    const dissolve = order !== "none" && keep !== null && !keep.checked;
    const arrange = (some) => order === "none" ? some
      : inOrder(some, headings.indexOf(sorted), order === "ascending" ? 1 : -1);
    table.classList.toggle("dissolved", dissolve);
    bodies.forEach((body, n) => {
      const some = dissolve ? (n === 0 ? rows.flat() : []) : rows[n];
      const ordered = arrange(some).flatMap((row) => opened.has(row) ? [row, opened.get(row)] : [row]);
      body.replaceChildren(...(names[n] && !dissolve ? [names[n]] : []), ...ordered);
    });
  };

  for (const heading of headings) {
    heading.querySelector("button").addEventListener("click", () => {
      const order = next[heading.getAttribute("aria-sort")];
      headings.forEach((other) => other.setAttribute("aria-sort", other === heading ? order : "none"));
      sorted = order === "none" ? null : heading;
      show();
    });
  }
  if (keep) keep.addEventListener("change", show);

  // Columns that do not fit are left out in this order; where that is not enough, the table scrolls.
  const leftOutFirst = ["best", "printed-cost", "cost", "guide"];
  const all = document.getElementById("show-all");
  const scroll = table.parentElement;
  const kindOf = headings.map((heading) => heading.dataset.kind);
  const groupCells = [...table.querySelectorAll("thead tr:first-child > [data-count]")];

  const leaveOut = (kinds) => {
    const hide = headings.map((heading, n) =>
      !(all && all.checked) && (heading.dataset.extra !== undefined || kinds.includes(kindOf[n])));
    headings.forEach((heading, n) => { heading.hidden = hide[n]; });
    for (const row of rows.flat()) hide.forEach((hidden, n) => { row.cells[n].hidden = hidden; });
    for (const row of opened.values()) row.cells[0].colSpan = hide.filter((hidden) => !hidden).length;
    let first = 0;
    for (const cell of groupCells) {
      const count = Number(cell.dataset.count);
      const shown = hide.slice(first, first + count).filter((hidden) => !hidden).length;
      first += count;
      cell.hidden = shown === 0;
      cell.colSpan = Math.max(1, shown);
    }
    if (!all) return;
    const hidden = new Set(kindOf.filter((kind, n) => hide[n]));
    const label = all.parentElement;
    const span = label.querySelector("[data-names]");
    const names = Object.entries(JSON.parse(span.dataset.names));
    if (!all.checked) span.textContent = names.filter(([kind]) => hidden.has(kind)).map(([, name]) => name).join("; ");
    label.hidden = hidden.size === 0 && !all.checked;
  };
  const fits = () => table.offsetWidth <= scroll.clientWidth;
  const markScrolling = () => table.classList.toggle("scrolls", !fits());
  const fit = () => {
    table.classList.remove("compact", "tight", "stacked");
    leaveOut([]);
    if (!fits()) table.classList.add("compact");
    for (let n = 1; n <= leftOutFirst.length && !fits(); n++) leaveOut(leftOutFirst.slice(0, n));
    for (const closer of ["tight", "stacked"]) if (!fits()) table.classList.add(closer);
    markScrolling();
  };
  new ResizeObserver(fit).observe(scroll);
  if (all) all.addEventListener("change", fit);

  const details = () => {
    table.classList.toggle("detailed", detail.checked);
    markScrolling();
  };
  if (detail) detail.addEventListener("change", details);
  if (detail) details(); // a browser keeps its boxes when it loads a page again
})();
