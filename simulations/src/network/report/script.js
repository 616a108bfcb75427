
// Sorting by a click on a heading, and the village under the pointer. The page is complete without.
// Neither ampersands nor less-than signs, so that the page is well-formed XML.
"use strict";
for (const table of document.querySelectorAll("table")) {
  table.classList.add("sorts");
  table.querySelectorAll("th").forEach((heading, column) => {
    // Figures from the largest on, words from A.
    let down = heading.classList.contains("n");
    heading.addEventListener("click", () => {
      const value = (row) => {
        const cell = row.cells[column];
        return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
      };
      const body = table.tBodies[0];
      const order = (one, other) => {
        const [left, right] = [value(one), value(other)];
        if (left === right) return 0;
        return (left > right) === down ? -1 : 1;
      };
      Array.from(body.rows).sort(order).forEach((row) => body.append(row));
      down = !down;
    });
  });
}
const map = document.querySelector(".map");
const told = document.getElementById("dots");
if (map !== null) if (told !== null) {
  const villages = JSON.parse(told.textContent);
  const svg = map.querySelector("svg");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  map.append(tip);
  const show = (event) => {
    const box = svg.getBoundingClientRect();
    const view = svg.viewBox.baseVal;
    const scale = Math.min(box.width / view.width, box.height / view.height);
    const [left, top] = [(box.width - view.width * scale) / 2, (box.height - view.height * scale) / 2];
    const [x, y] = [(event.clientX - box.left - left) / scale, (event.clientY - box.top - top) / scale];
    let [nearest, best] = [null, (16 / scale) ** 2];
    for (const village of villages) {
      const far = (village[0] - x) ** 2 + (village[1] - y) ** 2;
      if (best > far) [nearest, best] = [village, far];
    }
    tip.hidden = nearest === null;
    if (nearest === null) return;
    tip.textContent = nearest.slice(2).join("\n");
    const wide = map.clientWidth;
    const over = event.clientX - map.getBoundingClientRect().left;
    tip.style.left = Math.max(0, Math.min(over + 14, wide - tip.offsetWidth)) + "px";
    tip.style.top = event.clientY - map.getBoundingClientRect().top + 14 + "px";
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
  svg.addEventListener("pointerleave", () => { tip.hidden = true; });
}
