// Logs in to the console at an OIDC provider, which for the browser is another site: the cookies of the console have to come back with who is sent
// back. The test beside it has started both.
"use strict";
const assert = require("node:assert/strict");
const { chromium } = require("playwright-core");
const { watch, look } = require("./look.cjs");

const { BASE, CHROMIUM, PROVIDER } = process.env;

async function main() {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const problems = [];
  try {
    const page = watch(await browser.newPage({ baseURL: BASE, locale: "en-GB", ignoreHTTPSErrors: true }), [BASE, PROVIDER], problems);
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.goto("/namespaces/acme/exports/monthly");
    assert.equal(page.url(), `${BASE}/namespaces/acme/exports/monthly`, "who has logged in is where they wanted to be");
    assert.ok(asked.some((url) => url.startsWith(PROVIDER)), "the provider was not asked");
    assert.match(await page.locator("header").innerText(), /oidc:anna/);
    assert.deepEqual(await page.evaluate(() => document.cookie), "", "a script can read a cookie");
    await page.getByRole("link", { name: "Preview", exact: true }).click();
    await page.getByRole("button", { name: "Preview" }).click();
    await page.locator("main .state .mark.good", { hasText: "Succeeded" }).waitFor();
    assert.match(await page.locator("main").innerText(), /oidc:anna/);
    assert.equal((await page.goto("/namespaces/nordwind")).status(), 403);
    const away = asked.length;
    await page.getByRole("button", { name: "Log out" }).click();
    await page.waitForURL(`${BASE}/logged-out`);
    assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "You are logged out");
    await look(page, "the end of a session", problems);
    assert.ok(!asked.slice(away).some((url) => url.startsWith(PROVIDER)), "who logs out is logged in again at once");
    await page.getByRole("link", { name: "Log in", exact: true }).click();
    await page.waitForURL(`${BASE}/`);
    assert.match(await page.locator("header").innerText(), /oidc:berta/, "the next person is who the provider says");
    await page.goto("/callback?state=forged&code=1");
    assert.match(await page.locator("main").innerText(), /not the end of a login/);
    await look(page, "a login that has failed", problems);
  } finally {
    await browser.close();
  }
  assert.deepEqual(problems, []);
}

main().catch((error) => {
  console.error(error.stack);
  process.exitCode = 1;
});
