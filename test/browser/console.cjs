// Drives a browser through every page and action of the console. The test beside it has started what is looked at, and says where that is.
"use strict";
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");
const { watch, look: lookAt } = require("./look.cjs");

const { BASE, CHROMIUM, SCREENSHOTS, LOOKS } = process.env;
const home = "/namespaces/acme";
const exported = `${home}/exports/monthly`;
const run = (name) => `${home}/runs/${name}`;
const problems = [];

// Somebody with a browser.
async function person(browser, name, options = {}) {
  const context = await browser.newContext({
    baseURL: BASE, locale: "en-GB", viewport: { width: 1000, height: 760 }, reducedMotion: "reduce", ...options,
  });
  await context.addCookies([{ name: "test-person", value: name, url: BASE }]);
  const page = await context.newPage();
  return watch(page, BASE, problems);
}

const look = (page, what) => lookAt(page, what, problems);

async function shoot(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true, clip: await clip(page, name) });
}

// Every page in every look, to be looked at by a person, if they say where (LOOKS=directory).
async function keep(page, name) {
  if (LOOKS) await page.screenshot({ path: path.join(LOOKS, `${name.replace(/[^a-z0-9]+/gi, "-")}.png`), fullPage: true });
}

// A screenshot ends where a reader of the docs has seen enough: of a run, behind its proof.
async function clip(page, name) {
  const [width, height] = await page.evaluate(() => [document.documentElement.clientWidth, document.documentElement.scrollHeight]);
  const enough = name === "run" ? 1500 : 900;
  return { x: 0, y: 0, width, height: Math.min(height, width < 600 ? 1000 : enough) };
}

async function see(page, to, code = 200) {
  const answer = await page.goto(to);
  assert.equal(answer.status(), code, `${to} is answered with ${answer.status()}`);
}

// The clerk previews with script: the page of the run changes by itself.
async function previews(page) {
  await see(page, exported);
  await page.getByRole("link", { name: "Preview", exact: true }).click();
  await look(page, "the question about a preview");
  await page.getByRole("button", { name: "Preview" }).click();
  await page.waitForURL(/\/runs\/monthly-preview-/);
  await page.locator("main .state .mark.good", { hasText: "Succeeded" }).waitFor();
  assert.match(await page.locator("main").innerText(), /clerk \(as stated\)/);
  await look(page, "a preview");
}

// Without script the same is done with a link.
async function exportsWithoutScript(page) {
  await see(page, exported);
  await page.getByRole("link", { name: "Export now" }).click();
  await shoot(page, "request");
  await page.getByRole("button", { name: "Export now" }).click();
  await page.waitForURL(/\/runs\/monthly-[a-z2-7]{10}$/);
  for (let looked = 0; (await page.locator("main .state .mark.good").count()) === 0; looked++) {
    assert.ok(looked < 100, "the run does not end");
    const again = page.getByRole("link", { name: "Refresh" });
    if (await again.count()) await again.click();
  }
  return page.url();
}

async function delivers(page) {
  await see(page, run("october"));
  await page.getByRole("link", { name: "Deliver again" }).click();
  await look(page, "the question about a redelivery");
  await page.getByRole("button", { name: "Deliver again" }).click();
  await page.waitForURL(/\/runs\/monthly-redeliver-/);
  await page.locator("main .state .mark.good", { hasText: "Succeeded" }).waitFor();
}

// A file is downloaded, and has the hash that the page shows.
async function downloads(page) {
  await see(page, run("october"));
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "october.csv" }).click()]);
  const hash = crypto.createHash("sha256").update(fs.readFileSync(await download.path())).digest("hex");
  await page.locator("code.hash", { hasText: hash }).waitFor();
  assert.equal(download.suggestedFilename(), "october.csv");
  await page.getByRole("button", { name: "Check now" }).click();
  await page.locator(".checks .mark.good").nth(4).waitFor();
  assert.equal(await page.locator(".checks .mark.bad").count(), 0);
  await see(page, `${home}/audit`);
  const [audit] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download as CSV" }).click()]);
  assert.match(fs.readFileSync(await audit.path(), "utf8"), /^time,namespace,export,run/);
}

