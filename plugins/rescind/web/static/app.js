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

// Airflow keeps its language and its time zone in this browser only: cookies tell them to the server.
function copyReader() {
  const root = document.documentElement;
  const path = new URL(root.dataset.up || "./", location.href).pathname.replace(/\/$/, "") || "/";
  const had = new Map(document.cookie.split("; ").map((one) => one.split("=", 2)));
  let told = false;
  const tell = (name, value, matters) => {
    if (!/^[A-Za-z0-9_+\/-]{2,60}$/.test(value) || had.get(name) === value) return;
    document.cookie = `${name}=${value}; Path=${path}; Max-Age=31536000; SameSite=Lax`;
    told ||= matters && document.cookie.includes(`${name}=${value}`);
  };
  const language = localStorage.getItem("i18nextLng") || "";
  const same = root.lang.split("-")[0] === language.split("-")[0];
  tell("rescind_airflow_lang", language, !same && !("chosenLanguage" in root.dataset));
  const zone = JSON.parse(localStorage.getItem("timezone") || "null") || Intl.DateTimeFormat().resolvedOptions().timeZone;
  tell("rescind_airflow_tz", zone, zone !== "UTC" && !("chosenZone" in root.dataset));
  if (told) return location.reload();
  const address = new URL(location.href);
  for (const name of ["lang", "tz"]) address.searchParams.delete(name); // a shared address carries nobody's choice
  if (address.href !== location.href) history.replaceState(null, "", address);
}
try {
  copyReader();
} catch {
  // A frame without storage: the server knows the browser's languages.
}

// How many lines are ticked; an output is read out when it changes.
const ticked = document.querySelector("output[data-ticked]");
if (ticked) {
  const count = () => (ticked.value = ticked.dataset.ticked.replace("#", String(ticked.form.querySelectorAll("input[name=box]:checked").length)));
  ticked.form.addEventListener("change", count);
  count();
}

for (const select of document.querySelectorAll("form.filters select, form.reader select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
setTimeout(refresh, EVERY_MS);
