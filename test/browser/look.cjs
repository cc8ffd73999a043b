// What every browser of these tests watches for, whatever it looks at.
"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// Collects what a page does that it should not: errors, dialogs, requests to servers with other addresses.
function watch(page, addresses, problems) {
  page.setDefaultTimeout(60000); // a machine may be busy
  page.on("pageerror", (error) => problems.push(`${page.url()}: ${error}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) problems.push(`${page.url()}: ${message.text()}`);
  });
  page.on("dialog", (dialog) => {
    problems.push(`${page.url()}: a dialog says ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (![addresses, "data:"].flat().some((address) => request.url().startsWith(address))) problems.push(`${page.url()} asks for ${request.url()}`);
  });
  return page;
}

// Collects what axe finds on a page, and that the page is wider than its window.
async function look(page, what, problems) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  assert.ok(passes.length > 5, `${what}: axe has looked at nothing`);
  for (const found of violations) {
    problems.push(`${what}: ${found.id}: ${found.help}: ${found.nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`);
  }
  await fits(page, what, problems);
}

// Collects that a page is wider than its window.
async function fits(page, what, problems) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  if (wide > window) problems.push(`${what}: it is ${wide} wide, and the window ${window}`);
}

module.exports = { watch, look, fits };