async function searches(page) {
  await see(page, run("october"));
  const claim = await page.locator("td .id").first().innerText();
  await page.getByLabel("Claim").fill(claim);
  await page.keyboard.press("Enter");
  await page.waitForURL(/claim=/);
  assert.equal(await page.locator('[aria-labelledby="vouchers"] tbody tr').count(), 1);
  await page.locator('[aria-labelledby="vouchers"] tbody a').click();
  await page.getByRole("heading", { name: "4. File" }).waitFor();
  assert.match(await page.getByRole("link", { name: claim }).getAttribute("href"), /^https:\/\/expenses\.example\.com\/claims\//);
}

// The clerk marks what they have imported. The controller sees that, is warned, and takes it back.
async function imports(clerk, controller, narrow) {
  await see(clerk, run("october"));
  await clerk.getByRole("link", { name: "Mark as imported" }).click();
  await clerk.waitForURL(/\/imported$/);
  await look(clerk, "the question about an import");
  await see(narrow, `${run("october")}/imported`);
  await look(narrow, "the question about an import (375 px, dark)");
  await clerk.getByLabel("Reference in the accounting system").fill("Batch 4711");
  await clerk.getByRole("button", { name: "Mark as imported" }).click();
  await clerk.waitForURL(/\/runs\/october$/);
  await clerk.getByText("Batch 4711").first().waitFor();
  await look(clerk, "a run that is imported");
  await see(controller, exported);
  assert.match(await controller.locator("tr", { hasText: "Batch 4711" }).innerText(), /^october/); // and not its redelivery
  await look(controller, "an export with a run that is imported");
  await see(controller, `${run("october")}/request/redeliver`);
  await controller.getByRole("alert").filter({ hasText: "booked twice" }).waitFor();
  await look(controller, "the question about a redelivery of what is imported");
  await see(controller, run("october"));
  await controller.getByRole("link", { name: "Take the mark back" }).click();
  await look(controller, "the question about a mark that is taken back");
  await controller.getByRole("button", { name: "Take the mark back" }).click();
  await controller.waitForURL(/\/runs\/october$/);
  assert.match(await controller.locator(".timeline").innerText(), /Mark as imported taken back/);
  await controller.getByRole("link", { name: "Mark as imported" }).waitFor();
}

async function reverses(page) {
  await see(page, run("october"));
  const voucher = await page.locator('[aria-labelledby="vouchers"] tbody a').nth(3).getAttribute("href");
  await see(page, voucher);
  await page.getByRole("link", { name: "Reverse the vouchers of this claim" }).click();
  await look(page, "the question about a reversal");
  await page.getByRole("button", { name: "Reverse" }).click(); // which the browser does not send without a reason
  assert.equal(await page.evaluate(() => document.activeElement.id), "reason");
  await page.getByLabel("Reason").fill("Posted by hand before");
  await shoot(page, "reversal");
  await page.getByRole("button", { name: "Reverse" }).click();
  await page.locator("main .state .mark.good", { hasText: "Succeeded" }).waitFor();
  await page.getByText("Posted by hand before").waitFor();
  return voucher;
}

// The clerk asks for a run, and another person approves what they see of it.
async function approves(clerk, approver, narrow) {
  await see(clerk, exported);
  await clerk.getByRole("link", { name: "Export now" }).click();
  await clerk.getByRole("button", { name: "Export now" }).click();
  await clerk.waitForURL(/\/runs\/monthly-[a-z2-7]{10}$/);
  await clerk.locator("main .state .mark", { hasText: "Waits for approval" }).waitFor();
  assert.equal(await clerk.getByRole("link", { name: "Approve", exact: true }).count(), 0);
  await see(approver, clerk.url().slice(BASE.length));
  await approver.getByRole("link", { name: "Approve", exact: true }).click();
  await approver.waitForURL(/\/approval$/);
  await look(approver, "the question about an approval");
  await shoot(approver, "approval");
  await see(narrow, approver.url().slice(BASE.length));
  await look(narrow, "the question about an approval (375 px, dark)");
  await approver.getByRole("button", { name: "Approve" }).click();
  await approver.locator("main .state .mark.good", { hasText: "Succeeded" }).waitFor();
  assert.match(await approver.locator(".timeline").innerText(), /Approved · approver \(as stated\)/);
  await look(approver, "a run that was approved");
}

// The clerk asks for a run, and the controller cancels it while it waits.
async function cancels(clerk, controller) {
  await see(clerk, exported);
  await clerk.getByRole("link", { name: "Export now" }).click();
  await clerk.getByRole("button", { name: "Export now" }).click();
  await clerk.waitForURL(/\/runs\/monthly-[a-z2-7]{10}$/);
  await clerk.locator("main .state .mark", { hasText: "Waits for approval" }).waitFor();
  assert.equal(await clerk.getByRole("link", { name: "Cancel the run" }).count(), 0);
  await see(controller, clerk.url().slice(BASE.length));
  await controller.getByRole("link", { name: "Cancel the run" }).click();
  await controller.waitForURL(/\/cancellation$/);
  await look(controller, "the question about a cancellation");
  await controller.getByRole("button", { name: "Cancel the run" }).click();
  await controller.locator("main .state .mark", { hasText: "Cancelled" }).waitFor();
  assert.match(await controller.locator(".timeline").innerText(), /Its cancellation was asked for · controller \(as stated\)/);
  await look(controller, "a run that was cancelled");
}

// A keyboard is enough, and what is focused can be seen.
async function types(page) {
  await see(page, exported);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Export now");
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none");
}

// Pages of which the docs have a picture.
const shown = ["exports", "export", "run", "held", "voucher", "audit"];

// Every page, in two looks.
async function walks(page, dark, paths) {
  for (const [name, to, code] of paths) {
    await see(page, to, code);
    await look(page, `${name}${dark ? " (375 px, dark)" : ""}`);
    await keep(page, `${name}${dark ? "-de-375-dark" : ""}`);
    if (dark ? name === "run" : shown.includes(name)) await shoot(page, dark ? `${name}-narrow` : name);
  }
  if (dark) {
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.ok(ground.match(/\d+/g).every((part) => Number(part) < 60), `in the dark the ground is ${ground}`);
  }
}

async function main() {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  try {
    const clerk = await person(browser, "clerk");
    const scriptless = await person(browser, "clerk", { javaScriptEnabled: false });
    const controller = await person(browser, "controller");
    await previews(clerk);
    const newest = await exportsWithoutScript(scriptless);
    await delivers(clerk);
    const small = await person(browser, "clerk", { viewport: { width: 375, height: 800 }, colorScheme: "dark", locale: "de-DE" });
    await imports(clerk, controller, small);
    const voucher = await reverses(controller);
    await downloads(clerk);
    await searches(clerk);
    await types(clerk);
    const paths = [
      ["exports", "/"], ["namespace", home], ["export", exported], ["run", `${run("october")}?check=now`], ["newest", newest.slice(BASE.length)], ["held", `${exported}/held`],
      ["voucher", voucher], ["audit", `${home}/audit`], ["question", `${exported}/request/export`], ["nothing", "/nothing", 404], ["elsewhere", "/namespaces/nordwind", 403],
    ];
    await walks(clerk, false, paths);
    const narrow = await person(browser, "clerk", { viewport: { width: 375, height: 800 }, colorScheme: "dark", locale: "de-DE", isMobile: true, hasTouch: true });
    await walks(narrow, true, paths);
    assert.equal(await narrow.evaluate(() => document.documentElement.lang), "de");
    for (const locale of ["nb-NO", "sv-SE"]) {
      const reader = await person(browser, "clerk", { locale, viewport: { width: 375, height: 800 } });
      await see(reader, exported);
      await look(reader, `the export for ${locale}`);
      await keep(reader, `export-${locale}`);
      assert.equal(await reader.evaluate(() => document.documentElement.lang), locale.slice(0, 2));
    }
    assert.equal((await (await fetch(`${BASE}/test/hostile`, { method: "POST" })).status), 200);
    for (const page of [clerk, narrow]) {
      for (const to of [`${exported}/held`, `${home}/audit`, exported]) {
        await see(page, to);
        await look(page, `hostile texts at ${to}`);
      }
    }
    assert.equal((await fetch(`${BASE}/test/approval`, { method: "POST" })).status, 200);
    await cancels(clerk, controller); // whose claims go to the next run
    const dark = { locale: "de-DE", viewport: { width: 375, height: 800 }, colorScheme: "dark" };
    await approves(clerk, await person(browser, "approver"), await person(browser, "approver", dark));
    const stranger = await person(browser, "stranger");
    await see(stranger, "/");
    await look(stranger, "exports of a stranger");
    await see(stranger, exported, 403);
  } finally {
    await browser.close();
  }
  assert.deepEqual([...new Set(problems)], []);
}

main().catch((error) => {
  console.error(error.message, "\n", error.stack, "\n", [...new Set(problems)].join("\n"));
  process.exitCode = 1;
});
