// Logs in to the console as it is installed, asks for a run, and logs out. The test beside it has started the program.
"use strict";
const assert = require("node:assert/strict");
const { chromium } = require("playwright-core");
const { watch, look } = require("./look.cjs");

const { BASE, CHROMIUM, TOKEN } = process.env;

async function main() {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const problems = [];
  try {
    const page = watch(await browser.newPage({ baseURL: BASE, locale: "en-GB" }), BASE, problems);
    await page.goto("/namespaces/acme/exports/monthly");
    assert.match(page.url(), /\/login\?return=/);
    await look(page, "the login", problems);
    await page.getByLabel(/Token/).fill("nonsense");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").waitFor();
    await look(page, "a login that was refused", problems);
    await page.getByLabel(/Token/).fill(TOKEN);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL(`${BASE}/namespaces/acme/exports/monthly`);
    assert.match(await page.locator("header").innerText(), /bookkeeper/);
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.querySelector(".button")).backgroundColor), "rgba(0, 0, 0, 0)", "there is no style sheet");
    await page.goto("/");
    assert.equal(await page.getByRole("heading", { level: 2 }).innerText(), "acme");
    await page.getByRole("link", { name: "monthly", exact: true }).click();
    await page.getByRole("link", { name: "Preview", exact: true }).click();
    await page.getByRole("button", { name: "Preview" }).click();
    await page.locator("main .state .mark.good", { hasText: "Succeeded" }).waitFor();
    assert.match(await page.locator("main").innerText(), /system:serviceaccount:acme:bookkeeper \(as stated\)/);
    await page.goto("/namespaces/acme/runs/october");
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "october.csv" }).click()]);
    assert.ok(await download.path());
    assert.equal((await page.goto("/namespaces/nordwind")).status(), 403);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.goto("/namespaces/acme/exports/monthly");
    assert.match(page.url(), /\/login/);
  } finally {
    await browser.close();
  }
  assert.deepEqual(problems, []);
}

main().catch((error) => {
  console.error(error.stack);
  process.exitCode = 1;
});
