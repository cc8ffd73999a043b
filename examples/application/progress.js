// Shows how far the export has come, until it has finished.
"use strict";

const place = document.getElementById("progress");

async function follow() {
  for (;;) {
    try {
      const answer = await fetch(place.dataset.progress);
      if (answer.ok) {
        const run = await answer.json();
        const total = run.total ? `, ${run.total.amount} ${run.total.currency}` : "";
        const claims = run.finished ? run.claims : (run.progress?.claims ?? 0);
        place.textContent = `${run.phase}: ${claims} claims${total}` + (run.held ? `, ${run.held} held` : "");
        if (run.finished) {
          document.getElementById("file").hidden = !run.links.files;
          if (!run.links.files) place.textContent += `. ${run.message}`;
          return;
        }
        continue;
      }
    } catch {
      // The network is away; the request is not.
    }
    await new Promise((again) => setTimeout(again, 1000));
  }
}

follow();
