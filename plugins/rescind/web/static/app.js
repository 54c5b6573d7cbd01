// Live figures and filters that act at once. The pages work without it.
"use strict";

const EVERY_MS = 3000;

function refreshed(html) {
  return new DOMParser().parseFromString(html, "text/html").getElementById("live");
}

async function refresh() {
  const live = document.getElementById("live");
  if (!live || !live.dataset.refresh) return;
  if (document.hidden) return void setTimeout(refresh, EVERY_MS);
  try {
    const answer = await fetch(live.dataset.refresh, { credentials: "same-origin", redirect: "error", cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) return location.reload();
    const fresh = answer.ok ? refreshed(await answer.text()) : null;
    if (fresh && !fresh.dataset.refresh) return location.reload();
    if (fresh) live.replaceWith(document.adoptNode(fresh));
  } catch {
    // A network that fails for a moment: the next turn tries again.
  }
  setTimeout(refresh, EVERY_MS);
}

for (const select of document.querySelectorAll("form.filters select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
setTimeout(refresh, EVERY_MS);
