// What the pages do beyond being read: search, copying code, and telling that there is a newer version. Without it they can be read as well.
"use strict";

const up = document.documentElement.dataset.up;
const version = document.documentElement.dataset.version;

// Words of a text or of a query, without accents.
function words(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

// The beginning that forms of an English word share, such as upgrad of upgrade and upgrading.
function stem(word) {
  return word.replace(/^(.{4,}?)(ing|ed|es|e|s)$/u, "$1");
}

let index;

// The sections of all pages, asked for when somebody searches.
async function sections() {
  index ??= fetch(`${up}search.json`).then((answer) => {
    if (!answer.ok) throw new Error(answer.statusText);
    return answer.json();
  }).then((all) => all.map((section) => ({
    ...section, inPage: words(section.page), inHeading: words(section.heading ?? ""), inText: words(section.text),
  })));
  return index;
}

// How well a section answers: each word must begin a word of it. A title counts more than a heading, that more than the text, a whole word more than a
// beginning, and words in their order more than words anywhere.
function score(section, query) {
  let sum = 0;
  for (const word of query) {
    let best = 0;
    for (const [among, points] of [[section.inPage, section.heading ? 6 : 12], [section.inHeading, 10], [section.inText, 2]]) {
      if (among.includes(word)) best = Math.max(best, points * 2);
      else if (among.some((other) => other.startsWith(stem(word)))) best = Math.max(best, points);
    }
    if (best === 0) return 0;
    sum += best;
  }
  const phrase = query.join(" ");
  const title = (section.heading ? section.inHeading : section.inPage).join(" ");
  if (title === phrase) sum += 20;
  else if (query.length > 1 && title.includes(phrase)) sum += 10;
  else if (query.length > 1 && section.inText.join(" ").includes(phrase)) sum += 6;
  return section.at.startsWith("decisions/") ? sum / 3 : sum;
}

// A part of the text with the beginnings of words that were asked for marked.
function excerpt(text, query) {
  const asked = `(?<![\\p{L}\\p{N}])(${query.map(stem).join("|")})`;
  const start = text.lastIndexOf(" ", Math.max(0, text.search(new RegExp(asked, "iu")) - 50)) + 1;
  let end = text.indexOf(" ", start + 150);
  if (end < 0) end = text.length;
  const line = document.createElement("span");
  let last = start;
  for (const match of text.slice(start, end).matchAll(new RegExp(asked, "giu"))) {
    const mark = document.createElement("mark");
    mark.textContent = match[0];
    line.append(text.slice(last, start + match.index), mark);
    last = start + match.index + match[0].length;
  }
  line.append(text.slice(last, end), end < text.length ? " …" : "");
  return line;
}

function hit(section, query) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = up + section.at;
  const title = document.createElement("strong");
  title.textContent = section.heading ? `${section.page}: ${section.heading}` : section.page;
  link.append(title, excerpt(section.text, query));
  item.append(link);
  return item;
}

function searching() {
  const [search, input, results, found, hits] = ["search", "query", "results", "found", "hits"].map((id) => document.getElementById(id));
  search.hidden = false;
  const show = async () => {
    const query = words(input.value);
    if (query.length === 0) {
      results.hidden = true;
      return;
    }
    let all;
    try {
      all = await sections();
    } catch {
      index = undefined;
      found.textContent = "The list of pages could not be read.";
      hits.replaceChildren();
      results.hidden = false;
      return;
    }
    if (query.join(" ") !== words(input.value).join(" ")) return; // more has been typed meanwhile
    const ranked = all.map((section) => [score(section, query), section]).filter(([points]) => points > 0).sort((a, b) => b[0] - a[0]);
    found.textContent = ranked.length === 0 ? "Nothing was found." : ranked.length === 1 ? "1 place" : `${ranked.length} places`;
    hits.replaceChildren(...ranked.slice(0, 12).map(([, section]) => hit(section, query)));
    results.hidden = false;
  };
  input.addEventListener("input", show);
  input.addEventListener("click", show);
  const close = () => { results.hidden = true; };
  search.addEventListener("keydown", (event) => {
    const links = [...hits.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Escape") {
      input.focus();
      close();
    } else if (event.key === "ArrowDown" && at + 1 < links.length) {
      links[at + 1].focus();
    } else if (event.key === "ArrowUp" && at >= 0) {
      (links[at - 1] ?? input).focus();
    } else if (event.key === "Enter" && document.activeElement === input && links.length > 0) {
      links[0].click();
    } else {
      return;
    }
    event.preventDefault();
  });
  hits.addEventListener("click", close);
  document.addEventListener("click", (event) => { if (!search.contains(event.target)) close(); });
  search.addEventListener("focusout", (event) => { if (event.relatedTarget && !search.contains(event.relatedTarget)) close(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      input.focus();
    }
  });
}

// Code can be copied without the prompts and what was printed in answer to a command.
function copying() {
  for (const block of document.querySelectorAll(".code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      const lines = block.querySelector("code").textContent.split("\n");
      const typed = lines.filter((line) => line.startsWith("$ ")).map((line) => line.slice(2));
      try {
        await navigator.clipboard.writeText(typed.length > 0 ? typed.join("\n") : lines.join("\n"));
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    block.append(button);
  }
}

async function newer() {
  const answer = await fetch(`${up}../versions.json`);
  if (!answer.ok) return;
  const { newest } = await answer.json();
  if (newest === version) return;
  const note = document.getElementById("newer");
  const link = document.createElement("a");
  link.href = `${up}../${newest}/index.html`;
  link.textContent = newest;
  note.append(`These pages are about ${version}. The newest ones are about `, link, ".");
  note.hidden = false;
}

searching();
copying();
newer().catch(() => {}); // a copy of one version has no list of them
