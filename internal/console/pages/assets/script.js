// A page of a run that goes on is read again until the run has ended. Without script there is a link that does the same.
"use strict";
(() => {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  let wait = 1000;
  const again = async () => {
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const content = page.getElementById("content");
        const own = document.getElementById("content");
        if (content && !own.contains(document.activeElement)) own.replaceWith(content);
        const said = page.getElementById("status");
        const status = document.getElementById("status");
        if (said && said.textContent !== status.textContent) status.textContent = said.textContent;
        if (content && !page.querySelector("main[data-live]")) {
          if (document.contains(content)) return;
        }
      }
      wait = Math.min(wait * 1.2, 10000);
    } catch {
      wait = 10000;
    }
    setTimeout(again, wait);
  };
  setTimeout(again, wait);
})();
