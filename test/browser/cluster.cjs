// Two people work with the console of a cluster, and know nothing of the cluster but the console's address: one sees why claims are held, previews,
// exports, downloads and proves; the other takes it back. The test in test/e2e has installed everything.
"use strict";
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const fs = require("node:fs");
const { chromium } = require("playwright-core");
const { watch, look } = require("./look.cjs");

const { BASE, CHROMIUM, PROVIDER, NAMESPACE, CLAIMS, HELD } = process.env;
const home = `/namespaces/${NAMESPACE}`;
const exported = `${home}/exports/monthly`;
const problems = [];

// Somebody who logs in at the provider, which knows who comes next.
async function person(browser, name) {
  const context = await browser.newContext({ baseURL: BASE, locale: "en-GB", ignoreHTTPSErrors: true, reducedMotion: "reduce" });
  const page = watch(await context.newPage(), [BASE, PROVIDER], problems);
  await page.goto("/");
  assert.equal(page.url(), `${BASE}/`);
  assert.match(await page.locator("header").innerText(), new RegExp(`oidc:${name}`));
  return page;
}

const succeeded = (page) => page.locator("main .state .mark.good", { hasText: "Succeeded" }).waitFor();

async function previews(page) {
  await page.getByRole("link", { name: "monthly", exact: true }).click();
  await page.getByRole("link", { name: "Preview", exact: true }).click();
  await page.getByRole("button", { name: "Preview" }).click();
  await succeeded(page);
  const text = await page.locator("main").innerText();
  assert.match(text, /No rule of the chart of accounts matches a line/, "a preview says why claims would be held");
  assert.match(text, new RegExp(`Claims\\s+${CLAIMS}\\b`));
}

async function asks(page) {
  await page.goto(exported);
  await page.getByRole("link", { name: "Export now" }).click();
  await page.getByRole("button", { name: "Export now" }).click();
  await page.waitForURL(/\/runs\/monthly-[a-z2-7]{10}$/);
  await succeeded(page); // it changes by itself
  return page.url();
}

async function seesWhatIsHeld(page) {
  await page.goto(exported);
  await page.getByRole("link", { name: `${HELD} held claims` }).click();
  const text = await page.locator("main").innerText();
  assert.match(text, /No rule of the chart of accounts matches a line/);
  assert.match(text, /Add a rule, or correct the line's category/);
  assert.match(text, /line \d+ with category "gifts"/);
}

// A file is downloaded, has the hash that the page shows, and is proved.
async function proves(page, run) {
  await page.goto(run);
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator('[aria-labelledby="files"] a').first().click()]);
  const hash = crypto.createHash("sha256").update(fs.readFileSync(await download.path())).digest("hex");
  await page.locator("code.hash", { hasText: hash }).waitFor();
  await page.getByRole("button", { name: "Check now" }).click();
  await page.locator(".checks .mark.good").nth(4).waitFor();
  assert.equal(await page.locator(".checks .mark.bad").count(), 0);
  await look(page, "a run that is proved", problems);
}

async function reverses(page, run) {
  await page.goto(run);
  await page.getByRole("link", { name: "Reverse", exact: true }).click();
  await page.getByLabel("Reason").fill("Exported a day too early");
  await page.getByRole("button", { name: "Reverse" }).click();
  await page.waitForURL(/\/runs\/monthly-reversal-/);
  await succeeded(page);
  await page.getByText("Exported a day too early").waitFor();
}

async function main() {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  try {
    const anna = await person(browser, "anna");
    await previews(anna);
    const run = await asks(anna);
    await seesWhatIsHeld(anna);
    await proves(anna, run);
    assert.equal(await anna.getByRole("link", { name: "Reverse", exact: true }).count(), 0, "who may not reverse is offered it");
    const berta = await person(browser, "berta");
    await reverses(berta, run);
    await anna.goto(run);
    assert.match(await anna.locator("main").innerText(), /Reversed monthly-reversal-/);
    await anna.goto(`${home}/audit`);
    const audit = await anna.locator("main").innerText();
    for (const deed of [/Export asked for[\s\S]*oidc:anna/, /Reversal asked for .?Exported a day too early[\s\S]*oidc:berta/]) assert.match(audit, deed);
    assert.equal((await anna.goto("/namespaces/kube-system")).status(), 403);
  } finally {
    await browser.close();
  }
  assert.deepEqual([...new Set(problems)], []);
}

main().catch((error) => {
  console.error(error.stack, "\n", [...new Set(problems)].join("\n"));
  process.exitCode = 1;
});
