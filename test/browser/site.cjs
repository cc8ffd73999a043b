// Reads the site of docs/ as people do: at a desk and on a telephone, in the light and in the dark, with a keyboard, and without script.
"use strict";
const assert = require("node:assert/strict");
const path = require("node:path");
const { chromium } = require("playwright-core");
const { watch, look, fits } = require("./look.cjs");

const { BASE, CHROMIUM, SCREENSHOTS } = process.env;
const ALL = JSON.parse(process.env.PAGES);
const problems = [];

// One page of each form.
const forms = ["index.html", "getting-started.html", "exporters/csv.html", "states.html", "console.html", "reference/accounting-export.html", "decisions/index.html", "../index.html"];

async function reader(browser, options) {
  const context = await browser.newContext({ baseURL: BASE, locale: "en-GB", reducedMotion: "reduce", ...options });
  return watch(await context.newPage(), new URL(BASE).origin, problems);
}

async function open(page, name) {
  const answer = await page.goto(name);
  assert.equal(answer.status(), 200, `${name} is answered with ${answer.status()}`);
}

async function shoot(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`) });
}

async function find(page, query) {
  await page.locator("#query").fill(query);
  await page.locator("#found", { hasText: /place|Nothing/ }).waitFor();
  return page.locator("#hits a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
}

// The page that a person means is first.
async function searches(page) {
  await open(page, "kinds/claim-source.html");
  for (const [query, want] of [
    ["getting started", "../getting-started.html"], ["AccountingExport", "../kinds/accounting-export.html"], ["poolers", "../poolers.html"], ["sizing", "../sizing.html"],
    ["max-concurrent-runs", "../"], ["object lock", "../destinations/s3.html"], ["verify-full", "../"], ["upgrade", "../upgrading.html"], ["expörter csv", "../exporters/csv.html"],
  ]) {
    const hits = await find(page, query);
    assert.ok(hits.length > 0 && hits[0].startsWith(want), `${query} finds ${hits.slice(0, 3)}, and not ${want} first`);
  }
  assert.deepEqual(await find(page, "zzzz"), []);
  assert.equal(await page.locator("#found").innerText(), "Nothing was found.");
  await find(page, "<img src=x>");
  await find(page, "held claim");
  await look(page, "what the search finds", problems);
  await shoot(page, "search");
}

// A keyboard is enough.
async function types(page) {
  await open(page, "index.html");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "content");
  await page.keyboard.press("/");
  await page.keyboard.type("getting started");
  await page.locator("#hits a").first().waitFor();
  await page.keyboard.press("ArrowDown");
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none");
  await page.keyboard.press("Escape");
  assert.ok(await page.locator("#results").isHidden());
  await page.keyboard.press("Enter");
  await page.waitForURL(/getting-started\.html/);
}

// What is copied can be pasted into a shell: neither prompts nor answers.
async function copies(page) {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await open(page, "install-with-helm.html");
  const block = page.locator(".code", { hasText: "helm install" }).first();
  await block.hover();
  await block.getByRole("button", { name: "Copy" }).click();
  await block.getByRole("button", { name: "Copied" }).waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^make image .*\n(.*\n)*helm install ledgerport/);
  await open(page, "cli.html");
  const session = page.locator(".code", { hasText: "$ kubectl ledgerport download" }).first();
  await session.hover();
  await session.getByRole("button", { name: "Copy" }).click();
  await session.getByRole("button", { name: "Copied" }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(copied.split("\n").every((line) => line.startsWith("kubectl ledgerport ")), copied);
}

// An older version leads to the newest.
async function olderVersion(page) {
  await open(page, "../older/kinds/claim-source.html");
  await page.locator("#newer a").click();
  await page.waitForURL(/\/main\/(index\.html)?$/);
  assert.ok(await page.locator("#newer").isHidden());
  await page.locator(".version").click();
  await page.getByRole("link", { name: "older" }).click();
  await page.waitForURL(/\/older\/(index\.html)?$/);
}

async function main() {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  try {
    for (const [device, size] of [["desk", { viewport: { width: 1280, height: 900 } }], ["telephone", { viewport: { width: 375, height: 800 }, isMobile: true, hasTouch: true }]]) {
      for (const colorScheme of ["light", "dark"]) {
        const page = await reader(browser, { ...size, colorScheme });
        const whole = (device === "desk") === (colorScheme === "light");
        for (const name of whole ? forms : forms.slice(0, 3)) { // what is left differs in colors or widths that the others have
          await open(page, name);
          await look(page, `${name} (${device}, ${colorScheme})`, problems);
          await shoot(page, `${name.replaceAll(/[/.]+/g, "-")}-${device}-${colorScheme}`);
        }
        const [red, green, blue] = (await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).match(/\d+/g).map(Number);
        assert.equal(red + green + blue < 180, colorScheme === "dark", `in the ${colorScheme} the ground is ${red}, ${green}, ${blue}`);
      }
    }
    const narrow = await reader(browser, { viewport: { width: 375, height: 800 }, isMobile: true, hasTouch: true });
    for (const name of ALL) {
      await open(narrow, name);
      await fits(narrow, `${name} (telephone)`, problems);
    }
    await open(narrow, "kinds/claim-source.html");
    await narrow.getByRole("link", { name: "All pages" }).click();
    assert.ok(await narrow.locator("nav [aria-current]").first().isVisible());
    const page = await reader(browser, { viewport: { width: 1280, height: 900 } });
    await searches(page);
    await types(page);
    await copies(page);
    await olderVersion(page);
    const scriptless = await reader(browser, { viewport: { width: 1280, height: 900 }, javaScriptEnabled: false });
    await open(scriptless, "kinds/claim-source.html");
    assert.ok(await scriptless.locator("#search").isHidden(), "a search that cannot work is shown");
    await scriptless.getByRole("link", { name: "Getting started" }).click();
    await scriptless.getByRole("heading", { level: 1, name: "Getting started" }).waitFor();
  } finally {
    await browser.close();
  }
  assert.deepEqual([...new Set(problems)], []);
}

main().catch((error) => {
  console.error(error.message, "\n", error.stack, "\n", [...new Set(problems)].join("\n"));
  process.exitCode = 1;
});
