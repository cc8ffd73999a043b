// What everybody needs of a page.
"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// Adds to the problems what axe finds on a page, and that the page is wider than its window.
async function look(page, what, problems) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  assert.ok(passes.length > 5, `${what}: axe has looked at nothing`);
  for (const found of violations) {
    problems.push(`${what}: ${found.id}: ${found.help}: ${found.nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`);
  }
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  if (wide > window) problems.push(`${what}: it is ${wide} wide, and the window ${window}`);
}

module.exports = { look };
