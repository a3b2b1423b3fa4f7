// The pages work without this. It adds colours by choice, live filtering, and fresh figures.

function listenTheme() {
  const button = document.getElementById("theme");
  const kept = localStorage.getItem("theme");
  chooseTheme(THEMES.includes(kept) ? kept : "auto");
  button.hidden = false;
  button.addEventListener("click", () => {
    chooseTheme(nextTheme());
    localStorage.setItem("theme", chosenTheme());
  });
}

// Hides the rows of this page of the list that lack a word of what is typed.
function listenSearch() {
  const search = document.getElementById("search");
  if (!search) return;
  document.getElementById("search-label").hidden = false;
  const rows = [...document.querySelectorAll(".runs tbody tr")];
  const texts = rows.map((row) => {
    const title = row.querySelector("a[title]").title;
    return `${row.textContent} ${title}`.toLowerCase();
  });
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, at) => { row.hidden = !words.every((word) => texts[at].includes(word)); });
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
  addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
    }
  });
}

function listenCompare() {
  const form = document.getElementById("compare");
  if (!form) return;
  const boxes = [...form.querySelectorAll("input[name=run]")];
  const button = form.querySelector("button");
  const chosen = document.getElementById("chosen");
  const show = () => {
    const count = boxes.filter((box) => box.checked).length;
    button.disabled = count !== 2;
    chosen.textContent = ["Choose two runs.", "Choose one more.", ""][count] ?? `${count} are chosen: leave two.`;
  };
  form.addEventListener("change", show);
  addEventListener("pageshow", show);
  show();
}

const POLL_MS = 1000;
const LOST_AFTER = 3;

// Puts a fresh part in place each second until the run has ended. It is made by our templates, and
// what is parsed so runs no script.
function follow() {
  const live = document.getElementById("live");
  if (!live) return;
  let failures = 0;
  const isOver = () => live.querySelector("[data-over]") !== null;
  const poll = async () => {
    if (isOver()) return;
    try {
      if (!document.hidden) {
        const answer = await fetch(live.dataset.part);
        if (!answer.ok) throw new Error(answer.statusText);
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        live.replaceChildren(...fresh.body.childNodes);
      }
      failures = 0;
    } catch {
      failures += 1;
    }
    document.getElementById("lost").hidden = failures < LOST_AFTER;
    setTimeout(poll, POLL_MS);
  };
  setTimeout(poll, POLL_MS);
}

listenTheme();
listenSearch();
listenCompare();
follow();
document.documentElement.dataset.ready = "";
