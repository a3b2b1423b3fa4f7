// The choice of colours: as the system has them, light, or dark.

const THEMES = ["auto", "light", "dark"];

function chosenTheme() {
  return document.documentElement.dataset.theme || "auto";
}

function nextTheme() {
  return THEMES[(THEMES.indexOf(chosenTheme()) + 1) % THEMES.length];
}

// Colours the page, and says so on its button.
function chooseTheme(theme) {
  const button = document.getElementById("theme");
  document.documentElement.dataset.theme = theme;
  button.textContent = `◐ ${theme}`;
  button.setAttribute("aria-label", `Colours: ${theme === "auto" ? "as the system" : theme}`);
}
